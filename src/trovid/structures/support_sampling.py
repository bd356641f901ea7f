"""Which frames of a video support a target frame."""

from __future__ import annotations

from dataclasses import dataclass

from trovid.errors import TrovidError


@dataclass(frozen=True)
class SupportSampling:
    """How support frames are chosen at inference (Sec. "Support frames" of the paper).

    Attributes:
        kind: "uniform" over the whole video, "consecutive" around the target frame, or "stride",
            every `step`-th frame around it.
        count: Number T of support frames.
        step: Distance of neighbouring support frames for "stride".
    """

    kind: str
    count: int
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> SupportSampling:
        """Reads "uniform:14", "consecutive:6" or "stride:8x26" (every 8th frame, 26 of them).

        Raises:
            TrovidError: If the text is of no such form.
        """
        kind, _, numbers = text.partition(":")
        try:
            if kind in ("uniform", "consecutive"):
                return cls(kind, _count(numbers))
            if kind == "stride":
                step, _, count = numbers.partition("x")
                return cls(kind, _count(count), max(1, int(step)))
        except ValueError:
            pass
        raise TrovidError(
            f"support frames {text!r} are not understood: "
            "write uniform:14, consecutive:6 or stride:8x26"
        )

    @property
    def depends_on_target(self) -> bool:
        """Whether another target frame has other support frames."""
        return self.kind != "uniform"

    def indices(self, num_frames: int, target: int = 0) -> list[int]:
        """The support frames of a target frame, in order of time.

        Around the target they lie half before and half after it (the odd one after); frames
        beyond the ends repeat the first or the last frame.

        Args:
            num_frames: Length of the video.
            target: Index of the target frame (without meaning for "uniform").

        Returns:
            `count` indices; fewer only where "uniform" finds the video shorter than that.
        """
        if self.kind == "uniform":
            if num_frames <= self.count:
                return list(range(num_frames))
            if self.count == 1:
                return [num_frames // 2]
            last = num_frames - 1
            return [round(i * last / (self.count - 1)) for i in range(self.count)]
        before = self.count // 2
        offsets = [*range(-before, 0), *range(1, self.count - before + 1)]
        return [min(max(target + self.step * o, 0), num_frames - 1) for o in offsets]


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(text)
    return count
