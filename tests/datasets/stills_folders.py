"""Pictures labelled as Pascal VOC, YOLO and mmtracking hold them, small and right."""

from __future__ import annotations

from PIL import Image


def voc_folder(folder, **changes):
    values = {"xmax": "41", "name": "cat", "filename": "a.jpg", "difficult": "1", **changes}
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/train.txt").write_text("a\n")
    Image.new("RGB", (96, 64)).save(folder / "JPEGImages/a.jpg")
    (folder / "Annotations/a.xml").write_text(
        f"<annotation>\n<filename>{values['filename']}</filename>"
        "<size><width>96</width><height>64</height><depth>3</depth></size>\n"
        f"<object><name>{values['name']}</name><difficult>{values['difficult']}</difficult>"
        f"<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>{values['xmax']}</xmax><ymax>31</ymax>"
        "</bndbox></object></annotation>"
    )
    return folder


def yolo_folder(folder, line="0 0.25 0.5 0.1 0.2", names="[cat, dog]"):
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        Image.new("RGB", (100, 50), (50 * len(split), 9, 9)).save(
            folder / "images" / split / f"{split}.png"
        )
        (folder / "labels" / split / f"{split}.txt").write_text(line + "\n")
    (folder / "data.yaml").write_text(
        f"path: .\ntrain: images/train\nval: images/val\nnames: {names}\n"
    )
    return folder


def mmtracking_document() -> dict:
    """COCO-VID as mmtracking's converters write it."""
    images = [
        {
            "id": i + 1,
            "video_id": 1,
            "frame_id": i,
            "file_name": f"train/v/{i:06}.JPEG",
            "width": 96,
            "height": 64,
            "is_vid_train_frame": i in (1, 3),
        }
        for i in range(5)
    ]
    fields = {"video_id": 1, "category_id": 2, "iscrowd": False, "area": 100, "occluded": True}
    return {
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "videos": [{"id": 1, "name": "train/v"}],
        "images": images,
        "annotations": [
            {"id": 1, "image_id": 2, "instance_id": 7, "bbox": [10, 5, 30, 25], **fields},
            {
                **{"id": 2, "image_id": 4, "instance_id": 7, "bbox": [12, 5, 30, 25], **fields},
                "segmentation": [[12, 5, 42, 5, 42, 30, 12, 30]],
            },
        ],
    }
