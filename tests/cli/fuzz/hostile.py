"""Files as nobody would write them: damaged bytes, values out of every range, tricks."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from trovid.recipes.ranges import RANGES
from trovid.storage.tensor_files import read_tensors, save_tensors

DIGITS, DEEP, HUGE = "@digits@", "@deep@", "@huge@"
"""Stand for what json.dumps would not write."""
WRITTEN = {DIGITS: "9" * 5000, DEEP: "[" * 200_000, HUGE: "1e400"}
VALUES = (
    *(0, 1, -1, -5, 2, 0.5, -0.5, 1e-30, 1e9, 1e19, 1e308, float("nan"), float("inf")),
    *(2**31, 2**63, 10**7, 10**9, 10**30, -(10**30), 10**400, DIGITS, DEEP, HUGE, 10**400, DIGITS),
    *(True, False, None, "", " ", "x", "../../../../../../x", "ABSOLUTE/x", "a/../../../x", "-x"),
    *(
        "\x1b[31mred\x1b[0m",
        "\x00",
        "\udcff",
        "\u202e",
        "a\nb",
        "{level0:>3000000000}",
        "a" * 10**5,
    ),
    *("{level0.__class__}", "%s%n", "1e400", "*", "!!python/object:os.system", "\U0001f6f8"),
    *([], {}, [[]], [0], [1, 2, 3, 4], [float("nan")] * 4, {"a": 1}, [[1, 2], [3]], [None]),
)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
Change = Callable[[Path, random.Random], bool]
"""Changes a file; whether no command may then end as if nothing was wrong."""
NEVER = (1e308, 10**30, -(10**30), 10**400, DIGITS, HUGE)
"""What no number that trovid reads may be; nor may it be infinite or NaN."""
ABOVE_0 = frozenset(
    (
        *("steps", "batch", "accumulate", "shorter", "longer", "divisor", "std", "max_detections"),
        *("anchor_sizes", "aspect_ratios", "output_size", "samples", "top_k", "post_nms"),
    )
)
"""Keys of numbers of which 0 and less mean nothing."""
OUT_OF_RANGE = (*NEVER, 0, -1, -5, -0.5, float("nan"), float("inf"), 10**9)
NUMBERS = frozenset(
    (
        *("id", "width", "height", "num_frames", "video_id", "frame_index", "image_id", "bbox"),
        *("category_id", "score", "label", "box", "index", "time", "val_ap50", "test_ap50"),
        *("minutes", "test_clips", "seed", "value", "step", "seconds"),
        *RANGES,
    )
)
"""Keys of numbers that trovid reads."""


def damage(path: Path, rng: random.Random) -> bool:
    """Some bytes are lost, added or others."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(data) + 1), rng.choice([1, 2, 4, 16, 100, 1000])
        kind = rng.choice(["cut", "remove", "insert", "digit", "zero", "ones", "noise"])
        if kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + size]
        elif kind == "insert":
            data[at:at] = rng.randbytes(size)
        elif kind == "digit":
            data[at : at + 1] = b"9"
        else:
            size = min(size, len(data) - at)
            new = {"zero": bytes(size), "ones": b"\xff" * size, "noise": rng.randbytes(size)}
            data[at : at + size] = new[kind]
    path.write_bytes(data)
    return False


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of nested dicts and lists; of a long list the ends alone."""
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    elif isinstance(document, list):
        count = len(document)
        keys = sorted({*range(min(2, count)), *range(max(0, count - 1), count)})
    else:
        return
    for key in keys:
        yield document, key
        yield from places(document[key])


def changed(document: Any, rng: random.Random) -> Any:
    """The document with one to three values replaced, removed, added or doubled."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        found = list(places(document))
        if not found:
            return rng.choice(VALUES)
        numbers = [(h, k) for h, k in found if k in NUMBERS and not isinstance(h[k], dict | list)]
        holder, key = rng.choice(numbers if numbers and rng.random() < 0.4 else found)
        kind = rng.choice(["value"] * 6 + ["remove", "add", "double", "rename"])
        if kind == "value":
            number = key in NUMBERS and rng.random() < 0.7
            holder[key] = copy.deepcopy(rng.choice(OUT_OF_RANGE if number else VALUES))
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == "add":
            holder[rng.choice(["x", "\x1b[31m", "base", "1"])] = rng.choice(VALUES)
        elif kind == "rename":
            holder[f"{key}_"[:40]] = holder.pop(key)
        else:
            holder[key] = [holder[key], holder[key]]
    return rng.choice(VALUES) if rng.random() < 0.02 else document


