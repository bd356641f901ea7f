"""Videos, labels and clips: everything between a disk and a model."""
