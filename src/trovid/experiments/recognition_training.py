"""The embedding psi alone, trained on clips made from stills; all else stays ImageNet's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.datasets.reading import read_split, splits_of
from trovid.errors import TrovidError
from trovid.experiments.lite0 import CHANNELS, Lite0
from trovid.experiments.pool import process_pool
from trovid.experiments.recognition import GRID, STRIDE
from trovid.experiments.recognition_classes import STILLS
from trovid.nn.extractors import TemporalRoIAlign
from trovid.ops import pack_support
from trovid.progress import bar
from trovid.recipes import AugmentationRecipe
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.training.augmentation import changed_looks, drawn_windows, in_windows
from trovid.training.identity import dataset_digest

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


class Stills(NamedTuple):
    """Labelled pictures that an embedding learns from.

    Attributes:
        path: A folder, of which it is the training split, or a file of labels.
        dataset: The pictures.
        objects: Picture, box and ImageNet's classes of each object that is learned from.
    """

    path: Path
    dataset: Dataset
    objects: list[tuple[str, Tensor, tuple[int, ...]]]

    @property
    def pictures(self) -> list[str]:
        """The names of those that are learned from."""
        return sorted({name for name, *_ in self.objects})


def read_stills(path: Path) -> Stills:
    """The pictures of a folder or a file.

    Raises:
        TrovidError: If they cannot be read, or no picture has an object of such a class.
    """
    dataset = read_split(path, "train" if "train" in splits_of(path) else None)
    return Stills(path, dataset, _objects(dataset))


def trained_embeddings(
    network: Path,
    stills: Stills,
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
        folder: Of the trained embeddings.
        steps: Of each training.
        workers: Processes that train, a seed each at a time.

    Raises:
        TrovidError: If one that is there was trained on other pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing: dict[int, list[int]] = {}
    for top_k, seed in keys:
        if not embedding_file(folder, seed=seed, top_k=top_k, steps=steps).exists():
            missing.setdefault(seed, []).append(top_k)
    job = partial(_train, network, stills.path, folder=folder, steps=steps)
    if workers > 1 and len(missing) > 1:
        with process_pool(workers) as pool:
            for future in [pool.submit(job, *of_seed) for of_seed in missing.items()]:
                future.result()
    else:
        for of_seed in missing.items():
            job(*of_seed)
    trained, digest = [], dataset_digest(stills.dataset, stills.pictures)
    for top_k, seed in keys:
        extractor = _extractor(top_k)
        file = embedding_file(folder, seed=seed, top_k=top_k, steps=steps)
        tensors, facts = read_tensors(file)
        if facts.get("stills") != digest:
            raise TrovidError(
                f"{file} was trained on other pictures than those of {stills.path}: delete it, or "
                "choose another `out`"
            )
        extractor.load_state_dict(tensors)
        trained.append(extractor.eval())
    return trained


def _train(network: Path, stills: Path, seed: int, top_ks: list[int], **words: Any) -> None:
    train_embeddings(Lite0(network), read_stills(stills), seed, top_ks, **words)


def train_embeddings(
    network: Lite0,
    stills: Stills,
    seed: int,
    top_ks: Sequence[int],
    *,
    folder: Path,
    steps: int = STEPS,
) -> None:
    """Trains an embedding for each K that recognises damaged stills, and writes it.

    A clip is a picture seen by a moving camera, of which the target frame is damaged in 8 of 10
    clips. The loss is the negative logarithm of what the frozen head gives the object's classes.
    All K see the same clips, whose maps take most of the time and are made once.

    Args:
        network: Maps and head, which do not change.
        stills: Labelled pictures.
        seed: Of everything random.
        top_ks: Values of K.
        folder: Of the trained embeddings.
        steps: Of the training.
    """
    for parameter in network.network.parameters():
        parameter.requires_grad_(False)
    trainings = []
    for top_k in top_ks:
        torch.manual_seed(seed)
        extractor = _extractor(top_k)
        optimizer = torch.optim.AdamW(extractor.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        trainings.append((extractor, optimizer, rate))
    with bar(f"psi, K = {', '.join(map(str, top_ks))}, seed {seed}", unit="steps") as tick:
        for step in range(steps):
            clips = []
            for number in range(BATCH):
                chance = random.Random(f"{seed} {step} {number}")
                clips.append(_clip(network, stills.dataset, chance.choice(stills.objects), chance))
            losses = []
            for extractor, optimizer, rate in trainings:
                loss = torch.stack([_loss(network, extractor, clip) for clip in clips]).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
                losses.append(f"{loss.item():.3f}")
            tick(step + 1, steps, f"loss {' '.join(losses)}")
    facts = {"seed": str(seed), "steps": str(steps)}
    facts["stills"] = dataset_digest(stills.dataset, stills.pictures)
    for top_k, (extractor, *_) in zip(top_ks, trainings, strict=True):
        file = embedding_file(folder, seed=seed, top_k=top_k, steps=steps)
        save_tensors(file, extractor.state_dict(), facts)


def _extractor(top_k: int) -> TemporalRoIAlign:
    return TemporalRoIAlign(
        GRID, 1 / STRIDE, 2, channels=CHANNELS[STRIDE], top_k=top_k, num_heads=HEADS
    )


def embedding_file(folder: Path, *, seed: int, top_k: int, steps: int) -> Path:
    """Where an embedding lies."""
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


class _Clip(NamedTuple):
    """What is trained on.

    Attributes:
        maps: Tensor[FRAMES, C, H, W], the target frame's first.
        box: Tensor[1, 4], of the object in the target frame.
        classes: The object's, of ImageNet's.
    """

    maps: Tensor
    box: Tensor
    classes: tuple[int, ...]


def _clip(
    network: Lite0,
    stills: Dataset,
    chosen: tuple[str, Tensor, tuple[int, ...]],
    chance: random.Random,
) -> _Clip:
    name, box, classes = chosen
    image = next(iter(stills.open(name))).image
    size = image.shape[:2]
    windows = drawn_windows(CHANGES, chance, count=FRAMES, still=True)
    frames = in_windows(np.stack([image] * FRAMES), windows)
    frames = changed_looks(frames, CHANGES, chance, targets=1)
    seen = windows[0].boxes(box[None], (size[0], size[1]))
    if float((seen[:, 2:] - seen[:, :2]).min()) < SMALLEST / 2:
        seen = seen.new_tensor([[0, 0, size[1], size[0]]])
    return _Clip(torch.cat([network(frame)[STRIDE] for frame in frames]).clone(), seen, classes)


def _loss(network: Lite0, extractor: TemporalRoIAlign, clip: _Clip) -> Tensor:
    logits = network.head(extractor(clip.maps[:1], pack_support(clip.maps[1:]), [clip.box]))
    every = logits.logsumexp(1)
    return (every - logits[:, torch.tensor(clip.classes)].logsumexp(1)).mean()
