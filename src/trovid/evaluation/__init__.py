"""How good detections are: AP, its groups, its certainty, and controls against cheap gains."""

from .bootstrap import Bootstrap, Interval, bootstrap
from .class_prior import apply_class_prior, choose_exponent
from .coco_ap import CocoAP, CocoEvaluation, Figures
from .groups import object_groups
from .matching import ClipMatches, match_clips
from .pool import Pool, pool_frames
from .report import Report, evaluate
from .track_scores import average_along_tracks

__all__ = [
    "Bootstrap",
    "ClipMatches",
    "CocoAP",
    "CocoEvaluation",
    "Figures",
    "Interval",
    "Pool",
    "Report",
    "apply_class_prior",
    "average_along_tracks",
    "bootstrap",
    "choose_exponent",
    "evaluate",
    "match_clips",
    "object_groups",
    "pool_frames",
]
