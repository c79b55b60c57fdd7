"""Runs beside each other: the same items, answered by different models or under different settings."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import item_of
from data.errors import DataError
from data.manifest import read as read_manifest
from data.suites import file_kind
from evaluators import stats
from evaluators.count import FileResult, count_file
from evaluators.outcomes import Outcome, join, pairs
from evaluators.robustness import Change

_NAMED = 5  # items that a message names before it counts the rest


@dataclass(frozen=True, slots=True)
class FileComparison:
    """One file of a run beside the baseline's.

    Attributes:
        baseline: the baseline's file.
        other: the run's file.
        paired: items with an answer that counts on both sides.
        only_baseline: items that only the baseline has.
        only_other: items that only the run has.
        unscored: items of both that are in no pair, since one side is unscored.
        refusal: why nothing is compared, or what a judge decided is not; None where everything is.
        changes: by metric.
    """

    baseline: FileResult
    other: FileResult
    paired: int
    only_baseline: int
    only_other: int
    unscored: int
    refusal: str | None
    changes: dict[str, Change]


def compare(
    baseline: Path, others: Sequence[Path], profile: str, *, added_fields: Collection[str]
) -> list[FileComparison]:
    """Compare runs with a baseline, file by file, item by item.

    Args:
        baseline: the folder of the run that the others are held against.
        others: folders of the other runs.
        profile: `reference` or `fixed`; either way every item counts by its own response.
        added_fields: fields that our commands add to an item's line; all others are the data set's.

    Raises:
        DataError: a file is broken, no file is in all runs, or two runs were made from different data.

    Source: docs/statistics.md.
    """
    folders = [baseline, *others]
    for folder in folders:
        if not folder.is_dir():
            raise DataError("no such folder of a run", path=folder)
    names = sorted(
        (
            name
            for name in set.intersection(*({path.name for path in folder.glob("*.jsonl")} for folder in folders))
            if file_kind(name) is not None and all((folder / name).stat().st_size for folder in folders)
        ),
        key=lambda name: kind.order() if (kind := file_kind(name)) else (),
    )
    if not names:
        raise DataError(f"has no file of answers in common with {', '.join(map(str, others))}", path=baseline)
    for name in names:
        for folder in others:
            check_same_data(baseline, folder, name, added_fields)
    found = []
    for name in names:
        first = counted(baseline / name, profile)
        found += [_compared(first, counted(folder / name, profile)) for folder in others]
    return _corrected(found)


def counted(path: Path, profile: str) -> FileResult:
    """Return a file's numbers, with how each item came out.

    Raises:
        DataError: the file is broken.
    """
    kind = file_kind(path)
    if kind is None:
        raise ValueError("only files of the hub's layout are compared")
    return count_file(path, kind.suite, profile, unjudged_is_an_error=False, keep_outcomes=True)


def _compared(baseline: FileResult, other: FileResult) -> FileComparison:
    found = join(baseline.outcomes, other.outcomes, _identity, lambda outcome: outcome.key)
    refusal = None
    metrics: tuple[str, ...] = ()
    if not (baseline.judged and other.judged):
        refusal = "not judged in both runs"
    elif baseline.judges != other.judges:
        refusal = (
            f"judged by {'; '.join(sorted(baseline.judges))} and by {'; '.join(sorted(other.judges))}, so a difference "
            "could be theirs"
        )
        metrics = baseline.tally.evaluator.by_rule
    elif not found.groups:
        refusal = "no item is scored in both runs"
    else:
        metrics = baseline.suite.metrics
    changes = {}
    for metric in metrics:
        difference = stats.difference(pairs(found.groups, partial(Outcome.events, metric=metric)))
        if difference is not None:
            changes[metric] = Change(difference, difference.p)
    paired = sum(len(group.seconds) for group in found.groups)
    only_other = found.items - found.joined
    return FileComparison(baseline, other, paired, found.only_first, only_other, found.unscored, refusal, changes)


def _identity(outcome: Outcome) -> Hashable:
    return None if outcome.key is None and outcome.audio is None else outcome.identity


def _corrected(found: Sequence[FileComparison]) -> list[FileComparison]:
    """Return the comparisons with p-values corrected over the files of one language, and the runs."""
    families: dict[Hashable, list[FileComparison]] = {}
    for comparison in found:
        kind = comparison.baseline.kind
        for metric in comparison.changes:
            families.setdefault((metric, kind.lang if kind else None), []).append(comparison)
    for (metric, _), family in families.items():  # type: ignore[misc]  # the keys are the pairs from above
        adjusted = stats.holm([comparison.changes[metric].difference.p for comparison in family])
        for comparison, p in zip(family, adjusted, strict=True):
            comparison.changes[metric] = Change(comparison.changes[metric].difference, p)
    return list(found)


# --- the same data? -------------------------------------------------------------------------------------------------


def check_same_data(baseline: Path, other: Path, name: str, added_fields: Collection[str]) -> None:
    """Refuse runs that were made from different data.

    The hashes in run.json settle it where they agree. Where they differ, or are missing, the items themselves are
    compared, so that the message can name the ones that differ.

    Raises:
        DataError: an item differs, or is in one of them only although their data sets' files are not the same.
    """
    hashes = [read_manifest(folder).get("data", {}).get("sha256", {}).get(name) for folder in (baseline, other)]
    if hashes[0] is not None and hashes[0] == hashes[1]:
        return
    here, there = (dict(_asked(folder / name, added_fields)) for folder in (other, baseline))
    differing = [
        f"{_item(identity)}: {', '.join(_fields_that_differ(here[identity], there[identity]))}"
        for identity in here
        if identity in there and here[identity] != there[identity]
    ]
    # Without hashes an unfinished run looks like a smaller data set.
    sets_differ = None not in hashes
    only_here = [_item(identity) for identity in here if identity not in there] if sets_differ else []
    only_there = [_item(identity) for identity in there if identity not in here] if sets_differ else []
    parts = [
        f"{len(items)} {what} ({'; '.join(items[:_NAMED])}{'; …' if len(items) > _NAMED else ''})"
        for items, what in (
            (differing, "items differ"),
            (only_here, "are only here"),
            (only_there, f"are only in {baseline}"),
        )
        if items
    ]
    if parts:
        raise DataError(f"made from other data than {baseline}: {', '.join(parts)}", path=other / name)


def _asked(path: Path, added_fields: Collection[str]) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    """Yield each item's identity and what the data set says about it."""
    for line in jsonl.read(path):
        item = item_of(line.fields, path, line.number)
        identity = (item.id.key, item.id.audio) if (item.id.key, item.id.audio) != (None, None) else line.number
        yield identity, {name: value for name, value in line.fields.items() if name not in added_fields}


def _fields_that_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _item(identity: Hashable) -> str:
    if not isinstance(identity, tuple):
        return f"line {identity}"
    return ", ".join(
        f"{name} {value}" for name, value in zip(("key", "audio"), identity, strict=True) if value is not None
    )
