"""Redaction: objects of some classes covered in videos, with gaps filled and a report."""

from trovid.redaction.covering import Region, cover, coverage, regions
from trovid.redaction.options import Redaction
from trovid.redaction.redacting import redact, redaction_batch
from trovid.redaction.report import RedactionReport, redaction_report
from trovid.redaction.trajectories import Trajectory, fill_gaps, join_trajectories, trajectory

__all__ = [
    "Redaction",
    "RedactionReport",
    "Region",
    "Trajectory",
    "cover",
    "coverage",
    "fill_gaps",
    "join_trajectories",
    "redact",
    "redaction_batch",
    "redaction_report",
    "regions",
    "trajectory",
]
