"""A table's report: what is drawn."""

from __future__ import annotations

from PIL import Image

from trovid.experiments.pages import experiment_page, write_experiment


def row(name: str, x: float, **other) -> dict:
    figure = {"mean": 0.5, "spread": None, "seeds": [0.5], "low": 0.4, "high": 0.6}
    training = {"seed": 0, "minutes": 2, "precision": "float32", "commit": "a", "sha256": "b"}
    fields = {"name": name, "recipe": "r", "published": None, "curve": name, "x": x}
    return {**fields, "figures": {"all": figure}, "trained": [training], "cost": {}, **other}


def test_rows_over_another_axis_have_a_panel_of_their_own(tmp_path):
    result = {
        **{"experiment": "one", "title": "t", "commit": "c", "machine": "m", "seeds": [0]},
        **{"trained": True, "resamples": 2, "data": [], "tried": False, "axis": "T", "notes": []},
        **{"rows": [row("a", 1)], "gains": [], "order": {"pairs": 0, "otherwise": []}},
    }
    write_experiment(result, tmp_path)
    strides = row("b", 3, axis="stride")
    write_experiment({**result, "experiment": "two", "rows": [row("a", 1), strides]}, tmp_path)
    one, two = (Image.open(tmp_path / f"{name}.png").width for name in ("one", "two"))
    assert two > 1.3 * one


def test_what_a_row_costs_beside_a_single_frame_has_a_column_where_it_is_known():
    cost = {"frame_ms": 30.0, "support_frames": 0, "memory_mb": 1.0, "gflop": 2.0}
    result = {
        **{"experiment": "one", "title": "t", "commit": "c", "machine": "m", "seeds": [0]},
        **{"trained": True, "resamples": 2, "data": [], "tried": False, "axis": "T", "notes": []},
        **{"gains": [], "order": {"pairs": 0, "otherwise": []}},
    }
    plain, free = row("a", 1, cost=cost), row("b", 2, cost={**cost, "times_single": 2.5})
    assert "times a single frame" not in experiment_page({**result, "rows": [plain]})
    page = experiment_page({**result, "rows": [plain, free]})
    assert "| a | 30 | - | 1 | 2 | - |" in page
    assert "| b | 30 | - | 1 | 2 | 2.50 |" in page
