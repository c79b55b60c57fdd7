"""How the two profiles read the arguments of an instruction (section 3 of docs/closed-rules.md).

`Drawn` is the reference: what is missing is drawn at random there, so a reading has several outcomes, each with its
chance. `Given` is the fixed profile: what is missing or unusable makes the instruction invalid.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, TypeVar

Outcome = TypeVar("Outcome")
Option = TypeVar("Option")

RELATIONS = ("less than", "at least")


class Missing(Enum):
    """The type of the one value `MISSING`."""

    MISSING = "missing"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""Stands for the arguments of an instruction where `kwargs` is too short."""


class Invalid(Exception):
    """An argument that the rule needs is missing or unusable; the message says which and why."""


class Drawn:
    """The arguments as the reference reads them, in one of the outcomes of its random draws.

    Falsy values count as missing. Types are not checked: where the reference raises, the operations here raise too.

    Attributes:
        names: the arguments that were drawn in this outcome, in order.
        text: the response, for draws whose outcome can only be told from it.
        chance: numerator and denominator of this outcome's probability.
    """

    def __init__(self, arguments: Mapping[str, Any], text: str, path: list[tuple[int, int]]) -> None:
        """Read `arguments`; `path` holds (branch, number of branches) of each draw and grows with every new one."""
        self.names: list[str] = []
        self.text = text
        self.chance = (1, 1)
        self._values = {name: value for name, value in arguments.items() if value}
        self._path = path

    def get(self, name: str) -> Any:
        """Return an argument as it is given, or None."""
        return self._values.get(name)

    def draw(self, name: str, options: Sequence[Option], weights: Sequence[int] | None = None) -> Option:
        """Return this outcome's choice among `options`, uniform unless integer `weights` are given."""
        step = len(self.names)
        self.names.append(name)
        if step == len(self._path):
            self._path.append((0, len(options)))
        branch = self._path[step][0]
        weight, total = (1, len(options)) if weights is None else (weights[branch], sum(weights))
        self.chance = (self.chance[0] * weight, self.chance[1] * total)
        return options[branch]

    def threshold(self, name: str, lowest: int, highest: int) -> Any:
        """Return a threshold; a missing or negative one is drawn from `lowest`…`highest`."""
        value = self.get(name)
        if value is None or value < 0:
            return self.draw(name, range(lowest, highest + 1))
        return value

    def relation(self, name: str) -> str:
        """Return a relation, drawn when missing; raises ValueError for an unknown one."""
        value = self.get(name)
        if value is None:
            return self.draw(name, RELATIONS)
        if value not in RELATIONS:
            raise ValueError(f"{name} is neither 'less than' nor 'at least'")
        return str(value)

    def word(self, name: str) -> Any:
        """Return a word; a missing one is a dictionary word, taken to occur nowhere in the response."""
        value = self.get(name)
        # Longer than the response, so that it occurs in none of the eight texts.
        return self.draw(name, ["x" * (len(self.text) + 1)]) if value is None else value

    def words(self, name: str) -> Any:
        """Return a list of words; a missing one holds dictionary words that occur nowhere in the response."""
        return [self.word(name)] if self.get(name) is None else self.get(name)


def outcomes(
    read: Callable[[Drawn], Outcome], arguments: Mapping[str, Any], text: str
) -> Iterator[tuple[Drawn, Outcome]]:
    """Run `read` once for every outcome of its draws; a single run if it draws nothing."""
    path: list[tuple[int, int]] = []
    while True:
        drawn = Drawn(arguments, text, path)
        yield drawn, read(drawn)
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1] = (path[-1][0] + 1, path[-1][1])


class Given:
    """The arguments as the fixed profile reads them; each reader raises `Invalid` for what it cannot use."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Keep every value but null."""
        self._values = {name: value for name, value in arguments.items() if value is not None}

    def value(self, name: str) -> Any:
        """Return an argument as it is given."""
        if name not in self._values:
            raise Invalid(f"{name} is missing")
        return self._values[name]

    def threshold(self, name: str) -> int:
        """Return a whole number of at least zero; `3.0` is one, booleans and strings are not."""
        value = self.value(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Invalid(f"{name} is not a whole number of at least 0")
        return value

    def relation(self, name: str) -> str:
        """Return `less than` or `at least`."""
        value = self.value(name)
        if not isinstance(value, str) or value not in RELATIONS:
            raise Invalid(f"{name} is neither 'less than' nor 'at least'")
        return value

    def text(self, name: str) -> str:
        """Return a text that is not blank, trimmed and in NFC."""
        value = self.value(name)
        if not isinstance(value, str) or not value.strip():
            raise Invalid(f"{name} is not a text, or blank")
        return unicodedata.normalize("NFC", value.strip())

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list, trimmed and in NFC, without the blank ones."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise Invalid(f"{name} is not a list of texts")
        entries = tuple(unicodedata.normalize("NFC", entry.strip()) for entry in value if entry.strip())
        if not entries:
            raise Invalid(f"{name} holds nothing but blanks")
        return entries
