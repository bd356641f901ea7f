from pathlib import Path

import pytest

from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.timeline import (
    KINDS,
    LEVELS,
    SEVERITY,
    STRETCH,
    TRAIN_SEVERITY,
    appearances,
    draw_timeline,
)


@pytest.mark.parametrize("num_frames", [24, 25, 48])
@pytest.mark.parametrize("calm", [False, True], ids=["restless", "calm"])
def test_rules_of_a_timeline(num_frames, calm):
    for seed in range(150):
        stretches = draw_timeline(Rng(seed), num_frames, 1.3, calm=calm, training=False)
        frames = [frame for s in stretches for frame in range(s.start, s.stop)]
        assert frames == sorted(set(frames))
        assert frames[0] >= 0
        assert frames[-1] < num_frames
        clear = sum(s.stop - s.start for s in stretches if s.kind == "none")
        assert clear > num_frames / 3
        for s in stretches:
            if s.kind == "none":
                assert s.strength == 0
            else:
                assert s.kind in KINDS
                assert STRETCH[0] <= s.stop - s.start <= STRETCH[1]
                low, high = (1.3 * LEVELS[s.kind] * end for end in SEVERITY)
                assert low - 0.01 <= s.strength <= high + 0.01
        if calm:
            assert appearances(stretches) == [(0, num_frames)]


def test_about_half_is_deteriorated_and_half_of_that_stands_alone():
    share, alone, total = 0.0, 0, 0
    for seed in range(300):
        stretches = draw_timeline(Rng(seed), 24, 1.0, calm=False, training=False)
        stays = appearances(stretches)
        visible = sum(stop - start for start, stop in stays)
        bad = [s for s in stretches if s.kind != "none"]
        share += sum(s.stop - s.start for s in bad) / visible / 300
        alone += sum((s.start, s.stop) in stays for s in bad)
        total += len(bad)
    assert 0.44 < share < 0.56
    assert alone / total > 0.5


def test_training_spreads_the_strength_of_every_kind():
    strengths = {kind: [] for kind in KINDS}
    for seed in range(300):
        for s in draw_timeline(Rng(seed), 24, 1.0, calm=False, training=True):
            if s.kind != "none":
                strengths[s.kind].append(s.strength)
    low, high = TRAIN_SEVERITY
    for drawn in strengths.values():
        assert low - 0.01 <= min(drawn) < low + 0.1
        assert high - 0.1 < max(drawn) <= high + 0.01


def test_datasheet_states_the_levels():
    text = (Path(__file__).parents[3] / "docs" / "synthvid.md").read_text(encoding="utf-8")
    for kind, level in LEVELS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}`"))
        assert row.split("|")[3].strip() == f"{level:g}"
