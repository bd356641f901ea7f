"""`trovid bench detect`: figures of a whole run whose results were compared."""

from __future__ import annotations

import json

import pytest

from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from trovid.benchmarks.detect import SINGLE
from trovid.cli.main import main


def test_the_command_measures_a_whole_run_and_its_parts(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    clip = video(tmp_path / "a.mp4", count=6)
    words = ["bench", "detect", clip, "--model", model, "--rounds", "2", "--threads", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--seconds", "1", "--out", str(tmp_path / "bench")])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "The whole command" in out
    assert "A frame of each part alone" in out
    ((record),) = json.loads((tmp_path / "bench" / "detect.json").read_text())["records"]
    assert (record["case"], record["frames"], record["size"]) == ("tiny, a.mp4", 6, [72, 96])
    assert record["support_frames"] == 3
    assert set(record["frames_per_second"]) == set(record["parts"]) == {"tiny", SINGLE}
    fastest = {name: min(times) for name, times in record["seconds"].items()}
    assert record["ratio"] == pytest.approx(fastest["tiny"] / fastest[SINGLE])
    assert record["frames_per_second"]["tiny"] == pytest.approx(6 / fastest["tiny"])
    for agreement in record["agreement"].values():
        assert (agreement["different"], agreement["drawn"], agreement["passed"]) == (0, 6, True)
    assert record["parts"][SINGLE]["support frames"] == 0
    assert min(record["parts"]["tiny"].values()) > 0
