"""The tables as LaTeX, for a paper: booktabs, one tabular a table, the notes as comments."""

from __future__ import annotations

from collections.abc import Sequence

from data.errors import printable
from evaluators.report.rows import Table

_SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "[": "{[}",  # behind a row's \\ a bracket would be an argument
    "*": "{*}",
}


def for_latex(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Return the tables, for a document that uses booktabs; what data could use as a command is escaped."""
    parts = [f"% {printable(title)}"]
    for table in tables:
        columns = "l" * table.text_columns + "r" * (len(table.headers) - table.text_columns)
        lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", _row(table.headers), "\\midrule"]
        lines += [line for row in table.rows for line in _rows(row)]
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    parts.append("\n".join(f"% {printable(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _rows(row: Sequence[str]) -> list[str]:
    """Return a row whose cells may have several lines as that many rows."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    return [_row([lines[place] if place < len(lines) else "" for lines in cells]) for place in range(height)]


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(_escaped, cells))} \\\\"


def _escaped(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in printable(text))
