"""Rules 21 to 23: capitals and small letters."""

from __future__ import annotations

from collections.abc import Iterator

from evaluators.rules.arguments import Drawn, Given
from evaluators.rules.base import Requirement, Rule, counted, stated
from evaluators.rules.detect import detected, is_english
from evaluators.rules.sentences import word_tokens
from evaluators.rules.text import tokens

_JOINING = frozenset("-\u2010\u2011'’&_")


class CapitalWordFrequency(Rule):
    """Rule 21 of docs/closed-rules.md: `less than` or `at least` `capital_frequency` words in capitals.

    The relation is `capital_relation`; from IFEval (arXiv 2311.07911).
    """

    names = ("capital_frequency", "capital_relation")

    def reference(self, drawn: Drawn) -> Requirement:
        """Count upper-case tokens of NLTK's word tokenizer; a negative threshold is taken as it is."""
        threshold = drawn.get("capital_frequency")
        if threshold is None:
            threshold = drawn.draw("capital_frequency", range(1, 21))
        return counted(drawn.relation("capital_relation"), threshold, "capital word", _reference_capitals)

    def fixed(self, given: Given) -> Requirement:
        """Count upper-case words, with hyphens, apostrophes, ampersands and the dots of initials inside."""
        threshold = given.threshold("capital_frequency")
        return counted(given.relation("capital_relation"), threshold, "capital word", _fixed_capitals)


class EnglishCapital(Rule):
    """Rule 22 of docs/closed-rules.md: English in capitals only; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Ask for upper case, then langdetect for English; nothing to detect passes."""
        return stated("English in capitals", _is_reference_capital, "not English in capitals")

    def fixed(self, _: Given) -> Requirement:
        """Ask for upper case and for English in the sense of section 5."""
        return stated("English in capitals", _is_fixed_capital, "not English in capitals")


class EnglishLowercase(Rule):
    """Rule 23 of docs/closed-rules.md: English in small letters only; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Ask for lower case, then langdetect for English; nothing to detect passes."""
        return stated("English in small letters", _is_reference_lowercase, "not English in small letters")

    def fixed(self, _: Given) -> Requirement:
        """Ask for lower case and for English in the sense of section 5."""
        return stated("English in small letters", _is_fixed_lowercase, "not English in small letters")


def _reference_capitals(text: str) -> int:
    return sum(map(str.isupper, word_tokens(text)))


def _fixed_capitals(text: str) -> int:
    return sum(word.removesuffix("'s").removesuffix("’s").isupper() for word in _words(text))


def _words(text: str) -> Iterator[str]:
    """Yield the words of rule 21: tokens joined by single marks, and initials joined by dots."""
    spans = tokens(text)
    at = 0
    while at < len(spans):
        last = at
        if _is_letter(text, spans[at]):
            while last + 1 < len(spans) and _between(text, spans, last) == "." and _is_letter(text, spans[last + 1]):
                last += 1
        while last + 1 < len(spans) and _between(text, spans, last) in _JOINING:
            last += 1
        yield text[spans[at][0] : spans[last][1]]
        at = last + 1


def _is_letter(text: str, span: tuple[int, int]) -> bool:
    return span[1] - span[0] == 1 and text[span[0]].isalpha()


def _between(text: str, spans: tuple[tuple[int, int], ...], at: int) -> str:
    """Return what stands between a token and the next one, cut to two characters."""
    end, start = spans[at][1], spans[at + 1][0]
    return text[end : min(start, end + 2)]


def _is_reference_capital(text: str) -> bool:
    return text.isupper() and detected(text) in ("en", None)


def _is_reference_lowercase(text: str) -> bool:
    return text.islower() and detected(text) in ("en", None)


def _is_fixed_capital(text: str) -> bool:
    return text.isupper() and is_english(text)


def _is_fixed_lowercase(text: str) -> bool:
    return text.islower() and is_english(text)
