"""Dynamic-SUPERB as rows and notes: instances, groups beside the published means, and wordings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from evaluators import stats
from evaluators.classification import groups, wordings
from evaluators.classification.groups import Group, Row
from evaluators.classification.tiers import METRICS
from evaluators.count import FileResult
from evaluators.report import numbers
from evaluators.report.leaderboard import comparable
from evaluators.report.rows import Table
from evaluators.robustness import VariantResult

PUBLISHED = Path(__file__).with_name("published_dynamic_superb.toml")
BENCHMARK = "dynamic-superb"
PARTIAL = "partial: "


@cache
def published() -> dict[str, Any]:
    """Return the published means, with their source and the day on which they were checked."""
    return tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))


def own(results: Sequence[FileResult]) -> list[FileResult]:
    """Return the classification files."""
    return [result for result in results if result.suite.benchmark == BENCHMARK]


def tables_and_notes(
    results: Sequence[FileResult], variants: Sequence[VariantResult], *, folded: bool = False
) -> tuple[list[tuple[str, Table]], list[str]]:
    """Return the tables of classification files, each with its caption, and what has to be known to read them.

    Args:
        results: counted files; those of other kinds are in no row. Each run has tables of its own.
        variants: the files' variants, reworded instances among them.
        folded: break long names in several lines, for a terminal.
    """
    tables: list[tuple[str, Table]] = []
    notes: list[str] = []
    runs = dict.fromkeys(result.path.parent for result in own(results))
    for folder in runs:
        of_run = [result for result in own(results) if result.path.parent == folder]
        rows = groups.rows(of_run)
        found = groups.groups(rows)
        reworded = wordings.instances(of_run, variants)
        tiers = [tier for tier in METRICS if any(row.cells[tier].value is not None for row in rows)]
        shown = [
            ("Instances", _instance_table(rows, tiers, folded=folded)),
            ("Chance and format", _chance_table(rows, folded=folded)),
            ("Groups of instances", _group_table(found, tiers)),
            ("Beside the published means", _published_table(found, folded=folded)),
            ("Wordings", _wording_table(reworded, folded=folded)),
        ]
        tables += [(caption, table) for caption, table in shown if table.rows]
        notes += [*_notes(rows, found, folder), *_wording_notes(of_run, rows, reworded)]
    return tables, list(dict.fromkeys(notes))


def _notes(rows: Sequence[Row], found: Sequence[Group], folder: Path) -> list[str]:
    notes = [
        "Percent of items, tier by tier: strict: the answer is the label, letter case apart (the paper's rule); "
        "stripped: also without marks, articles and wrapping words; option: the label is the one option that the "
        "answer names; judge: a grader says so; likelihood: the label is the likeliest option, nothing was generated.",
        "N/A: no option is named, or several (by the judge: nothing is answered); it counts as wrong. Wrong format: "
        "right by another tier than strict; wrong answer: right by none. Chance: mean of 1 / options; majority: the "
        "share of the most frequent label; kappa: Cohen's, between label and chosen option, N/A being a choice.",
    ]
    if found:
        notes.append(
            "Macro: mean of the instances' values, as in the paper; micro: over all items. Reworded instances are in "
            f"no mean. {numbers.methods_note(_estimates(rows, found))}"
        )
    if any(group.published is not None and group.macro["strict"].value is not None for group in found):
        notes += [
            f"Published means: {published()['source']} (checked {published()['checked']}), by the strict tier; a group "
            "marked partial lacks instances of theirs, so its mean is of something else.",
            f"Our strict means are {comparable(folder, [row.result for row in rows], BENCHMARK)}.",
        ]
    for row in rows:
        counts = ((row.no_options, "name no options that can be read"), (row.no_label, "do not offer their label"))
        problems = " and ".join(f"{count} {problem}" for count, problem in counts if count)
        if problems:
            n = row.result.tally.n_items
            notes.append(f"{row.instance.name}: of {n} rows {problems}; these have no option tier, chance or kappa.")
    return notes


def _wording_notes(
    results: Sequence[FileResult],
    rows: Sequence[Row],
    reworded: Sequence[wordings.Reworded],
) -> list[str]:
    compared = [one.change for instance in reworded for one in instance.wordings if one.change is not None]
    differences = [change.difference for variant in compared for change in variant.changes.values()]
    notes = []
    if differences:
        notes.append(
            "Wordings beside the original, item by item: change in percentage points of the option tier (likelihood, "
            "stripped where there is none); moved: answers that choose another option than under the original wording, "
            "synonyms counting as what they stand for; spread: the highest share of any wording minus the lowest. "
            f"{numbers.significance_note(differences, 'wordings of an instance')}"
        )
    notes += [
        f"{variant.result.path.name}: {variant.joined} of {variant.items} items have the original's {variant.by}s, "
        "too few to compare."
        for variant in compared
        if variant.refused
    ]
    shown = {one.result.path for instance in reworded for one in instance.wordings} | {row.result.path for row in rows}
    return notes + [
        f"{result.path.name}: not shown, since the original is not beside it."
        for result in results
        if result.path not in shown
    ]


def _instance_table(rows: Sequence[Row], tiers: Sequence[str], *, folded: bool) -> Table:
    lines = []
    for row in rows:
        tally = row.result.tally
        names = [_name(row.instance.name, folded=folded), groups.group_of(row.instance)]
        names = ["\n".join(names)] if folded else names
        lines.append([*names, str(tally.n_items), str(tally.n_scored), *(_cell(row, tier) for tier in tiers)])
        for judge, own_tally in row.result.panel.items():
            cell = own_tally.cells()["judge"]
            alone = [numbers.percent_with_interval(cell) if tier == "judge" else "" for tier in tiers]
            lines.append([f"  {judge}", *([] if folded else [""]), "", str(cell.n), *alone])
    heads = ["instance"] if folded else ["instance", "group"]
    return Table([*heads, "items", "scored", *tiers], lines, len(heads))


def _cell(row: Row, tier: str) -> str:
    cell = row.cells[tier]
    if cell.value is None:
        return "–"
    return numbers.percent_with_interval(cell) + numbers.bounds(cell.bounds)


def _chance_table(rows: Sequence[Row], *, folded: bool) -> Table:
    heads = {"option": "option N/A", "judge": "judge N/A"}
    used = [tier for tier in heads if any(tier in row.not_answered for row in rows)]
    generated = any(row.told for row in rows)
    lines = [
        [
            _name(row.instance.name, folded=folded),
            numbers.with_interval(row.kappa),
            _percent(row.chance),
            _percent(row.majority),
            *(_share(*row.not_answered.get(tier, (0, 0))) for tier in used),
            *([_share(row.wrong_format, row.told), _share(row.wrong_answer, row.told)] if generated else []),
        ]
        for row in rows
    ]
    formats = ["wrong format", "wrong answer"] if generated else []
    return Table(["instance", "kappa", "chance", "majority", *map(heads.__getitem__, used), *formats], lines, 1)


def _group_table(found: Sequence[Group], tiers: Sequence[str]) -> Table:
    lines = []
    for group in found:
        macro = [
            "–"
            if group.macro[tier].value is None
            else numbers.percent_with_interval(group.macro[tier])
            + numbers.bounds(group.bounds[tier])
            + (f"\n{group.covered[tier]} of {len(group.rows)}" if group.covered[tier] < len(group.rows) else "")
            for tier in tiers
        ]
        micro = [numbers.percent_with_interval(group.micro[tier]) for tier in tiers]
        items = str(sum(row.result.tally.n_items for row in group.rows))
        lines.append([group.name, "macro", _present(group), *macro, numbers.with_interval(group.kappa)])
        if len(group.rows) > 1:
            lines.append(["", "micro", f"{items} items", *micro, ""])
    return Table(["group", "mean", "of", *tiers, "kappa"], lines, 3)


def _published_table(found: Sequence[Group], *, folded: bool) -> Table:
    means, systems = published()["means"], published()["systems"]
    lines = [
        [
            group.name,
            _of_published(group.covered["strict"], group.published or 0),
            _percent(group.macro["strict"].value) + numbers.bounds(group.bounds["strict"]),
            *(f"{value:.1f}" for value in means[group.name]["values"]),
        ]
        for group in found
        if group.name in means and group.covered["strict"]
    ]
    heads = ["\n".join([system, "(published)"]) if folded else f"{system} (published)" for system in systems]
    return Table(["group", "instances", "ours", *heads], lines, 2)


def _wording_table(found: Sequence[wordings.Reworded], *, folded: bool) -> Table:
    lines = []
    for one in found:
        for place, wording in enumerate(one.wordings):
            cells = wording.result.tally.cells()
            change = None if wording.change is None else wording.change.changes.get(one.tier)
            star = "*" if change is not None and change.p_family < numbers.SIGNIFICANT else " "
            lines.append(
                [
                    _name(one.name, folded=folded) if place == 0 else "",
                    wording.name,
                    *(numbers.percent_with_interval(cells[tier]) for tier in ("stripped", one.tier)),
                    *(["–", "–"] if change is None else numbers.change(change.difference, star)),
                    numbers.percent_with_interval(wording.moved),
                    "" if place or one.spread is None else f"{100 * one.spread:.1f}",
                ]
            )
    tiers = dict.fromkeys(one.tier for one in found)
    heads = ["stripped", "/".join(tiers), "change", "broke/mended", "moved", "spread"]
    return Table(["instance", "wording", *heads], lines, 2)


# --- texts ----------------------------------------------------------------------------------------------------------


def _name(instance: str, *, folded: bool) -> str:
    return instance.replace("_", "_\n", 1) if folded else instance


def _present(group: Group) -> str:
    """Return which part of the paper's instances of a group is there."""
    if group.published is None:
        return f"{len(group.rows)} instance{'s' if len(group.rows) > 1 else ''}"
    return _of_published(len(group.rows), group.published)


def _of_published(count: int, whole: int) -> str:
    return f"{PARTIAL if count < whole else ''}{count} of {whole}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _share(part: int, whole: int) -> str:
    """Return a share of items with Wilson's interval."""
    if not whole:
        return "–"
    share = part / whole
    return numbers.percent_with_interval(stats.Estimate(share, stats.wilson(share, whole), whole, stats.WILSON))


def _estimates(rows: Iterable[Row], found: Iterable[Group]) -> Iterable[stats.Estimate]:
    for row in rows:
        yield row.kappa
    for group in found:
        yield from group.macro.values()
        yield from group.micro.values()
        yield group.kappa
