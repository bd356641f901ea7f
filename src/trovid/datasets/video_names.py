"""Which labelled video a result is of: results are called by stems, labels often by files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TypeVar

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.video.file import VIDEO_NAME
from trovid.video.images import SUFFIXES, video_name

T = TypeVar("T")


def labelled_name(name: str, dataset: Dataset) -> str | None:
    """The labelled video that a name means; None where none is, or several may be.

    Another name than the labels' own means the only video whose name without a video's suffix, or
    whose path's stem, it is: `a` is `a.mp4`, and `clips/a.mp4` too.
    """
    if name in dataset:
        return name
    meant = _by_other_names(dataset).get(name, [])
    return meant[0] if len(meant) == 1 else None


def by_labels(predictions: Mapping[str, T], dataset: Dataset) -> Mapping[str, T]:
    """The same predictions under the labels' names; each is still read only when asked for.

    Raises:
        TrovidError: If a name means no labelled video or several, or two mean the same.
    """
    if all(name in dataset for name in predictions):
        return predictions
    others = _by_other_names(dataset)
    given: dict[str, str] = {}
    for name in predictions:
        meant = [name] if name in dataset else others.get(name, [])
        if len(meant) > 1:
            several = " or ".join(meant[:3])
            raise TrovidError(f"video '{name}' may be {several} of the labels: give those of one")
        if not meant:
            some = ", ".join(video.name for video in dataset.videos[:3])
            raise TrovidError(f"video '{name}' is not in the labels, which hold {some} ...")
        (known_name,) = meant
        if known_name in given:
            raise TrovidError(
                f"'{given[known_name]}' and '{name}' are both video '{known_name}' of the labels: "
                "leave one out"
            )
        given[known_name] = name
    return _Renamed(predictions, given)


class _Renamed(Mapping[str, T]):
    def __init__(self, predictions: Mapping[str, T], given: Mapping[str, str]) -> None:
        self._predictions, self._given = predictions, given

    def __getitem__(self, name: str) -> T:
        return self._predictions[self._given[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def _by_other_names(dataset: Dataset) -> dict[str, list[str]]:
    """The labelled videos that each other name may mean.

    A folder's name may hold a dot that begins no suffix.
    """
    others: dict[str, list[str]] = {}
    for video in dataset.videos:
        path = dataset.path(video.name)
        stem = path.stem if path.is_file() else _without_suffix(video_name(path))
        for other in {_without_suffix(video.name), stem}:
            others.setdefault(other, []).append(video.name)
    return others


def _without_suffix(name: str) -> str:
    pure = PurePath(name)
    known = VIDEO_NAME.fullmatch(pure.name) or pure.suffix.lower() in SUFFIXES
    return name.removesuffix(pure.suffix) if known else name
