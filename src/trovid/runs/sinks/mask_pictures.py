"""NAME-masks: a palette PNG a frame, as DAVIS has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.datasets.davis import VOID, write_mask_picture
from trovid.files import partial_name, publish, remove, unwritable
from trovid.structures import Detections, Masks
from trovid.video.opening import Frame


class MaskPicturesSink:
    """Pixels that hold the identity of the object + 1, 0 for none; surer objects lie on top.

    A palette has room for 254 identities. What comes later is left out, and said.
    """

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._left_out: set[int] = set()
        self._partial = partial_name(path)
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        masks = detections.masks
        if masks is None and not len(detections):
            masks = Masks(detections.image_size)  # as a frame without objects is read back
        if masks is None:
            return
        numbers = [] if detections.track_ids is None else (detections.track_ids + 1).tolist()
        order = detections.scores.argsort().tolist()
        self._left_out |= {number for number in numbers if number >= VOID}
        rows = [row for row in order if numbers[row] < VOID]
        write_mask_picture(
            self._partial / f"{detections.frame_index:05d}.png",
            masks[rows],
            [numbers[row] for row in rows],
        )

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Says what was left out."""
        if self._left_out:
            self.problems.append(
                f"{self.path}: holds the first {VOID - 1} identities, "
                f"{len(self._left_out)} more did not fit into a palette"
            )

    def publish(self) -> None:
        """Gives the folder its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written."""
        remove(self._partial)
