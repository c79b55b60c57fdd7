"""The tables as CSV and LaTeX."""

from __future__ import annotations

import csv
import io

from evaluators.report.as_csv import for_csv
from evaluators.report.latex import for_latex
from evaluators.report.rows import Table

TABLE = Table(
    ["subset", "P. Acc.", "change"], [["close_d 50% & \\input{x} = $1", "30.00\n10.8–60.3", "−2.0*\n[1–2]"]], 1
)


def test_csv_reads_back() -> None:
    """One line a row, numbers with their interval behind them, and no formula from a file's texts."""
    text = for_csv([("=evil()", [TABLE, TABLE])])
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["title", "subset", "P. Acc.", "change"]
    assert rows[1] == ["'=evil()", TABLE.rows[0][0], "30.00 10.8–60.3", "−2.0* [1–2]"]
    assert rows[2] == []
    assert len(rows) == 5


def test_latex_escapes_what_data_could_use() -> None:
    """No command, comment or cell of its own comes from data; a cell of two lines takes two rows."""
    text = for_latex("model\n\\input{x}", [TABLE], ["a note"])
    assert text.splitlines()[0] == r"% model\n\input{x}"
    assert r"close\_d 50\% \& \textbackslash{}input\{x\} = \$1 & 30.00 & $-$2.0{*} \\" in text
    assert r" & 10.8--60.3 & {[}1--2] \\" in text
    assert text.count(r"\begin{tabular}{lrr}") == 1
