"""Mask R-CNN and MaskTrack R-CNN, with Temporal RoI Align and SELSA and without."""
