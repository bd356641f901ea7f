"""`trovid experiment` where the trainings, which take hours, and the scores are there already."""

from __future__ import annotations

import json

from tests.cli.command import trovid_command


def test_figures_as_json_are_those_of_the_report(experiment, printed, result):
    folder = experiment.out / "report"
    assert (printed["report"], printed["embedded"]) == (str(folder), [])
    assert (result["clips"], result["every"], result["seeds"]) == (3, 4, [0, 1])
    assert json.loads((folder / "report.json").read_text()) == result


def test_the_report_is_printed_as_a_page(capsys, experiment, printed):
    words = ["--seeds", "1", "--clips", "3", "--every", "4", "--resamples", "2"]
    folder = experiment.out / "one seed"
    status, out, complaints = trovid_command(
        capsys, "experiment", "synthvid", "--out", experiment.out, *words, "--report", folder
    )
    assert (status, complaints) == (0, [])
    assert "SynthVID: four detectors, gains and controls" in out
    assert (folder / "report.md").exists()


def test_a_device_that_is_not_there_is_said_at_once(capsys, tmp_path):
    words = ["--out", tmp_path, "--device", "abacus"]
    for command in (["experiment"], ["train", "synthvid-single"]):
        status, _, complaints = trovid_command(capsys, *command, *words)
        assert (status, len(complaints)) == (2, 1)
        assert "device 'abacus' cannot be used: the devices are auto, cpu, cuda" in complaints[0]
    assert list(tmp_path.iterdir()) == []
