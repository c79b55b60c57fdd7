"""Runs beside each other, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluators.classification import tiers
from evaluators.compare import FileComparison
from evaluators.report import as_json, numbers, rows
from evaluators.report.calibration import NAMES
from evaluators.report.forms import Sheet
from evaluators.report.rows import Table

SHOWN = {"mean-prompt": "P. Acc.", "mean-instruction": "I. Acc.", **NAMES, **{tier: tier for tier in tiers.METRICS}}


def for_json(found: Sequence[FileComparison]) -> str:
    """Return every metric of every file, with a final line feed."""
    shown = {
        "profile": found[0].baseline.profile,
        "baseline": _run(found[0].baseline.path.parent, found),
        "comparisons": [_comparison(comparison, found) for comparison in found],
    }
    return json.dumps(shown, indent=2) + "\n"


def sheet(found: Sequence[FileComparison]) -> Sheet:
    """Return a table and notes."""
    baseline = found[0].baseline
    runs = dict.fromkeys(comparison.other.path.parent for comparison in found)
    title = (
        f"{', '.join(_run(folder, found) for folder in runs)} beside {_run(baseline.path.parent, found)} · "
        f"profile {baseline.profile}"
    )
    return Sheet(title, [_table(found, with_runs=len(runs) > 1)], _notes(found))


def _table(found: Sequence[FileComparison], *, with_runs: bool) -> Table:
    lines = []
    for comparison in found:
        names = [_file(comparison), *([_run(comparison.other.path.parent, found)] if with_runs else [])]
        if comparison.refusal is not None:
            lines.append([*names, "judge" if comparison.changes else "", "", "", "", "not compared", "", ""])
        for metric, change in comparison.changes.items():
            if metric in SHOWN:
                difference = change.difference
                star = "*" if change.p_family < numbers.SIGNIFICANT else " "
                lines.append(
                    [
                        *names,
                        SHOWN[metric],
                        str(comparison.paired),
                        f"{100 * difference.first:.2f}",
                        f"{100 * difference.second:.2f}",
                        *numbers.change(difference, star),
                        "–" if difference.detectable is None else f"{100 * difference.detectable:.1f}",
                    ]
                )
    heads = [
        "file",
        *(["run"] if with_runs else []),
        "metric",
        "items",
        "baseline",
        "run" if not with_runs else "value",
    ]
    return Table([*heads, "change", "broke/mended", "detectable"], lines, 2 + with_runs)


def _notes(found: Sequence[FileComparison]) -> list[str]:
    folders = dict.fromkeys([found[0].baseline.path.parent, *(comparison.other.path.parent for comparison in found)])
    notes = [f"{_run(folder, found)}: {rows.model_of(folder)} ({folder})." for folder in folders]
    differences = [change.difference for comparison in found for change in comparison.changes.values()]
    if differences:
        notes.append(
            "Percent, over the items that both runs have scored, each by its own response; change in percentage points "
            "with its 95 % interval; broke: met by the baseline, not by the run; mended: the reverse (of ECR, where "
            "low is good, broke is the gain); detectable: the smallest true change that such a comparison finds with "
            "80 % probability. "
            f"{numbers.significance_note(differences, 'files of a language and the runs')}"
        )
    for comparison in found:
        name = f"{_file(comparison)}, {_run(comparison.other.path.parent, found)}"
        if comparison.refusal is not None:
            part = "its tier judge is " if comparison.changes else ""
            notes.append(f"{name}: {part}not compared, {comparison.refusal}.")
        left_out = [
            f"{count} {what}"
            for count, what in (
                (comparison.only_baseline, "only in the baseline"),
                (comparison.only_other, "only in the run"),
                (comparison.unscored, "unscored on one side"),
            )
            if count
        ]
        if left_out:
            notes.append(f"{name}: in no pair are items that are {', '.join(left_out)}.")
    return notes


def _comparison(comparison: FileComparison, found: Sequence[FileComparison]) -> dict[str, Any]:
    kind = comparison.baseline.kind
    return {
        "file": comparison.baseline.path.name,
        "variant": kind.variant if kind else None,
        "lang": kind.lang if kind else None,
        "run": _run(comparison.other.path.parent, found),
        "n_paired": comparison.paired,
        "only_baseline": comparison.only_baseline,
        "only_run": comparison.only_other,
        "unscored": comparison.unscored,
        "refusal": comparison.refusal,
        "metrics": {
            metric: {**as_json.difference(change.difference), "p_holm": change.p_family}
            for metric, change in comparison.changes.items()
        },
    }


def _file(comparison: FileComparison) -> str:
    kind = comparison.baseline.kind
    if comparison.baseline.choices and kind is not None:
        return kind.variant
    return comparison.baseline.path.name if kind is None else f"{kind.suite.name} {kind.variant} {kind.lang}"


def _run(folder: Path, found: Sequence[FileComparison]) -> str:
    """Return a run's name."""
    return rows.run_names([found[0].baseline.path.parent, *(one.other.path.parent for one in found)])[folder]
