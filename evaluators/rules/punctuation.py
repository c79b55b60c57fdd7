"""Rule 24: no commas."""

from __future__ import annotations

from evaluators.rules.arguments import Drawn, Given
from evaluators.rules.base import Requirement, Rule, quantity

_REFERENCE_COMMAS = ",，"
_FIXED_COMMAS = ",，\ufe50\ufe10\u060c"


class NoComma(Rule):
    """Rule 24 of docs/closed-rules.md: no comma; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Forbid the ASCII and the full-width comma."""
        return _without(_REFERENCE_COMMAS)

    def fixed(self, _: Given) -> Requirement:
        """Forbid the small, the vertical and the Arabic comma too."""
        return _without(_FIXED_COMMAS)


def _without(commas: str) -> Requirement:
    return Requirement(
        expected="no comma",
        measure=_count_any,
        accepts=lambda number: bool(number == 0),
        found=lambda number: quantity(number, "comma") if number else "no comma",
        about=(commas,),
    )


def _count_any(text: str, characters: str) -> int:
    return sum(map(text.count, characters))
