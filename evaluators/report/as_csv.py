"""The tables as CSV: one after the other, a blank line between, its title in front of every row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from data.errors import printable
from evaluators.report.rows import Table

FORMULA = ("=", "+", "-", "@")


def for_csv(sheets: Sequence[tuple[str, Sequence[Table]]]) -> str:
    """Return the tables of every sheet, each row with its sheet's title.

    A text from a file that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    tables = [(title, table) for title, own in sheets for table in own]
    for place, (title, table) in enumerate(tables):
        if place:
            sheet.write("\n")
        writer.writerow(["title", *table.headers])
        for row in table.rows:
            names, numbers = row[: table.text_columns], row[table.text_columns :]
            writer.writerow([*map(_text, [title, *names]), *(" ".join(cell.split("\n")) for cell in numbers)])
    return sheet.getvalue()


def _text(cell: str) -> str:
    text = printable(cell.replace("\n", " "))
    return f"'{text}" if text.startswith(FORMULA) else text
