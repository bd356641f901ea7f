"""SynthVID: a generator of video clips whose deteriorated objects only other frames explain."""

from trovid.datasets.synthvid.clip import STRENGTH, VERSION, Clip, make_clip
from trovid.datasets.synthvid.glyphs import class_names
from trovid.datasets.synthvid.script import Annotation
from trovid.datasets.synthvid.timeline import KINDS
from trovid.datasets.synthvid.writer import write_split

__all__ = [
    "KINDS",
    "STRENGTH",
    "VERSION",
    "Annotation",
    "Clip",
    "class_names",
    "make_clip",
    "write_split",
]
