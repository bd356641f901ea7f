"""docs/walkthrough.ipynb: executed from beginning to end, with its pictures."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "walkthrough.ipynb"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs_and_shows_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": tmp_path}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 5
    printed = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    figures = [line.split() for line in printed.splitlines() if line.startswith("synthvid-")]
    assert [line[0] for line in figures] == ["synthvid-single", "synthvid-selsa-troi"]
    assert float(figures[1][2]) > float(figures[0][2])


def test_the_committed_notebook_is_valid_and_small():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert NOTEBOOK.stat().st_size < 50_000
