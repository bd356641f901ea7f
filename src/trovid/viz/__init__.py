"""Pictures of detections: boxes, comparisons, timelines, explanations."""

from trovid.viz.drawing import class_colour, contact_sheet, draw, grid, side_by_side
from trovid.viz.panels import Panels
from trovid.viz.timeline import Timeline

__all__ = [
    "Panels",
    "Timeline",
    "class_colour",
    "contact_sheet",
    "draw",
    "grid",
    "side_by_side",
]
