"""How often the 95 % intervals of `evaluate.py` hold the truth, how often its tests cry wolf, and what they cost.

    python bench/interval_coverage.py [SIMULATIONS]

Items are drawn whose difficulty differs from item to item, so that what belongs to one item hangs together: its strict
and its loose reading, its 1 to 3 instructions, its 1 to 4 renderings. Beside the shipped interval stands the one that
takes every verdict for independent. A variant is the standard rendering with other luck (no difference) or with a cost.
A simulation of 1,000 rounds is itself uncertain by 1.4 percentage points (two standard errors).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats as scipy_stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from evaluators import stats
from evaluators.stats import Array

SIZES = (250, 450)
SHARES = (0.08, 0.2, 0.5, 0.8)
CORRELATION = 0.4  # of two verdicts on one item
Generator = np.random.Generator
Clusters = tuple[Array, Array]


def difficulties(generator: Generator, items: int, share: float) -> Array:
    """Return each item's chance of being met; two verdicts on one item are correlated by CORRELATION."""
    spread = (1 - CORRELATION) / CORRELATION
    return generator.beta(share * spread, (1 - share) * spread, items)


def plain(generator: Generator, items: int, share: float) -> Clusters:
    """Return items with one verdict each."""
    return generator.binomial(1, share, items).astype(np.float64), np.ones(items)


def instructions(generator: Generator, items: int, share: float) -> Clusters:
    """Return items with 1 to 3 instructions, as instruction accuracy counts them."""
    n = generator.integers(1, 4, items)
    return generator.binomial(n, difficulties(generator, items, share)).astype(np.float64), n.astype(np.float64)


def renderings(generator: Generator, items: int, share: float) -> Clusters:
    """Return keys with 1 to 4 renderings, as prompt accuracy counts them in an accent file."""
    n = generator.integers(1, 5, items)
    return generator.binomial(n, difficulties(generator, items, share)).astype(np.float64), n.astype(np.float64)


def means(generator: Generator, items: int, share: float) -> Clusters:
    """Return the mean of a strict verdict and a loose one, which is met whenever the strict one is."""
    strict = generator.binomial(1, 0.95 * share, items)
    loose = strict + (1 - strict) * generator.binomial(1, 0.1 * share / (2 - 1.9 * share), items)
    return (strict + loose) / 2, np.ones(items)


def truth_of_means(share: float) -> float:
    """Return the expected value of `means`."""
    strict = 0.95 * share
    return strict + (1 - strict) * 0.1 * share / (2 - 1.9 * share) / 2


