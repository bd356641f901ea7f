"""What Temporal RoI Align looked at: the chosen points and the attention of RoI positions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trovid.detectors.contract import Support
from trovid.errors import OptionError, TrovidError
from trovid.inference.predictor import Predictor
from trovid.inference.session import VideoSession
from trovid.nn import LevelPooler
from trovid.structures import Detections
from trovid.video.opening import Frame, VideoReader, open_video

ROUNDING = 0.01
"""Pixels that a detection at the edge may lie outside after scaling."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """One position of one proposal and what it found in the support frames.

    Attributes:
        level: Name of the map that the proposal is pooled from.
        searched_level: Name of the support frames' map that it searches.
        target: The target frame.
        box: Tensor[4], the proposal, x1 y1 x2 y2 in source pixels.
        cell: Tensor[4], the RoI position's own cell of the proposal's grid.
        support: The T support frames.
        points: Tensor[T, 2], x y in source pixels of the most similar place of each frame.
        similarities: Tensor[T], cosine of that place.
        weights: Tensor[T + 1], the temporal attention of the position, the target's own first,
            averaged over the N groups.
    """

    level: str
    searched_level: str
    target: Frame
    box: Tensor
    cell: Tensor
    support: list[Frame]
    points: Tensor
    similarities: Tensor
    weights: Tensor


@dataclass(frozen=True, eq=False)
class FrameExplanation:
    """All positions of some proposals of a frame, and what each found in the support frames.

    Attributes:
        target: The target frame.
        boxes: Tensor[R, 4], the proposals, x1 y1 x2 y2 in source pixels.
        levels: Name of the map that each proposal is pooled from.
        searched_levels: Name of the support frames' map that each searches.
        support: The T support frames.
        points: Tensor[R, T, K, h, w, 2], x y in source pixels of the K most similar places, best
            first.
        similarities: Tensor[R, T, K, h, w], their cosines.
        weights: Tensor[R, T + 1, N, h, w], the temporal attention of each position and group of
            channels, the target's own first.
    """

    target: Frame
    boxes: Tensor
    levels: tuple[str, ...]
    searched_levels: tuple[str, ...]
    support: list[Frame]
    points: Tensor
    similarities: Tensor
    weights: Tensor


def explain_source(
    predictor: Predictor, source: Any, *, frame: int, boxes: Any, support: str = "uniform:4"
) -> FrameExplanation:
    """As `explain_frame`, of what `Predictor.detect` takes or of an open reader."""
    reader = source if isinstance(source, VideoReader) else open_video(source)
    return explain_frame(predictor, reader, frame=frame, boxes=boxes, support=support)


@torch.inference_mode()
def explain_frame(
    predictor: Predictor,
    reader: VideoReader,
    *,
    frame: int,
    boxes: Any,
    support: str = "uniform:4",
    encoded: Support | None = None,
) -> FrameExplanation:
    """Explains all RoI positions of some proposals of a frame.

    Of a feature pyramid that level is explained which a proposal is pooled from; where whole maps
    are aggregated, the place of the map that a position lies on. Frames are encoded as
    `Predictor.detect` encodes them, and where the detector sums a level over frames before its RoI
    features are pooled and searched for, that sum is explained.

    Args:
        predictor: A model whose RoI features or maps look at support frames.
        reader: The video.
        frame: Index of the target frame.
        boxes: Tensor[R, 4], at least one proposal, in source pixels; also an array or lists.
        support: Which support frames to show; the target itself is left out.
        encoded: All of these, where they are encoded already.

    Raises:
        TrovidError: If the model does not look at support frames; there is no such frame, box or
            support frame; memory is short, or the weights give values that are too large.
    """
    pool, aggregation = _pool(predictor), predictor.detector.aggregation
    boxes = _boxes(boxes)
    _check_frame(reader, frame)
    predictor.notice.say(reader)
    target, seen, shown = _with_support(predictor, reader, frame, support, encoded)
    for box in boxes:
        _check_box(box, target)

    with predictor.computing():
        images, size = predictor.input([target])
        features = predictor.running.levels(images, [seen])
        source = target.image.shape[:2]
        scale = torch.tensor([size[1] / source[1], size[0] / source[0]], device=images.device)
        rois = boxes.to(images.device) * scale.repeat(2)
        scales = pool.scales(features, [size])
        numbers = pool.levels([rois], scales)[0].tolist()
        levels = [pool.featmap_names[number] for number in numbers]
        searches = pool.extractor.searches_support
        searched_levels = [
            pool.searched_level(level) if searches else aggregation.level for level in levels
        ]
        alone = None if searches else predictor.encode([target]).maps[aggregation.level].maps()[0]
        sights, places = [], []
        for roi, number, level, searched in zip(
            rois, numbers, levels, searched_levels, strict=True
        ):
            maps = seen.maps[searched]
            stride = 1 / scales[pool.featmap_names.index(searched)]
            if searches:
                sight = pool.extractor.sight(features[level], [roi[None]], scales[number], maps)
            else:
                middles = pool.extractor.cells(roi[None], 1 / stride, maps.size)
                sight = aggregation.sight(alone, maps, middles)
            cells, width = sight.cells[:, 0], maps.size[1]
            places.append((torch.stack([cells % width, cells // width], -1) + 0.5) * stride / scale)
            sights.append(sight)
    return FrameExplanation(
        target=target,
        boxes=boxes.cpu(),
        levels=tuple(levels),
        searched_levels=tuple(searched_levels),
        support=shown,
        points=torch.stack(places).cpu(),
        similarities=torch.stack([sight.similarities[:, 0] for sight in sights]).cpu(),
        weights=torch.stack([sight.weights[:, 0] for sight in sights]).cpu(),
    )


def _with_support(
    predictor: Predictor, reader: VideoReader, frame: int, support: str, encoded: Support | None
) -> tuple[Frame, Any, list[Frame]]:
    """The target frame, its Support as `detect` has it, and the frames of that."""
    shown: dict[int, Frame] = {}

    def encode(frames: Sequence[Frame]) -> Support:
        shown.update({one.index: one for one in frames})
        return predictor.encode(frames)

    options = predictor.options(support=support, target_among_support=False)
    session = VideoSession(reader, encode=encode, options=options, frames=[frame], encoded=encoded)
    with closing(session):
        target = next(session)
    seen = None if target.support is None else target.support.without(frame)
    if not seen:
        raise TrovidError(
            f"{reader.source}: {support} gives frame {frame} no support frame: "
            "choose more of them, or a longer video"
        )
    if encoded is not None:
        shown = {one.index: one for one in reader.read(sorted(seen.frame_indices))}
    return target.frame, seen, [shown[index] for index in seen.frame_indices]


def explain(
    predictor: Predictor,
    reader: VideoReader,
    *,
    frame: int,
    box: Any,
    position: tuple[int, int] | None = None,
    support: str = "uniform:4",
) -> Explanation:
    """Explains one RoI position in the manner of the paper's Fig. 6.

    Args:
        predictor: See `explain_frame`.
        reader: The video.
        frame: Index of the target frame.
        box: Tensor[4], the proposal in source pixels; also an array or a list.
        position: Row and column in the RoI grid; None for its middle.
        support: Which support frames to show; the target itself is left out.

    Raises:
        TrovidError: See `explain_frame`; or there is no such position.
    """
    row, column = checked_position(position, predictor)
    whole = explain_frame(
        predictor, reader, frame=frame, boxes=torch.as_tensor(box)[None], support=support
    )
    return position_of(whole, 0, row, column)


def position_of(whole: FrameExplanation, proposal: int, row: int, column: int) -> Explanation:
    """One position of one proposal, its weights averaged over the groups of channels."""
    box, (rows, columns) = whole.boxes[proposal], whole.weights.shape[-2:]
    return Explanation(
        level=whole.levels[proposal],
        searched_level=whole.searched_levels[proposal],
        target=whole.target,
        box=box,
        cell=_cell(box, row, column, rows, columns),
        support=whole.support,
        points=whole.points[proposal, :, 0, row, column],
        similarities=whole.similarities[proposal, :, 0, row, column],
        weights=whole.weights[proposal, :, :, row, column].mean(1),
    )


def detections_of(
    predictor: Predictor,
    reader: VideoReader,
    *,
    frame: int,
    score: float,
    classes: tuple[str, ...] | None = None,
) -> Detections:
    """The detections of one frame, best first.

    Args:
        predictor: The model.
        reader: The video.
        frame: Index of the frame.
        score: Lowest score that counts.
        classes: Names of the classes that count; None for all.

    Raises:
        TrovidError: If there is no such frame, class or detection.
    """
    _check_frame(reader, frame)
    (found,) = predictor.detect(reader, frames=[frame], score=score, classes=classes)
    if not len(found):
        raise TrovidError(
            f"{reader.source}: nothing of score {score} or more in frame {frame}; "
            "lower `score`, choose another `frame`, or give `box`"
        )
    return found


def _check_frame(reader: VideoReader, frame: int) -> None:
    count = reader.video.num_frames
    if not 0 <= frame < count:
        raise TrovidError(
            f"{reader.source}: there is no frame {frame}; the frames are 0..{count - 1}"
        )


def _pool(predictor: Predictor) -> LevelPooler:
    pool = predictor.detector.roi_features
    if not pool.extractor.searches_support and predictor.detector.aggregation is None:
        weighs = (
            " (it weighs whole proposals, SELSA: `trovid experiment correspondence` tells which "
            "frames it prefers)"
        )
        raise TrovidError(
            f"{predictor.name} has no Temporal RoI Align: nothing to explain"
            f"{weighs if predictor.detector.uses_support else ''}; "
            'choose another model (`trovid models`), or load it with `temporal` "training-free"'
        )
    return pool


def checked_position(position: tuple[int, int] | None, predictor: Predictor) -> tuple[int, int]:
    """Row and column in the RoI grid, its middle for None.

    Raises:
        TrovidError: If there is no such position.
    """
    rows, columns = _pool(predictor).output_size
    row, column = position or (rows // 2, columns // 2)
    if not (0 <= row < rows and 0 <= column < columns):
        raise TrovidError(
            f"the position must lie in 0..{rows - 1}, 0..{columns - 1}, but is {row}, {column}"
        )
    return row, column


def _boxes(boxes: Any) -> Tensor:
    """Anything of numbers as Tensor[R, 4]."""
    try:
        given = torch.as_tensor(boxes, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"`boxes` must be R boxes of four numbers each, but: {error}") from error
    if given.ndim != 2 or given.shape[1] != 4 or not len(given):
        raise OptionError(
            f"`boxes` must have shape [R, 4] with at least one box, but got {list(given.shape)}"
        )
    return given


def _check_box(box: Tensor, target: Frame) -> None:
    height, width = target.image.shape[:2]
    x1, y1, x2, y2 = box.tolist()
    inside = min(x1, y1) >= -ROUNDING and x2 <= width + ROUNDING and y2 <= height + ROUNDING
    if not (inside and x1 < x2 and y1 < y2):
        raise TrovidError(
            f"the box must be x1, y1, x2, y2 within the {width}x{height} pixels of the frame, "
            f"but is {x1:g}, {y1:g}, {x2:g}, {y2:g}"
        )


def _cell(box: Tensor, row: int, column: int, rows: int, columns: int) -> Tensor:
    x1, y1, x2, y2 = box.tolist()
    width, height = (x2 - x1) / columns, (y2 - y1) / rows
    left, top = x1 + column * width, y1 + row * height
    return torch.tensor([left, top, left + width, top + height])
