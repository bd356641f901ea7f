"""JSON files of labels: what kind one is, and reading one with its faults named."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from trovid.datasets.findings import Faults
from trovid.errors import TrovidError, shortened

HEAD = 2000


def read_text(path: Path) -> str:
    """The text of a file of labels.

    Raises:
        TrovidError: If it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TrovidError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrovidError(f"{path}: is no text ({error.reason} at byte {error.start})") from error


def read_json(path: Path, faults: Faults, *, unique_keys: bool = False) -> Any:
    """The document; None where it cannot be read and faults are collected.

    Args:
        path: The file.
        faults: What to do about what does not fit.
        unique_keys: Whether a key that an object has twice is a fault; otherwise its last value
            counts.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
            text = f"{shortened(key)} is there twice: put both into one, or take one out"
            faults.add("unreadable-labels", text, place=str(path))
        return found

    try:
        return json.loads(read_text(path), object_pairs_hook=unique if unique_keys else None)
    except TrovidError as error:
        faults.add("unreadable-labels", str(error))
    except json.JSONDecodeError as error:
        faults.add("unreadable-labels", f"{path}:{error.lineno}: is no JSON: {error.msg}")
    except RecursionError:
        faults.add("unreadable-labels", f"{path}: is no JSON: too deeply nested")
    except ValueError as error:  # a number of thousands of digits
        faults.add("unreadable-labels", f"{path}: is no JSON: {error}")
    return None


def json_kind(path: Path) -> str | None:
    """What a JSON file of labels is, by its first entries; nothing is checked.

    Returns:
        "own", "coco-vid" (trovid's), "coco" (plain, or as mmtracking writes COCO-VID),
        "youtube-vis", "label-studio", "mix"; None where it is none of these.
    """
    try:
        text = read_text(path)
    except TrovidError:
        return None
    if text[:HEAD].lstrip().startswith("["):
        return "label-studio" if '"data"' in text and '"annotations"' in text else None
    if re.match(r'\s*\{\s*"mix"\s*:\s*\[', text):
        return "mix"
    videos = re.search(r'"videos"\s*:\s*([\[{])', text)
    if videos is None:
        return "coco" if re.search(r'"images"\s*:\s*\[', text) else None
    if videos[1] == "{":
        return "own"
    first = text[videos.end() : videos.end() + HEAD].partition("}")[0]
    if '"file_names"' in first:
        return "youtube-vis"
    if '"num_frames"' in first:
        return "coco-vid"
    images = re.search(r'"images"\s*:\s*\[', text)
    if images is None:
        return "coco-vid"
    first = text[images.end() : images.end() + HEAD].partition("}")[0]
    return "coco" if '"file_name"' in first and '"frame_index"' not in first else "coco-vid"
