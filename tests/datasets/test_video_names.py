"""Names of results found among the labels' names, which are often those of files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.datasets.video_names import by_labels, labelled_name
from trovid.errors import TrovidError
from trovid.structures import Video


def labels(**paths: str) -> Dataset:
    entries = [VideoEntry(Video(name, 2, 4, 4), path, [0]) for name, path in paths.items()]
    return Dataset(["cat"], entries, ObjectRows().objects())


@pytest.mark.parametrize(
    ("name", "path", "result"),
    [
        ("a.mp4", "a.mp4", "a"),
        ("clips/a.MOV", "q/clips/a.MOV", "a"),
        ("clips/a.MOV", "q/clips/a.MOV", "clips/a"),
        ("still.jpg", "still.jpg", "still"),
        ("7", "videos/street.avi", "street"),
        ("x", "train/MOT17-02/img1", "MOT17-02"),
        ("cam.2", "cam.2", "cam.2"),
    ],
)
def test_a_result_s_name_means_the_labelled_file(name, path, result):
    assert labelled_name(result, labels(**{name: path, "other.mp4": "other.mp4"})) == name


def test_names_that_mean_none_or_several_are_said():
    dataset = labels(**{"a.mp4": "a.mp4", "a.avi": "a.avi", "cam.2": "cam.2"})
    assert labelled_name("cam", dataset) is labelled_name("a", dataset) is None
    for found, message in (
        ({"a": 1}, r"video 'a' may be a.mp4 or a.avi of the labels: give those of one"),
        ({"b": 1}, r"video 'b' is not in the labels, which hold a.mp4, a.avi, cam.2"),
    ):
        with pytest.raises(TrovidError, match=message):
            by_labels(found, dataset)
    with pytest.raises(TrovidError, match=r"'a.mp4' and 'a' are both video 'a.mp4' of the labels"):
        by_labels({"a.mp4": 1, "a": 2}, labels(**{"a.mp4": "a.mp4"}))


def test_predictions_are_read_only_when_they_are_asked_for():
    class Unread(Mapping):
        def __getitem__(self, name):
            raise AssertionError("read")

        def __iter__(self):
            return iter(["a"])

        def __len__(self):
            return 1

    named = by_labels(Unread(), labels(**{"a.mp4": "a.mp4"}))
    assert list(named) == ["a.mp4"]
    with pytest.raises(AssertionError, match="read"):
        named["a.mp4"]
