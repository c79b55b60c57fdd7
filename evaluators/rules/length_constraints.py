"""Rules 6 to 9: how many sentences, paragraphs and words, and how a paragraph begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from evaluators.rules.arguments import Drawn, Given, Invalid
from evaluators.rules.base import Requirement, Rule, counted, quantity, shown
from evaluators.rules.sentences import count_sentences, sentences
from evaluators.rules.text import (
    CJK,
    count_cjk,
    count_common_ideographs,
    fold,
    fold_quotes,
    holds_cjk,
    holds_letter_or_digit,
    insides,
    tokens,
)

_FULL_STOPS = re.compile("[！？。]")
_WORD_RUN = re.compile(r"\w+")
_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_BLANK_LINE = re.compile(r"\n[ \t\u3000]*\n")

# Boundaries 1 to 3 of rule 6. The first is a whole run of end marks, kept only with a full-width one among them:
# written as one pattern, that would take quadratic time on a long row of dots.
_END_MARKS = re.compile("[。！？｡．!?.]+")
_FULL_WIDTH_END_MARKS = frozenset("。！？｡")
_ASCII_END_AFTER_CJK = rf"(?<=[{CJK}」』）】》])(?:[!?]+|\.(?![.A-Za-z0-9]))"
_ENGLISH_END_BEFORE_CJK = rf"(?<=[A-Za-z]{{2}})[.!?](?=[{CJK}])"
_LIST_NUMBER = re.compile(
    r"[ \t\u3000#>*_-]*[(（]?(?:\d{1,3}|[A-Za-z]|[一二三四五六七八九十]{1,3})[.．][*_]*[ \t\u3000]*"
)

_FIRST_WORD_ENDS = re.compile("[.,?!'\"。，？！‘“”]")
_OPENING_MARKS = "\"'「『« \t\u3000"
_HYPHENS = "-\u2010\u2011"


class NumberSentences(Rule):
    """Rule 6 of docs/closed-rules.md: `less than` or `at least` (`relation`) `num_sentences` sentences.

    From IFEval (arXiv 2311.07911); Punkt is Kiss and Strunk 2006 in NLTK's form.
    """

    names = ("num_sentences", "relation")

    def reference(self, drawn: Drawn) -> Requirement:
        """Count pieces between full-width end marks if there is one common ideograph, else Punkt sentences."""
        threshold = drawn.threshold("num_sentences", 1, 20)
        return counted(drawn.relation("relation"), threshold, "sentence", _reference_sentences)

    def fixed(self, given: Given) -> Requirement:
        """Cut at the end marks of both scripts, then count the Punkt sentences that say something."""
        threshold = given.threshold("num_sentences")
        return counted(given.relation("relation"), threshold, "sentence", _fixed_sentences)


class NumberParagraphs(Rule):
    """Rule 7 of docs/closed-rules.md: exactly `num_paragraphs` paragraphs, divided by `***`.

    From IFEval (arXiv 2311.07911).
    """

    names = ("num_paragraphs",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Count as both profiles do; zero is drawn at random."""
        return _divided(drawn.threshold("num_paragraphs", 1, 5))

    def fixed(self, given: Given) -> Requirement:
        """Count as both profiles do; zero is honoured."""
        return _divided(given.threshold("num_paragraphs"))


class NumberWords(Rule):
    """Rule 8 of docs/closed-rules.md: `less than` or `at least` (`relation`) `num_words` words.

    From IFEval (arXiv 2311.07911).
    """

    names = ("num_words", "relation")

    def reference(self, drawn: Drawn) -> Requirement:
        r"""Count common ideographs and nothing else if there is one, else runs of `\w`."""
        threshold = drawn.threshold("num_words", 100, 500)
        return counted(drawn.relation("relation"), threshold, "word", _reference_words)

    def fixed(self, given: Given) -> Requirement:
        """Count tokens and CJK characters (section 5)."""
        threshold = given.threshold("num_words")
        return counted(given.relation("relation"), threshold, "word", _fixed_words)


class NthParagraphFirstWord(Rule):
    """Rule 9 of docs/closed-rules.md: `num_paragraphs` paragraphs, and number `nth_paragraph` begins with `first_word`.

    Paragraphs are divided by blank lines and counted from 1; from IFEval (arXiv 2311.07911).
    """

    names = ("num_paragraphs", "nth_paragraph", "first_word")

    def reference(self, drawn: Drawn) -> Requirement:
        """Split at two line feeds; the paragraph is looked up among all pieces, blank ones included."""
        number = drawn.threshold("num_paragraphs", 1, 5)
        nth = drawn.get("nth_paragraph")
        if nth is None or nth <= 0 or nth > number:
            nth = _drawn_position(drawn, number)
        word = drawn.word("first_word").lower()
        return Requirement(
            expected=_beginning(number, nth, word),
            measure=_pieces,
            accepts=lambda pieces: bool(_begins(pieces, nth, word) and _not_blank(pieces) == number),
            found=lambda pieces: _first_found(_not_blank(pieces), nth, [piece.strip() for piece in pieces]),
        )

    def fixed(self, given: Given) -> Requirement:
        """Split at blank lines; the paragraph must start with the word, opening quote marks aside."""
        number = given.threshold("num_paragraphs")
        nth = given.threshold("nth_paragraph")
        if not 1 <= nth <= number:
            raise Invalid("nth_paragraph is not between 1 and num_paragraphs")
        word = given.text("first_word")
        return Requirement(
            expected=_beginning(number, nth, word),
            measure=_paragraphs,
            accepts=lambda parts: len(parts) == number and _starts_with_word(parts[nth - 1], word),
            found=lambda parts: _first_found(len(parts), nth, parts),
        )