def impossible(document: Any, key: str = "", *, longest: float = 10**7) -> bool:
    """Whether a number that trovid reads is none, or a video longer than any."""
    if isinstance(document, dict):
        unread = ("info", "head", "options")
        read = {name: value for name, value in document.items() if name not in unread}
        return any(impossible(value, name, longest=longest) for name, value in read.items())
    if isinstance(document, list):
        return any(impossible(value, key, longest=longest) for value in document)
    if key not in NUMBERS or isinstance(document, bool):
        return False
    if key in ABOVE_0 and isinstance(document, int | float) and document <= 0:
        return True
    if key == "num_frames" and isinstance(document, int | float):
        return not 1 <= document <= longest
    if isinstance(document, float):
        return not math.isfinite(document) or document == 1e308
    return document in NEVER


def text_of(document: Any, folder: Path) -> str:
    text = json.dumps(document).replace("ABSOLUTE", str(folder))
    for word, written in WRITTEN.items():
        text = text.replace(f'"{word}"', written)
    return text


def change_numbers(path: Path, rng: random.Random) -> bool:
    """A text: one in four damaged, else one of its numbers is another, or none."""
    if rng.random() < 0.25:
        return damage(path, rng)
    text = path.read_text()
    found = rng.choice(list(re.finditer(r"-?\d+(\.\d+)?", text)))
    values = ("nan", "inf", "-inf", "1e400", "9" * 400, "9" * 5000, "-5", "0", "0.5", "x", "", "-0")
    path.write_text(text[: found.start()] + rng.choice(values) + text[found.end() :])
    return False


def change_json(path: Path, rng: random.Random, *, longest: float = 10**7) -> bool:
    """One in four damaged, else changed."""
    if rng.random() < 0.25:
        return damage(path, rng)
    document = changed(json.loads(path.read_text()), rng)
    path.write_text(text_of(document, path.parent))
    return impossible(document, longest=longest)


def change_predictions(path: Path, rng: random.Random) -> bool:
    """As `change_json`; how long a video is, the labels say, whatever predictions do."""
    return change_json(path, rng, longest=math.inf)


def change_yaml(path: Path, rng: random.Random) -> bool:
    """A recipe; a bomb and the like must not be taken."""
    if rng.random() < 0.25:
        return damage(path, rng)
    if rng.random() < 0.1:
        tricks = (
            *[BOMB + "name: *i\n"] * 4,
            "name: &a [*a]\n",
            "&a : *a\n",
            "- " * 3000,
            "!!binary x",
            "---\n---\n",
        )
        path.write_text(rng.choice(tricks))
        return True
    document = yaml.safe_load(path.read_text())
    if isinstance(document.get("model"), dict) and rng.random() < 0.2:
        document = {
            "base": rng.choice(["paper/selsa-r50", "recipe.yaml", 5]),
            "training": document["training"],
        }
    document = changed(document, rng)
    path.write_text(text_of(document, path.parent))
    return impossible(document)


def change_tensors(path: Path, rng: random.Random) -> bool:
    """A safetensors file: its bytes, its texts or its tensors."""
    if rng.random() < 0.25:
        return damage(path, rng)
    tensors, metadata = read_tensors(path)
    refused = False
    if rng.random() < 0.6 and metadata:
        key = rng.choice(sorted(metadata))
        if rng.random() < 0.15:
            metadata[key] = rng.choice(
                ["", "x", BOMB, "[" * 200_000, "\x1b[31m", "{", "null", "[1]"]
            )
        else:
            document = changed(json.loads(metadata[key]), rng)
            metadata[key] = text_of(document, path.parent)
            refused = impossible(document)
    else:
        change_state(tensors, rng)
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    save_tensors(path, tensors, metadata)
    return refused


