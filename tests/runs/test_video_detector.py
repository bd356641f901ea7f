"""VideoDetector, alone and under Ray Data."""

import pickle
from pathlib import Path

import pytest

from tests.cli.runs import folder, video
from tests.cli.tiny_model import save_tiny_model
from tests.external import need_package
from trovid.errors import TrovidError
from trovid.runs import VideoDetector

COLUMNS = ["path", "error", "video", "frame", "time", "label", "class", "score"]


@pytest.fixture(autouse=True)
def parquet():
    need_package("pyarrow")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


def detector(model: str, **options) -> VideoDetector:
    return VideoDetector(model, device="cpu", score=0.2, **options)


def test_columns_and_a_row_for_what_fails(model, tmp_path):
    good = video(tmp_path / "good.mp4", count=2)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(good.read_bytes()[:200])
    stills = folder(tmp_path / "stills", count=2)
    paths = [str(good), str(broken), str(tmp_path / "absent.mp4"), str(stills)]
    detector_copy = pickle.loads(pickle.dumps(detector(model)))
    columns = detector_copy({"path": paths})
    assert list(columns)[:8] == COLUMNS
    assert {len(column) for column in columns.values()} == {len(columns["path"])}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows = [{name: value.as_py() for name, value in row.items()} for row in rows]
    by_path = {path: [row for row in rows if row["path"] == path] for path in paths}
    for path in (good, stills):
        found = by_path[str(path)]
        assert {row["frame"] for row in found} == {0, 1}
        assert all(row["error"] is None for row in found)
        assert all(row["score"] >= 0.2 for row in found if row["label"] is not None)
    for path in (broken, tmp_path / "absent.mp4"):
        (row,) = by_path[str(path)]
        assert str(path) in row["error"]
        assert row["frame"] is None
    assert detector_copy.head["class_names"]


def test_nothing_to_do_gives_the_columns(model):
    columns = detector(model)({"path": []})
    assert list(columns)[:8] == COLUMNS
    assert all(len(column) == 0 for column in columns.values())


def test_options_are_checked_at_once(model):
    with pytest.raises(TrovidError, match="`score`"):
        VideoDetector(model, score=2.0)
    with pytest.raises(TrovidError, match="`online`"):
        VideoDetector(model, online=True)


class Dying(VideoDetector):
    """Its process is killed the first time that it comes to a certain video."""

    def __init__(self, model: str, fatal: str, mark: str) -> None:
        super().__init__(model, device="cpu", score=0.2)
        self._fatal, self._mark = fatal, mark

    def __call__(self, batch):
        import os
        import signal

        if self._fatal in [str(path) for path in batch["path"]] and not Path(self._mark).exists():
            Path(self._mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


@pytest.mark.slow
def test_ray_with_a_damaged_video_and_a_killed_actor(model, tmp_path):
    """50 short videos over 2 actors; nothing is lost."""
    need_package("ray")
    import ray

    first = video(tmp_path / "00.mp4", count=2)
    paths = [first]
    for number in range(1, 50):
        path = tmp_path / f"{number:02}.mp4"
        path.write_bytes(first.read_bytes()[:300] if number == 17 else first.read_bytes())
        paths.append(path)
    mark = tmp_path / "killed"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        found = (
            ray.data.from_items([{"path": str(path)} for path in paths])
            .map_batches(
                Dying,
                fn_constructor_args=(model, str(paths[30]), str(mark)),
                batch_size=1,
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=2),
            )
            .take_all()
        )
    finally:
        ray.shutdown()
    assert mark.exists()
    assert {row["path"] for row in found} == {str(path) for path in paths}
    errors = [row for row in found if row["error"] is not None]
    assert [row["path"] for row in errors] == [str(paths[17])]
    frames = {(row["path"], row["frame"]) for row in found if row["error"] is None}
    assert len(frames) == 49 * 2
    assert len({(r["path"], r["frame"], r["x1"], r["score"]) for r in found}) == len(found)
