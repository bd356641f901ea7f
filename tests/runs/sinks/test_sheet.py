"""SheetSink: evenly spaced frames, whatever the length, and only the few that it shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from trovid.errors import TrovidError
from trovid.runs.sinks.sheet import PANEL_WIDTH, SheetSink
from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame

NOTHING = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), ("cup",))


def written(path, count: int, *, width: int = 40, pictures: int = 6, **options) -> np.ndarray:
    most = pictures if options.get("total") is None else 2 * pictures
    sheet = SheetSink(path, count=pictures, **options)
    for index in range(count):
        image = np.full((30, width, 3), (index % 250, 255 - index % 250, 200), np.uint8)
        sheet.write(Frame(index, index / 10, image), NOTHING)
        assert len(sheet._held) <= most
    sheet.finish(complete=True, problems=())
    sheet.publish()
    return np.asarray(Image.open(path).convert("RGB"))


def shown(sheet: np.ndarray) -> set[int]:
    return {int(p[0]) for p in np.unique(sheet.reshape(-1, 3), axis=0) if p[2] == 200}


def test_a_short_video_is_shown_whole(tmp_path):
    assert shown(written(tmp_path / "a.png", 4)) == {0, 1, 2, 3}


def test_a_long_one_by_evenly_spaced_frames_with_its_first(tmp_path):
    frames = sorted(shown(written(tmp_path / "a.png", 240)))
    assert len(frames) == 6
    assert frames[0] == 0
    steps = np.diff(frames)
    assert steps.max() <= 2 * steps.min()
    assert frames[-1] >= 240 - steps.max()


@pytest.mark.parametrize("count", [25, 200])
def test_the_distances_are_equal_where_the_number_of_frames_is_known(tmp_path, count):
    steps = np.diff(sorted(shown(written(tmp_path / "a.png", count, pictures=12, total=count))))
    assert len(steps) == 11
    assert steps.sum() == count - 1
    assert steps.max() - steps.min() <= 1


def test_fewer_frames_than_were_said_fill_the_sheet_too(tmp_path):
    frames = sorted(shown(written(tmp_path / "a.png", 30, total=240)))
    assert len(frames) == 6
    assert frames[0] == 0


def test_wide_pictures_are_made_smaller(tmp_path):
    sheet = written(tmp_path / "a.png", 2, width=4 * PANEL_WIDTH)
    assert 2 * PANEL_WIDTH <= sheet.shape[1] <= 2 * PANEL_WIDTH + 30


def test_ground_truth_is_drawn(tmp_path):
    box = torch.tensor([[5.0, 5.0, 30.0, 25.0]])
    truth = [GroundTruth(box, torch.tensor([0]), torch.tensor([0]), ("cup",))]
    plain = written(tmp_path / "a.png", 1)
    assert (written(tmp_path / "b.png", 1, truth=truth) != plain).any()


def test_discarded_or_not_writable_leaves_nothing(tmp_path):
    sheet = SheetSink(tmp_path / "a.png")
    sheet.write(Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8)), NOTHING)
    sheet.discard()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    sheet = SheetSink(tmp_path / "file" / "a.png")
    sheet.write(Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8)), NOTHING)
    with pytest.raises(TrovidError, match="cannot write"):
        sheet.finish(complete=True, problems=())
