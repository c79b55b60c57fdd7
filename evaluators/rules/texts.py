"""The eight texts of the loose verdict (section 2 of docs/closed-rules.md) and the clean-up before both verdicts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from evaluators.rules.base import Requirement

_TAGS = ("<1>", "<2>", "<3>")
_PARTS = ("first line", "last line", "first and last line")


def prepare(response: str, profile: str) -> str:
    """Return a response as the rules see it: section 1 of docs/closed-rules.md.

    Args:
        response: what the speech model answered.
        profile: `fixed` drops one leading U+FEFF, unifies line ends and brings the text to NFC; `reference` does not.

    Returns:
        The text, without one leading tag `<1>`, `<2>` or `<3>`.
    """
    if profile == "fixed":
        response = response.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        response = unicodedata.normalize("NFC", response)
    return response[3:].strip() if response.startswith(_TAGS) else response


class Texts:
    """A prepared response with the other texts that loose accepts, and everything measured on them so far."""

    __slots__ = ("_measured", "_others", "text")

    def __init__(self, text: str) -> None:
        """Hold the response; the other texts are made when first needed."""
        self.text = text
        self._others: list[tuple[str, str]] | None = None
        self._measured: dict[Any, Any] = {}

    @property
    def blank(self) -> bool:
        """Whether nothing is left of the response after trimming."""
        return not self.text.strip()

    def others(self) -> list[tuple[str, str]]:
        """Return (what was left out, text) of the other seven texts, without blank ones and repetitions."""
        if self._others is None:
            seen = {self.text}
            self._others = []
            for left_out, text in _variants(self.text):
                if text not in seen and text.strip():
                    seen.add(text)
                    self._others.append((left_out, text))
        return self._others

    def measured(self, requirement: Requirement, text: str) -> Any:
        """Return what the requirement's measure gives for one of the texts."""
        key = (requirement.measure, requirement.about, text)
        if key not in self._measured:
            self._measured[key] = requirement.measure(text, *requirement.about)
        return self._measured[key]

    def met(self, requirement: Requirement, text: str) -> bool:
        """Return whether one of the texts satisfies the requirement."""
        return bool(requirement.accepts(self.measured(requirement, text)))


@lru_cache(maxsize=8)
def texts_of(text: str) -> Texts:
    """Return the texts of a prepared response; the several instructions of an item share them."""
    return Texts(text)


def _variants(text: str) -> Iterator[tuple[str, str]]:
    yield "asterisks", text.replace("*", "")
    lines = text.split("\n")
    shortened = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    yield from zip((f"the {part}" for part in _PARTS), shortened, strict=True)
    for part, variant in zip(_PARTS, shortened, strict=True):
        yield f"asterisks and the {part}", variant.replace("*", "")
