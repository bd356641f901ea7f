"""Faster R-CNN, with SELSA, with Temporal RoI Align, with both."""
