"""Adding scores up: from the marks of single items to the numbers of a table.

Rules: docs/closed-rules.md section 7, docs/open-adjust.md section 6. Kept are running sums, and for the intervals some
hundred bytes an item.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.records import Cell, Item, ItemId, Mark, Score
from evaluators import adjust, close, stats, votes
from evaluators import open as open_ended
from evaluators.classification import tiers

Counts = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """One way of counting.

    Attributes:
        name: the name that `--evaluator` takes.
        metrics: what it counts, in the table's order.
        score: from an item's line to its marks.
        counts: (met, n) per metric of a scored item.
        highest: the same, were everything undecided met.
        needs: fields that every line must have.
        judge: from a line to what its judge decided, question by question; None where rules decide.
        events: from verdicts on an item's questions to the verdicts that each metric counts; None where rules decide.
        ballots: from a line to how each reply was read; None where rules decide.
        by_rule: of the metrics of an evaluator that has a judge, those that count without one.
        check: from a line to the field that cannot be counted and why, or None.
        choice: from an item and its score to what its answer chose; None where nothing is to be chosen.
    """

    name: str
    metrics: tuple[str, ...]
    score: Callable[[ItemId, Mapping[str, Any], str], Score]
    counts: Callable[[Score], Counts | None]
    highest: Callable[[Score], Counts | None]
    needs: tuple[str, ...] = ()
    judge: votes.Judge | None = None
    events: Callable[[Sequence[bool]], dict[str, tuple[bool, ...]]] | None = None
    ballots: votes.Ballots | None = None
    by_rule: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], tuple[str, str] | None] = lambda _: None
    choice: Callable[[Item, Score], tiers.Choice] | None = None


EVALUATORS = {
    "close": Evaluator(
        name="close",
        metrics=close.METRICS,
        score=close.score,
        counts=close.counts,
        highest=close.highest,
        needs=("key", "instruction_id_list", "kwargs"),
    ),
    "open": Evaluator(
        name="open",
        metrics=open_ended.METRICS,
        score=open_ended.score,
        counts=open_ended.counts,
        highest=open_ended.counts,
        judge=open_ended.judgement,
        events=open_ended.events,
        ballots=open_ended.ballots,
    ),
    "adjust": Evaluator(
        name="adjust",
        metrics=adjust.METRICS,
        score=adjust.score,
        counts=adjust.counts,
        highest=adjust.counts,
        judge=adjust.judgement,
        events=adjust.events,
        ballots=adjust.ballots,
    ),
    "classify": Evaluator(
        name="classify",
        metrics=tiers.METRICS,
        score=tiers.score,
        counts=tiers.counts,
        highest=tiers.counts,
        judge=tiers.judgement,
        events=tiers.events,
        ballots=tiers.ballots,
        by_rule=tiers.BY_RULE,
        check=tiers.check,
        choice=tiers.choice,
    ),
}


@dataclass(slots=True)
class Ratio:
    """A fraction with its bounds, as running sums.

    Attributes:
        met: what was met.
        n: of how many.
        highest: what would be met, were everything undecided met.
        n_all: of how many, the unscored ones included.
    """

    met: int = 0
    n: int = 0
    highest: int = 0
    n_all: int = 0
    _clusters: array[int] = field(default_factory=lambda: array("I"), init=False, repr=False)
    _mets: array[int] = field(default_factory=lambda: array("I"), init=False, repr=False)
    _counts: array[int] = field(default_factory=lambda: array("I"), init=False, repr=False)

    def add(self, met: int, n: int, highest: int, cluster: int) -> None:
        """Count a scored item; `cluster` is the number of its request, 0 for the first."""
        self._clusters.append(cluster)
        self._mets.append(met)
        self._counts.append(n)
        self.met += met
        self.n += n
        self.highest += highest
        self.n_all += n

    def add_unscored(self, n: int) -> None:
        """Count an item that has no marks: it could have had up to n."""
        self.highest += n
        self.n_all += n

    @property
    def n_scored(self) -> int:
        """Return how many items were counted with marks."""
        return len(self._clusters)

    @property
    def value(self) -> float | None:
        """Return the fraction over what was scored; None when nothing was."""
        return self.met / self.n if self.n else None

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value it could have."""
        return (self.met / self.n_all, self.highest / self.n_all) if self.n_all else (0.0, 1.0)

    def by_cluster(self) -> tuple[stats.Array, stats.Array]:
        """Return what was met and of how many, per cluster."""
        if not self._clusters:
            return np.zeros(0), np.zeros(0)
        clusters = np.asarray(self._clusters)
        met, n = (np.bincount(clusters, np.asarray(column)) for column in (self._mets, self._counts))
        return met.astype(np.float64), n.astype(np.float64)

    def estimate(self) -> stats.Estimate:
        """Return the fraction with its 95 % interval."""
        return stats.proportion(*self.by_cluster())


