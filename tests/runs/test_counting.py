"""Runs that begin before a file's frames are counted."""

from __future__ import annotations

import json
import logging

import pytest

from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from tests.video.test_foresight import assert_no_thread_counts, spoilt
from trovid.inference import load
from trovid.runs.batch import Batch
from trovid.video.file import FileReader


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return load(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


class LateReader(FileReader):
    """A file whose count is not through before it is waited for."""

    waited = False

    def counted(self, within: float) -> bool:
        return self.waited and super().counted(within)

    def as_foreseen(self) -> bool:
        self.waited = True
        return super().as_foreseen()


class UncountedReader(LateReader):
    """A file of which nobody asks how long it is, before that is foreseen."""

    def __len__(self) -> int:
        assert self.foreseen or self.waited, "this waits for the count"
        return super().__len__()


def batch(predictor, out, **how) -> Batch:
    options = predictor.options(score=0.2, support="uniform:3")
    return Batch(load=lambda: predictor, options=options, out=out, **how)


def late(reader: FileReader) -> FileReader:
    return LateReader(reader.path)


def test_the_results_are_those_of_counted_frames(tmp_path, predictor):
    clip = str(video(tmp_path / "a.mp4", count=5))
    (counted,) = batch(predictor, tmp_path / "counted").run([clip])
    (foreseen,) = batch(predictor, tmp_path / "foreseen", opened=late).run([clip])
    assert foreseen.state == counted.state == "done"
    texts = [(tmp_path / name / "a.json").read_text() for name in ("counted", "foreseen")]
    assert texts[0] == texts[1]


def test_a_file_that_is_open_is_run_before_it_is_counted(tmp_path, predictor):
    clip = video(tmp_path / "a.mp4", count=5)
    reader = UncountedReader(clip)
    (result,) = batch(predictor, tmp_path / "out", begun={str(clip): reader}).run([str(clip)])
    assert result.state == "done"


def test_a_run_over_frames_that_are_not_there_begins_anew(tmp_path, predictor, caplog):
    clip = str(spoilt(tmp_path / "a.mp4"))
    (counted,) = batch(predictor, tmp_path / "counted").run([clip])
    with caplog.at_level(logging.INFO, logger="trovid"):
        (foreseen,) = batch(predictor, tmp_path / "foreseen", opened=late).run([clip])
    assert f"{clip}: other frames decode than the file tells of: begun again" in caplog.messages
    assert foreseen.state == counted.state == "damaged"
    assert foreseen.losses == counted.losses
    found = [json.loads((tmp_path / n / "a.json").read_text()) for n in ("counted", "foreseen")]
    assert found[0] == found[1]
    assert [file.name for file in (tmp_path / "foreseen").iterdir()] == ["a.json"]


def test_a_run_that_is_left_leaves_no_thread(tmp_path, predictor):
    clip = video(tmp_path / "a.mp4", count=5)

    def stop() -> bool:
        raise KeyboardInterrupt

    reader = FileReader(clip)
    reader.count_ahead()
    with pytest.raises(KeyboardInterrupt):
        list(
            batch(predictor, tmp_path / "out", stop=stop, begun={str(clip): reader}).run(
                [str(clip)]
            )
        )
    assert_no_thread_counts()


def test_stopped_while_it_is_counted(tmp_path, predictor):
    clip = str(spoilt(tmp_path / "a.ts"))
    (result,) = batch(predictor, tmp_path / "out", opened=late, stop=lambda: True).run([clip])
    assert result.losses == [f"{clip}: interrupted before it began"]
    assert_no_thread_counts()
