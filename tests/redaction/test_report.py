"""The figures and the moments of constructed trajectories."""

from __future__ import annotations

from trovid.redaction import Redaction, fill_gaps, redaction_report, trajectory
from trovid.redaction.page import report_page

SIZE, FRAMES = (100, 200), range(10, 50)
NAMES = ("person", "car", "dog")


def still(track, label, frames, *, box=(80.0, 40.0, 120.0, 70.0), score=0.9):
    return trajectory(track, label, frames, [box] * len(frames), [score] * len(frames))


def report(*found, fill=5, **more):
    filled = [fill_gaps(track, longest=fill, first=10, last=49, size=SIZE) for track in found]
    return redaction_report(
        filled,
        frames=FRAMES,
        times=[frame / 10 for frame in FRAMES],
        size=SIZE,
        class_names=NAMES,
        classes=("person", "car"),
        fill_gaps=fill,
        **more,
    )


def kinds(found):
    return [(one.kind, one.first_frame, one.last_frame) for one in found.moments]


def test_figures_of_a_class():
    found = report(still(0, 0, [*range(10, 20), *range(24, 50)]), still(1, 0, range(30, 50)))
    persons, cars = found.classes
    assert (persons.objects, persons.frames_found, persons.boxes_found) == (2, 36, 56)
    assert (persons.frames_filled, persons.boxes_filled) == (4 + 5, 4 + 5)
    assert (persons.longest_gap, persons.longest_gap_seconds) == (4, 0.4)
    assert (cars.class_name, cars.objects, cars.longest_gap) == ("car", 0, 0)
    assert (found.frames, found.covered_frames, found.blank_frames) == (40, 40, 0)
    assert kinds(found) == [("appears", 30, 30)]


def test_a_gap_longer_than_is_filled():
    found = report(still(7, 1, [*range(10, 15), *range(31, 50)]))
    assert kinds(found) == [("long gap", 15, 30)]
    (moment,) = found.moments
    assert moment.why == "not found in 16 frames, 6 of which are not covered"
    assert (moment.class_name, moment.track) == ("car", 7)
    assert (moment.first_time, moment.last_time) == (1.5, 3.0)
    assert found.covered_frames == 40 - 6


def test_beginnings_and_ends_away_from_the_border():
    at_border = (160.0, 40.0, 199.0, 70.0)
    assert kinds(report(still(0, 0, range(20, 50), box=at_border))) == []
    assert kinds(report(still(0, 0, range(10, 30)))) == [("disappears", 29, 29)]


def test_unsure_and_short_ones():
    assert kinds(report(still(0, 0, range(10, 50), score=0.4))) == [("unsure", 10, 49)]
    found = report(still(0, 0, [20]))
    assert kinds(found) == [("short", 20, 20)]
    assert found.moments[0].why == "found in 1 frame alone, its best score is 0.90"


def test_nothing_found_blank_and_full_frames():
    found = report(blank=[12, 13, 20], full=[30, 31])
    assert kinds(found) == [
        ("nothing", 10, 49),
        ("blank", 12, 13),
        ("blank", 20, 20),
        ("full", 30, 31),
    ]
    assert "no person or car was found" in found.moments[0].why
    assert found.blank_frames == 3


def test_faces_and_plates_are_said_to_be_no_classes():
    assert "Faces and number plates are no classes" in report().note
    face_report = redaction_report(
        [], frames=[], times=[], size=SIZE, class_names=("face",), classes=("face",), fill_gaps=3
    )
    assert "no classes" not in face_report.note


def test_page():
    found = report(still(0, 0, [*range(10, 15), *range(31, 50)]))
    page = report_page(
        found,
        source="a|b*.mp4",
        model="tiny",
        score=0.3,
        redaction=Redaction(keep_sound=True),
        problems=["a.mp4: cut off"],
    )
    assert "a\\|b\\*.mp4" in page
    assert "Faces and number plates are no classes of the model" in page
    assert "| person | 1 | 24 | 10 | 16 frames (1.60 s) |" in page
    moment = "| 0:00.50 to 0:02.00 | 5 to 20 | 0:01.50 to 0:03.00 | 15 to 30 | person 0 | not found"
    assert f"{moment} in 16 frames, 6" in page
    assert "sound kept" in page
    assert "- a.mp4: cut off" in page
