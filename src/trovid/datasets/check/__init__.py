"""Finding what is wrong with labelled videos before a training does."""

from trovid.datasets.check.checking import CheckReport, check_data

__all__ = ["CheckReport", "check_data"]
