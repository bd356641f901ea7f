"""SynthVID: a generator of video clips whose deteriorated objects only other frames explain."""

from trovid.data.synthvid.clip import STRENGTH, VERSION, Clip, make_clip
from trovid.data.synthvid.glyphs import class_names
from trovid.data.synthvid.script import Annotation
from trovid.data.synthvid.timeline import KINDS
from trovid.data.synthvid.writer import write_split

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
