"""Our runs beside the published ones: what may be compared, and what may not."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from data.suites import VARIANTS
from evaluators.count import FileResult
from evaluators.report import numbers, rows

PUBLISHED = Path(__file__).with_name("published.toml")
PARTS = 5  # as many files are named of which only a part was asked
BENCHMARK = "speechinstructbench"
JUDGED = ("open", "adjustment")
HEADS = {"open": ("open P.", "open I."), "adjustment": ("IAR ↑", "ECR ↓")}
METRICS = {
    "closed": ("mean-prompt", "mean-instruction"),
    "open": ("prompt", "instruction"),
    "adjustment": ("iar", "ecr"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One model's row.

    Attributes:
        model: its name, with its remark.
        origin: `published`, or the run's folder.
        closed: whether its closed columns may be held against the published ones, and under which system line.
        judged: who judged the other columns.
        cells: number with its interval as text, by column; a column that the run has not is missing.
    """

    model: str
    origin: str
    closed: str
    judged: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The rows of one language.

    Attributes:
        lang: two-letter code.
        columns: their heads, in order.
        rows: our runs first.
    """

    lang: str
    columns: Sequence[str]
    rows: Sequence[Row]


def leaderboards(results: Sequence[FileResult]) -> list[Leaderboard]:
    """Return one table a language, each item by its own response; files outside the hub's layout are in none."""
    named = [result for result in rows.spoken(results) if result.kind is not None]
    found = []
    for lang in dict.fromkeys(result.kind.lang for result in named if result.kind):
        own = [result for result in named if result.kind and result.kind.lang == lang]
        folders = dict.fromkeys(result.path.parent for result in own)
        ours = [_row(folder, [one for one in own if one.path.parent == folder]) for folder in folders]
        shown = [*ours, *(_published_row(row) for row in published()["rows"] if row["lang"] == lang)]
        used = {column for row in shown for column in row.cells}
        found.append(Leaderboard(lang, [column for column in _columns(own) if column in used], shown))
    return found


@cache
def published() -> dict[str, Any]:
    """Return the published rows, with their source and the day on which they were checked."""
    return tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))


def _columns(results: Sequence[FileResult]) -> list[str]:
    variants = dict.fromkeys(VARIANTS)
    variants.update(dict.fromkeys(_variant(result) for result in results if result.suite.name == "closed"))
    judged = [_name(result) for result in results if result.suite.name in JUDGED]
    names = [*variants, *dict.fromkeys([*JUDGED, *judged])]
    return [head for name in names for head in _heads(name)]


def _heads(name: str) -> tuple[str, ...]:
    subset, _, variant = name.partition(" ")
    if subset in HEADS:
        return tuple(f"{head} {variant}".rstrip() for head in HEADS[subset])
    return f"{name} P.", f"{name} I."


def _variant(result: FileResult) -> str:
    return result.kind.variant if result.kind else ""


def _name(result: FileResult) -> str:
    """Return what stands in a column's head for a file's subset and variant."""
    if result.suite.name == "closed":
        return _variant(result)
    return result.suite.name if _variant(result) == "standard" else f"{result.suite.name} {_variant(result)}"


def _row(folder: Path, results: Sequence[FileResult]) -> Row:
    cells: dict[str, str] = {}
    for result in results:
        if result.judged:
            counted = (result.own_responses or result.tally).cells()
            for head, metric in zip(_heads(_name(result)), METRICS[result.suite.name], strict=True):
                cells[head] = numbers.percent_with_interval(counted[metric])
    judges = sorted({judge for result in results for judge in result.judges})
    judged = f"our judge prompt: {'; '.join(judges)}" if judges else ""
    return Row(rows.model_of(folder), folder.name, comparable(folder, results, BENCHMARK), judged, cells)


def comparable(folder: Path, results: Sequence[FileResult], benchmark: str) -> str:
    """Return whether a run's numbers may be held against a benchmark's published ones: the same data, arithmetic, form.

    Judged numbers never are: the published judge had another prompt.
    """
    run = rows.manifest_of(folder)
    if not run:
        return "not comparable: no run.json tells what was asked"
    ruled = [result for result in results if result.suite.name in ("closed", "classification")]
    if not ruled:
        return ""
    profile = results[0].profile
    source = run.get("data", {}).get("source")
    against = []
    if not isinstance(source, dict) or source.get("benchmark") != benchmark:
        against.append("other data")
    if profile != "reference":
        against.append(f"profile {profile}")
    if run.get("modality") != "audio":
        against.append(f"modality {run.get('modality')}")
    if run.get("status") != "complete":
        against.append(f"the run is {run.get('status')}")
    parts = [f"{_variant(result)} {part}" for result in ruled if (part := rows.part_of(result))]
    if parts:
        others = f" and {len(parts) - PARTS} more" if len(parts) > PARTS else ""
        against.append(f"a part of the benchmark ({', '.join(parts[:PARTS])}{others})")
    elif not against and any(rows.items_of_data_set(result) is None for result in ruled):
        against.append("run.json does not tell how many items there should be")
    if against:
        return f"not comparable: {', '.join(against)}"
    there = [_variant(result) for result in ruled]
    only = "" if benchmark != BENCHMARK or set(VARIANTS) <= set(there) else f" in {', '.join(there)} only"
    return f"comparable{only}, with system line {run.get('system_prompt_id') or 'none'}"


def _published_row(row: Mapping[str, Any]) -> Row:
    cells = {
        head: f"{value:.2f}"
        for name in (*VARIANTS, *JUDGED)
        for head, value in zip(_heads(name), row[name], strict=True)
    }
    return Row(row["model"], "published", "published", published()["judge"], cells)