def _reference_sentences(text: str) -> int:
    if count_common_ideographs(text):
        return sum(1 for piece in _FULL_STOPS.split(text) if piece.strip())
    return count_sentences(text)


def _fixed_sentences(text: str) -> int:
    said = [
        sentence
        for piece in _cut(text)
        if piece.strip()
        for sentence in sentences(piece)
        if holds_letter_or_digit(sentence)
    ]
    if not holds_cjk(text):
        return len(said)
    # Punkt ends a sentence behind a list number; what it numbers is counted by itself.
    return len(said) - sum(_ends_in_list_number(sentence) for sentence in said[:-1])


def _cut(text: str) -> Iterator[str]:
    if text.isascii():
        yield text
        return
    ends = {match.end() for match in _END_MARKS.finditer(text) if not _FULL_WIDTH_END_MARKS.isdisjoint(match[0])}
    ends.update(match.end() for match in re.finditer(_ASCII_END_AFTER_CJK, text))
    ends.update(match.end() for match in re.finditer(_ENGLISH_END_BEFORE_CJK, text))
    start = 0
    for end in sorted(ends | {len(text)}):
        yield text[start:end]
        start = end


def _ends_in_list_number(sentence: str) -> bool:
    return _LIST_NUMBER.fullmatch(sentence.rstrip().rpartition("\n")[2]) is not None


def _divided(threshold: Any) -> Requirement:
    return Requirement(
        expected=f"exactly {quantity(threshold, 'paragraph')}",
        measure=_count_divided,
        accepts=lambda number: bool(number == threshold),
        found=lambda number: "a blank paragraph" if number is None else quantity(number, "paragraph"),
    )


def _count_divided(text: str) -> int | None:
    """Return the number of paragraphs between dividers, or None if one in the middle is blank."""
    blank = [not piece.strip() for piece in _DIVIDER.split(text)]
    if any(blank[1:-1]):
        return None
    return len(blank) - blank[0] - (len(blank) > 1 and blank[-1])


def _reference_words(text: str) -> int:
    return count_common_ideographs(text) or len(_WORD_RUN.findall(text))


def _fixed_words(text: str) -> int:
    return len(tokens(text)) + count_cjk(text)


def _drawn_position(drawn: Drawn, number: Any) -> int:
    """Draw from 1…number+1; all positions that no text of the response reaches are one outcome."""
    if number != int(number):
        raise ValueError("num_paragraphs is not a whole number")
    last = int(number) + 1
    reach = drawn.text.count("\n") + 1
    if last <= reach:
        return drawn.draw("nth_paragraph", range(1, last + 1))
    return drawn.draw("nth_paragraph", range(1, reach + 2), weights=[1] * reach + [last - reach])


def _pieces(text: str) -> list[str]:
    return text.split("\n\n")


def _not_blank(pieces: list[str]) -> int:
    return sum(1 for piece in pieces if piece.strip())


def _begins(pieces: list[str], nth: Any, word: str) -> bool:
    """Return whether a piece begins with a lower-cased word in the reference's sense (steps 1 to 4 of rule 9)."""
    if nth > _not_blank(pieces):
        return False
    piece: str = pieces[nth - 1].strip()
    if not piece:
        return False
    if count_common_ideographs(piece):
        return piece[: len(word)] == word
    first: str = piece.split(maxsplit=1)[0].lstrip("'").lstrip('"')
    return _FIRST_WORD_ENDS.split(first, maxsplit=1)[0].lower() == word


def _paragraphs(text: str) -> list[str]:
    return [piece.strip() for piece in _BLANK_LINE.split(text) if piece.strip()]


def _starts_with_word(paragraph: str, word: str) -> bool:
    """Return whether a paragraph begins with a word in the fixed sense (steps 2 and 3 of rule 9)."""
    begun = fold_quotes(paragraph).lstrip(_OPENING_MARKS)
    folded = fold(word)
    if not fold(begun).startswith(folded):
        return False
    end = len(folded)
    if insides(begun)[end]:
        return False
    hyphenated = begun[end : end + 1] in _HYPHENS and begun[end + 1 : end + 2].isalnum()
    return not hyphenated or holds_cjk(begun[end - 1]) or holds_cjk(begun[end + 1])


def _beginning(number: Any, nth: Any, word: str) -> str:
    return f"exactly {quantity(number, 'paragraph')}, number {shown(nth)} beginning with {shown(word)}"


def _first_found(number: int, nth: Any, parts: list[str]) -> str:
    found = quantity(number, "paragraph")
    if isinstance(nth, int) and 0 < nth <= len(parts):
        return f"{found}, number {nth} beginning with {shown(parts[nth - 1][:20])}"
    return found
