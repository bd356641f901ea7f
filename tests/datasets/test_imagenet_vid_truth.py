"""ImageNet VID's official validation ground truth, on the official files."""

import numpy as np
import pytest

from tests import shared
from trovid.datasets.imagenet_vid_truth import MOTION, TRUTH
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.evaluation import evaluate
from trovid.evaluation.motion import motion_groups
from trovid.structures import VideoDetections

DATA = shared.SHARED / "data"

pytestmark = pytest.mark.skipif(
    not (DATA / "vid_ground_truth").is_dir(), reason="shared/data is not beside this checkout"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vid_truth")
    for file in (*(DATA / "vid_ground_truth").iterdir(), DATA / "splits" / "VID_val_videos.txt"):
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return read_dataset(folder)


def test_all_of_it_is_there(dataset):
    assert len(dataset.videos) == 555
    assert sum(len(dataset.labelled_frames(video.name)) for video in dataset.videos) == 176_126
    assert len(dataset.objects) == 273_505
    assert len(dataset.class_names) == 30
    counts = np.bincount(dataset.objects.labels)
    assert (counts[0], counts[29]) == (26387, 6910)
    motion = motion_groups(dataset.objects.attributes["motion_iou"])
    shares = [round(100 * float(inside.mean()), 1) for inside in motion.values()]
    assert shares == [37.9, 35.9, 26.2]


def test_the_clip_that_lies_beside_it(dataset):
    """Frame k of video 7010 is image 6912 + k."""
    (truth,) = dataset.ground_truth("ILSVRC2015_val_00007010", frames=[0])
    assert dataset.video("ILSVRC2015_val_00007010").num_frames == 144
    assert len(truth) > 0


def test_the_truth_scores_100_in_every_protocol(dataset):
    """Equal scores throughout; duplicate boxes of a class are found too."""
    found = {}
    for video in dataset.videos:
        objects = dataset.objects[dataset.rows(video.name)]
        found[video.name] = VideoDetections(
            np.arange(video.num_frames, dtype=np.int32),
            np.bincount(objects.frames, minlength=video.num_frames).astype(np.int32),
            objects.boxes.astype(np.float32),
            np.ones(len(objects), dtype=np.float32),
            objects.labels,
            dataset.class_names,
        )
    report = evaluate(found, dataset, protocols=["coco", "devkit", "voc", "epic"])
    assert report.head["objects"] == 273_505
    assert set(report.protocols) == {"devkit", "devkit (clean)", "voc", "voc (clean)", "epic"}
    for groups in report.protocols.values():
        for figures in groups.values():
            assert figures.mean == pytest.approx(1.0, abs=1e-9)
    overall = report.overall
    assert (overall.ap50, overall.ap75, overall.ap) == pytest.approx((1, 1, 1), abs=1e-9)
    for figures in report.groups.values():  # an ignored object's own takes one that counts
        assert (figures.ap50, figures.ap75, figures.ap) == pytest.approx((1, 1, 1), abs=1e-4)
    numbers = [report.groups[f"motion: {name}"].num_objects for name in ("slow", "medium", "fast")]
    assert sum(numbers) == 273_505


def test_what_does_not_fit_is_said(folder, tmp_path):
    def copy(*, without=(), text=None):
        for file in folder.iterdir():
            link = tmp_path / file.name
            link.unlink(missing_ok=True)
            if file.name not in without:
                link.symlink_to(file)
        if text is not None:
            (tmp_path / "VID_val_videos.txt").unlink(missing_ok=True)
            (tmp_path / "VID_val_videos.txt").write_text(text)
        return tmp_path

    with pytest.raises(TrovidError, match="list of validation videos"):
        read_dataset(copy(without=["VID_val_videos.txt"]))
    with pytest.raises(TrovidError, match="lists 464 frames"):
        read_dataset(copy(text="val/a 1 0 464\n"))
    with pytest.raises(TrovidError, match=r"VID_val_videos.txt:2"):
        read_dataset(copy(text="val/a 1 0 464\nval/b 400 0 9\n"))
    assert "motion_iou" not in read_dataset(copy(without=[MOTION])).objects.attributes
    (tmp_path / TRUTH).unlink()
    (tmp_path / TRUTH).write_text("no")
    with pytest.raises(TrovidError, match="no MATLAB file"):
        read_dataset(tmp_path)
