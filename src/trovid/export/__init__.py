"""Files of a detector that other programs run."""
