"""The report: one page that holds everything and asks no network for anything.

Nothing of a data set, a model or a judge is markup here: the template escapes what it is given, and items travel as
JSON whose texts the page's script sets as text. The page's own policy allows its one script and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data import jsonl
from data.errors import UsageError
from evaluators.count import FileResult
from evaluators.report import classification, heat, robustness, rows
from evaluators.report.items import Items, for_page, listed
from evaluators.report.leaderboard import leaderboards, published
from evaluators.report.rows import Table
from evaluators.report.runs import run_of
from evaluators.robustness import VariantResult

if TYPE_CHECKING:
    from evaluators.report.plots import Plot

FOLDER = Path(__file__).parent / "page"
MARK = "<!-- data -->"  # where the items go; no escaped text can hold it
PARTS = (
    ("leaderboard", "Leaderboard"),
    ("numbers", "Numbers"),
    ("plots", "Plots"),
    ("kinds", "Instruction kinds"),
    ("items", "Items"),
    ("runs", "Runs"),
)
FILTERS = (
    ("run", "Run"),
    ("verdict", "Verdict"),
    ("kind", "Instruction kind"),
    ("subset", "Subset"),
    ("variant", "Variant"),
    ("lang", "Language"),
    ("remark", "Remark"),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The tables of one run, as the terminal shows them.

    Attributes:
        title: whose numbers these are.
        tables: each with its caption.
        notes: what has to be known to read them.
    """

    title: str
    tables: Sequence[tuple[str, Table]]
    notes: Sequence[str]


def check_installed() -> None:
    """Refuse a report that could not be made, before anything is counted.

    Raises:
        UsageError: the optional packages are missing.
    """
    try:
        import jinja2
        import matplotlib
    except ImportError as error:
        raise UsageError(f"--report and --plots need {error.name}: pip install -e '.[report]'") from None
    del jinja2, matplotlib


def write(
    path: Path,
    results: Sequence[FileResult],
    items: Items,
    plots: Sequence[Plot],
    sheets: Sequence[Sheet],
) -> None:
    """Write the page.

    Raises:
        DataError: it cannot be written; what was there stands unchanged then.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    folders = list(dict.fromkeys(result.path.parent for result in results))
    maps = heat.maps(results)
    boards = leaderboards(results)
    there = {"leaderboard": bool(boards), "plots": bool(plots), "kinds": bool(maps)}
    page = environment.get_template("page.html").render(
        title=rows.title(results),
        parts=[part for part in PARTS if there.get(part[0], True)],
        filters=FILTERS,
        terms=[*items.terms],
        published=published(),
        boards=boards,
        sheets=sheets,
        plots=[{"title": plot.title, "table": plot.table, "svg": Markup(plot.inline())} for plot in plots],
        maps=maps,
        runs=[run_of(folder, items.speeds[folder]) for folder in folders],
        audio_note=_audio_note(items),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8").replace("HEAT", heat.style())),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
        mark=Markup(MARK),
    )
    head, tail = (part.encode("utf-8", "backslashreplace") for part in page.split(MARK))
    with jsonl.replacing(path) as file:
        file.write(head)
        file.writelines(_data(items))
        file.write(tail)


def _data(items: Items) -> Iterable[bytes]:
    """Yield the script elements that hold what the page's script reads; browsers run none of them."""
    yield b'<script type="application/json" id="files">' + for_page(items.files) + b"</script>\n"
    yield b'<script type="application/json" id="lines">'
    yield from listed(items.lines)
    yield b"</script>\n"
    for number, (media_type, content) in items.recordings.items():
        opening = f'<script type="text/plain" id="audio{number}" data-type="{media_type}">'
        yield f"{opening}{content}</script>\n".encode("ascii")


def _audio_note(items: Items) -> str:
    found = []
    if items.linked:
        found.append(
            f"{items.linked} recordings are over the size limit (--embed_audio_mb) and linked: they play while the "
            "data set lies where it was."
        )
    if items.missing:
        found.append(f"{items.missing} items' recordings were not found.")
    return " ".join(found)


def sheet(title: str, results: Sequence[FileResult], variants: Sequence[VariantResult]) -> Sheet:
    """Return the tables of one run under a title."""
    classified, notes = classification.tables_and_notes(results, variants)
    tables = [
        ("Files", rows.result_table(results)),
        ("What a variant costs", robustness.result_table(variants)),
        ("Instruction kinds", rows.instruction_table(results, "instruction")),
        *classified,
    ]
    shown = [(caption, table) for caption, table in tables if table.rows]
    return Sheet(title, shown, rows.notes(results) + robustness.notes(variants) + notes)
