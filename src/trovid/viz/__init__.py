"""Pictures of detections: boxes, comparisons, timelines, explanations."""

from trovid.viz.canvas import LabelStyle
from trovid.viz.colours import class_colour
from trovid.viz.drawing import contact_sheet, draw, grid, side_by_side
from trovid.viz.panels import Panels
from trovid.viz.timeline import Timeline

__all__ = [
    "LabelStyle",
    "Panels",
    "Timeline",
    "class_colour",
    "contact_sheet",
    "draw",
    "grid",
    "side_by_side",
]
