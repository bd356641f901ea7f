"""Support banks of one video while it is being run: encoded once, bounded in number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trovid.detectors.faster_rcnn.support import Support
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import VideoReader

if TYPE_CHECKING:
    from trovid.inference.predictor import Predictor


class BankCache:
    """Gives each target frame its support bank.

    "uniform" has one bank for the whole video. Otherwise each frame is encoded on its own once
    and kept as long as a later target frame can ask for it, at most `sampling.count` + 1 at a
    time and those between them.

    Args:
        predictor: Encodes frames.
        reader: The video.
        sampling: Which frames support which.
    """

    def __init__(
        self, predictor: Predictor, reader: VideoReader, sampling: SupportSampling
    ) -> None:
        self.predictor = predictor
        self.reader = reader
        self.sampling = sampling
        self._whole: Support | None = None
        self._single: dict[int, Support] = {}

    def bank(self, target: int) -> Support:
        """The bank of a target frame; targets are asked for in rising order."""
        indices = self.sampling.indices(self.reader.video.num_frames, target)
        if not self.sampling.depends_on_target:
            if self._whole is None:
                self._whole = self.predictor.encode(self.reader.read(indices))
            return self._whole
        missing = sorted(set(indices) - self._single.keys())
        for frame in self.reader.read(missing) if missing else []:
            self._single[frame.index] = self.predictor.encode([frame])
        for index in [i for i in self._single if i < min(indices)]:
            del self._single[index]
        return Support.cat([self._single[i] for i in indices])
