"""The sizes of the operator's benchmark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Form = Literal["grouped", "dense", "average"]


@dataclass(frozen=True)
class OperatorSize:
    """The paper's size, with one or another number changed.

    Attributes:
        rois: R.
        frames: T.
        channels: C.
        height: H of the map.
        width: W of the map.
        top_k: K.
        heads: N.
        grid: h = w of a RoI.
        sampling_ratio: RoIAlign's samples per bin and axis.
        stride: Image pixels per map pixel.
        form: The attention's embedding, or the plain average.
    """

    rois: int = 300
    frames: int = 14
    channels: int = 512
    height: int = 38
    width: int = 63
    top_k: int = 4
    heads: int = 4
    grid: int = 7
    sampling_ratio: int = 2
    stride: int = 16
    form: Form = "grouped"

    @property
    def positions(self) -> int:
        """RoI positions of all RoIs."""
        return self.rois * self.grid**2

    @property
    def embedding_inputs(self) -> int:
        """Channels that one channel of the embedding reads."""
        return self.channels // self.heads if self.form == "grouped" else self.channels

    def words(self) -> str:
        """All numbers but the stride, as the report names them."""
        return (
            f"R = {self.rois}, {self.grid}x{self.grid}, sampling ratio {self.sampling_ratio}, "
            f"T = {self.frames}, C = {self.channels}, map {self.height}x{self.width}, "
            f"K = {self.top_k}, N = {self.heads}"
        )

    def values(self) -> dict[str, Any]:
        """Ready for JSON; `OperatorSize(**values)` is the same size again."""
        return asdict(self)
