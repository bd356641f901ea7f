"""Pictures of detections: boxes, comparisons, explanations."""

from trovid.viz.drawing import class_colour, contact_sheet, draw, side_by_side

__all__ = ["class_colour", "contact_sheet", "draw", "side_by_side"]
