"""The table for a terminal (rich), and for a file or a paper (Markdown)."""

from __future__ import annotations

import io
from collections.abc import Sequence

from evaluators.report.rows import Table

WIDTH_OF_FILES = 160  # columns; a file has no terminal to ask


def for_terminal(title: str, tables: Sequence[Table], notes: Sequence[str], *, width: int | None) -> str:
    """Return tables and notes as text for a terminal of so many columns; None means a file."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    sheet = io.StringIO()
    console = Console(file=sheet, width=width or WIDTH_OF_FILES, force_terminal=width is not None, highlight=False)
    for place, table in enumerate(tables):
        rich_table = RichTable(box=box.SIMPLE_HEAD, title=Text(title) if place == 0 else None, title_justify="left")
        for number, header in enumerate(table.headers):
            rich_table.add_column(Text(header), justify="left" if number < table.text_columns else "right")
        for row in table.rows:
            rich_table.add_row(*(Text(cell) for cell in row))
        console.print(rich_table)
    for note in notes:
        console.print(Text(f"· {note}"), style="dim")
    return sheet.getvalue()


def for_markdown(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Return tables and notes as Markdown; what data could use to break out of a cell is escaped."""
    parts = [f"**{_escaped(title)}**"]
    for table in tables:
        rule = [":--" if number < table.text_columns else "--:" for number in range(len(table.headers))]
        rows = [table.headers, rule, *([_escaped(cell) for cell in row] for row in table.rows)]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    parts.append("\n".join(f"- {_escaped(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    for mark in "|*_`[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
