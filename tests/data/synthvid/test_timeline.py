import pytest

from trovid.data.synthvid.numbers import Numbers
from trovid.data.synthvid.timeline import KINDS, SEVERITY, STRETCH, appearances, draw_timeline


@pytest.mark.parametrize("num_frames", [24, 25, 48])
@pytest.mark.parametrize("calm", [False, True], ids=["restless", "calm"])
def test_rules_of_a_timeline(num_frames, calm):
    for seed in range(150):
        stretches = draw_timeline(Numbers(seed), num_frames, 1.3, calm=calm)
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
                assert 1.3 * SEVERITY[0] - 0.01 <= s.strength <= 1.3 * SEVERITY[1] + 0.01
        if calm:
            assert appearances(stretches) == [(0, num_frames)]


def test_about_half_is_deteriorated_and_half_of_that_stands_alone():
    share, alone, total = 0.0, 0, 0
    for seed in range(300):
        stretches = draw_timeline(Numbers(seed), 24, 1.0, calm=False)
        stays = appearances(stretches)
        visible = sum(stop - start for start, stop in stays)
        bad = [s for s in stretches if s.kind != "none"]
        share += sum(s.stop - s.start for s in bad) / visible / 300
        alone += sum((s.start, s.stop) in stays for s in bad)
        total += len(bad)
    assert 0.44 < share < 0.56
    assert alone / total > 0.5
