"""NAME.mp4: the video with its detections drawn into it, and its sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from trovid.structures import Detections, Video
from trovid.video.opening import Frame, VideoWriter
from trovid.video.sound import Sound
from trovid.viz.panels import Panels
from trovid.viz.timeline import Timeline

SHORTEST_FRAME, LONGEST_FRAME = 0.001, 3600.0
"""A damaged file's times may run backwards, or jump by years."""

FALLBACK_RATE = 25.0
LOWEST_RATE, HIGHEST_RATE = 0.01, 1000.0


class VideoSink:
    """Draws each frame.

    Args:
        path: The file.
        video: Measures of the pictures.
        sound: What goes along; None for none.
        panels: How a picture is put together; by default the frame alone.
        timeline: Is drawn under each picture.
        metadata: The container's texts; none by default.
        pixel_aspect: Of the source's pixels, see `VideoWriter`; several panels leave it out.
    """

    wants_pictures = True

    def __init__(
        self,
        path: Path,
        video: Video,
        *,
        sound: Sound | None = None,
        panels: Panels | None = None,
        timeline: Timeline | None = None,
        metadata: Mapping[str, str] | None = None,
        pixel_aspect: Fraction | None = None,
    ) -> None:
        self.path = path
        self.problems: list[str] = []
        self._panels = panels or Panels()
        self._timeline = timeline
        self._shown_at: float | None = None
        self._sound = sound
        height, width = self._panels.size(video.height, video.width)
        alone = (height, width) == (video.height, video.width)
        self._writer = VideoWriter(
            path,
            height=height + (timeline.height if timeline else 0),
            width=width,
            frame_rate=min(max(video.frame_rate or FALLBACK_RATE, LOWEST_RATE), HIGHEST_RATE),
            sound=self._sound,
            metadata=metadata,
            pixel_aspect=pixel_aspect if alone else None,
        )

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame at its own time."""
        picture = self._panels.picture(frame, detections)
        if self._timeline is not None:
            picture = self._timeline.under(picture, detections)
        if self._shown_at is None:
            self._shown_at = frame.time
        else:
            step = frame.time - self._shown_at
            self._shown_at += min(max(step, SHORTEST_FRAME), LONGEST_FRAME)
        self._writer.write(picture, time=self._shown_at)

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        try:
            self._writer.finish()
        finally:
            self._close_sound()

    def publish(self) -> None:
        """Gives the file its name."""
        self._writer.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._writer.discard()
        self._close_sound()

    def _close_sound(self) -> None:
        if self._sound is not None:
            if self._sound.problem:
                self.problems.append(f"{self.path}: {self._sound.problem}")
            self._sound.close()
            self._sound = None
