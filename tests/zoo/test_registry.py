"""The list of published checkpoints, and where their files are taken from and kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.shared import SHARED
from trovid.errors import TrovidError
from trovid.zoo.published import cache_folder, converted_path, download_path
from trovid.zoo.registry import backbone_checkpoints, checkpoints

LIST = SHARED / "paper" / "weights.md"


@pytest.mark.parametrize("checkpoint", checkpoints().values(), ids=lambda c: c.name)
def test_entries_are_whole(checkpoint):
    assert re.fullmatch(r"[0-9a-f]{8}", checkpoint.sha256)
    assert checkpoint.file_name.endswith(f"-{checkpoint.sha256}.pth")
    assert checkpoint.address.startswith("https://")
    assert checkpoint.licence in ("Apache-2.0", "BSD-3-Clause")
    assert checkpoint.figure is None or 20 < checkpoint.figure.value < 90


@pytest.mark.skipif(not LIST.exists(), reason="the list of published checkpoints is not here")
def test_every_published_checkpoint_is_listed():
    lines = LIST.read_text().splitlines()
    base = next(line.split()[-1] for line in lines if line.startswith("Base address"))
    published = {base + line for line in lines if line.endswith(".pth")}
    assert len(published) == 12
    assert published == {c.address for c in checkpoints().values() if c.layout == "mmtracking"}


def test_the_environment_moves_cache_and_mirror(tmp_path, monkeypatch):
    checkpoint = checkpoints()["selsa-troi-r101-vid"]
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path))
    monkeypatch.setenv("TROVID_MIRROR", "http://localhost:8000/m/")
    assert download_path(checkpoint) == tmp_path / "downloads" / checkpoint.file_name
    assert converted_path(checkpoint).parent == tmp_path / "weights"
    tail = checkpoint.address.removeprefix("https://download.openmmlab.com")
    assert checkpoint.mirrored_address == "http://localhost:8000/m" + tail
    monkeypatch.delenv("TROVID_MIRROR")
    assert checkpoint.mirrored_address == checkpoint.address


def test_the_cache_follows_the_platform(tmp_path, monkeypatch):
    monkeypatch.delenv("TROVID_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "trovid"
    assert not cache_folder().exists()


OWN = """
birds-r50: {address: "https://files.example/b.pth", sha256: 0f3a9c1e, bytes: null, licence: MIT,
  layout: mmtracking, recipe: birds.yaml, figure: {data: birds, metric: AP50, value: 61.2}}
birds-net: {address: "https://files.example/n.pth", sha256: "1025", bytes: 7, licence: MIT,
  layout: torchvision-backbone, recipe: resnet50, figure: null}
"""


def test_a_file_of_ones_own_adds_names(tmp_path, monkeypatch):
    before = list(checkpoints()), list(backbone_checkpoints())
    file = tmp_path / "group.yaml"
    file.write_text(OWN)
    monkeypatch.setenv("TROVID_CHECKPOINTS", str(file))
    assert [*before[0], "birds-r50"] == list(checkpoints())
    assert [*before[1], "birds-net"] == list(backbone_checkpoints())
    checkpoint = checkpoints()["birds-r50"]
    assert (checkpoint.recipe, checkpoint.has_recipe, str(checkpoint.figure)) == (
        "birds.yaml",
        False,
        "AP50 61.2 (birds)",
    )
    (tmp_path / "birds.yaml").touch()
    checkpoint = checkpoints()["birds-r50"]
    assert (checkpoint.recipe, checkpoint.has_recipe) == (str(tmp_path / "birds.yaml"), True)


def test_the_list_of_the_docs_is_read(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "weights.md").read_text(encoding="utf-8")
    file = tmp_path / "group.yaml"
    file.write_text(page.partition("```yml\n")[2].partition("```")[0], encoding="utf-8")
    monkeypatch.setenv("TROVID_CHECKPOINTS", str(file))
    assert checkpoints()["birds-r50"].licence == "MIT"


@pytest.mark.parametrize(
    "change",
    [
        ("sha256: 0f3a9c1e", "sha256: 10252965"),
        ("licence: MIT,", ""),
        ("birds-r50", "../b"),
        ("layout: mmtracking", "layout: onnx"),
        (OWN, "- a"),
        (OWN, "a: 1"),
        (OWN, "a: ["),
    ],
)
def test_a_list_that_is_not_whole_is_one_line(tmp_path, monkeypatch, change):
    file = tmp_path / "group.yaml"
    monkeypatch.setenv("TROVID_CHECKPOINTS", str(file))
    with pytest.raises(TrovidError, match=r"group\.yaml .TROVID_CHECKPOINTS.: cannot be read"):
        checkpoints()
    file.write_text(OWN.replace(*change, 1))
    with pytest.raises(TrovidError, match=r"group\.yaml.*(must be a plain name|not YAML)") as error:
        checkpoints()
    assert "\n" not in str(error.value)
