"""The forms in which tables are printed, the same for every command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluators.report import as_csv, latex, table
from evaluators.report.rows import Table


@dataclass(frozen=True, slots=True)
class Sheet:
    """Tables that belong together.

    Attributes:
        title: whose numbers these are.
        tables: one below the other.
        notes: what has to be known to read them.
    """

    title: str
    tables: Sequence[Table]
    notes: Sequence[str]


def printed(sheets: Sequence[Sheet], form: str, *, width: int | None) -> str:
    """Return tables and notes in one of `evaluators.FORMATS` other than `json`.

    Args:
        sheets: one or several, say one a run.
        form: `table`, `markdown`, `latex` or `csv`; of CSV the notes are left out.
        width: columns of the terminal; None for a file.
    """
    if form == "csv":
        return as_csv.for_csv([(sheet.title, sheet.tables) for sheet in sheets])
    if form == "latex":
        return "\n".join(latex.for_latex(sheet.title, sheet.tables, sheet.notes) for sheet in sheets)
    if form == "markdown":
        return "\n".join(table.for_markdown(sheet.title, sheet.tables, sheet.notes) for sheet in sheets)
    return "\n".join(table.for_terminal(sheet.title, sheet.tables, sheet.notes, width=width) for sheet in sheets)
