"""Files that lie: names of places outside, what a terminal obeys, sizes and values without end."""

from __future__ import annotations

import copy
import json
import math
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trovid.storage.tensor_files import read_tensors, save_tensors

OUTSIDE = (
    *("../" * depth + "x" for depth in range(1, 7)),
    *("ABSOLUTE/x", "ABSOLUTE/x", "a/../../../x"),
)
OBEYED = (
    *("\x1b[31mred\x1b[0m", "\x1b[1A\x1b[2Kx", "\x1b[8mx", "\x1b[35mx", "\x1b[3;1Hx"),
    *("\x1b]0;title\x07", "\x9b31mx"),
    *("\x08\x08x", "\x7f", "\x1bc", "a\rb", "a\nb", "\u202ex"),
)
FORMATS = (
    *("{level0.__class__}", "{0:>3000000000}", "{}", "%s%n", "%(x)s", "[/x]", "[red]x", "$x"),
)
OTHERS = (
    *("..", "~/x", "..\\..\\x", "C:\\x", "a/../..", "", " ", ".", "a" * 300, "a" * 10**5),
    *("\x00", "\udcff", "\U0001f6f8", "-x", "CON"),
)
NAMES = frozenset(("name", "file_name"))
"""Keys that are drawn more often."""
MORE = (1, 2, 100, 10**6, 10**7)
"""How many more frames than there are."""


def a_name(rng: random.Random, folder: Path) -> str:
    """A text that is used as a file's name, shown on a terminal or formatted, if it is."""
    text = rng.choice(rng.choice([OUTSIDE, OUTSIDE, OBEYED, OBEYED, FORMATS, OTHERS]))
    return text.replace("ABSOLUTE", str(folder))


def texts(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of a text, and of a name that is itself a key of many."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        if isinstance(value, str):
            yield document, key
        elif isinstance(value, dict | list):
            yield from texts(value)


def renamed(document: Any, rng: random.Random, folder: Path) -> Any:
    """The document with one to three of its texts replaced, each kind of text as often."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 3])):
        kinds: dict[Any, list[tuple[Any, Any]]] = {}
        for holder, key in texts(document):
            kinds.setdefault(key if isinstance(key, str) else "", []).append((holder, key))
        if kinds and rng.random() < 0.9:
            names = sorted(NAMES & kinds.keys()) if rng.random() < 0.5 else []
            holder, key = rng.choice(kinds[rng.choice(names or sorted(kinds))])
            holder[key] = a_name(rng, folder)
        else:
            holder = document.get("videos", document)
            if isinstance(holder, dict):
                key = rng.choice(sorted(holder))
                holder[a_name(rng, folder)] = holder.pop(key)
    return document


def change_names(path: Path, rng: random.Random) -> bool:
    """JSON, or the JSON that a safetensors file bears: other texts."""
    if path.suffix == ".safetensors":
        tensors, metadata = read_tensors(path)
        key = rng.choice(["recipe", "recipe", "facts"])
        metadata[key] = json.dumps(renamed(json.loads(metadata[key]), rng, path.parent))
        save_tensors(path, tensors, metadata)
    else:
        path.write_text(json.dumps(renamed(json.loads(path.read_text()), rng, path.parent)))
    return False


def change_sizes(path: Path, rng: random.Random) -> bool:
    """More frames than a video has, a larger picture or tensor than the file holds."""
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        record = rng.choice(document["videos"])
        record["num_frames"] += rng.choice(MORE)
        path.write_text(json.dumps(document))
    elif path.suffix == ".png":
        data = bytearray(path.read_bytes())
        data[16:24] = struct.pack(">II", *rng.choices([97, 10**4, 10**5, 2**31 - 1], k=2))
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
    else:
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        head = json.loads(data[8:end])
        key = rng.choice([key for key, value in head.items() if value.get("shape")])
        more = rng.choice([2, 10**4, 10**9])
        head[key]["shape"][0] *= more
        if rng.random() < 0.5:
            first, last = head[key]["data_offsets"]
            head[key]["data_offsets"][1] = first + (last - first) * more
        text = json.dumps(head).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])
    return True


def change_values(path: Path, rng: random.Random) -> bool:
    """Tensors with a value, or with all of them, beyond what float16 or anything holds."""
    tensors, metadata = read_tensors(path)
    key = rng.choice(sorted(key for key, value in tensors.items() if value.is_floating_point()))
    tensors[key] = tensors[key].float()
    value = rng.choice([7e4, -7e4, 1e5, 1e6, 1e30, float("nan"), float("-inf")])
    flat = tensors[key].view(-1)
    flat[rng.randrange(len(flat)) if rng.random() < 0.8 else slice(None)] = value
    save_tensors(path, tensors, metadata)
    return not math.isfinite(value)
