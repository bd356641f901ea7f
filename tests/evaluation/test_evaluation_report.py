import io
import json
import math

import pytest
from rich.console import Console

from trovid.errors import TrovidError
from trovid.evaluation import Report, evaluate
from trovid.evaluation.tables import report_tables


@pytest.fixture
def report(random_case):
    predictions, labels = random_case(0)
    return evaluate(predictions, labels, head={"model": "some model"})


def test_round_trip(report, tmp_path):
    report.save(tmp_path / "new" / "report.json")
    again = Report.load(tmp_path / "new" / "report.json")
    assert again == report
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["report.json"]
    assert again.head["model"] == "some model"


def test_a_missing_figure_is_null_in_json(make_labels, make_frame, tmp_path):
    labels = make_labels({"a": [[{"box": [0, 0, 20, 20], "label": 0}]]})
    evaluate({"a": [make_frame([])]}, labels).save(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text)["per_class"]["dog"] == {
        "AP50": None,
        "AP75": None,
        "AP": None,
        "objects": 0,
    }
    assert math.isnan(Report.load(tmp_path / "report.json").per_class["dog"].ap50)


def test_table_shows_per_cent(report):
    console = Console(width=100, record=True, file=io.StringIO())
    for table in report_tables(report):
        console.print(table.rich())
    text = console.export_text()
    assert f"{100 * report.overall.ap50:.1f}" in text
    for name in (*report.groups, *report.per_class):
        assert name in text


def test_groups_of_one_kind_hold_all_objects(report):
    counts = {name: figures.num_objects for name, figures in report.groups.items()}
    total = report.overall.num_objects
    assert counts["clean"] + counts["deteriorated"] == total
    assert sum(n for name, n in counts.items() if name.startswith("motion")) == total
    kinds = sum(n for name, n in counts.items() if name.startswith("kind"))
    strengths = sum(n for name, n in counts.items() if name.startswith("strength"))
    assert kinds == strengths == counts["deteriorated"]
    assert sum(figures.num_objects for figures in report.per_class.values()) == total


@pytest.mark.parametrize("text", ["", "[]", '{"head": {}}', '{"head": 1, "overall": {}}'])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(TrovidError, match="is not a report"):
        Report.load(file)
    with pytest.raises(TrovidError, match="cannot read"):
        Report.load(tmp_path / "absent.json")


def test_what_cannot_be_written_is_said(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrovidError, match="cannot write"):
        report.save(tmp_path / "file" / "report.json")
