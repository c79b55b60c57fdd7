"""How numbers look in tables and notes: with their intervals, and with what those rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data.records import Cell
from evaluators import stats
from evaluators.stats import Difference, Estimate

SIGNIFICANT = 0.05


def percent_with_interval(number: Estimate | Cell) -> str:
    """Return a fraction as percent, and its 95 % interval on a second line."""
    if number.value is None:
        return "–"
    interval = "" if number.ci95 is None else f"\n{100 * number.ci95[0]:.1f}–{100 * number.ci95[1]:.1f}"
    return f"{100 * number.value:.2f}{interval}"


def bounds(ends: tuple[float, float]) -> str:
    """Return what unscored items could make of a number, as a line of its own; nothing where that is the number."""
    low, high = ends
    return "" if low == high else f"\n[{100 * low:.1f}–{100 * high:.1f}]"


def with_interval(number: Estimate) -> str:
    """Return a coefficient, and its 95 % interval on a second line."""
    if number.value is None:
        return "–"
    interval = "" if number.ci95 is None else f"\n{_signed(number.ci95[0])}–{_signed(number.ci95[1])}"
    return f"{_signed(number.value)}{interval}"


def methods_note(numbers: Iterable[Estimate | Cell]) -> str:
    """Return how the intervals of these numbers were made, in one line."""
    return f"95 % intervals: {_methods(number.method for number in numbers) or 'none'}."


def _methods(methods: Iterable[str | None]) -> str:
    """Return the different methods, each with what there is to know about it."""
    shown = dict.fromkeys(method for method in methods if method is not None)
    return "; ".join(f"{method} ({stats.DETAILS[method]})" if method in stats.DETAILS else method for method in shown)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def one_line(number: Estimate) -> str:
    """Return a coefficient with its interval, as the end of a sentence."""
    if number.value is None:
        return "is unknown: there are no two ratings that could differ"
    interval = "" if number.ci95 is None else f" [{_signed(number.ci95[0])}–{_signed(number.ci95[1])}]"
    return f"is {_signed(number.value)}{interval} ({number.n} questions)"


def significance_note(differences: Sequence[Difference], family: str) -> str:
    """Return what the stars and intervals of differences rest on."""
    tests = " or ".join(dict.fromkeys(difference.test for difference in differences))
    return (
        f"* p < {SIGNIFICANT} by {tests}, with Holm's correction over the {family}; 95 % intervals: "
        f"{_methods(difference.method for difference in differences)}."
    )


def change(difference: Difference, star: str) -> list[str]:
    """Return a difference in percentage points over its interval, and what broke and was mended."""
    low, high = difference.ci95
    return [
        f"{_points(difference.value)}{star}\n{_points(low)} to {_points(high)}",
        f"{100 * difference.broke:.1f}/{100 * difference.mended:.1f}",
    ]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")
