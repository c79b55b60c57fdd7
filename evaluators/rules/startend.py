"""Rules 20 and 25: how the answer ends, and quotation marks around it."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable

from evaluators.rules.arguments import Drawn, Given
from evaluators.rules.base import Requirement, Rule, shown, stated
from evaluators.rules.text import insides

_REFERENCE_REMOVED = str.maketrans("", "", string.punctuation + "，。！？；：“”‘’（）—【】《》〈〉、·")
_FIXED_SYMBOLS = frozenset("$+<=>^~～|`")
_ENDINGS = ("Any other questions?", "Is there anything else I can help with?")


class EndChecker(Rule):
    """Rule 20 of docs/closed-rules.md: the answer ends with `end_phrase`; from IFEval (arXiv 2311.07911)."""

    names = ("end_phrase",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Compare after lower-casing and deleting punctuation; a phrase of punctuation only always passes."""
        phrase = drawn.get("end_phrase")
        if phrase is None:
            phrase = drawn.draw("end_phrase", _ENDINGS)
        return _ending(phrase, _ends_lowered, _lowered(phrase))

    def fixed(self, given: Given) -> Requirement:
        """Compare without punctuation and case, from a position outside of words; bare punctuation literally."""
        phrase = given.text("end_phrase")
        cleaned = _cleaned(phrase.casefold())
        return _ending(phrase, _ends_cleaned, cleaned) if cleaned else _ending(phrase, _ends_literally, phrase)


class Quotation(Rule):
    """Rule 25 of docs/closed-rules.md: the whole answer in double quotation marks; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Look at the first and the last character only."""
        return stated("quotation marks around the whole", _is_quoted, "none around the whole")

    def fixed(self, _: Given) -> Requirement:
        """Ask also for something between the marks, and for one curly pair around everything."""
        return stated("quotation marks around the whole", _is_one_quotation, "none around the whole")


def _ending(phrase: str, measure: Callable[..., bool], about: str) -> Requirement:
    return stated(f"{shown(phrase)} at the end", measure, "another ending", (about,))


def _lowered(text: str) -> str:
    return text.strip().lower().translate(_REFERENCE_REMOVED)


def _ends_lowered(text: str, phrase: str) -> bool:
    return _lowered(text).endswith(phrase)


def _ends_literally(text: str, phrase: str) -> bool:
    return text.rstrip().endswith(phrase)


def _ends_cleaned(text: str, phrase: str) -> bool:
    """Return whether the casefolded text ends with the cleaned phrase from some position that is not inside a token."""
    folded = text.casefold()
    kept = [at for at, character in enumerate(folded) if _is_kept(character) and not character.isspace()]
    length = len(phrase.replace(" ", ""))
    if len(kept) < length:
        return False
    first = kept[-length]
    if _cleaned(folded[first:]) != phrase:
        return False
    # From any position behind the previous character that is kept, the cleaned rest is the same.
    behind = kept[-length - 1] + 1 if len(kept) > length else 0
    return not all(insides(folded)[behind : first + 1])


def _cleaned(text: str) -> str:
    return " ".join("".join(filter(_is_kept, text)).split())


def _is_kept(character: str) -> bool:
    return character not in _FIXED_SYMBOLS and unicodedata.category(character)[0] != "P"


def _is_quoted(text: str) -> bool:
    trimmed = text.strip()
    return len(trimmed) > 1 and trimmed[0] in '"“' and trimmed[-1] in '"”'


def _is_one_quotation(text: str) -> bool:
    trimmed = text.strip()
    if not trimmed[1:-1].strip() or trimmed[0] not in '"“＂' or trimmed[-1] not in '"”＂':
        return False
    if trimmed[0] != "“" or trimmed[-1] != "”":
        return True
    depth = 0
    for character in trimmed[:-1]:
        depth += (character == "“") - (character == "”")
        if not depth:
            return False
    return True
