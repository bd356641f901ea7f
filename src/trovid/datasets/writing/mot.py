"""MOT Challenge: a folder a sequence with img1, gt/gt.txt and seqinfo.ini."""

from __future__ import annotations

from pathlib import Path

from trovid.datasets.contract import Dataset
from trovid.datasets.mot import BOX_DECIMALS, CLASSES
from trovid.datasets.writing.places import plain_names, write_frames
from trovid.errors import TrovidError
from trovid.files import replacing

NAMES = {"person": "pedestrian"}
"""What MOT Challenge calls a class that others call otherwise."""


def write(path: Path, dataset: Dataset) -> None:
    """Writes a folder of sequences with all their frames as pictures.

    Raises:
        TrovidError: If MOT Challenge does not know a class.
    """
    numbers = []
    for name in dataset.class_names:
        known = NAMES.get(name, name)
        if known not in CLASSES:
            raise TrovidError(f"MOT Challenge has no class {name!r}; it has {', '.join(CLASSES)}")
        numbers.append(CLASSES.index(known) + 1)
    objects = dataset.objects
    visibility = objects.attributes.get("visibility")
    names = plain_names(dataset)
    for video in dataset.videos:
        folder = path / names[video.name]
        every = range(video.num_frames)
        options = {"called": "{:06}.png", "frames": every, "first": 1}
        write_frames(folder / "img1", dataset, video.name, **options)
        rows = dataset.rows(video.name)
        lines = []
        for row in range(rows.start, rows.stop):
            x1, y1, x2, y2 = objects.boxes[row].tolist()
            box = (round(side, BOX_DECIMALS) for side in (x1, y1, x2 - x1, y2 - y1))
            fields = (
                int(objects.frames[row]) + 1,
                int(objects.instance_ids[row]),
                *box,
                int(objects.counted[row]),
                numbers[int(objects.labels[row])],
                1 if visibility is None else round(float(visibility[row]), 5),
            )
            lines.append(",".join(map(str, fields)) + "\n")
        with replacing(folder / "gt/gt.txt") as partial:
            partial.write_text("".join(lines), encoding="ascii")
        entries = {
            "name": folder.name,
            "imDir": "img1",
            "frameRate": f"{video.frame_rate:g}",
            "seqLength": video.num_frames,
            "imWidth": video.width,
            "imHeight": video.height,
            "imExt": ".png",
        }
        text = "[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in entries.items())
        with replacing(folder / "seqinfo.ini") as partial:
            partial.write_text(text, encoding="utf-8")
