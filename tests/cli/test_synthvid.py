import json

import pytest

from trovid.cli.main import main


def test_writes_clips_and_labels(tmp_path, capsys):
    words = ["synthvid", str(tmp_path), "--split", "val", "--videos", "1", "--size", "96"]
    with pytest.raises(SystemExit) as exit_status:
        main([*words, "--strength", "0.9", "--workers", "1"])
    assert not exit_status.value.code
    output = capsys.readouterr()
    assert output.out.strip() == str(tmp_path / "val.json")
    assert "1/1 clips" in output.err
    info = json.loads((tmp_path / "val.json").read_text())["info"]
    assert info["strength"] == 0.9
    assert (tmp_path / "val" / "val_00000.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "33"], "`height` and `width` must be even and at least 64, but got 33 x 33"),
        (["--frames", "10"], "`num_frames` must be at least 24, but got 10"),
        (["--workers", "0"], "--workers must be at least 1, but got 0"),
        (["--split", "dev"], "dev"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_options_give_one_line_and_status_2(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as exit_status:
        main(["synthvid", str(tmp_path / "out"), *words])
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_gives_one_line_and_status_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as exit_status:
        main(["synthvid", str(tmp_path / "file"), "--videos", "1"])
    assert exit_status.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("trovid: synthvid: ")
    assert "\n" not in error
