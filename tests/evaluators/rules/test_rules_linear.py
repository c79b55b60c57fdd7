"""Sizes and shapes that would hang a careless pattern, and the equality of our linear patterns with the plain ones."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.rules import PROFILES, RULES, check, startend
from evaluators.rules import detectable_content as content
from evaluators.rules import detectable_format as layout
from evaluators.rules import length_constraints as lengths
from evaluators.rules.text import insides

SIZE = 60_000
NEVER = 10**9
ARGUMENTS: dict[str, Any] = {
    "keywords": ["aab"],
    "keyword": "aab",
    "frequency": NEVER,
    "relation": "at least",
    "forbidden_words": ["a"],
    "letter": "q",
    "let_frequency": NEVER,
    "let_relation": "at least",
    "language": "fr",
    "num_sentences": NEVER,
    "num_paragraphs": NEVER,
    "num_words": NEVER,
    "nth_paragraph": 1,
    "first_word": "zz",
    "num_placeholders": NEVER,
    "postscript_marker": "P.S.",
    "num_bullets": NEVER,
    "num_highlights": NEVER,
    "section_spliter": "章",
    "num_sections": NEVER,
    "prompt_to_repeat": "zz",
    "end_phrase": "zz zz",
    "capital_frequency": NEVER,
    "capital_relation": "at least",
}
UNITS = ["*", "[", "<<", "《", "p ", "p.", "\n", "\n ", ".", "?", "第1", "“", '"', "a-", "A."]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("unit", UNITS)
def test_long_rows(unit: str, profile: str) -> None:
    """A long row of one thing is judged by every rule, and meets none that asks for plenty."""
    text = "x" + unit * (SIZE // len(unit)) + "x 《 p"
    for rule, how in RULES.items():
        strict, loose = check(rule, {name: ARGUMENTS[name] for name in how.names}, text, profile)
        assert strict.flag is None, rule
        if how.names and rule not in ("keywords:forbidden_words", "language:response_language"):
            assert (strict.met, loose.met) == (False, False), rule


@pytest.mark.parametrize("marker", ["p   " * 5000 + "x", "p." * 5000 + "x", "p . " * 5000 + "s"])
def test_long_markers(marker: str) -> None:
    """A marker of thousands of letters is told to be of the family or not."""
    strict, _ = check("detectable_content:postscript", {"postscript_marker": marker}, f"Bye.\n{marker}", "fixed")
    assert strict.met == (not marker.endswith(". s"))
    assert strict.flag is None


@pytest.mark.parametrize(
    ("marker", "family"),
    [
        *(("P.S.", True), ("p s", True), ("PPS:", True), ("p. p . s . :", True), ("P.P.S", True), ("p\n.\ns", True)),
        *(("s", False), ("p", False), ("p..s", False), ("ps::", False), ("p s .. ", False), ("P.S.x", False)),
    ],
)
def test_family_markers(marker: str, family: bool) -> None:
    """The linear pattern for family markers takes what the printed one takes."""
    printed = re.compile(r"(?:p\s*\.?\s*)+s\s*\.?\s*:?", re.IGNORECASE)
    assert (content._FAMILY.fullmatch(marker) is not None) is family
    assert (printed.fullmatch(marker) is not None) is family


def _row(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), max_size=12)


@given(_row("pPsS. \n:x"))
@settings(max_examples=500)
def test_family_pattern_is_the_printed_one(marker: str) -> None:
    """The linear pattern for family markers is equal to the printed one."""
    printed = re.compile(r"(?:p\s*\.?\s*)+s\s*\.?\s*:?", re.IGNORECASE)
    assert bool(content._FAMILY.fullmatch(marker)) == bool(printed.fullmatch(marker))


@given(_row("pPs. \tx_é"))
@settings(max_examples=1000)
def test_postscript_patterns_are_the_printed_ones(text: str) -> None:
    """The patterns with an optional end find the same matches as the printed ones."""
    for ours, printed in (
        (content._DOTTED, r"(?<![^\W_])((?:p\.[ \t]?)+)s"),
        (content._UNDOTTED, r"(?<![^\W_])((?:p\.?[ \t]?)+)s"),
    ):
        spans = [match.span() for match in ours.finditer(text) if match[2]]
        assert spans == [match.span() for match in re.finditer(printed, text, re.IGNORECASE)]


@given(_row("[]【】a \n*"))
@settings(max_examples=500)
def test_placeholders_are_the_printed_ones(text: str) -> None:
    """Cutting lines behind the last bracket changes no count."""
    assert content._reference_placeholders(text) == len(re.findall(r"[\[【].*?[\]】]", text))


@given(_row("*- \n\ta"))
@settings(max_examples=1000)
def test_bullets_are_the_printed_ones(text: str) -> None:
    """Reading white space once changes no count."""
    starred = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    assert layout._reference_bullets(text) == len(starred) + len(dashed)


@given(_row("<>《》 a\n"))
@settings(max_examples=1000)
def test_reference_titles_are_the_printed_ones(text: str) -> None:
    """Looking for the outermost brackets of a line is what the greedy pattern does."""
    found = re.findall(r"<<[^\n]+>>", text.replace("《", "<<").replace("》", ">>"))
    assert layout._has_reference_title(text) == any(title.lstrip("<").rstrip(">").strip() for title in found)


@given(st.lists(st.sampled_from([*'*_ #>"“【《》（）a:：', "标题", "歌名", "Title"]), max_size=10).map("".join))
@settings(max_examples=1000)
def test_marked_title_is_the_printed_pattern(line: str) -> None:
    """The title pattern without backtracking into its first part matches what the printed one matches."""
    printed = (
        r'[\s#*_>"“【]*(?:(?:[\u4e00-\u9fff]{0,4}[题名]目?|[\u4e00-\u9fff]{0,4}标题|title)[*_]*\s*[:：]\s*)?'
        r"[*_]*《([^《》]*)》"
        r'(?=$|[\s*_"”:：·—】]|[（(][^（）()]*[)）]\s*[*_]*$)'
    )
    ours, theirs = (re.match(pattern, line, re.IGNORECASE) for pattern in (layout._MARKED_TITLE, printed))
    assert (ours and ours.span(1)) == (theirs and theirs.span(1))


@given(_row("。！.!?a好 "))
@settings(max_examples=500)
def test_cuts_are_the_printed_ones(text: str) -> None:
    """Whole runs of end marks with a full-width one are what the printed pattern finds."""
    ends = {match.end() for match in re.finditer("[。！？｡．!?.]*[。！？｡][。！？｡．!?.]*", text)}
    ends |= {match.end() for match in re.finditer(lengths._ASCII_END_AFTER_CJK, text)}
    ends |= {match.end() for match in re.finditer(lengths._ENGLISH_END_BEFORE_CJK, text)}
    marks = [0, *sorted(ends), len(text)]
    pieces = [text[start:end] for start, end in pairwise(marks)]
    assert [piece for piece in lengths._cut(text) if piece] == [piece for piece in pieces if piece]


@given(_row("aB. !~é\u0301"), _row("aB. !é"))
@settings(max_examples=1500)
def test_endings_are_tried_everywhere(text: str, phrase: str) -> None:
    """Looking only around the last letters finds what trying every position finds."""
    phrase = unicodedata.normalize("NFC", phrase.strip())
    wanted = startend._cleaned(phrase.casefold())
    if not wanted:
        return
    folded = text.casefold()
    inside = insides(folded)
    tried = any(not inside[at] and startend._cleaned(folded[at:]) == wanted for at in range(len(folded)))
    assert startend._ends_cleaned(text, wanted) == tried
