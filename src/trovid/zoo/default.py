"""The model that is taken where none is named."""

DEFAULT_MODEL = "synthvid-selsa-troi"
"""One that comes with trovid: it needs no connection."""
