"""Rules 1 to 4: words and letters that must, or must not, occur."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from string import ascii_lowercase

from evaluators.rules.arguments import Drawn, Given, Invalid
from evaluators.rules.base import Requirement, Rule, counted, shown
from evaluators.rules.patterns import is_plain, matches
from evaluators.rules.text import fold, fold_case, insides, occurrences


class Existence(Rule):
    """Rule 1 of docs/closed-rules.md: all `keywords` (list) occur; from IFEval (arXiv 2311.07911)."""

    names = ("keywords",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Take every keyword as a regular expression, tried in sorted order up to the first miss."""
        return _all_present(tuple(sorted(drawn.words("keywords"))), _first_unmatched)

    def fixed(self, given: Given) -> Requirement:
        """Search every keyword literally, also inside longer words; case and curly quotes do not matter."""
        return _all_present(given.texts("keywords"), _first_missing)


class Frequency(Rule):
    """Rule 2 of docs/closed-rules.md: `keyword` occurs `less than` or `at least` (`relation`) `frequency` times.

    From IFEval (arXiv 2311.07911).
    """

    names = ("keyword", "frequency", "relation")

    def reference(self, drawn: Drawn) -> Requirement:
        """Count the matches of the trimmed keyword as a regular expression."""
        keyword = drawn.word("keyword").strip()
        threshold = drawn.threshold("frequency", 1, 3)
        return counted(drawn.relation("relation"), threshold, f"x {shown(keyword)}", _count_matches, (keyword,))

    def fixed(self, given: Given) -> Requirement:
        """Count literal occurrences, also inside longer words; case and curly quotes do not matter."""
        keyword = given.text("keyword")
        threshold = given.threshold("frequency")
        return counted(given.relation("relation"), threshold, f"x {shown(keyword)}", _count_literal, (fold(keyword),))


class ForbiddenWords(Rule):
    """Rule 3 of docs/closed-rules.md: none of `forbidden_words` (list) occurs; from IFEval (arXiv 2311.07911)."""

    names = ("forbidden_words",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Forbid a word in the same letter case anywhere, in another case only between word boundaries of `re`."""
        return _none_present(tuple(sorted(set(drawn.words("forbidden_words")))), _first_contained)

    def fixed(self, given: Given) -> Requirement:
        """Forbid whole words (section 5); case and curly quotes do not matter."""
        return _none_present(given.texts("forbidden_words"), _first_whole)


class LetterFrequency(Rule):
    """Rule 4 of docs/closed-rules.md: `letter` occurs `less than` or `at least` (`let_relation`) `let_frequency` times.

    From IFEval (arXiv 2311.07911).
    """

    names = ("letter", "let_frequency", "let_relation")

    def reference(self, drawn: Drawn) -> Requirement:
        """Count one of the letters a…z, whatever its case; anything else is replaced by a random letter."""
        letter = drawn.get("letter")
        if not letter or len(letter) > 1 or not ord("a") <= ord(letter.lower()) <= ord("z"):
            letter = drawn.draw("letter", ascii_lowercase)
        threshold = drawn.threshold("let_frequency", 1, 10)
        letter = letter.lower()
        return counted(drawn.relation("let_relation"), threshold, f"x {shown(letter)}", _count_letter, (letter,))

    def fixed(self, given: Given) -> Requirement:
        """Count any string, both sides lower-cased; it is trimmed unless it consists of blanks."""
        letter = given.value("letter")
        if not isinstance(letter, str) or not letter:
            raise Invalid("letter is not a text, or empty")
        letter = unicodedata.normalize("NFC", letter.strip() or letter).lower()
        threshold = given.threshold("let_frequency")
        return counted(given.relation("let_relation"), threshold, f"x {shown(letter)}", _count_letter, (letter,))


def _all_present(keywords: tuple[str, ...], first_missing: Callable[..., str | None]) -> Requirement:
    return Requirement(
        expected=f"each of {_listed(keywords)}",
        measure=first_missing,
        accepts=lambda missing: missing is None,
        found=lambda missing: "all of them" if missing is None else f"no {shown(missing)}",
        about=(keywords,),
    )


def _none_present(words: tuple[str, ...], first_present: Callable[..., str | None]) -> Requirement:
    return Requirement(
        expected=f"none of {_listed(words)}",
        measure=first_present,
        accepts=lambda present: present is None,
        found=lambda present: "none of them" if present is None else shown(present),
        about=(words,),
    )


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(shown(word) for word in words[:10]) + (", …" if len(words) > 10 else "")


def _first_unmatched(text: str, keywords: tuple[str, ...]) -> str | None:
    for keyword in keywords:
        if not matches("search", keyword, text, re.IGNORECASE, plain=is_plain(keyword)):
            return keyword
    return None


def _first_missing(text: str, keywords: tuple[str, ...]) -> str | None:
    folded = fold(text)
    return next((keyword for keyword in keywords if fold(keyword) not in folded), None)


def _first_contained(text: str, words: tuple[str, ...]) -> str | None:
    for word in words:
        if word in text:
            return word
        # Whatever stands between word boundaries is contained in the folded text, which is quickly told.
        if fold_case(word) in fold_case(text) and re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE):
            return word
    return None


def _first_whole(text: str, words: tuple[str, ...]) -> str | None:
    folded, inside = fold(text), insides(text)
    for word in words:
        literal = fold(word)
        if any(not inside[at] and not inside[at + len(literal)] for at in occurrences(folded, literal)):
            return word
    return None


def _count_matches(text: str, pattern: str) -> int:
    return matches("findall", pattern, text, re.IGNORECASE, plain=is_plain(pattern))


def _count_literal(text: str, literal: str) -> int:
    return fold(text).count(literal)


def _count_letter(text: str, letter: str) -> int:
    return text.lower().count(letter)
