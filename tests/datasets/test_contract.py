"""What every reader hands on: objects in columns, in the order of videos and frames."""

import pytest
import torch

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.structures import Video


@pytest.fixture
def dataset() -> Dataset:
    """Two videos; their objects are told in no order."""
    rows = ObjectRows()
    rows.add(1, 4, 0, (0, 0, 4, 4), attributes={"occluded": 1})
    rows.add(0, 2, 1, (1, 1, 3, 3), instance_id=3, attributes={"kind": "blur"})
    rows.add(1, 0, 1, (0, 0, 2, 2), instance_id=0, crowd=True)
    rows.add(1, 4, 1, (5, 5, 6, 6), ignore=True)
    entries = [
        VideoEntry(Video("a", 5, 10, 20), "somewhere/a.mp4", range(5)),
        VideoEntry(Video("b", 9, 10, 20), "somewhere/b", [0, 4]),
        VideoEntry(Video("c", 1, 10, 20), "somewhere/c.png", []),
    ]
    return Dataset(("cat", "dog"), entries, rows.objects(), info={"name": "made up"})


def test_objects_come_by_video_and_frame(dataset):
    truths = dataset.ground_truth("b")
    assert [len(truth) for truth in truths] == [1, 0, 0, 0, 2, 0, 0, 0, 0]
    assert truths[4].boxes.tolist() == [[0, 0, 4, 4], [5, 5, 6, 6]]
    assert [t.frame_index for t in dataset.ground_truth("b", frames=[4, 1])] == [4, 1]
    assert [len(t) for t in dataset.ground_truth("c")] == [0]
    assert dataset.objects.videos.tolist() == [0, 1, 1, 1]
    assert dataset.objects.counted.tolist() == [True, False, True, False]


def test_an_object_that_nothing_links_is_one_of_its_own(dataset):
    assert len(set(dataset.objects.instance_ids.tolist())) == 4
    assert dataset.ground_truth("a", frames=[2])[0].instance_ids.tolist() == [3]


def test_what_is_not_known_of_an_object_is_marked(dataset):
    (truth,) = dataset.ground_truth("b", frames=[4])
    assert truth.attributes["kind"] == ("", "")
    torch.testing.assert_close(
        truth.attributes["occluded"], torch.tensor([1.0, torch.nan]), equal_nan=True
    )


def test_sparse_labels_and_names(dataset):
    assert dataset.labelled_frames("b").tolist() == [0, 4]
    assert "b" in dataset
    assert "d" not in dataset
    assert dataset.path("c").name == "c.png"
    with pytest.raises(KeyError):
        dataset.path("d")


def test_changing_what_was_handed_out_leaves_the_data_set_alone(dataset):
    dataset.ground_truth("b", frames=[0])[0].crowd[:] = False
    assert dataset.ground_truth("b", frames=[0])[0].crowd.tolist() == [True]
