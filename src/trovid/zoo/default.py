"""The models that are taken where none is named."""

DEFAULT_MODEL = "everyday-selsa-troi"
"""One that comes with trovid: it needs no connection."""
DEFAULT_SUPPORT = "uniform:14"
"""Its support frames, as its recipe has them."""
DEFAULT_SINGLE = "everyday-single"
"""Its single-frame rival."""
EVERYDAY = ("everyday-single", "everyday-selsa-troi")
"""The pair that knows everyday things; where it comes with trovid, the demo shows it too."""
SEGMENTER = "synthvid-masktrack-troi"
"""Gives masks and identities; where it comes with trovid, the demo has a segmented clip."""
