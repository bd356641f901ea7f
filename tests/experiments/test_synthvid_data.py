"""The clips of an experiment: made once, and of one version."""

import json

import pytest

from trovid.errors import TrovidError
from trovid.experiments.demonstration import write_clips
from trovid.experiments.synthvid_data import synthvid_folder


def set_version(path, version):
    labels = json.loads(path.read_text())
    labels["info"]["version"] = version
    path.write_text(json.dumps(labels))


def test_a_split_is_made_once_and_of_this_version_alone(tmp_path):
    folder = synthvid_folder(tmp_path, val=1)
    first = (folder / "val.json").stat().st_mtime_ns
    assert synthvid_folder(tmp_path, val=1) == folder
    assert (folder / "val.json").stat().st_mtime_ns == first
    set_version(folder / "val.json", "1")
    with pytest.raises(TrovidError, match="is of SynthVID 1, but this is SynthVID 2: choose"):
        synthvid_folder(tmp_path, val=1)


def test_the_demo_replaces_clips_of_another_version(tmp_path):
    labels = write_clips(tmp_path, 1)
    set_version(tmp_path / "test.json", "1")
    assert write_clips(tmp_path, 1).info == labels.info
