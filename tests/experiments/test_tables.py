"""The paper's experiments: what they compare, and that they can be run."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from trovid.cli.experiment_runs import ORDER
from trovid.errors import TrovidError
from trovid.experiments.correspondence_report import correspondence_page
from trovid.experiments.description import IMAGENET_VID, SYNTHVID, Row
from trovid.experiments.findings import FINDINGS, findings
from trovid.experiments.pages import _order, experiment_page
from trovid.experiments.tables import EXPERIMENTS
from trovid.experiments.training_free import (
    CLEAN_LOSS,
    COST,
    FREE,
    STAGES,
    _best,
    refuse_another,
    reported,
    row_of,
    stages,
    within_cost,
)
from trovid.recipes import TrainingFreeRecipe

WHOLE = {**{name: make() for name, make in EXPERIMENTS.items()}, "training-free": reported(FREE)}
ROOT = Path(__file__).parents[2]
OF_SYNTHVID = ("strength", "training-free", "unseen", "selsa")


@pytest.mark.parametrize("name", WHOLE)
def test_rows_have_recipes_and_comparisons_have_rows(name):
    experiment = WHOLE[name]
    names = [row.name for row in experiment.rows]
    assert len(set(names)) == len(names)
    assert {word for pair in experiment.comparisons for word in pair} <= set(names)
    for family in (SYNTHVID,) if name in OF_SYNTHVID else (SYNTHVID, IMAGENET_VID):
        for row in experiment.rows:
            assert family.recipe(row).training.steps > 0
            if name.startswith("table") and row.recipe != "fgfa" and family is IMAGENET_VID:
                assert row.published in (None, family.recipe(row).published)


def test_the_command_knows_every_experiment():
    assert set(ORDER) == {*WHOLE, "correspondence", "synthvid-masks"}
    assert ORDER.index("table1") < ORDER.index("table2") < ORDER.index("training-free")


REPORTS = ROOT / "docs/results/paper"
COMMITTED = sorted(file.stem for file in REPORTS.glob("*.json") if file.stem in WHOLE)


@pytest.mark.parametrize("name", [*COMMITTED, "training-free-val"])
def test_a_committed_page_is_what_its_figures_and_the_notes_give(name):
    file = REPORTS / f"{name}.json"
    result = json.loads(file.read_text(encoding="utf-8"))
    if name in WHOLE:
        assert result["notes"] == list(WHOLE[name].notes)
    assert file.with_suffix(".md").read_text(encoding="utf-8") == experiment_page(result)


def test_reports_are_committed():
    assert {*FINDINGS, "table2", "table6", "unseen"} <= {*COMMITTED}


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_are_told_of_the_run_that_showed_them_alone(name):
    result = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    assert findings(result) == FINDINGS[name].texts
    assert all(text in experiment_page(result) for text in FINDINGS[name].texts)
    row = result["rows"][0]
    others = [{**row, "trained": [{**one, "sha256": "0" * 64} for one in row["trained"]]}]
    assert findings({**result, "rows": others + result["rows"][1:]}) == ()
    assert findings({**result, "seeds": [7]}) == ()
    assert findings({**result, "data": [{**result["data"][0], "clips": "test-600+2"}]}) == ()


def test_intervals_in_findings_are_those_of_a_committed_report():
    there = set()

    def look(value):
        if isinstance(value, dict) and {"low", "high"} <= set(value):
            numbers = [value.get("value", value.get("mean")), value["low"], value["high"]]
            for form in ("{:.1f} [{:.1f}, {:.1f}]", "{:+.1f} [{:+.1f}, {:+.1f}]"):
                there.add(form.format(*(100 * number for number in numbers)))
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                look(inner)

    for file in REPORTS.glob("*.json"):
        look(json.loads(file.read_text(encoding="utf-8")))
    texts = " ".join(text for found in FINDINGS.values() for text in found.texts)
    intervals = re.findall(r"[+-]?\d+\.\d \[[+-]?\d+\.\d, [+-]?\d+\.\d\]", texts)
    assert len(intervals) >= 4
    assert [one for one in intervals if one not in there] == []


def test_the_committed_page_of_correspondence_is_what_its_figures_give():
    file = ROOT / "docs/results/paper/correspondence.json"
    page = correspondence_page(json.loads(file.read_text(encoding="utf-8")))
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page


def test_rows_in_another_order_than_the_papers_are_shown_by_group_and_training():
    figures = {
        "a": {"all": {"mean": 0.5, "seeds": [0.4, 0.6]}, "clean": {"mean": 0.9}},
        "b": {"all": {"mean": 0.6, "seeds": [0.6, 0.6]}, "clean": {"mean": 0.8}},
    }
    result = {
        "rows": [{"name": name, "figures": by_group} for name, by_group in figures.items()],
        "seeds": [1, 2],
        "gains": [],
        "order": {"pairs": 1, "otherwise": [["a", "b"]]},
    }
    lines = _order(result)
    assert "| objects | a over b |" in lines
    assert lines[-5:-1] == [
        "| all | -10.0 |",
        "| all, seed 1 | -20.0 |",
        "| all, seed 2 | +0.0 |",
        "| clean | +10.0 |",
    ]
    interval = {"value": -0.1, "low": -0.2, "high": 0.05}
    result["order"]["gains"] = [{"row": "a", "over": "b", "all": interval, "clean": interval}]
    assert "| all | -10.0 [-20.0, +5.0] |" in _order(result)


def test_no_clip_is_one_that_was_looked_at_before():
    """Test clips before 600 were; those of two experiments either are the same or differ."""
    spans = {e.clips_of(row) for e in WHOLE.values() for row in e.rows}
    assert all(clips.first >= 100 for clips in spans if clips.split == "val")
    spans = {clips for clips in spans if clips.split == "test"}
    assert all(clips.first >= 600 for clips in spans)
    starts = sorted({(clips.first, clips.first + clips.count) for clips in spans})
    for (_, end), (first, _) in itertools.pairwise(starts):
        assert end <= first
    assert WHOLE["fig5"].clips.frames >= 208
    assert WHOLE["fig5"].clips.count >= 100
    assert WHOLE["table1"].clips.count >= 300


def test_rows_of_the_same_model_and_options_share_results_and_no_others_do():
    rows = [row for e in WHOLE.values() for row in e.rows]
    keys: dict[tuple, dict] = {}
    for row in rows:
        assert keys.setdefault((row.recipe, row.key), row.options()) == row.options()
    assert Row(name="a", recipe="x").key == Row(name="b", recipe="x", published=1.0).key
    assert Row(name="a", recipe="x", top_k=2).key != Row(name="a", recipe="x", top_k=3).key


def test_strength_and_unseen_hold_every_method_against_single_frames():
    for name, conditions in (("strength", 5), ("unseen", 2)):
        held = [row for row, over in WHOLE[name].comparisons if over.startswith("single-frame,")]
        assert len(held) == len(set(held)) == 4 * conditions


def test_strides_have_a_panel_of_their_own():
    rows = WHOLE["fig5"].rows
    assert all(row.x is not None for row in rows)
    strides = [row for row in rows if row.axis]
    assert [row.x for row in strides] == [1, 3, 5, 7, 8]
    nearest = next(row for row in rows if row.name == "consecutive, T = 26")
    assert strides[0].key == nearest.key


def test_a_try_takes_the_first_clips():
    smaller = WHOLE["strength"].with_clips(5)
    assert {smaller.clips_of(row).count for row in smaller.rows} == {5}
    assert smaller.clips.first == WHOLE["strength"].clips.first


def test_each_stage_changes_one_thing_and_the_best_harmless_setting_is_chosen():
    for stage in range(STAGES):
        rows = [row_of(setting) for setting in stages(FREE, stage)]
        assert len({row.name for row in rows}) == len(rows) >= 2
    one, other = stages(FREE, 2)[:2]
    rows = [row_of(one), row_of(other)]
    single = {"clean": 0.9, "all": 0.5}
    figures = {
        "single-frame": single,
        rows[0].name: {"clean": 0.9 - 2 * CLEAN_LOSS, "all": 0.8},
        rows[1].name: {"clean": 0.9, "all": 0.7},
    }
    assert _best(rows, figures) == other
    figures[rows[1].name]["clean"] = 0.8
    assert _best(rows, figures) == one  # none is harmless


def test_a_setting_that_costs_too_much_is_left_out_and_a_line_says_so():
    one, other = stages(FREE, 2)[:2]
    rows = [row_of(one), row_of(other)]
    figures = {
        "single-frame": {"clean": 0.9, "all": 0.5},
        rows[0].name: {"clean": 0.9, "all": 0.8},
        rows[1].name: {"clean": 0.9, "all": 0.7},
    }

    def decided(*times):
        return within_cost(one, rows, figures, dict(zip(figures, (1.0, *times), strict=True)))

    assert decided(COST, COST)[0] == one
    cheaper, line = decided(COST + 0.01, COST)
    assert cheaper == other
    assert "1 of 2 settings cost more and are left out" in line
    dear, line = decided(3.0, 2.0)
    assert dear == one
    assert f"the cheapest, {rows[1].name}: 2.00 times), so AP50 alone decided" in line
    figures[rows[1].name]["clean"] = 0.8
    assert decided(3.0, 1.0)[0] == one  # what spares clean objects goes before cost
    figures[rows[0].name]["clean"] = 0.8
    assert "none spares clean objects" in decided(3.0, 1.0)[1]


def test_a_choice_does_not_change_by_another_run_unsaid(tmp_path):
    file, one, other = tmp_path / "choice.json", *stages(FREE, 2)[:2]
    first = {"chosen": asdict(one), "clips": "val-0+60"}
    refuse_another(file, first)
    file.write_text(json.dumps(first))
    refuse_another(file, first)
    refuse_another(file, {"chosen": asdict(other), "clips": "val-0+2"})
    with pytest.raises(TrovidError, match=r"top_k 1' *, and now .*: delete it to choose anew"):
        refuse_another(file, {**first, "chosen": asdict(other)})


def test_what_is_reported_has_the_choice_and_the_usual_forms():
    chosen = TrainingFreeRecipe(top_k=1, attention="cosine", scale=10.0)
    names = [row.name for row in reported(chosen).rows]
    assert len(names) == 5
    assert len(reported(FREE).rows) == 4
    assert names[0] == "single-frame"
