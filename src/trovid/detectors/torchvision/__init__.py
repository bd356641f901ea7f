"""torchvision's two-stage detectors, with Temporal RoI Align and without."""