def change_state(tensors: dict[str, Any], rng: random.Random) -> None:
    key = rng.choice(sorted(tensors))
    value = tensors[key]
    kind = rng.choice([0, 1, 1, 1, 2, 3, 4, 5, 6, 7])
    if kind == 0:
        del tensors[key]
    elif kind == 1:
        ends = [".x", *[".{level0:>3000000000}"] * 2, ".{x.y}", ".{}", "\x1b[31m"]
        tensors[f"{key}{rng.choice(ends)}" if rng.random() < 0.8 else "x"] = tensors.pop(key)
    elif kind == 2 and value.is_floating_point():
        tensors[key] = value.new_full(value.shape, rng.choice([float("nan"), float("inf"), 6e4]))
    elif kind == 3:
        tensors[key] = torch.zeros(rng.choice([(), (0,), (7,), (1, 1, 1, 1, 1, 1)]))
    elif kind == 4:
        tensors[key] = value.to(rng.choice([torch.int64, torch.bool, torch.complex64, torch.uint8]))
    elif kind == 5:
        tensors[key] = value.to(torch.float8_e4m3fn)
    elif kind == 6:
        tensors["x"] = torch.zeros(1)
    else:
        for name in sorted(tensors)[: len(tensors) // 2]:
            del tensors[name]


class Trap:
    """What would be executed while it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.place / "executed",))


def change_pickle(path: Path, rng: random.Random) -> bool:
    """A file of torch.save; one that is a program, or holds one, must not be taken."""
    kind = rng.random()
    if kind < 0.25:
        return damage(path, rng)
    if kind < 0.3:
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
        return True
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint.get("state_dict", checkpoint)
    if kind < 0.35:
        checkpoint["hook"] = Trap(path.parent)
    elif kind < 0.45:
        checkpoint = rng.choice([None, [], 5, state, {"state_dict": None}, {1: 2}, {"model": {}}])
    elif kind < 0.6 and "meta" in checkpoint:
        checkpoint["meta"] = changed(
            {**checkpoint["meta"], "CLASSES": [*checkpoint["meta"]["CLASSES"]]}, rng
        )
    elif kind < 0.7:
        key = rng.choice(sorted(state))
        value = state[key]
        odd = (
            value.to_sparse(),
            value.tolist(),
            None,
            torch.zeros(1).expand(2**40),
            value.half(),
            {},
        )
        state[key] = rng.choice(odd)
    else:
        change_state(state, rng)
    torch.save(checkpoint, path)
    return 0.3 <= kind < 0.35


def playlist(path: Path, rng: random.Random) -> bool:
    """A text in the place of a video, which names other files or addresses."""
    if rng.random() < 0.3:
        path.write_text(f"ffconcat version 1.0\nfile '{rng.choice(('a.mp4', 'b.mkv', 'c.ts'))}'\n")
        return True
    other = rng.choice(
        [
            *("c.ts", "c.ts", "a.mp4", "a.mp4", "b.mkv", "../street.mp4", "/etc/passwd", "data:,x"),
            *("http://127.0.0.1:9/x", ""),
            *("concat:street.mp4|a", "subfile,,start,0,end,99,,:street.mp4", "file:street.mp4"),
        ]
    )
    text = rng.choice(
        [
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
            '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="{}"\n#EXTINF:1,\n{}\n',
            '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF:1,\n{}\n',
            *["ffconcat version 1.0\nfile '{}'\n"] * 3,
            "ffconcat version 1.0\nstream\nfile {}\nduration 1e400\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
            '<?xml version="1.0"?><MPD><Period><BaseURL>{}</BaseURL></Period></MPD>',
            "[playlist]\nFile1={}\n",
        ]
    ).format(*[other] * 2)
    before = rng.choice(["", "", "\ufeff", "\n" * 80, " ", "\x00", "RIFF"])
    path.write_text(before + text)
    if rng.random() < 0.2:
        damage(path, rng)
    return True