def holds(interval: tuple[float, float] | None, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return interval is not None and interval[0] <= truth <= interval[1]


def proportions(rounds: int) -> None:
    """Print the coverage of intervals of shares, shipped and as if every verdict were independent."""
    ways: dict[str, Callable[[Generator, int, float], Clusters]] = {
        "plain proportion": plain,
        "1 to 3 instructions an item": instructions,
        "1 to 4 renderings a key": renderings,
        "mean of strict and loose": means,
    }
    print(f"{'share of':30}{'n':>5}" + "".join(f"{share:>16.2f}" for share in SHARES))
    for name, draw in ways.items():
        for items in SIZES:
            row = ""
            for share in SHARES:
                generator = np.random.default_rng(20261120)
                truth = truth_of_means(share) if draw is means else share
                shipped = naive = 0
                for _ in range(rounds):
                    met, n = draw(generator, items, share)
                    shipped += holds(stats.proportion(met, n).ci95, truth)
                    naive += holds(stats.wilson(float(met.sum() / n.sum()), float(n.sum())), truth)
                row += f"{shipped / rounds:9.1%} ({naive / rounds:.0%})"
            print(f"{name:30}{items:5}{row}", flush=True)


def differing(generator: Generator, items: int, cost: float, most: int) -> stats.Difference:
    """Return the difference of a standard rendering and 1 to `most` variant ones, of which a share `cost` breaks."""
    met = difficulties(generator, items, 0.5)
    first = generator.random(items) < met
    counts = generator.integers(1, most + 1, items)
    seconds = [
        (generator.random(count) < chance) & (generator.random(count) >= cost)
        for count, chance in zip(counts, met, strict=True)
    ]
    second = np.array([row.sum() for row in seconds], dtype=np.float64)
    n = counts.astype(np.float64)
    kept, broke, mended = np.where(first, second, 0), np.where(first, n - second, 0), np.where(first, 0, second)
    found = stats.difference(stats.Pairs(kept, broke, mended, n))
    if found is None:
        raise ValueError("there are pairs")
    return found


def differences(rounds: int) -> None:
    """Print coverage, false alarms, and how often a true difference of the size that is called detectable is found."""
    heads = f"{'coverage, no cost':>20}{'with cost':>12}{'false alarms':>14}{'detectable':>12}{'found':>8}"
    print(f"\n{'difference of':30}{'n':>5}{heads}")
    for name, most in (("one rendering each", 1), ("1 to 4 renderings", 4)):
        for items in SIZES:
            generator = np.random.default_rng(20261120)
            none = [differing(generator, items, 0.0, most) for _ in range(rounds)]
            held = sum(holds(found.ci95, 0.0) for found in none)
            alarms = sum(found.p < 0.05 for found in none)
            size = 0.1
            for _ in range(4):  # towards the difference that data with just this difference call detectable
                few = [differing(generator, items, 2 * size, most) for _ in range(100)]
                size = float(np.mean([found.detectable for found in few if found.detectable is not None]))
            some = [differing(generator, items, 2 * size, most) for _ in range(rounds)]
            held_cost = sum(holds(found.ci95, -size) for found in some)
            hits = sum(found.p < 0.05 for found in some)
            print(
                f"{name:30}{items:5}{held / rounds:20.1%}{held_cost / rounds:12.1%}{alarms / rounds:14.1%}"
                f"{size:12.1%}{hits / rounds:8.1%}",
                flush=True,
            )


def rare_changes(rounds: int) -> None:
    """Print coverage and false alarms where hardly anything changes."""
    print(f"\n{'2 % change either way':30}{'n':>5}{'coverage':>20}{'false alarms':>26}")
    for items in SIZES:
        generator = np.random.default_rng(20261120)
        held = alarms = 0
        for _ in range(rounds):
            n = generator.integers(1, 4, items).astype(np.float64)
            way = generator.choice([-1, 0, 1], items, p=[0.02, 0.96, 0.02])
            found = stats.difference(stats.Pairs(np.zeros(items), n * (way < 0), n * (way > 0), n))
            if found is not None:
                held += holds(found.ci95, 0.0)
                alarms += found.p < 0.05
        print(f"{'1 to 3 instructions together':30}{items:5}{held / rounds:20.1%}{alarms / rounds:26.1%}", flush=True)


def agreement(rounds: int) -> None:
    """Print the coverage of kappa and alpha, the truth being that of a very large sample."""
    print(f"\n{'agreement':30}{'n':>5}{'kappa':>20}{'alpha of 4 replies':>26}")

    def judged(generator: Generator, items: int) -> tuple[Array, Array, Array]:
        n = generator.integers(1, 6, items)
        items_of = np.repeat(np.arange(items), n)
        truth = generator.random(n.sum()) < np.repeat(difficulties(generator, items, 0.8), n)
        error = np.repeat(generator.beta(1, 6, items), n)
        judge = truth ^ (generator.random(n.sum()) < error)
        yes = generator.binomial(4, np.where(judge, 0.93, 0.07))
        cells = np.column_stack([truth & judge, judge & ~truth, truth & ~judge, ~truth & ~judge]).astype(np.float64)
        return (
            stats.summed(cells, list(items_of)),
            np.column_stack([yes, 4 - yes]).astype(np.float64),
            items_of.astype(np.float64),
        )

    table, units, clusters = judged(np.random.default_rng(1), 200_000)
    kappa, alpha = stats.kappa(table).value or 0.0, stats.alpha(units, list(clusters)).value or 0.0
    for items in SIZES:
        generator = np.random.default_rng(20261120)
        held = [0, 0]
        for _ in range(rounds):
            table, units, clusters = judged(generator, items)
            held[0] += holds(stats.kappa(table).ci95, kappa)
            held[1] += holds(stats.alpha(units, list(clusters)).ci95, alpha)
        print(f"{'1 to 5 questions an item':30}{items:5}{held[0] / rounds:20.1%}{held[1] / rounds:26.1%}", flush=True)


def speed() -> None:
    """Print what one bootstrap interval costs beside scipy's, which draws clusters one by one."""
    met, n = instructions(np.random.default_rng(1), 450, 0.3)
    times = []
    for run in (
        lambda: stats.proportion(met, n),
        lambda: scipy_stats.bootstrap(
            (met, n), lambda one, other, axis: one.sum(axis) / other.sum(axis), paired=True, n_resamples=stats.RESAMPLES
        ),
    ):
        run()
        started = time.process_time()
        for _ in range(10):
            run()
        times.append((time.process_time() - started) / 10)
    ratio = times[1] / times[0]
    print(f"\none interval, 450 items: {1000 * times[0]:.1f} ms; scipy.stats.bootstrap {ratio:.0f} times as long")


def main() -> None:
    """Print the measurements."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{rounds} simulations a number; in brackets: every verdict taken for independent\n")
    proportions(rounds)
    differences(rounds)
    rare_changes(rounds)
    agreement(rounds)
    speed()


if __name__ == "__main__":
    main()
