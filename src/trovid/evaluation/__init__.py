"""How good detections are: AP, its groups, its certainty, and controls against cheap gains."""

from trovid.evaluation.bootstrap import Bootstrap, Interval, bootstrap
from trovid.evaluation.class_prior import apply_class_prior, choose_exponent
from trovid.evaluation.clip_matches import ClipMatches, match_clips
from trovid.evaluation.dataset_runner import by_video, run_dataset
from trovid.evaluation.exposure import Exposure, frame_exposure
from trovid.evaluation.figures import (
    CocoAP,
    Figures,
    GroupAP,
    coco_ap,
    coco_figures,
    epic_figures,
    vid_figures,
)
from trovid.evaluation.groups import object_groups
from trovid.evaluation.motion import motion_iou
from trovid.evaluation.pool import Pool, pool_frames
from trovid.evaluation.report import Report, evaluate
from trovid.evaluation.track_report import TrackReport, evaluate_mot, evaluate_vis
from trovid.evaluation.track_scores import (
    TrackSettings,
    average_along_tracks,
    choose_track_settings,
)

__all__ = [
    "Bootstrap",
    "ClipMatches",
    "CocoAP",
    "Exposure",
    "Figures",
    "GroupAP",
    "Interval",
    "Pool",
    "Report",
    "TrackReport",
    "TrackSettings",
    "apply_class_prior",
    "average_along_tracks",
    "bootstrap",
    "by_video",
    "choose_exponent",
    "choose_track_settings",
    "coco_ap",
    "coco_figures",
    "epic_figures",
    "evaluate",
    "evaluate_mot",
    "evaluate_vis",
    "frame_exposure",
    "match_clips",
    "motion_iou",
    "object_groups",
    "pool_frames",
    "run_dataset",
    "vid_figures",
]
