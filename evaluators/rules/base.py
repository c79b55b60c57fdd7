"""What a rule is: a reading of its arguments that yields a requirement, once for each profile."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

from evaluators.rules.arguments import Drawn, Given

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "less than": operator.lt,
    "at least": operator.ge,
    "exactly": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one instruction asks of a text, after its arguments have been read.

    Attributes:
        expected: what is asked, in a few words.
        measure: called with a text and then `about`; its result is kept for each text, so it must depend on nothing
            else.
        accepts: whether a measured value satisfies the instruction.
        found: what the text holds, in a few words, from a measured value.
        about: further arguments of `measure`.
    """

    expected: str
    measure: Callable[..., Any]
    accepts: Callable[[Any], bool]
    found: Callable[[Any], str]
    about: tuple[Hashable, ...] = ()


class Rule(ABC):
    """One of the 25 rules; a subclass says in one place what the rule is in either profile.

    Attributes:
        names: the arguments that the rule knows.
    """

    names: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def reference(self, drawn: Drawn, /) -> Requirement:
        """Read the arguments as the published evaluator does; whatever this raises, that evaluator raises."""

    @abstractmethod
    def fixed(self, given: Given, /) -> Requirement:
        """Read the arguments of the `fixed` profile; raises `Invalid` where one is missing or unusable."""


def counted(
    relation: str, threshold: Any, noun: str, measure: Callable[..., Any], about: tuple[Hashable, ...] = ()
) -> Requirement:
    """Return the requirement that the number that `measure` gives is `less than`, `at least` or `exactly` a threshold.

    A noun that starts with a letter is put in the plural where needed; another one (`x 'moon'`) stays as it is.
    """
    return Requirement(
        expected=f"{relation} {quantity(threshold, noun)}",
        measure=measure,
        accepts=lambda number: _HOLDS[relation](number, threshold),
        found=lambda number: quantity(number, noun),
        about=about,
    )


def stated(
    expected: str, measure: Callable[..., bool], otherwise: str, about: tuple[Hashable, ...] = ()
) -> Requirement:
    """Return the requirement that `measure` is true; `expected` and `otherwise` say what was found."""
    return Requirement(
        expected=expected,
        measure=measure,
        accepts=bool,
        found=lambda met: expected if met else otherwise,
        about=about,
    )


def quantity(number: Any, noun: str) -> str:
    """Return a number with its noun in the right form, for instance `1 bullet`, `4 bullets`, `2 x 'moon'`."""
    return f"{shown(number)} {noun}" if number == 1 or noun.startswith("x ") else f"{shown(number)} {noun}s"


def shown(value: Any, limit: int = 60) -> str:
    """Return a value as a short piece of one line, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a huge number"  # Python refuses to print integers of more than 4300 digits
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]!r}…"
    text = repr(value)
    return text if len(text) <= 2 * limit else f"{text[: 2 * limit]}…"
