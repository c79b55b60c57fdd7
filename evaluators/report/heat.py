"""Instruction kind by variant: a table whose cells have colours, which is its own text equivalent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluators.count import FileResult
from evaluators.report import rows

STEPS = (
    "#67001f", "#9b1127", "#c13639", "#de725b", "#f3a481", "#fbceb4", "#d8e9f1", "#a7cfe4", "#6bacd0", "#3a87bd",
    "#1f63a8",
)  # fmt: skip
"""Colours of 0 %, 10 %, ... 100 %: red to blue, which colour-blind readers tell apart (ColorBrewer's RdBu)."""
_BLACK_TEXT = range(3, 10)


@dataclass(frozen=True, slots=True)
class Heat:
    """One cell.

    Attributes:
        percent: of the instructions met strictly, as text.
        n: how many there are.
        step: index of its colour.
        share: the same as a fraction.
    """

    percent: str
    n: int
    step: int
    share: float


@dataclass(frozen=True, slots=True)
class Map:
    """Instruction kinds by variants, of one run and language.

    Attributes:
        title: whose.
        variants: heads of the columns.
        rows: each kind with its cells; None where a variant has no such item.
    """

    title: str
    variants: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Heat | None]]]


def maps(results: Sequence[FileResult]) -> list[Map]:
    """Return one map a run and language, each item by its own response."""
    closed = [result for result in results if result.kind is not None and result.suite.name == "closed"]
    groups: dict[tuple[str, str, str], list[FileResult]] = {}
    for result in closed:
        lang = result.kind.lang if result.kind else ""
        groups.setdefault((rows.model_name(result), str(result.path.parent), lang), []).append(result)
    return [_map(f"{model}, {lang}", group) for (model, _, lang), group in groups.items()]


def _map(title: str, results: Sequence[FileResult]) -> Map:
    columns = [dict(rows.kinds(result.own_responses or result.tally, "instruction")) for result in results]
    kinds = sorted({kind for column in columns for kind in column})
    shown = []
    for kind in kinds:
        strict = [column[kind][0] if kind in column else None for column in columns]
        shown.append((kind, [None if one is None or one.value is None else _heat(one.value, one.n) for one in strict]))
    return Map(title, [result.kind.variant if result.kind else "" for result in results], shown)


def _heat(share: float, n: int) -> Heat:
    return Heat(f"{100 * share:.0f}", n, round(share * (len(STEPS) - 1)), share)


def ink(step: int) -> str:
    """Return the colour of text on a step's colour: at least 4.5 : 1."""
    return "#000000" if step in _BLACK_TEXT else "#ffffff"


def style() -> str:
    """Return the style of the cells: each colour with text of enough contrast."""
    return "\n".join(
        f".heat{place} {{ background: {colour}; color: {ink(place)}; }}" for place, colour in enumerate(STEPS)
    )
