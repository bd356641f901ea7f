"""`trovid recipes`: list, show, diff, and what is refused."""

from __future__ import annotations

import pytest

from trovid.cli.main import main
from trovid.recipes import load_recipe, parse_recipe, recipe_names
from trovid.zoo.cost import cost


def run(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["recipes", *words])
    output = capsys.readouterr()
    return exit_.value.code, output.out, output.err


KINDS = [
    "coco-mask-r50-fpn-v2",
    "coco-r50-fpn",
    "mmtracking/masktrack-r50-ytvis19",
    "mmtracking/selsa-troi-r50",
    "paper/masktrack-selsa-troi-r50-ytvis19",
    "paper/selsa-troi-x101",
    "synthvid-fgfa",
    "synthvid-masktrack-troi",
    "synthvid-selsa",
    "synthvid-single",
    "synthvid-single-md-attention",
    "synthvid-single-ms-average",
    "synthvid-single-non-local-top-k",
    "synthvid-single-troi",
]
"""One of each kind: backbones, heads, what is pooled from support frames."""


@pytest.mark.parametrize("names", [KINDS, pytest.param(None, marks=pytest.mark.slow)])
def test_the_list_has_a_line_for_each_recipe(capsys, monkeypatch, names):
    names = names or recipe_names()
    monkeypatch.setattr("trovid.recipes.recipe_names", lambda: names)
    status, out, _ = run(capsys)
    assert status == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert set(rows) == set(names)
    assert rows["mmtracking/selsa-troi-r50"] == ["78.2", "M", "244", "1.54e+03", "79.8"]
    assert rows["paper/selsa-troi-x101"][-1] == "84.3"
    assert rows["synthvid-single"][-2:] == ["-", "-"]


def test_the_cost_counts_what_is_known():
    needs = cost(load_recipe("paper/selsa-troi-r50"))
    similarity = 2 * 300 * 49 * 14 * 38 * 63 * 512 / 1e9
    embedding = 2 * 300 * 49 * 15 * 512 * 128 * 9 / 1e9
    assert needs.operator_gflop == pytest.approx(similarity + embedding)
    single = cost(load_recipe("paper/single-r50"))
    assert single.operator_gflop == 0
    assert 220 < single.detector_gflop < needs.detector_gflop < 260
    fgfa, plain = (cost(load_recipe(f"synthvid-{name}")) for name in ("fgfa", "single"))
    assert fgfa.detector_gflop == plain.detector_gflop
    assert fgfa.operator_gflop > plain.operator_gflop == 0
    few = cost(load_recipe("paper/selsa-troi-r50"), support_frames=7)
    assert few.detector_gflop < needs.detector_gflop


def test_show_prints_a_file_that_says_the_same(capsys, tmp_path):
    status, out, _ = run(capsys, "show", "paper/selsa-troi-r101")
    assert status == 0
    assert "  # [paper/single-r50] bound of the longer side (chosen)\n" in out
    (tmp_path / "copy.yaml").write_text(out, encoding="utf-8")
    assert load_recipe(tmp_path / "copy.yaml") == load_recipe("paper/selsa-troi-r101")
    _, out, _ = run(capsys, "show", "paper/selsa-troi-r101", "--json")
    assert parse_recipe(out, "its values") == load_recipe("paper/selsa-troi-r101")


def test_a_file_with_a_base_is_shown_whole_and_compared(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("base: synthvid-selsa\ntraining: {steps: 7}\n")
    _, out, _ = run(capsys, "show", str(file))
    assert "  # [mine.yaml]\n" in out
    assert "  # [synthvid-selsa] heads of SELSA's attention; 0: none\n" in out
    _, out, _ = run(capsys, "diff", "synthvid-selsa", str(file))
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["name", "training.steps"]


def test_diff_shows_only_what_differs(capsys, tmp_path):
    status, out, _ = run(capsys, "diff", "paper/selsa-r50", "paper/selsa-r101")
    assert status == 0
    keys = [line.split()[0] for line in out.splitlines()[1:]]
    assert keys == ["name", "published", "model.backbone.name"]
    assert run(capsys, "diff", "paper/selsa-r50", "paper/selsa-r50")[1].endswith("are equal\n")


def test_diff_shows_keys_that_only_one_has(capsys):
    _, out, _ = run(capsys, "diff", "paper/single-r50", "paper/single-troi-r50")
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert lines["model.roi.temporal"] == ["null", "-"]
    assert lines["model.roi.temporal.top_k"] == ["-", "4"]


def test_unknown_names_are_named(capsys):
    status, _, error = run(capsys, "show", "paper/selsa-r5")
    assert status == 2
    assert "did you mean 'paper/selsa-r50'?" in error
    status, _, error = run(capsys, "diff", "paper/selsa-r50", "absent.yaml")
    assert status == 2
    assert "absent.yaml: No such file" in error
