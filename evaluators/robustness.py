"""What a spoken variant costs: each variant beside the standard rendering of the same requests."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from data.dynamic_superb.instances import base_name
from evaluators import stats
from evaluators.outcomes import Outcome, join, pairs

if TYPE_CHECKING:
    from evaluators.count import FileResult

STANDARD = "standard"
LEAST_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of a variant beside the standard rendering.

    Attributes:
        difference: from the pairs; first is the standard rendering.
        p_family: its p-value after Holm's correction over the variants of one language.
    """

    difference: stats.Difference
    p_family: float


@dataclass(frozen=True, slots=True)
class VariantResult:
    """A variant beside the standard rendering.

    Attributes:
        result: the variant's file.
        by: what items were joined by, `key` or `prompt`.
        items: items of the variant.
        joined: of these, the ones whose request the standard file holds too.
        coverage: the smaller of the shares of both files that found a partner.
        refused: whether the join covers too little to compare anything; the rest is empty then.
        unscored: joined items that are in no pair, since one side is unscored.
        changes: by metric.
        kinds: by instruction kind, strict and loose together, where asked for: exploratory, no family is corrected for.
    """

    result: FileResult
    by: str
    items: int
    joined: int
    coverage: float
    refused: bool
    unscored: int
    changes: dict[str, Change]
    kinds: dict[str, stats.Difference]


def robustness(results: Sequence[FileResult], by: str = "key", *, kinds: bool = False) -> list[VariantResult]:
    """Compare every variant with the standard rendering of its subset and language in the same folder.

    A reworded instance of Dynamic-SUPERB is a variant of the instance that it rewords.

    Args:
        results: counted files with their outcomes; files without a standard rendering beside them are left out.
        by: `key`, or `prompt` for files whose keys do not correspond. Joined by key, a variant of which less than 95 %
            finds a partner is refused; joined by prompt text, the coverage is the user's to judge.
        kinds: compare single instruction kinds too.

    Source: docs/statistics.md.
    """
    standards = {_place(result): result for result in results if _is_standard(result)}
    families: dict[Hashable, list[VariantResult]] = {}
    for result in results:
        standard = standards.get(_place(result)) if result.kind else None
        if standard is not None and standard is not result and result.judged and standard.judged:
            families.setdefault(_place(result), []).append(_compared(standard, result, by, kinds=kinds))
    return [variant for family in families.values() for variant in _corrected(family)]


def _is_standard(result: FileResult) -> bool:
    if result.kind is None:
        return False
    return not base_name(result.kind.variant)[1] if result.choices else result.kind.variant == STANDARD


def _place(result: FileResult) -> Hashable:
    """Return what a file shares with its standard rendering: folder, subset, language, and an instance's own name."""
    if result.kind is None:
        return None
    instance = base_name(result.kind.variant)[0] if result.choices else None
    return result.path.parent, result.suite.name, result.kind.lang, instance


def _compared(standard: FileResult, variant: FileResult, by: str, *, kinds: bool) -> VariantResult:
    by_key = _row if variant.choices else _request_by_key
    found = join(standard.outcomes, variant.outcomes, by_key if by == "key" else _prompt, _request_by_key)
    refused = not found.groups or (by == "key" and found.coverage < LEAST_COVERAGE)
    changes: dict[str, Change] = {}
    by_kind: dict[str, stats.Difference] = {}
    if not refused:
        for metric in variant.suite.metrics:
            difference = stats.difference(pairs(found.groups, partial(Outcome.events, metric=metric)))
            if difference is not None:
                changes[metric] = Change(difference, difference.p)
        asked = {kind for group in found.groups for outcome in group.firsts for kind in outcome.kinds}
        for kind in sorted(asked) if kinds else ():
            difference = stats.difference(pairs(found.groups, partial(Outcome.events_of_kind, kind=kind)))
            if difference is not None:
                by_kind[kind] = difference
    return VariantResult(
        variant, by, found.items, found.joined, found.coverage, refused, found.unscored, changes, by_kind
    )


def _request_by_key(outcome: Outcome) -> Hashable:
    return outcome.key


def _row(outcome: Outcome) -> Hashable:
    """Return what an instance's row shares with the same row reworded: rows of one key have recordings of their own."""
    if outcome.key is None:
        return None
    return outcome.key, None if outcome.audio is None else PurePosixPath(outcome.audio).name


def _prompt(outcome: Outcome) -> Hashable:
    return outcome.prompt


def _corrected(family: Iterable[VariantResult]) -> Iterable[VariantResult]:
    """Return the variants of one language, with p-values corrected for there being several."""
    family = list(family)
    adjusted: dict[tuple[int, str], float] = {}
    for metric in dict.fromkeys(metric for variant in family for metric in variant.changes):
        places = [place for place, variant in enumerate(family) if metric in variant.changes]
        p_values = stats.holm([family[place].changes[metric].difference.p for place in places])
        adjusted.update({(place, metric): p for place, p in zip(places, p_values, strict=True)})
    for place, variant in enumerate(family):
        for metric, change in variant.changes.items():
            variant.changes[metric] = Change(change.difference, adjusted[place, metric])
    return family
