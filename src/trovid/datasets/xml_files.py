"""XML files of labels, read with their faults named."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from trovid.datasets.findings import Faults
from trovid.datasets.ranges import FARTHEST, is_number


def read_xml(path: Path, faults: Faults) -> ElementTree.Element | None:
    """The root of a file; None where it cannot be read and faults are collected.

    Raises:
        TrovidError: With file and line, if it cannot be read and faults are not collected.
    """
    try:
        return ElementTree.parse(path).getroot()
    except OSError as error:
        faults.add("unreadable-labels", f"{path}: cannot be read ({error.strerror})")
    except ElementTree.ParseError as error:
        line = error.position[0]
        reason = str(error).partition(":")[0]
        faults.add("unreadable-labels", f"{path}:{line}: is no XML ({reason})")
    except LookupError as error:
        faults.add("unreadable-labels", f"{path}:1: is no XML ({error})")
    return None


def root_tag(path: Path) -> str | None:
    """The name of a file's first element, without reading the rest; None if it is no XML."""
    try:
        with path.open("rb") as file:
            for _, element in ElementTree.iterparse(file, events=("start",)):
                return element.tag
    except (OSError, ElementTree.ParseError, LookupError):  # an unknown encoding is the last
        pass
    return None


def number(element: ElementTree.Element, place: str) -> float:
    """The number in an element below, or in an attribute (`@name`).

    Raises:
        ValueError: If there is none.
    """
    text = element.get(place[1:]) if place.startswith("@") else element.findtext(place)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not is_number(value):
        raise ValueError(f"{place.removeprefix('@')} must be a number, but is {text!r:.40}")
    return value


def whole(
    element: ElementTree.Element, place: str, *, lowest: int = 0, highest: int = FARTHEST
) -> int:
    """The same of a whole number in a range.

    Raises:
        ValueError: If there is none.
    """
    value = number(element, place)
    if value != int(value) or not lowest <= value <= highest:
        name = place.removeprefix("@")
        raise ValueError(f"{name} must be a whole number in {lowest}..{highest}, but is {value:g}")
    return int(value)
