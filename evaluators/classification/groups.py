"""What a run's classification files come to: one row an instance, and rows that take instances together.

Reworded instances (`NAME.order`) are in none of these: `wordings.py` holds them against the original.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.dynamic_superb.instances import DIMENSIONS, INSTANCES, Instance, base_name, instance
from data.records import Cell
from evaluators import stats
from evaluators.classification import naming
from evaluators.classification.tiers import METRICS, WRONG_ANSWER, WRONG_FORMAT

if TYPE_CHECKING:
    from evaluators.count import FileResult

SPLITS = {True: "seen", False: "unseen"}


@dataclass(frozen=True, slots=True)
class Row:
    """The numbers of one instance.

    Attributes:
        result: its file.
        instance: what is known of it.
        cells: by tier; a tier that no item has is there without a value.
        not_answered: by tier, how many of its marks are N/A, of how many.
        wrong_format: how many generated answers are right by another tier than `strict`.
        wrong_answer: how many are right by none, although an option or a judge could tell.
        told: how many these and the strictly right ones are together.
        chance: the mean of 1 / number of options; None where no options can be read.
        majority: the share of the most frequent label, were it always given.
        kappa: Cohen's kappa between label and chosen option, N/A being a choice of its own.
        kappa_draws: the same of resamples; None where it cannot be resampled.
        no_options: rows whose options cannot be read.
        no_label: rows whose options do not hold their label.
    """

    result: FileResult
    instance: Instance
    cells: Mapping[str, Cell]
    not_answered: Mapping[str, tuple[int, int]]
    wrong_format: int
    wrong_answer: int
    told: int
    chance: float | None
    majority: float | None
    kappa: stats.Estimate
    kappa_draws: stats.Array | None
    no_options: int
    no_label: int


@dataclass(frozen=True, slots=True)
class Group:
    """The numbers of several instances.

    Attributes:
        name: `seen content`, `seen`, `content`, `all`.
        rows: its instances that are there.
        published: how many instances of the paper belong to it; None where the paper has no mean of it.
        macro: by tier, the mean of the instances' shares, each counting alike, as in the paper.
        covered: by tier, how many instances that mean is of: those with an item that is marked.
        bounds: by tier, what the unscored items of these could make of the mean.
        micro: by tier, the share over all items.
        kappa: the mean of the instances' kappas.
        chance: the mean of their chance rates; None where none is known.
    """

    name: str
    rows: Sequence[Row]
    published: int | None
    macro: Mapping[str, stats.Estimate]
    covered: Mapping[str, int]
    bounds: Mapping[str, tuple[float, float]]
    micro: Mapping[str, stats.Estimate]
    kappa: stats.Estimate
    chance: float | None

    @property
    def partial(self) -> bool:
        """Whether some of the paper's instances of this group are missing."""
        return self.published is not None and len(self.rows) < self.published


def rows(results: Sequence[FileResult]) -> list[Row]:
    """Return one row an instance, in the order of the paper's dimensions; files of other kinds give none."""
    named = [(result, result.kind.variant if result.kind else result.path.stem) for result in results if result.choices]
    originals = [(result, instance(name)) for result, name in named if not base_name(name)[1]]
    found = [_row(result, known, stratum) for stratum, (result, known) in enumerate(originals)]
    order = [*DIMENSIONS]
    return sorted(
        found,
        key=lambda row: (
            order.index(row.instance.dimension) if row.instance.dimension in order else len(order),
            {True: 0, False: 1, None: 2}[row.instance.seen],
            row.instance.name,
        ),
    )


def groups(found: Sequence[Row]) -> list[Group]:
    """Return the groups that have an instance: split and dimension as in the paper, splits, dimensions, and all."""
    dimensions = list(dict.fromkeys([*DIMENSIONS, *(row.instance.dimension for row in found)]))
    wanted: list[tuple[str, Callable[[Instance], bool], bool]] = []
    wanted += [
        (f"{split} {dimension}", _of(dimension, seen), True)
        for seen, split in SPLITS.items()
        for dimension in dimensions
    ]
    wanted += [(split, _of(None, seen), True) for seen, split in SPLITS.items()]
    wanted += [(dimension, _of(dimension, None), False) for dimension in dimensions]
    wanted.append(("all", _of(None, None), False))
    result = []
    for name, holds, in_paper in wanted:
        members = [row for row in found if holds(row.instance)]
        if members:
            published = sum(map(holds, INSTANCES.values())) if in_paper else None
            result.append(_group(name, members, published))
    return result


def group_of(known: Instance) -> str:
    """Return the paper's group that an instance belongs to; of one that is none of the paper's its dimension."""
    return known.dimension if known.seen is None else f"{SPLITS[known.seen]} {known.dimension}"


def _of(dimension: str | None, seen: bool | None) -> Callable[[Instance], bool]:
    """Return what tells instances of a dimension and a split; None takes any."""
    return lambda one: dimension in (None, one.dimension) and seen in (None, one.seen)


def _row(result: FileResult, known: Instance, stratum: int) -> Row:
    choices = result.choices
    failures = Counter(choice.failure for choice in choices)
    usable = [choice for choice in choices if choice.expected is not None]
    answered = [choice for choice in usable if choice.answered]
    labels = Counter(choice.label for choice in choices)
    agreement = stats.kappa_table(
        [choice.label for choice in answered],
        [None if choice.chosen is None else naming.joined(choice.options[choice.chosen]) for choice in answered],
        [place if choice.key is None else choice.key for place, choice in enumerate(answered)],
    )
    return Row(
        result,
        known,
        result.tally.cells(),
        {
            tier: (sum(tier in choice.not_answered for choice in choices), marked)
            for tier in METRICS
            if (marked := sum(tier in choice.marks for choice in choices))
        },
        failures[WRONG_FORMAT],
        failures[WRONG_ANSWER],
        failures[WRONG_FORMAT] + failures[WRONG_ANSWER] + sum(choice.marks.get("strict", False) for choice in choices),
        sum(1 / len(choice.options) for choice in usable) / len(usable) if usable else None,
        max(labels.values()) / labels.total() if labels else None,
        stats.kappa_of_names(agreement),
        stats.resampled_kappa(agreement, stratum),
        sum(not choice.options for choice in choices),
        sum(bool(choice.options) and choice.expected is None for choice in choices),
    )


def _group(name: str, members: Sequence[Row], published: int | None) -> Group:
    macro, covered, bounds, micro = {}, {}, {}, {}
    for tier in METRICS:
        strata = [row.result.tally.ratios[tier].by_cluster() for row in members]
        marked = [row.cells[tier].bounds for row in members if row.cells[tier].value is not None]
        macro[tier], covered[tier] = stats.mean_proportion(strata), len(marked)
        low, high = (sum(ends) / len(marked) for ends in zip(*marked, strict=True)) if marked else (0.0, 1.0)
        bounds[tier] = low, high
        micro[tier] = stats.proportion(*(np.concatenate(columns) for columns in zip(*strata, strict=True)))
    chances = [row.chance for row in members if row.chance is not None]
    return Group(
        name,
        members,
        published,
        macro,
        covered,
        bounds,
        micro,
        stats.mean_kappa([row.kappa for row in members], [row.kappa_draws for row in members]),
        sum(chances) / len(chances) if chances else None,
    )
