"""Predictions in Parquet."""

import json

import numpy as np
import pytest
import torch

from tests.external import need_package
from trovid.errors import TrovidError
from trovid.runs.predictions import read_frames, read_predictions
from trovid.structures import Detections, Masks, Video

NAMES = ("cat", "dog")
HEAD = {"model": "m", "weights": "w", "class_names": list(NAMES), "options": {}}
VIDEO = Video("a", 9, 40, 50, 25.0)


@pytest.fixture(autouse=True)
def parquet():
    need_package("pyarrow")


def frame(index: int, count: int, *, rich: bool = False) -> Detections:
    rng = np.random.default_rng(index)
    corners = rng.random((count, 2)) * 20
    masks = np.zeros((count, 40, 50), dtype=bool)
    masks[:, 3 : 5 + index, 4:9] = True
    return Detections(
        torch.tensor(np.concatenate([corners, corners + 9], axis=1), dtype=torch.float32),
        torch.tensor(rng.random(count), dtype=torch.float32),
        torch.arange(count) % 2,
        NAMES,
        frame_index=index,
        time=index / 25,
        image_size=(40, 50),
        track_ids=torch.arange(count) + 7 if rich else None,
        masks=Masks.from_dense(torch.from_numpy(masks)) if rich else None,
    )


def write(path, videos, *, head=HEAD, **options):
    from trovid.runs.parquet.writing import ParquetWriter

    writer = ParquetWriter(path, head=head, **options)
    for video, frames in videos:
        writer.begin_video(video, f"{video.name}.mp4")
        for detections in frames:
            writer.write(detections)
        writer.end_video(complete=True, problems=["a scratch"])
    writer.finish()
    writer.publish()
    return path


def assert_same(found: list[Detections], expected: list[Detections]):
    assert len(found) == len(expected)
    for detections, other in zip(found, expected, strict=True):
        assert (detections.frame_index, detections.time, detections.image_size) == (
            other.frame_index,
            other.time,
            other.image_size,
        )
        for name in ("boxes", "scores", "labels"):
            torch.testing.assert_close(
                getattr(detections, name), getattr(other, name), rtol=0, atol=0
            )
        if other.track_ids is not None and len(other):
            assert detections.track_ids.tolist() == other.track_ids.tolist()
            assert detections.masks.counts == other.masks.counts
        else:
            assert detections.track_ids is None
            assert detections.masks is None


@pytest.mark.parametrize("rich", [False, True], ids=["boxes", "tracks and masks"])
def test_round_trip(tmp_path, rich):
    """Also frames without detections, at both ends, and a video of nothing else."""
    first = [frame(i, n, rich=rich) for i, n in enumerate((0, 2, 0, 0, 3, 0))]
    other = Video("b", 3, 40, 50, 25.0)
    second = [frame(2, 0)]
    path = write(tmp_path / "all.parquet", [(VIDEO, first), (other, second)])
    head, found = read_frames(path)
    assert head["model"] == "m"
    assert_same(found["a"], first)
    assert_same(found["b"], second)
    assert [file.name for file in tmp_path.iterdir()] == ["all.parquet"]

    _, columns = read_predictions(path)
    assert list(columns) == ["a", "b"]
    assert columns["a"].frame_indices.tolist() == [0, 1, 2, 3, 4, 5]
    assert columns["a"].counts.tolist() == [0, 2, 0, 0, 3, 0]
    assert columns["b"].counts.tolist() == [0]
    record = columns.records["a"]
    assert (record.video, record.file_name) == (VIDEO, "a.mp4")
    assert (record.complete, record.problems) == (True, ("a scratch",))


def test_other_programs_read_it(tmp_path):
    import pandas

    path = write(tmp_path / "a.parquet", [(VIDEO, [frame(0, 0), frame(1, 2)])])
    table = pandas.read_parquet(path)
    assert table["frame"].tolist() == [0, 1, 1]
    assert table["label"].isna().tolist() == [True, False, False]
    assert table["class"].tolist()[1:] == ["cat", "dog"]
    assert table["video"].tolist() == ["a"] * 3


def test_a_folder_of_files(tmp_path):
    write(tmp_path / "x" / "a.parquet", [(VIDEO, [frame(0, 1)])])
    write(tmp_path / "b.parquet", [(Video("b", 9, 40, 50), [frame(0, 1)])])
    (tmp_path / ".c.partial.parquet").write_text("half")
    assert sorted(read_predictions(tmp_path)[1]) == ["a", "b"]
    write(tmp_path / "again.parquet", [(VIDEO, [frame(0, 1)])])
    with pytest.raises(TrovidError, match="video 'a' is in"):
        read_predictions(tmp_path)
    (tmp_path / "again.parquet").unlink()
    write(
        tmp_path / "c.parquet",
        [(Video("c", 9, 4, 4), [frame(0, 1)])],
        head={**HEAD, "weights": "v"},
    )
    with pytest.raises(TrovidError, match="its weights differs"):
        read_predictions(tmp_path)


def test_many_frames_make_several_row_groups(tmp_path):
    import pyarrow.parquet

    frames = [frame(i, i % 3) for i in range(9)]
    videos = [(VIDEO, frames), (Video("b", 9, 40, 50), frames)]
    path = write(tmp_path / "a.parquet", videos, rows_at_once=4)
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 6
    _, found = read_frames(path)
    assert_same(found["a"], frames)
    assert_same(found["b"], frames)


def test_damaged_and_foreign_files_are_named(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = write(tmp_path / "a.parquet", [(VIDEO, [frame(0, 2)])])
    whole = path.read_bytes()
    for cut in (0, 3, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(TrovidError, match=r"a\.parquet"):
            read_frames(path)
    path.write_bytes(whole[:4] + bytes(64) + whole[68:])
    with pytest.raises(TrovidError, match=r"a\.parquet"):
        read_frames(path)
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), path)
    with pytest.raises(TrovidError, match="no predictions of trovid"):
        read_predictions(path)
    record = {"name": "a", "file_name": "", "width": 1, "height": 1, "num_frames": 1}
    for videos in ([record], [{**record, "frame_rate": 1, "row_groups": [0, 7]}], 3):
        document = json.dumps({"head": HEAD, "videos": videos})
        table = pyarrow.table({"x": [1]}).replace_schema_metadata({"trovid": document})
        pyarrow.parquet.write_table(table, path)
        with pytest.raises(TrovidError, match="no predictions of trovid"):
            read_predictions(path)
    with pytest.raises(TrovidError, match="holds no Parquet file"):
        read_predictions(_empty(tmp_path))


def _empty(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder
