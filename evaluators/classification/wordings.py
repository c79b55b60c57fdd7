"""What the wording of an instruction does: each reworded instance beside the original, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.dynamic_superb.instances import base_name
from evaluators import stats
from evaluators.classification import naming
from evaluators.classification.tiers import Choice

if TYPE_CHECKING:
    from evaluators.count import FileResult
    from evaluators.robustness import VariantResult

ORIGINAL = "original"
TIERS = ("option", "likelihood", "stripped")
"""What a wording is compared by: the first of these tiers that the original has."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording of an instance.

    Attributes:
        result: its file.
        name: `original`, `order`, `synonyms` or `paraphrase`.
        change: the reworded instance beside the original, paired by key; None for the original.
        moved: share of the items, answered under both wordings, whose chosen option is another one; N/A is a choice.
    """

    result: FileResult
    name: str
    change: VariantResult | None
    moved: stats.Estimate


@dataclass(frozen=True, slots=True)
class Reworded:
    """The wordings of one instance.

    Attributes:
        name: the instance.
        tier: what the spread is of.
        wordings: the original first.
        spread: the highest share that is right under any wording, minus the lowest; None where a share is missing.
    """

    name: str
    tier: str
    wordings: Sequence[Wording]
    spread: float | None


def instances(results: Sequence[FileResult], variants: Sequence[VariantResult]) -> list[Reworded]:
    """Return the instances that were asked in several wordings; a wording without its original beside it is left out.

    Args:
        results: classification files of one run.
        variants: these, compared (`evaluators.robustness`).
    """
    of_path = {variant.result.path: variant for variant in variants}
    named = {result.path: base_name(result.kind.variant) for result in results if result.kind and result.choices}
    found = []
    for original in results:
        name, kind = named.get(original.path, ("", ""))
        reworded = [
            result
            for result in results
            if original.path.parent == result.path.parent and named.get(result.path, ("", ""))[0] == name
        ]
        if not name or kind or len(reworded) < 2:
            continue
        tier = next((tier for tier in TIERS if original.tally.ratios[tier].n), TIERS[0])
        wordings = [Wording(original, ORIGINAL, None, stats.NOTHING)]
        for result in reworded:
            if result is not original:
                wording = named[result.path][1]
                wordings.append(Wording(result, wording, of_path.get(result.path), _moved(original, result, wording)))
        shares = [wording.result.tally.ratios[tier].value for wording in wordings]
        known = [share for share in shares if share is not None]
        spread = max(known) - min(known) if len(known) == len(shares) else None
        found.append(Reworded(name, tier, wordings, spread))
    return found


def _moved(original: FileResult, reworded: FileResult, kind: str) -> stats.Estimate:
    """Return how many chosen options change with the wording."""
    before = {(choice.key, choice.recording): choice for choice in original.choices if _usable(choice)}
    changed = [
        float(place != earlier.chosen)
        for choice in reworded.choices
        if _usable(choice)
        and (earlier := before.get((choice.key, choice.recording))) is not None
        and (place := _place_in(earlier, choice, kind)) is not _UNKNOWN
    ]
    return stats.proportion(np.array(changed), np.ones(len(changed)))


def _usable(choice: Choice) -> bool:
    return choice.key is not None and choice.answered and choice.expected is not None


_UNKNOWN = -1


def _place_in(original: Choice, reworded: Choice, kind: str) -> int | None:
    """Return which of the original's options was chosen under another wording; `_UNKNOWN` where none corresponds.

    Synonyms take the places of the words that they stand for; elsewhere the words are the same in any order.
    """
    if reworded.chosen is None:
        return None
    if kind == "synonyms":
        return reworded.chosen if len(original.options) == len(reworded.options) else _UNKNOWN
    place = naming.place_of(reworded.options[reworded.chosen], original.options)
    return _UNKNOWN if place is None else place
