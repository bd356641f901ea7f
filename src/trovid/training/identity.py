"""By what a training knows its data again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.storage.hashes import file_digest
from trovid.video.images import images_in

LABELS = ("frames", "boxes", "labels", "instance_ids", "crowd", "ignore")


def dataset_digest(dataset: Dataset, names: Sequence[str]) -> str:
    """Another one for other videos or labels, wherever they lie and whenever they were written.

    Of a folder of images their number, the first and the last one count, of a single image its
    size alone.

    Args:
        dataset: The data set.
        names: The videos that are used.

    Raises:
        TrovidError: If a video cannot be read.
    """
    digest = hashlib.sha256(repr(dataset.class_names).encode())
    for name in names:
        source, objects = dataset.source(name), dataset.objects[dataset.rows(name)]
        what = (dataset.video(name), _contents(source))
        digest.update(repr(what).encode("utf-8", "surrogateescape"))
        digest.update(dataset.labelled_frames(name).tobytes())
        for column in LABELS:
            digest.update(getattr(objects, column).tobytes())
    return digest.hexdigest()


def _contents(source: Path | list[Path]) -> tuple[int, list[str | int]]:
    if isinstance(source, Path) and not source.is_dir():
        return 1, [file_digest(source)]
    images = source if isinstance(source, list) else images_in(source)
    if len(images) == 1 and isinstance(source, list):
        try:
            return 1, [images[0].stat().st_size]
        except OSError as error:
            raise TrovidError(f"{images[0]}: cannot be read ({error.strerror})") from error
    return len(images), [file_digest(image) for image in {images[0]: 0, images[-1]: 0}]
