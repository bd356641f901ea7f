"""What trovid knows of a detector: three methods, and nothing of how it works inside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, Self

from torch import Tensor, nn

from trovid.backbones import Backbone
from trovid.detectors.candidates import Candidates
from trovid.nn.inference_form import InferenceForm
from trovid.structures import Detections, DetectOptions, TrainingBatch


class Support(Protocol):
    """All that depends on the support frames of one video alone, bounded, never changed.

    Its parts are the family's own; whoever runs the video only puts frames together and leaves
    the target frame out.
    """

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Index in the video of each support frame."""

    def __len__(self) -> int:
        """Number of support frames."""

    @property
    def nbytes(self) -> int:
        """Size of all its tensors in bytes."""

    def select(self, positions: Sequence[int]) -> Self:
        """Some of its frames, by their position among them."""

    def without(self, frame_index: int) -> Self:
        """The same without a frame of the video."""

    @staticmethod
    def cat(parts: Sequence[Any]) -> Any:
        """The frames of several, in the order given."""


class VideoDetector(nn.Module):
    """A detector that may look at the other frames of the video.

    It holds no state of any video: what depends on support frames is a Support, made by `encode`
    and passed to `detect` by whoever runs the video.

    Attributes:
        class_names: Names of the classes, in the order of `Detections.labels`.
        backbone: What all its other parts read frames by. Others start it with published weights,
            and go through it frame by frame where memory is short.
        temporal_trained: Whether the parts that read support frames were trained. Where they were
            not, a Predictor runs the detector on single frames and says so.
    """

    class_names: tuple[str, ...]
    backbone: Backbone
    temporal_trained: bool = True

    @property
    @abstractmethod
    def uses_support(self) -> bool:
        """Whether support frames take any part."""

    @property
    def segments(self) -> bool:
        """Whether it has a mask head: detections get masks where `masks` is asked for."""
        return False

    @property
    def embeds(self) -> bool:
        """Whether it has a track head; others give their box head's last layer as embeddings."""
        return False

    @property
    def dense_parts(self) -> tuple[nn.Module, ...]:
        """The parts whose work depends on the size of frames alone, which torch.compile makes.

        The work of the others depends on how many boxes there are, and their time lies in kernels
        of their own. None by default.
        """
        return ()

    @property
    def export_obstacle(self) -> str | None:
        """Why it cannot be exported with support frames; None where it can."""
        return "models of its family cannot be exported"

    @abstractmethod
    def encode(
        self,
        images: Tensor,
        frame_indices: Sequence[int] | None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> Any:
        """All that depends on the support frames of one video alone: its Support.

        Args:
            images: Tensor[T, 3, H, W], normalised support frames.
            frame_indices: Their indices in the video (by default 0..T-1).
            image_sizes: Height and width of each image before padding.
        """

    @abstractmethod
    def detect(
        self,
        images: Tensor,
        support: Sequence[Any] | None = None,
        *,
        options: DetectOptions,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections] | list[Candidates]:
        """The objects in target frames.

        Args:
            images: Tensor[B, 3, H, W], normalised target frames.
            support: For each image the Support of its video; None for none.
            options: Resolved (`DetectOptions.resolved`).
            image_sizes: Height and width of each image before padding.

        Returns:
            For each image its detections in pixels of the image; with `selection="candidates"` all
            boxes before any is chosen. With `masks` it is something whose `scaled` gives
            Detections with masks, which need the size of the frame they are drawn in.
        """

    def inference_form(self, form: InferenceForm) -> Self:
        """See `trovid.nn.inference_form`."""
        return self

    @abstractmethod
    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The losses of a batch by name."""
