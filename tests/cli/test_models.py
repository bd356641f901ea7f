"""`trovid models`: the list and the cards."""

from __future__ import annotations

import pytest

from tests.cli.tiny_model import save_tiny_model
from trovid.cli.main import main
from trovid.zoo.registry import checkpoints
from trovid.zoo.weights import embedded_models


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))


def run(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exited:
        main(["models", *words])
    said = capsys.readouterr()
    return exited.value.code or 0, said.out, said.err


def test_the_list_has_every_model_with_its_figure(capsys):
    status, out, _ = run(capsys)
    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert list(rows) == [*embedded_models(), *checkpoints()]
    assert "AP50 all " in rows["synthvid-selsa-troi"]
    assert "82.6 (ImageNet VID val), published" in rows["selsa-troi-r101-vid"]
    assert " 30 " in rows["selsa-r50-vid"]
    assert "not here" in rows["selsa-r50-vid"]
    assert run(capsys, "list")[1] == out


def test_the_card_of_embedded_and_published_models(capsys):
    out = run(capsys, "show", "synthvid-selsa-troi")[1]
    for text in ("20: aeroplane, anchor", "recipe   synthvid-selsa-troi", "seed 0", "Apache-2.0"):
        assert text in out
    assert max(map(len, out.splitlines())) < 150
    out = run(capsys, "show", "selsa-troi-x101-vid")[1]
    for text in ("30: airplane", "mmtracking/selsa-troi-x101", "AP50 84.1", "4471ac42.pth"):
        assert text in out


def test_the_card_of_a_file_and_what_there_is_not(capsys, tmp_path):
    file = save_tiny_model(tmp_path / "tiny.safetensors")
    out = run(capsys, "show", str(file))[1]
    assert f"name     {file}" in out
    assert "licence  not stated" in out
    status, _, err = run(capsys, "show", "synthvid-selsa-tro")
    assert status == 2
    assert "did you mean 'synthvid-selsa-troi'?" in err
