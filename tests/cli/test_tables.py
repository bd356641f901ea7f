"""Tables on terminals of any width, and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.cli.command import trovid_command
from trovid.cli.tables import fitted, print_figures, print_tables
from trovid.evaluation.tables import Table

HEAD = ("video", "HOTA", "MOTA", "recall", "precision", "switches", "fragments", "objects")
NAMES = [f"MOT17-{number:02}-FRCNN" for number in (2, 4, 13)]
FIGURES = ("100.0", "99.5", "87.6", "100.0", "12345", "678", "90")
TABLE = Table("in per cent", HEAD, [(name, *FIGURES) for name in NAMES])


@pytest.mark.parametrize("width", [120, 80, 60, 40])
@pytest.mark.parametrize("bench", [False, True])
def test_a_terminal_shows_every_name_and_number_whole(width, bench):
    text = io.StringIO()
    console = Console(file=text, width=width)
    if bench:
        print_figures(console, TABLE.title, HEAD, TABLE.rows)
    else:
        print_tables([TABLE], console)
    words = text.getvalue().replace("│", " ").replace("┃", " ").split()
    assert all(words.count(name) >= 1 for name in (*HEAD, *NAMES))
    assert all(words.count(figure) >= 3 for figure in FIGURES)
    assert "…" not in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= width


def test_names_are_shortened_in_the_middle_where_they_stay_different():
    long = [f"{number}-of-the-street-by-day" for number in range(3)]
    (part,) = fitted(Table("", ("", "AP"), [(name, "100.0") for name in long]), 26)
    assert [row[0] for row in part.rows] == ["0-of-th…by-day", "1-of-th…by-day", "2-of-th…by-day"]
    alike = [f"the-street-{number}-by-day-and-night" for number in range(3)]
    (part,) = fitted(Table("", ("", "AP"), [(name, "100.0") for name in alike]), 26)
    assert [row[0] for row in part.rows] == alike


def test_a_pipe_gets_lines_of_any_width(capsys, tmp_path):
    folder = tmp_path / "train" / NAMES[0]
    (folder / "gt").mkdir(parents=True)
    (folder / "gt/gt.txt").write_text("1,1,10,5,8,20,1,1,1\n")
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=1\nimWidth=64\nimHeight=48\n")
    (tmp_path / f"{NAMES[0]}.txt").write_text("1,4,10,5,8,20,0.9\n")
    words = ("evaluate", tmp_path / f"{NAMES[0]}.txt", "--labels", tmp_path / "train")
    status, out, complaints = trovid_command(capsys, *words, "--protocol", "mot")
    assert (status, complaints) == (0, [])
    lines = [line.replace("│", " ").replace("┃", " ").split() for line in out.splitlines()]
    assert any(line[:1] == ["video"] and line[-1] == "objects" for line in lines)
    assert [NAMES[0], *["100.0"] * 7, "0", "0", "1"] in lines
