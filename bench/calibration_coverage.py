"""How often the 95 % intervals of `python -m evaluators calibrate` hold the truth, for judges whose errors are known.

    python bench/calibration_coverage.py [SIMULATIONS]

Each simulation draws a benchmark of 433 items with 1 to 7 questions, whose difficulty differs from item to item, so
that the questions of an item hang together; gold verdicts; and a judge that turns NO into YES and YES into NO at known
rates, on some items more than on others. The corrected score is computed from 100 labelled items of the file itself
(prediction-powered) and from 150 labelled items of another, easier or harder, data set (Rogan-Gladen); the last row
shows what 40 and 60 labelled items do near 1, where errors are rare. Beside them stand the methods that were not
chosen: the normal interval of PPI++, the plain delta method of Rogan and Gladen, and Lang and Reiczigel's interval with
counts of questions as sample sizes. A simulation of 1,000 rounds is itself uncertain by 1.4 percentage points (two
standard errors).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent.parent))

from evaluators import correction
from evaluators.stats import Array, Z

ITEMS = 433
JUDGES = [
    # share of YES, of YES in the other data set, false YES, false NO, labelled items here and there
    (0.50, 0.60, 0.10, 0.10, 100, 150),
    (0.60, 0.80, 0.20, 0.05, 100, 150),
    (0.80, 0.60, 0.20, 0.05, 100, 150),
    (0.85, 0.70, 0.30, 0.03, 100, 150),
    (0.30, 0.50, 0.05, 0.20, 100, 150),
    (0.70, 0.70, 0.40, 0.30, 100, 150),
    (0.92, 0.92, 0.30, 0.02, 40, 60),
]
Judge = tuple[float, float, float, float, int, int]
Interval = tuple[float, float]


@dataclass(frozen=True)
class World:
    """What happened to some items: per item, YES of gold, of the judge, of both, and the number of questions."""

    gold: Array
    judged: Array
    both: Array
    n: Array
    all_gold: Array
    all_judged: Array


def drawn(generator: np.random.Generator, items: int, share: float, false_yes: float, false_no: float) -> World:
    """Return items of a benchmark, with gold verdicts and a judge's."""
    n = generator.integers(1, 8, items)
    difficulty = generator.beta(3 * share, 3 * (1 - share), items)
    on_no, on_yes = (generator.beta(9 * rate, 9 * (1 - rate), items) for rate in (false_yes, false_no))
    gold = generator.binomial(n, difficulty)
    both = generator.binomial(gold, 1 - on_yes)
    judged = both + generator.binomial(n - gold, on_no)
    return World(*(column.astype(np.float64) for column in (gold, judged, both, n, gold == n, judged == n)))


def normal_interval(judged: Array, gold: Array, labelled: npt.NDArray[np.bool_]) -> Interval:
    """Return PPI++'s own interval for a mean of items."""
    rest, items, others = judged[~labelled], int(labelled.sum()), int((~labelled).sum())
    covariance = np.cov(gold[labelled], judged[labelled])
    spread = float(np.var(judged, ddof=1))
    weight = float(covariance[0, 1]) / ((1 + items / others) * spread) if spread else 0.0
    value = gold[labelled].mean() + weight * (rest.mean() - judged[labelled].mean())
    error = np.var(gold[labelled] - weight * judged[labelled]) / items + weight**2 * np.var(rest) / others
    return float(value - Z * error**0.5), float(value + Z * error**0.5)


def delta_interval(seen: float, size: float, yes: float, yes_size: float, no: float, no_size: float) -> Interval:
    """Return Rogan and Gladen's interval by the delta method, sample sizes being counts."""
    gain = yes + no - 1
    value = (seen + no - 1) / gain
    error = (
        seen * (1 - seen) / size + value**2 * yes * (1 - yes) / yes_size + (1 - value) ** 2 * no * (1 - no) / no_size
    )
    return value - Z * error**0.5 / gain, value + Z * error**0.5 / gain


def intervals(
    generator: np.random.Generator, judge: Judge, truth: dict[str, float]
) -> Iterator[tuple[str, float, Interval | None]]:
    """Yield each method's name, the truth it aims at, and its interval in one simulation."""
    share, other_share, false_yes, false_no, labels, other_items = judge
    world = drawn(generator, ITEMS, share, false_yes, false_no)
    labelled = np.zeros(ITEMS, dtype=bool)
    labelled[generator.choice(ITEMS, labels, replace=False)] = True
    powered = correction.prediction_powered(world.judged, world.gold, world.n, labelled, range(ITEMS))
    yield "I. PPI++", share, powered.ci95
    ones = np.ones(ITEMS)
    whole = correction.prediction_powered(world.all_judged, world.all_gold, ones, labelled, range(ITEMS))
    yield "P. PPI++", truth["prompt"], whole.ci95
    yield "P. normal", truth["prompt"], normal_interval(world.all_judged, world.all_gold, labelled)
    other = drawn(generator, other_items, other_share, false_yes, false_no)
    neither, no = other.n - other.gold - (other.judged - other.both), other.n - other.gold
    yield "I. RG", share, correction.rogan_gladen((world.judged, world.n), (other.both, other.gold), (neither, no)).ci95
    counts = (
        (float(world.judged.sum() / world.n.sum()), float(world.n.sum())),
        (float(other.both.sum() / other.gold.sum()), float(other.gold.sum())),
        (float(neither.sum() / no.sum()), float(no.sum())),
    )
    yield "I. by counts", share, correction.lang_reiczigel(*counts)
    yield "I. delta", share, delta_interval(*counts[0], *counts[1], *counts[2])


def main() -> None:
    """Print the coverage of every method for every judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{rounds} simulations a judge; {ITEMS} items; labelled: of these, and of another data set")
    heads: list[str] = []
    for judge in JUDGES:
        generator = np.random.default_rng(20261120)
        share, _, false_yes, false_no, labels, other_items = judge
        truth = {"prompt": float(drawn(generator, 400_000, share, false_yes, false_no).all_gold.mean())}
        held: dict[str, list[bool]] = {}
        for _ in range(rounds):
            for name, target, interval in intervals(generator, judge, truth):
                held.setdefault(name, []).append(interval is not None and interval[0] <= target <= interval[1])
        if not heads:
            heads = list(held)
            print(f"{'YES  false YES  false NO  labelled':36}" + "".join(f"{head:>13}" for head in heads))
        row = f"{share:.2f}       {false_yes:.2f}      {false_no:.2f}   {labels:3}, {other_items:3}"
        print(f"{row:36}" + "".join(f"{np.mean(held[head]):13.1%}" for head in heads), flush=True)


if __name__ == "__main__":
    main()
