"""The table for a terminal (rich), and for a file or a paper (Markdown)."""

from __future__ import annotations

import io
from collections.abc import Sequence

from data.errors import printable
from evaluators.report.rows import Table

WIDTH_OF_FILES = 500  # columns; wide enough for one table and one line a note
PADDING = 1  # blanks on either side of a cell


def for_terminal(title: str, tables: Sequence[Table], notes: Sequence[str], *, width: int | None) -> str:
    """Return tables and notes as text for a terminal of so many columns; None means a file."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    sheet = io.StringIO()
    console = Console(file=sheet, width=width or WIDTH_OF_FILES, force_terminal=width is not None, highlight=False)
    parts = [part for table in tables for part in _fitting(table, console.width)]
    for place, table in enumerate(parts):
        rich_table = RichTable(
            box=box.SIMPLE_HEAD,
            title=Text(printable(title)) if place == 0 else None,
            title_justify="left",
            padding=(0, PADDING),
        )
        for number, header in enumerate(table.headers):
            rich_table.add_column(Text(header), justify="left" if number < table.text_columns else "right")
        for row in table.rows:
            rich_table.add_row(*(Text("\n".join(printable(line) for line in cell.split("\n"))) for cell in row))
        console.print(rich_table)
    for note in notes:
        console.print(Text(f"· {printable(note)}"), style="dim")
    return "".join(f"{line.rstrip()}\n" for line in sheet.getvalue().splitlines())


def _fitting(table: Table, width: int) -> list[Table]:
    """Return a table as parts that fit the width, each with the names repeated: numbers are never cut short.

    A row without numbers stands in the first part only.
    """
    columns = list(zip(table.headers, *table.rows, strict=True))
    widths = [2 * PADDING + 1 + max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
    names = list(range(table.text_columns))
    taken = sum(widths[number] for number in names) + 2
    parts: list[list[int]] = [[]]
    room = width - taken
    for number in range(table.text_columns, len(columns)):
        if widths[number] > room and parts[-1]:
            parts.append([])
            room = width - taken
        parts[-1].append(number)
        room -= widths[number]
    return [
        Table(
            [table.headers[n] for n in names + part],
            [[row[n] for n in names + part] for row in table.rows if part == parts[0] or any(row[n] for n in part)],
            len(names),
        )
        for part in parts
    ]


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
    text = printable(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    for mark in "|*_`[]":
        text = text.replace(mark, f"\\{mark}")
    return text
