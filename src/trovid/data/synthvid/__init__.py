"""SynthVID: a generator of video clips whose deteriorated objects only other frames explain."""

from .clip import STRENGTH, VERSION, Clip, make_clip
from .glyphs import class_names
from .script import Annotation
from .timeline import KINDS
from .writer import write_split

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
