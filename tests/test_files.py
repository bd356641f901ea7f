"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from trovid.files import replacing


def test_a_finished_file_replaces_and_a_broken_one_leaves_the_old(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"

    def broken():
        with replacing(path) as partial:
            partial.write_text("two")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
