"""Files that a run writes beside NAME.json: they tell neither the video nor the classes' names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from trovid.errors import TrovidError
from trovid.runs.jobs import ENDINGS, Job
from trovid.runs.predictions import is_own, read_document


def check_not_derived(path: Path) -> None:
    """That a list of results is not one that was written beside trovid's own.

    Raises:
        TrovidError: If it is: its ids are of the run, not of any labels.
    """
    for kind in ("coco", "youtube-vis"):
        original = _own_beside(path, ENDINGS[kind])
        if original is not None:
            raise TrovidError(_refusal(path, original))


def check_one_class(path: Path) -> None:
    """That results in MOT Challenge's form do not hide what trovid's own beside them tell.

    Args:
        path: NAME.txt, or a folder of such files.

    Raises:
        TrovidError: If NAME.json beside one may be of several classes.
    """
    for file in sorted(path.glob("*.txt")) if path.is_dir() else [path]:
        original = _own_beside(file, ENDINGS["mot"])
        if original is None:
            continue
        head = read_document(original)["head"]
        options = head.get("options")
        chosen = options.get("classes") if isinstance(options, dict) else None
        if len(chosen or head.get("class_names") or ()) != 1:
            raise TrovidError(_refusal(file, original))


def is_told_beside(path: Path) -> bool:
    """Whether trovid's own NAME.json lies beside results in MOT Challenge's form."""
    return _own_beside(path, ENDINGS["mot"]) is not None


def strange_folder(job: Job) -> Path | None:
    """The folder at the place of the job's masks that no run has written; None where there is none.

    An empty one is nobody's.
    """
    folder = job.files.get("masks")
    if folder is None or not folder.is_dir():
        return None
    with suppress(OSError):
        if not any(folder.iterdir()):
            return None
    return None if _own_beside(folder, ENDINGS["masks"]) else folder


def _own_beside(path: Path, ending: str) -> Path | None:
    if not path.name.endswith(ending):
        return None
    original = path.with_name(path.name.removesuffix(ending) + ENDINGS["json"])
    return original if is_own(original) else None


def _refusal(path: Path, original: Path) -> str:
    return (
        f"{path}: was written beside {original.name}: give {original}, which tells videos and "
        "classes"
    )
