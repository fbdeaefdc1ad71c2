"""What divides the cells of a text file, and lines that are not what they look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from equipoise.data import check_rows, read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError

ROWS = "abc, or d;x\nef, or g;y\n"


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("\n\r\ntext;label\n", "text"),
        ('"text\n(title, body, all)";label\n', "text\n(title, body, all)"),
        ("sep=;\ntext;label\n", "text"),
        ('"sep=;"\r\n\ntext;label\n', "text"),
        ("\nsep=;\n'text,,,';label\n", "'text,,,'"),
    ],
)
def test_the_line_of_names_says_what_divides_cells(head: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((head + ROWS).encode())
    rows = read_rows(path, columns=ColumnNames(text=text)).parts["all"]
    assert rows.texts.tolist() == ["abc, or d", "ef, or g"]


def test_a_file_may_say_any_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=|\ntext|label\na,b|x\nc|y\n\nd|e|f\n")
    table = read_rows(tmp_path / "a.csv")
    assert table.parts["all"].texts.tolist()[:2] == ["a,b", "c"]
    assert "line 6 has 3 cells, the first line 2; quote cells that hold a |" in table.faults[0]


def test_a_column_may_be_called_sep(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=a,text,label\n1,a,x\n2,b,y\n")
    assert read_rows(tmp_path / "a.csv").parts["all"].columns["sep=a"].tolist() == ["1", "2"]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_lines_that_quotes_would_join_are_told(name: str, tmp_path: Path) -> None:
    """As in files that quote nothing: a text that begins with a quote, and one that ends so."""
    path = tmp_path / name
    path.write_text('text\tlabel\nfine\tpos\n"I love it\tpos\nit was bad"\tneg\nbad\tneg\n')
    with pytest.raises(DataError) as caught:
        check_rows(read_rows(path))
    (said,) = caught.value.faults
    assert f"{name}: line 3 begins a quoted cell that goes on over a tab and a line break" in said


def test_a_tab_or_a_line_break_alone_is_part_of_a_cell(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n"a\tb"\tx\n"c\nd"\ty\n')
    table = read_rows(tmp_path / "a.tsv")
    check_rows(table)
    assert table.parts["all"].texts.tolist() == ["a\tb", "c\nd"]
