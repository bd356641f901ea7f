import pytest
import torch

from trovid.detectors.candidates import Candidates
from trovid.evaluation import TrackSettings, average_along_tracks, choose_track_settings
from trovid.tracking.association import link_boxes


def _boxes(*corners: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([[x, y, x + 40.0, y + 40.0] for x, y in corners]).reshape(-1, 4)


def _frame(boxes: torch.Tensor, scores: list[list[float]]) -> Candidates:
    return Candidates(boxes[:, None], torch.tensor(scores).reshape(len(boxes), -1), ())


def test_links_follow_moving_boxes_in_any_order():
    tracks = link_boxes([_boxes((0, 0), (100, 100)), _boxes((104, 98), (5, 3))])
    assert [ids.tolist() for ids in tracks] == [[0, 1], [1, 0]]


def test_the_assignment_is_of_greatest_total_overlap():
    """Greedily the first box would take the near one and leave the second without."""
    tracks = link_boxes([_boxes((0, 0), (16, 0)), _boxes((8, 0), (-5, 0))], iou=0.3)
    assert [ids.tolist() for ids in tracks] == [[0, 1], [1, 0]]


@pytest.mark.parametrize(("patience", "same"), [(0, False), (1, False), (2, True)])
def test_a_track_may_miss_some_frames(patience, same):
    empty = _boxes()
    tracks = link_boxes([_boxes((0, 0)), empty, empty, _boxes((2, 2))], patience=patience)
    assert (tracks[0].tolist() == tracks[3].tolist()) is same


def test_too_little_overlap_starts_a_track():
    tracks = link_boxes([_boxes((0, 0)), _boxes((30, 0)), _boxes((32, 0))])
    assert [ids.tolist() for ids in tracks] == [[0], [1], [1]]


def test_a_blurred_frame_takes_the_class_of_its_track():
    frames = [
        _frame(_boxes((0, 0), (100, 100)), [[0.9, 0.0], [0.0, 0.8]]),
        _frame(_boxes((3, 0), (103, 100)), [[0.3, 0.5], [0.1, 0.8]]),
        _frame(_boxes((6, 0), (106, 100)), [[0.9, 0.1], [0.2, 0.8]]),
    ]
    averaged = average_along_tracks(frames)
    for frame in averaged:
        by_place = frame.class_scores[frame.boxes[:, 0, 0].argsort()]
        torch.testing.assert_close(by_place, torch.tensor([[0.7, 0.2], [0.1, 0.8]]))


def test_one_box_a_place_is_left_whatever_its_class():
    frame = _frame(_boxes((0, 0), (2, 0), (100, 0)), [[0.6, 0.0], [0.0, 0.7], [0.01, 0.01]])
    (left,) = average_along_tracks([frame])
    torch.testing.assert_close(left.boxes[:, 0], _boxes((2, 0)))
    torch.testing.assert_close(left.class_scores, torch.tensor([[0.0, 0.7]]))


def test_boxes_of_their_own_for_each_class():
    boxes = torch.stack([_boxes((0, 0)), _boxes((100, 0))], dim=1)
    (left,) = average_along_tracks([Candidates(boxes, torch.tensor([[0.2, 0.6]]), ())])
    torch.testing.assert_close(left.boxes, _boxes((100, 0))[:, None])


def test_frames_without_boxes():
    empty = Candidates(torch.zeros(0, 1, 4), torch.zeros(0, 3), ())
    averaged = average_along_tracks([empty, empty])
    assert [tuple(f.class_scores.shape) for f in averaged] == [(0, 3), (0, 3)]
    assert average_along_tracks([]) == []


def test_the_settings_are_chosen_by_the_quality_of_all_clips():
    """Boxes that overlap by a third: only a low IoU joins them, and the second becomes right."""
    frames = [_frame(_boxes((0, 0)), [[0.9, 0.0]]), _frame(_boxes((20, 0)), [[0.3, 0.4]])]

    def quality(clips: dict[str, list[Candidates]]) -> float:
        scores = clips["a"][1].class_scores[0]
        return float(scores[0] - scores[1])

    options = [TrackSettings(0.5, 1), TrackSettings(0.3, 1)]
    assert choose_track_settings({"a": frames}, quality, settings=options) == options[1]
