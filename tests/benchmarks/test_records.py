import pytest

from trovid.benchmarks.records import add_records, read_records
from trovid.errors import TrovidError


def record(**changes):
    return {"benchmark": "operator", "case": "a", "backend": "auto", "value": 1, **changes}


def test_newer_records_take_the_place_of_older(tmp_path):
    path = tmp_path / "new" / "records.json"
    assert read_records(path) == []
    add_records(path, [record(), record(case="b")])
    add_records(path, [record(value=2), record(backend="direct"), record(memory="kept")])
    found = [(r["case"], r["backend"], r["value"]) for r in read_records(path)]
    assert found == [("a", "auto", 2), ("b", "auto", 1), ("a", "direct", 1), ("a", "auto", 1)]
    assert [file.name for file in path.parent.iterdir()] == ["records.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"records": [1]}', '{"records": [{}]}'])
def test_another_file_is_told(tmp_path, text):
    path = tmp_path / "records.json"
    path.write_text(text)
    with pytest.raises(TrovidError, match=r"records.json is not a file of `trovid bench`"):
        add_records(path, [record()])
    assert path.read_text() == text
