"""Which frames of a video support a target frame."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from trovid.errors import TrovidError

NO_SUPPORT = "uniform:0"


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

        A bare number is that of "uniform".

        Raises:
            TrovidError: If the text is of no such form.
        """
        kind, _, numbers = text.partition(":")
        if not numbers and text.isdecimal():
            kind, numbers = "uniform", text
        try:
            if kind in ("uniform", "consecutive"):
                return cls(kind, _count(numbers))
            if kind == "stride":
                step, _, count = numbers.partition("x")
                if int(step) >= 1:
                    return cls(kind, _count(count), int(step))
        except ValueError:
            pass
        raise TrovidError(
            f"support frames {text!r} are not understood: "
            "write uniform:14 (or 14), consecutive:6 or stride:8x26"
        )

    def __str__(self) -> str:
        """What `parse` reads."""
        step = f"{self.step}x" if self.kind == "stride" else ""
        return f"{self.kind}:{step}{self.count}"

    @property
    def depends_on_target(self) -> bool:
        """Whether another target frame has other support frames."""
        return self.kind != "uniform"

    def indices(
        self, num_frames: int, target: int = 0, *, lookahead: int | None = None
    ) -> list[int]:
        """The support frames of a target frame, in order of time.

        Around the target they lie half before and half after it (the odd one after); frames
        beyond the ends repeat the first or the last frame.

        While a video is coming in, "uniform" is an evenly thinned memory of everything that came
        so far, and what would lie further ahead of the target than the lookahead lies behind it
        instead. With a lookahead that covers the frames ahead of the target the choice is that
        among the whole video.

        Args:
            num_frames: Length of the video; while it is coming in, the frames known so far: those
                up to `target + lookahead`, or to the end.
            target: Index of the target frame (without meaning for "uniform").
            lookahead: Frames after the target that may serve; None for all of the video.

        Returns:
            `count` indices; fewer only where "uniform" knows no more frames than that, and none
            where no frame came before the target and none after it may serve.
        """
        if self.kind == "uniform":
            spread = evenly_spaced if lookahead is None else evenly_thinned
            return spread(num_frames, self.count)
        ahead = self.count - self.count // 2
        if lookahead is not None:
            ahead = min(ahead, lookahead // self.step)
        if not (target or ahead):
            return []
        offsets = [*range(ahead - self.count, 0), *range(1, ahead + 1)]
        return [min(max(target + self.step * o, 0), num_frames - 1) for o in offsets]

    def still_wanted(
        self, num_frames: int, target: int, *, lookahead: int | None = None
    ) -> Container[int]:
        """The known frames that this target or a later one can have as support frames.

        The arguments are those of `indices`.
        """
        indices = self.indices(num_frames, target, lookahead=lookahead)
        if self.depends_on_target:
            return range(min(indices, default=target), num_frames)
        return set(indices)


def evenly_spaced(num_frames: int, count: int) -> list[int]:
    """`count` of `num_frames` frames at equal distances, the first and the last among them.

    Example:
        >>> evenly_spaced(11, 3), evenly_spaced(11, 1), evenly_spaced(2, 3)
        ([0, 5, 10], [5], [0, 1])
    """
    if num_frames <= count:
        return list(range(num_frames))
    if count == 1:
        return [num_frames // 2]
    return [round(i * (num_frames - 1) / (count - 1)) for i in range(count)]


def evenly_thinned(num_frames: int, count: int) -> list[int]:
    """`count` of the first `num_frames` frames, so that each was also chosen from fewer frames.

    Neighbours lie `s` or `2 s` frames apart, the wider gaps at the beginning, where `s` doubles as
    the video goes on. A frame once left out is never asked for again, so a bounded memory can hold
    the choice while the video comes in.

    Example:
        >>> evenly_thinned(4, 4), evenly_thinned(5, 4), evenly_thinned(11, 4)
        ([0, 1, 2, 3], [0, 2, 3, 4], [0, 4, 8, 10])
    """
    if count < 1:
        return []
    spacing = 1
    while (num_frames - 1) // spacing + 1 > 2 * count:
        spacing *= 2
    places = list(range(0, num_frames, spacing))
    surplus = len(places) - count
    if surplus <= 0:
        return places
    return places[: 2 * surplus : 2] + places[2 * surplus :]


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(text)
    return count