@dataclass(slots=True)
class Tally:
    """Running sums over the scores of one file.

    Attributes:
        evaluator: the way of counting.
        n_items: items counted in.
        n_scored: of these, the ones with marks.
        ratios: one sum a metric.
        by_instruction: (strict, loose) sums for each instruction id (close only).
        by_family: the same for each family, the part of the id before the colon.
        flags: how many marks carry which flag (`random`, `error`, `invalid`, `tie`); loose and strict count as one.
        unscored: how many items are unscored for which reason.
        invalid_votes: replies that could not be read (open, adjust).
        ties: positions whose votes were tied (open, adjust).
    """

    evaluator: Evaluator
    n_items: int = 0
    n_scored: int = 0
    ratios: dict[str, Ratio] = field(default_factory=dict)
    by_instruction: dict[str, tuple[Ratio, Ratio]] = field(default_factory=dict)
    by_family: dict[str, tuple[Ratio, Ratio]] = field(default_factory=dict)
    flags: Counter[str] = field(default_factory=Counter)
    unscored: Counter[str] = field(default_factory=Counter)
    invalid_votes: int = 0
    ties: int = 0
    _clusters: dict[object, int] = field(default_factory=dict, init=False, repr=False)
    _cells: dict[str, Cell] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.ratios = {metric: Ratio() for metric in self.evaluator.metrics}

    def add(self, score: Score, instructions: list[str] | None = None, *, cluster: object = None) -> None:
        """Count one item in.

        Args:
            score: its score.
            instructions: names of its marks, where the evaluator is `close`.
            cluster: what it shares with the other renderings of its request; None for an item that stands alone.
        """
        place = self._clusters.setdefault(("alone", self.n_items) if cluster is None else cluster, len(self._clusters))
        self._cells = None
        self.n_items += 1
        self.invalid_votes += score.invalid_votes
        self.ties += len(score.ties)
        if score.unscored is not None:
            self.unscored[score.unscored] += 1
            for metric, ratio in self.ratios.items():
                # An unscored item always was one prompt; how many instructions it had may be unknown.
                ratio.add_unscored((score.expected or 0) if metric.endswith("instruction") else 1)
            for instruction in instructions or ():
                for ratio in (*self._of_instruction(instruction), *self._of_family(instruction)):
                    ratio.add_unscored(1)
            return
        self.n_scored += 1
        counts, highest = self.evaluator.counts(score), self.evaluator.highest(score)
        if counts is None or highest is None:
            raise ValueError("a scored item has counts")
        for metric, ratio in self.ratios.items():
            if metric not in counts:  # a tier that this item has not, since nobody judged it, say
                ratio.add_unscored(1)
                continue
            met, n = counts[metric]
            ratio.add(met, n, highest[metric][0], place)
        if instructions is None:
            self.flags.update(mark.flag for marks in score.marks.values() for mark in marks if mark.flag)
            return
        for instruction, strict, loose in zip(instructions, score.marks["strict"], score.marks["loose"], strict=True):
            self.flags.update({flag for flag in (strict.flag, loose.flag) if flag})
            for ratios in (self._of_instruction(instruction), self._of_family(instruction)):
                for ratio, mark in zip(ratios, (strict, loose), strict=True):
                    ratio.add(mark.met, 1, _could_be_met(mark), place)

    def cells(self) -> dict[str, Cell]:
        """Return the table's numbers, in its order; for `close` with the means of strict and loose."""
        if self._cells is None:
            unscored = self.n_items - self.n_scored
            self._cells = {
                metric: _cell(metric, ratio, self.n_items - ratio.n_scored) for metric, ratio in self.ratios.items()
            }
            if self.evaluator.name == "close":
                for level in ("prompt", "instruction"):
                    strict, loose = self.ratios[f"strict-{level}"], self.ratios[f"loose-{level}"]
                    self._cells[f"mean-{level}"] = _mean(f"mean-{level}", strict, loose, unscored)
        return self._cells

    def _of_instruction(self, instruction: str) -> tuple[Ratio, Ratio]:
        return self.by_instruction.setdefault(instruction, (Ratio(), Ratio()))

    def _of_family(self, instruction: str) -> tuple[Ratio, Ratio]:
        return self.by_family.setdefault(instruction.partition(":")[0], (Ratio(), Ratio()))


def _could_be_met(mark: Mark) -> bool:
    return mark.met or mark.flag == "invalid"


def _cell(metric: str, ratio: Ratio, unscored: int) -> Cell:
    found = ratio.estimate()
    return Cell(metric, ratio.value, ratio.n, unscored, ratio.bounds, found.ci95, found.method)


def _mean(metric: str, strict: Ratio, loose: Ratio, unscored: int) -> Cell:
    value = None if strict.value is None or loose.value is None else (strict.value + loose.value) / 2
    low, high = ((one + other) / 2 for one, other in zip(strict.bounds, loose.bounds, strict=True))
    (met_strict, n), (met_loose, _) = strict.by_cluster(), loose.by_cluster()
    found = stats.proportion((met_strict + met_loose) / 2, n)
    return Cell(metric, value, strict.n, unscored, (low, high), found.ci95, found.method)
