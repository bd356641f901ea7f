"""Which videos a process takes."""

from hashlib import sha256

import pytest

from trovid.errors import OptionError
from trovid.runs.shard import Shard
from trovid.runs.shard_run import video_names

PATHS = [f"kitchen {i % 7}/P{i:03}.mp4" for i in range(500)]


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_every_video_is_in_exactly_one_shard(count):
    parts = [{p for p in PATHS if Shard(i, count).holds(p)} for i in range(count)]
    assert sum(map(len, parts)) == len(PATHS)
    assert set().union(*parts) == set(PATHS)
    assert max(map(len, parts)) < 2 * len(PATHS) / count + 20


def test_the_part_depends_on_nothing_but_the_path():
    """sha256, so the same on every machine and in every version."""
    assert [path for path in ("a.mp4", "b/c.mp4", "ü.mkv") if Shard(0, 3).holds(path)] == [
        path
        for path in ("a.mp4", "b/c.mp4", "ü.mkv")
        if int(sha256(path.encode()).hexdigest(), 16) % 3 == 0
    ]
    assert Shard().holds("\udcff.mp4")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.mp4", "deep/a.MKV", "cam.1", "cam.2"], ["a", "deep/a", "cam.1", "cam.2"]),
        (["a.mp4", "a.mkv", "b.mp4"], ["a.mp4", "a.mkv", "b"]),
        (["a", "a.mp4"], ["a", "a.mp4"]),
        (["a.mkv.mp4", "a.mkv", "a.mp4"], ["a.mkv.mp4", "a.mkv", "a.mp4"]),
    ],
)
def test_no_two_videos_of_a_run_are_called_alike(paths, names):
    assert list(video_names(paths).values()) == names


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "5",
            },
            "2/4",
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "6",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_MAX": "6",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            "3/4",
        ),
        ({"RANK": "1", "WORLD_SIZE": "3"}, "1/3"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "1",
                "SLURM_ARRAY_TASK_COUNT": "2",
                "SLURM_ARRAY_TASK_MIN": "0",
                "RANK": "2",
                "WORLD_SIZE": "4",
            },
            "6/8",
        ),
    ],
)
def test_auto(environment, expected):
    assert str(Shard.parse("auto", environment)) == expected


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("4/4", {}, "from 0 to n - 1"),
        ("0/0", {}, "from 0 to n - 1"),
        ("1", {}, "must be i/n"),
        ("-1/4", {}, "must be i/n"),
        ("auto", {}, "neither is set"),
        ("auto", {"RANK": "0"}, "WORLD_SIZE must be a number"),
        ("auto", {"RANK": "x", "WORLD_SIZE": "2"}, "RANK must be a number"),
        (
            "auto",
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "7",
            },
            "without holes",
        ),
    ],
)
def test_what_is_no_shard(text, environment, message):
    with pytest.raises(OptionError, match=message):
        Shard.parse(text, environment)
