"""Labels as CVAT, Label Studio and EPIC-KITCHENS-55 hold them, small and right."""

from __future__ import annotations

from PIL import Image

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id><name>street</name><size>8</size><mode>interpolation</mode>
      <start_frame>0</start_frame><stop_frame>7</stop_frame>
      <labels>
        <label><name>car</name><color>#c06060</color><type>any</type></label>
        <label><name>dog</name><color>#d68fd6</color><type>any</type></label>
      </labels>
      <original_size><width>96</width><height>64</height></original_size>
      <source>street.mp4</source>
    </task>
    <dumped>2026-01-01 10:00:00.000000+00:00</dumped>
  </meta>
  <track id="0" label="car" source="manual">
    <box frame="1" keyframe="1" outside="0" xtl="10.0" ytl="10.0" xbr="30.0" ybr="40.0"/>
    <box frame="5" keyframe="1" outside="0" xtl="18.0" ytl="10.0" xbr="38.0" ybr="40.0"/>
    <box frame="6" keyframe="1" outside="1" xtl="18.0" ytl="10.0" xbr="38.0" ybr="40.0"/>
  </track>
  <track id="1" label="dog" source="manual">
    <box frame="6" keyframe="1" outside="0" xtl="50.0" ytl="20.0" xbr="70.0" ybr="40.0"/>
  </track>
</annotations>
"""


def label_studio(**changes) -> list[dict]:
    """An export of Label Studio (JSON) of a task with two regions."""
    car = [
        {"frame": 2, "enabled": True, "rotation": 0, "x": 10, "y": 25, "width": 20, "height": 50},
        {"frame": 6, "enabled": False, "rotation": 0, "x": 30, "y": 25, "width": 20, "height": 50},
    ]
    dog = [{"frame": 7, "enabled": True, "rotation": 0, "x": 50, "y": 0, "width": 10, "height": 50}]
    regions = [
        {
            "value": {"framesCount": 8, "duration": 0.32, "sequence": sequence, "labels": [label]},
            "id": label,
            "from_name": "box",
            "to_name": "video",
            "type": "videorectangle",
            "origin": "manual",
        }
        for label, sequence in (("Car", car), ("Dog", dog))
    ]
    annotation = {"id": 11, "was_cancelled": False, "result": regions}
    video = "/data/upload/3/8dd0e5a1-street.mp4"
    return [{"id": 1, "data": {"video": video}, "annotations": [annotation], **changes}]


def epic(folder):
    """Two kitchens, three videos; pictures are a tenth of 1920 x 1080 and numbered by 30."""
    lines = ["noun_class,noun,participant_id,video_id,frame,bounding_boxes"]
    for video in ("P01_01", "P01_02", "P02_01"):
        place = folder / "object_detection_images/train" / video[:3] / video
        place.mkdir(parents=True)
        for frame in (1, 31, 61):
            picture = Image.new("RGB", (192, 108), (frame, len(video), int(video[-1]) * 50))
            picture.save(place / f"{frame:010}.jpg")
        lines.append(f'20,bag,{video[:3]},{video},31,"[(100, 200, 300, 400), (0, 0, 50, 60)]"')
        lines.append(f"3,knife,{video[:3]},{video},61,[]")
        lines.append(f'3,knife,{video[:3]},{video},31,"[(500, 900, 80, 90)]"')
    (folder / "annotations").mkdir()
    (folder / "annotations/EPIC_train_object_labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "annotations/EPIC_noun_classes.csv").write_text(
        "noun_id,class_key,nouns\n3,knife,\"['knife']\"\n20,bag,\"['bag']\"\n21,lid,\"['lid']\"\n"
    )
    return folder
