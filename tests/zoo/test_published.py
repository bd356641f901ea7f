"""From a name to a loaded model: a published checkpoint on a local server, end to end."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trovid
from tests.shared import SHARED
from tests.zoo.file_server import Answer, serve
from tests.zoo.listed_checkpoints import list_checkpoints
from tests.zoo.published_files import save_published, small_recipe
from trovid.cli.main import main
from trovid.errors import TrovidError
from trovid.recipes import Recipe, load_recipe, recipe_values
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.zoo import published
from trovid.zoo.published import converted_path, download_path, model_file
from trovid.zoo.registry import Checkpoint, Figure, checkpoints
from trovid.zoo.weights import load_weights, read_card

PATH = "/mmtracking/vid/selsa/small.pth"
NAME = "small-selsa-vid"
CASE = SHARED / "parity" / "selsa_r18" / "weights.pth"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("published") / "small.pth"
    save_published(path, small_recipe("selsa"))
    return path.read_bytes()


@pytest.fixture
def server(original, tmp_path, monkeypatch):
    """A mirror that has the checkpoint, which a file lists, and an empty cache."""
    write_recipe(tmp_path, small_recipe("selsa"))
    checkpoint = Checkpoint(
        name=NAME,
        address=f"https://publisher.example{PATH}",
        sha256=hashlib.sha256(original).hexdigest()[:8],
        bytes=len(original),
        licence="Apache-2.0",
        layout="mmtracking",
        recipe="small.yaml",
        figure=Figure(data="a test", metric="AP50", value=50.0),
    )
    list_checkpoints(tmp_path, monkeypatch, checkpoint)
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TROVID_OFFLINE", raising=False)
    with serve() as running:
        running.answers[PATH] = [Answer(original)]
        monkeypatch.setenv("TROVID_MIRROR", running.address)
        yield running


def write_recipe(folder: Path, recipe: Recipe) -> Path:
    file = folder / "small.yaml"
    file.write_text(json.dumps(recipe_values(recipe)))
    return file


def checkpoint() -> Checkpoint:
    return checkpoints()[NAME]


def run(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exited:
        main(["weights", *words])
    said = capsys.readouterr()
    return exited.value.code or 0, said.out, said.err


def test_a_name_becomes_a_model_downloaded_and_converted_once(server, tmp_path):
    model = trovid.load(NAME, device="cpu")
    assert model.name == NAME
    provenance = model.card.provenance
    assert provenance["source"] == checkpoint().address
    assert provenance["licence"] == "Apache-2.0"
    assert provenance["published"] == dataclasses.asdict(checkpoint().figure)
    assert provenance["source_sha256"].startswith(checkpoint().sha256)
    clip = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)
    assert len(list(model.detect(clip, score=0.0, support="uniform:2"))) == 2
    trovid.load(NAME, device="cpu")
    assert [path for path, _ in server.asked] == [PATH]
    files = {p.relative_to(tmp_path / "cache").as_posix() for p in (tmp_path / "cache").rglob("*")}
    assert {name for name in files if not name.endswith(".lock")} == {
        "downloads",
        "downloads/small.pth",
        "weights",
        f"weights/{NAME}.safetensors",
    }


def test_a_changed_recipe_converts_again_without_a_download(server, tmp_path):
    trovid.load(NAME, device="cpu")
    recipe = small_recipe("selsa")
    changed = replace(recipe, inference=replace(recipe.inference, nms=0.4))
    write_recipe(tmp_path, changed)
    assert trovid.load(NAME, device="cpu").recipe.inference.nms == 0.4
    assert len(server.asked) == 1


def test_another_training_converts_nothing_again(server, tmp_path):
    """So a training that was interrupted knows its start again."""
    trovid.load(NAME, device="cpu")
    before = converted_path(checkpoint()).read_bytes()
    recipe = small_recipe("selsa")
    changed = replace(recipe, training=replace(recipe.training, videos=None))
    write_recipe(tmp_path, changed)
    trovid.load(NAME, device="cpu")
    assert converted_path(checkpoint()).read_bytes() == before


def test_wrong_content_and_another_layout_leave_no_model(server, original, tmp_path):
    server.answers[PATH] = [Answer(original[:-1] + b"x")]
    with pytest.raises(TrovidError, match="SHA-256"):
        trovid.load(NAME, device="cpu")
    assert not download_path(checkpoint()).exists()
    server.answers[PATH] = [Answer(original)]
    write_recipe(tmp_path, small_recipe("selsa-troi"))
    with pytest.raises(TrovidError, match=r"missing|classes"):
        trovid.load(NAME, device="cpu")
    assert not converted_path(checkpoint()).exists()
    write_recipe(tmp_path, small_recipe("selsa"))
    assert trovid.load(NAME, device="cpu").name == NAME


def test_offline_and_a_file_placed_by_hand(server, original, monkeypatch):
    monkeypatch.setenv("TROVID_OFFLINE", "1")
    with pytest.raises(TrovidError, match="place it as") as error:
        trovid.load(NAME, device="cpu")
    place = download_path(checkpoint())
    assert str(place) in str(error.value)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(original)
    assert trovid.load(NAME, device="cpu").name == NAME
    assert server.asked == []


def test_weights_without_a_recipe_can_be_downloaded_only(server, tmp_path):
    (tmp_path / "small.yaml").unlink()
    with pytest.raises(TrovidError, match=r"no recipe small\.yaml yet; .*weights download"):
        trovid.load(NAME, device="cpu")
    assert server.asked == []


def row(capsys) -> str:
    """What the list says of where the checkpoint is."""
    lines = run(capsys, "list")[1].splitlines()
    return next(line for line in lines if line.startswith(NAME)).split()[-1]


def test_the_commands(server, capsys, tmp_path):
    assert run(capsys, "verify") == (0, "no published weights are here\n", "")
    assert run(capsys, "verify", NAME)[0] == 2
    status, out, err = run(capsys, "download", NAME)
    assert (status, out.strip()) == (0, str(download_path(checkpoint())))
    assert f"{NAME}: " in err
    assert row(capsys) == "downloaded"
    assert run(capsys, "convert", NAME)[1].strip() == str(converted_path(checkpoint()))
    assert row(capsys) == "converted"
    lines = run(capsys, "verify")[1].splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(download_path(checkpoint())),
        str(converted_path(checkpoint())),
    ]
    out = run(capsys, "where", NAME)[1]
    assert f"{server.address}{PATH}" in out
    assert run(capsys, "where")[1].strip() == str(tmp_path / "cache")
    converted_path(checkpoint()).write_bytes(b"torn")
    status, _, err = run(capsys, "verify", NAME)
    assert status == 2
    assert "not a safetensors file" in err
    assert run(capsys, "download", "small-selsa")[2].count("did you mean 'small-selsa-vid'") == 1
    assert run(capsys, "download")[0] == 2
    assert run(capsys, "convert", NAME, "--recipe", "x")[0] == 2


def test_verify_finds_changed_tensors(server):
    trovid.load(NAME, device="cpu")
    path = converted_path(checkpoint())
    tensors, metadata = read_tensors(path)
    tensors.pop("rpn.head.cls_logits.bias")
    save_tensors(path, tensors, metadata)
    with pytest.raises(TrovidError, match="missing"):
        published.verify(checkpoint())


@pytest.mark.skipif(not CASE.exists(), reason="the published code's case is not here")
def test_a_file_of_the_published_code_is_converted_by_the_command(tmp_path, capsys):
    recipe = write_recipe(tmp_path, small_recipe("selsa"))
    target = tmp_path / "case.safetensors"
    words = ["convert", str(CASE), "--recipe", str(recipe), "--out", str(target)]
    assert run(capsys, *words)[:2] == (0, f"{target}\n")
    assert load_weights(target)[1].provenance["source"] == "weights.pth"
    assert run(capsys, "convert", str(CASE))[0] == 2


def test_unknown_names_lead_to_the_nearest():
    with pytest.raises(TrovidError, match="did you mean 'selsa-troi-r101-vid'"):
        model_file("selsa-troi-r101")
    with pytest.raises(TrovidError, match="no model 'xyz': give a file or a name"):
        model_file("xyz")
    assert model_file("synthvid-selsa").name == "synthvid-selsa.safetensors"


@pytest.mark.slow
def test_two_processes_convert_without_disturbing_each_other(server, original, tmp_path):
    """Both start from an empty cache; the mirror is slow, so that they meet."""
    server.answers[PATH] = [Answer(original, delay=1.0)]
    code = """
import sys
import trovid
print(trovid.load(sys.argv[1], device="cpu").recipe.name)
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, NAME],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    assert [p.communicate(timeout=200)[0].strip() for p in both] == ["small-selsa"] * 2
    assert len(server.asked) == 1
    assert read_card(converted_path(checkpoint())).recipe == small_recipe("selsa")


@pytest.mark.parametrize("name", [n for n in checkpoints() if n.startswith("selsa")])
def test_the_recipes_of_the_published_detectors_are_here(name):
    recipe = load_recipe(checkpoints()[name].recipe)
    assert len(recipe.model.classes) == 30
    assert (recipe.model.roi.temporal is not None) == ("troi" in name)
