"""The embedding psi alone, trained on clips made from stills; all else stays ImageNet's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.experiments.lite0 import Lite0
from trovid.experiments.pool import process_pool
from trovid.experiments.recognition import GRID, STRIDE
from trovid.experiments.recognition_classes import STILLS
from trovid.nn.extractors import TemporalRoIAlign
from trovid.ops import pack_support
from trovid.progress import bar
from trovid.recipes import AugmentationRecipe
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.training.augmentation import changed_looks, drawn_windows, in_windows

STEPS = 400
BATCH = 4
"""Clips of a step."""
FRAMES = 5
"""Of a clip: the target and its support frames."""
LEARNING_RATE = 1e-3
HEADS = 4
CHANGES = AugmentationRecipe(crop=0.7, light=0.2, damage=0.8, still_motion=0.15)
SMALLEST = 48
"""Pixels of a box's shorter side, below which a picture is left out."""


def trained_embeddings(
    network: Path,
    stills: Path,
    keys: Sequence[tuple[int, int]],
    *,
    folder: Path,
    steps: int = STEPS,
    workers: int = 1,
) -> list[TemporalRoIAlign]:
    """Temporal RoI Align for each K and seed of `keys`; those that are missing are trained.

    Args:
        network: The file of the ImageNet weights.
        stills: Labelled pictures.
        keys: K and seed of each.
        folder: See `trained_embedding`.
        steps: Of each training.
        workers: Processes that train.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = partial(_trained, network, stills, folder=folder, steps=steps)
    missing = [
        (k, seed)
        for k, seed in keys
        if not embedding_file(folder, seed=seed, top_k=k, steps=steps).exists()
    ]
    if workers > 1 and len(missing) > 1:
        with process_pool(workers) as pool:
            for future in [pool.submit(job, k, seed) for k, seed in missing]:
                future.result()
    return [job(k, seed) for k, seed in keys]


def _trained(
    network: Path, stills: Path, top_k: int, seed: int, *, folder: Path, steps: int
) -> TemporalRoIAlign:
    pictures = read_dataset(stills)
    return trained_embedding(
        Lite0(network), pictures, seed=seed, top_k=top_k, folder=folder, steps=steps
    )


def trained_embedding(
    network: Lite0, stills: Dataset, *, seed: int, top_k: int, folder: Path, steps: int = STEPS
) -> TemporalRoIAlign:
    """Temporal RoI Align with an embedding that recognises damaged stills; read if it is there.

    A clip is a picture seen by a moving camera, of which the target frame is damaged in 8 of 10
    clips. The loss is the negative logarithm of what the frozen head gives the object's classes.

    Args:
        network: Maps and head, which do not change.
        stills: Labelled pictures with the classes of `recognition_classes.STILLS`.
        seed: Of everything random.
        top_k: K.
        folder: Of the trained embeddings.
        steps: Of the training.

    Raises:
        TrovidError: If no picture has an object of such a class.
    """
    torch.manual_seed(seed)
    channels = network.network.blocks[-2][0].conv_pw.in_channels
    extractor = TemporalRoIAlign(
        GRID, 1 / STRIDE, 2, channels=channels, top_k=top_k, num_heads=HEADS
    )
    file = embedding_file(folder, seed=seed, top_k=top_k, steps=steps)
    if file.exists():
        extractor.load_state_dict(read_tensors(file)[0])
        return extractor.eval()
    objects = _objects(stills)
    for parameter in network.network.parameters():
        parameter.requires_grad_(False)
    optimizer = torch.optim.AdamW(extractor.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with bar(f"psi, K = {top_k}, seed {seed}", unit="steps") as tick:
        for step in range(steps):
            losses = []
            for number in range(BATCH):
                chance = random.Random(f"{seed} {step} {number}")
                losses.append(_loss(network, extractor, stills, chance.choice(objects), chance))
            loss = torch.stack(losses).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            tick(step + 1, steps, f"loss {loss.item():.3f}")
    save_tensors(file, extractor.state_dict(), {"seed": str(seed), "steps": str(steps)})
    return extractor.eval()


def embedding_file(folder: Path, *, seed: int, top_k: int, steps: int) -> Path:
    """Where `trained_embedding` leaves what it trained."""
    return folder / f"recognition-k{top_k}-seed{seed}-{steps}.safetensors"


def _objects(stills: Dataset) -> list[tuple[str, Tensor, tuple[int, ...]]]:
    """Picture, box and ImageNet's classes of each object that may be trained on."""
    rows = stills.objects
    found = []
    for row in np.flatnonzero(rows.counted).tolist():
        box = torch.tensor(rows.boxes[row], dtype=torch.float32)
        classes = STILLS.get(stills.class_names[rows.labels[row]])
        if classes and float((box[2:] - box[:2]).min()) >= SMALLEST:
            found.append((stills.videos[rows.videos[row]].name, box, classes))
    if not found:
        names = ", ".join(STILLS)
        raise TrovidError(f"no picture has an object of {SMALLEST} pixels of: {names}")
    return found


def _loss(
    network: Lite0,
    extractor: TemporalRoIAlign,
    stills: Dataset,
    chosen: tuple[str, Tensor, tuple[int, ...]],
    chance: random.Random,
) -> Tensor:
    name, box, classes = chosen
    image = next(iter(stills.open(name))).image
    size = image.shape[:2]
    windows = drawn_windows(CHANGES, chance, count=FRAMES, still=True)
    frames = in_windows(np.stack([image] * FRAMES), windows)
    frames = changed_looks(frames, CHANGES, chance, targets=1)
    seen = windows[0].boxes(box[None], (size[0], size[1]))
    if float((seen[:, 2:] - seen[:, :2]).min()) < SMALLEST / 2:
        seen = seen.new_tensor([[0, 0, size[1], size[0]]])
    maps = torch.cat([network(frame)[STRIDE] for frame in frames]).clone()
    logits = network.head(extractor(maps[:1], pack_support(maps[1:]), [seen]))
    every = logits.logsumexp(1)
    return (every - logits[:, torch.tensor(classes)].logsumexp(1)).mean()
