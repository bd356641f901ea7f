"""Labels with numbers beyond every range, endless nesting, texts that are none: one line each."""

from __future__ import annotations

import copy
import json

import pytest

from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError

DOCUMENT = {
    "categories": [{"id": 1, "name": "cup"}],
    "videos": [
        {
            "id": 1,
            "name": "street",
            "file_name": "street.mp4",
            "width": 96,
            "height": 72,
            "num_frames": 5,
            "frame_rate": 25.0,
        }
    ],
    "images": [{"id": 1, "video_id": 1, "frame_index": 0}],
    "annotations": [
        {"id": 1, "image_id": 1, "video_id": 1, "category_id": 1, "bbox": [4, 4, 20, 20]}
    ],
}


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("categories", "id", 10**30),
        ("images", "id", -(10**30)),
        ("annotations", "instance_id", -(10**30)),
        ("annotations", "strength", 10**400),
        ("annotations", "strength", float("nan")),
        ("videos", "frame_rate", 10**400),
        ("videos", "frame_rate", float("inf")),
        ("videos", "num_frames", 10**30),
        ("categories", "name", "\x1b[31mcup"),
        ("videos", "name", "a\nb"),
        ("videos", "file_name", "a\0b"),
        ("categories", "name", "a" * 10**5),
        ("annotations", "bbox", [[1] * 10**5] * 4),
        ("annotations", "bbox", ["a" * 10**5] * 4),
    ],
)
def test_a_value_beyond_its_range_is_one_short_line(tmp_path, key, field, value):
    document = copy.deepcopy(DOCUMENT)
    document[key][0][field] = value
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    with pytest.raises(TrovidError) as error:
        read_dataset(path)
    assert f"{key}[0].{field}" in str(error.value)
    assert len(str(error.value)) < 700
    assert str(error.value).isprintable()


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 200_000, "1e400", '{"a":' * 100_000])
@pytest.mark.parametrize("place", ["1", '"cup"', "[4, 4, 20, 20]"])
def test_what_no_reader_of_json_takes_is_one_line(tmp_path, text, place):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(DOCUMENT).replace(place, text, 1))
    with pytest.raises(TrovidError) as error:
        read_dataset(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
