"""Dynamic-SUPERB as rows and notes: instances, groups beside the published means, and wordings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from evaluators.classification import groups, wordings
from evaluators.classification.groups import Group, Row
from evaluators.classification.tiers import METRICS
from evaluators.count import FileResult
from evaluators.report import numbers
from evaluators.report.leaderboard import comparable
from evaluators.report.rows import Table, manifest_of
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


def tables(
    results: Sequence[FileResult], variants: Sequence[VariantResult], *, folded: bool = False
) -> list[tuple[str, Table]]:
    """Return the tables of one run's classification files, each with its caption; empty ones are left out.

    Args:
        results: files of one run; those of other kinds are in no row.
        variants: the run's variants, reworded instances among them.
        folded: break names of instances in two lines, for a terminal.
    """
    rows = groups.rows(own(results))
    found = groups.groups(rows)
    tiers = _tiers(rows)
    shown = [
        ("Instances", _instance_table(rows, tiers, folded=folded)),
        ("Chance and format", _chance_table(rows, folded=folded)),
        ("Groups of instances", _group_table(found, tiers)),
        ("Beside the published means", _published_table(found)),
        ("Wordings", _wording_table(wordings.instances(own(results), variants), folded=folded)),
    ]
    return [(caption, table) for caption, table in shown if table.rows]


def notes(results: Sequence[FileResult], variants: Sequence[VariantResult]) -> list[str]:
    """Return what a reader has to know to read the tables of one run's classification files."""
    rows = groups.rows(own(results))
    if not own(results):
        return []
    found = [
        "Percent of items, tier by tier: strict: the answer is the label, letter case apart (the paper's rule); stripped: "
        "also without marks, articles and wrapping words; option: the label is the one option that the answer names; "
        "judge: a grader says so; likelihood: the label is the likeliest option, and nothing was generated.",
        "N/A: no option is named, or several (by the judge: nothing is answered); it counts as wrong. Wrong format: right "
        "by another tier than strict; wrong answer: right by none. Chance: mean of 1 / options; majority: the share of "
        "the most frequent label; kappa: Cohen's, between label and chosen option, N/A being a choice of its own.",
    ]
    every = groups.groups(rows)
    if every:
        found.append(
            "Macro: mean of the instances' values, as in the paper; micro: over all items. Reworded instances are in no "
            f"mean. {numbers.methods_note(_estimates(every))}"
        )
    if any(group.published is not None for group in every):
        found.append(
            f"Published means: {published()['source']} (checked {published()['checked']}), by the strict tier; a group "
            "marked partial lacks instances of theirs, so its mean is of something else."
        )
        found += [f"Our strict means are {comparable(manifest_of(folder), BENCHMARK)}." for folder in _folders(rows)]
    for row in rows:
        counts = ((row.no_options, "name no options that can be read"), (row.no_label, "do not offer their label"))
        problems = " and ".join(f"{count} {problem}" for count, problem in counts if count)
        if problems:
            n = row.result.tally.n_items
            found.append(f"{row.instance.name}: of {n} rows {problems}; these have no option tier, chance or kappa.")
    return found + _wording_notes(results, variants)


def _wording_notes(results: Sequence[FileResult], variants: Sequence[VariantResult]) -> list[str]:
    own_variants = [variant for variant in variants if variant.result.suite.benchmark == BENCHMARK]
    differences = [change.difference for variant in own_variants for change in variant.changes.values()]
    found = []
    if differences:
        found.append(
            "Wordings beside the original, item by item: change in percentage points of the option tier (likelihood, "
            "stripped where there is none); moved: answers that choose another option than under the original wording, "
            "synonyms counting as what they stand for; spread: the highest share of any wording minus the lowest. "
            f"{numbers.significance_note(differences, 'wordings of an instance')}"
        )
    found += [
        f"{variant.result.path.name}: {variant.joined} of {variant.items} items have the original's keys, too few to "
        "compare."
        for variant in own_variants
        if variant.refused
    ]
    shown = {
        wording.result.path
        for one in wordings.instances(own(results), variants)
        for wording in one.wordings
    } | {row.result.path for row in groups.rows(own(results))}
    found += [
        f"{result.path.name}: not shown, since the original is not beside it."
        for result in own(results)
        if result.path not in shown
    ]
    return found


def _tiers(rows: Iterable[Row]) -> list[str]:
    """Return the tiers that any instance has."""
    rows = list(rows)
    return [tier for tier in METRICS if any(row.cells[tier].value is not None for row in rows)]


def _instance_table(rows: Sequence[Row], tiers: Sequence[str], *, folded: bool) -> Table:
    lines = []
    for row in rows:
        tally = row.result.tally
        name = _name(row.instance.name, folded=folded)
        lines.append([name, str(tally.n_items), str(tally.n_scored), *(_cell(row, tier) for tier in tiers)])
        for judge, own_tally in row.result.panel.items():
            cell = own_tally.cells()["judge"]
            alone = [numbers.percent_with_interval(cell) if tier == "judge" else "" for tier in tiers]
            lines.append([f"  {judge}", "", str(cell.n), *alone])
    return Table(["instance", "items", "scored", *tiers], lines, 1)


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
        lines.append(["", "micro", f"{items} items", *micro, ""])
    return Table(["group", "mean", "of", *tiers, "kappa"], lines, 3)


def _published_table(found: Sequence[Group]) -> Table:
    means, systems = published()["means"], published()["systems"]
    lines = [
        [
            group.name,
            _present(group),
            _percent(group.macro["strict"].value),
            *(f"{value:.1f}" for value in means[group.name]["values"]),
        ]
        for group in found
        if group.name in means
    ]
    return Table(["group", "instances", "ours", *(f"{system} (published)" for system in systems)], lines, 2)


def _wording_table(found: Sequence[wordings.Instance], *, folded: bool) -> Table:
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
        return f"{len(group.rows)} instances"
    return f"{PARTIAL if group.partial else ''}{len(group.rows)} of {group.published}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _share(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else "–"


def _folders(rows: Iterable[Row]) -> list[Path]:
    return list(dict.fromkeys(row.result.path.parent for row in rows))


def _estimates(found: Iterable[Group]) -> Iterable[Any]:
    for group in found:
        yield from group.macro.values()
        yield from group.micro.values()
        yield group.kappa
