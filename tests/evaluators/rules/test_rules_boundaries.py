"""Boundaries of single rules, what the marks say, and how random draws are counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evaluators.rules import PROFILES, check, prepare
from evaluators.rules.arguments import Drawn, outcomes
from evaluators.rules.detectable_format import JsonFormat
from evaluators.rules.sentences import count_sentences


def _letters(profile: str, rule: str, arguments: dict[str, Any], response: str) -> str:
    strict, loose = check(rule, arguments, prepare(response, profile), profile)
    return f"{'FT'[strict.met]}/{'FT'[loose.met]}"


def _least(name: str, number: object, relation: str = "relation") -> dict[str, Any]:
    return {name: number, relation: "at least"}


# Rule, arguments, response, reference, fixed.
CASES = [
    ("keywords:existence", {"keywords": ["K"]}, "\u212a", "T/T", "T/T"),
    ("keywords:existence", {"keywords": ["straße"]}, "STRASSE", "F/F", "F/F"),
    ("keywords:existence", {"keywords": "ab"}, "b a", "T/T", "F/F"),
    ("keywords:frequency", {"keyword": "aa", "frequency": 2, "relation": "at least"}, "aaa", "F/F", "F/F"),
    ("keywords:frequency", {"keyword": "a", "frequency": 3.0, "relation": "at least"}, "a a a", "T/T", "T/T"),
    ("keywords:frequency", {"keyword": "a", "frequency": 2.5, "relation": "at least"}, "a a a", "T/T", "F/F"),
    ("keywords:frequency", {"keyword": "a", "frequency": True, "relation": "at least"}, "a", "T/T", "F/F"),
    ("keywords:forbidden_words", {"forbidden_words": ["a b"]}, "xa b", "F/F", "T/T"),
    ("keywords:forbidden_words", {"forbidden_words": ["हि"]}, "हिन्दी", "F/F", "T/T"),
    ("keywords:forbidden_words", {"forbidden_words": [" "]}, "ab", "T/T", "F/F"),
    (
        "keywords:letter_frequency",
        {"letter": "K", **_least("let_frequency", 1, "let_relation")},
        "\u212a",
        "T/T",
        "T/T",
    ),
    ("language:response_language", {"language": "EN_gb"}, "fine", "F/F", "T/T"),
    ("length_constraints:number_sentences", _least("num_sentences", 2), "1. 多喝水。2. 早睡觉。", "T/T", "T/T"),
    ("length_constraints:number_sentences", _least("num_sentences", 3), "1. 多喝水。2. 早睡觉。", "F/F", "F/F"),
    ("length_constraints:number_sentences", _least("num_sentences", 2), "他说：“好。”我走了", "T/T", "T/T"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, "A****B", "F/T", "F/T"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "x ***bold*** y", "T/T", "T/T"),
    ("length_constraints:number_words", _least("num_words", 1), "___", "T/T", "F/F"),
    ("length_constraints:number_words", _least("num_words", 2), "e\u0301a b", "T/T", "T/T"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "b"},
        "A.\n \u3000\nB-苹果.",
        "F/F",
        "T/T",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "well"},
        "Well-1",
        "F/F",
        "F/F",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "春"},
        "春-a",
        "T/T",
        "T/T",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b\n]", "F/F", "F/F"),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[[[a]", "T/T", "T/T"),
    ("detectable_content:postscript", {"postscript_marker": "p  s"}, "x.\np s: y", "F/F", "T/T"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x.\np.p.s", "F/F", "F/F"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x.\n👍🏽 P.S y", "F/F", "T/T"),
    ("detectable_content:postscript", {"postscript_marker": "::"}, "x", "F/F", "F/F"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "- a\n* * *\n-b\n*c", "F/T", "T/T"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "-苹果\n*香蕉*\n*橙子", "F/T", "T/T"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "\n\n\n\n- a", "T/T", "T/T"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "* ** a", "F/F", "F/F"),
    ("detectable_format:multiple_sections", {"section_spliter": "章", "num_sections": 2}, "第１章 第1章", "F/F", "F/F"),
    ("detectable_format:json_format", {}, "[1e999]", "T/T", "T/T"),
    ("detectable_format:json_format", {}, "```JSON {}", "T/T", "T/T"),
    ("detectable_format:title", {}, "<<<a>>>", "T/T", "T/T"),
    ("detectable_format:title", {}, "《a》 b 《c》d", "T/T", "T/T"),
    ("detectable_format:title", {}, ">>a<<", "F/F", "F/F"),
    ("detectable_format:title", {}, "<<a>", "F/F", "F/F"),
    ("combination:two_responses", {}, "******\nA\n******\nB\n******", "T/T", "T/T"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Straße"}, "STRASSE 1", "F/F", "T/T"),
    ("startend:end_checker", {"end_phrase": "a. b"}, "x a b!", "T/T", "T/T"),
    ("startend:end_checker", {"end_phrase": "b"}, "a. .b", "T/T", "T/T"),
    ("startend:end_checker", {"end_phrase": "end"}, "end", "T/T", "T/T"),
    ("startend:end_checker", {"end_phrase": "end"}, "nd", "F/F", "F/F"),
    ("change_case:capital_word_frequency", _least("capital_frequency", 2, "capital_relation"), "A.B-C.D", "F/F", "T/T"),
    ("change_case:capital_word_frequency", _least("capital_frequency", -1, "capital_relation"), "a", "T/T", "F/F"),
    ("change_case:english_capital", {}, "ЯЯЯ", "F/F", "F/F"),
    ("punctuation:no_comma", {}, "a\u060cb", "T/T", "F/F"),
    ("startend:quotation", {}, '"', "F/F", "F/F"),
    ("startend:quotation", {}, "＂x＂", "F/F", "T/T"),
    ("startend:quotation", {}, "“ ”", "T/T", "F/F"),
    ("startend:quotation", {}, '“a” b"', "T/T", "T/T"),
]


@pytest.mark.parametrize(("rule", "arguments", "response", "reference", "fixed"), CASES)
def test_boundaries(rule: str, arguments: dict[str, Any], response: str, reference: str, fixed: str) -> None:
    """Strict and loose verdicts of both profiles at a boundary of the rule."""
    assert [_letters(profile, rule, arguments, response) for profile in PROFILES] == [reference, fixed]


@pytest.mark.parametrize(
    ("response", "reference", "fixed"),
    [
        ('<1>"hi"', "T/T", "T/T"),
        ('<4>"hi"', "F/F", "F/F"),
        (' <1>"hi"', "F/F", "F/F"),
        ('<1><2>"hi"', "F/F", "F/F"),
        ('\ufeff<1>"hi"', "F/F", "T/T"),
        ("<1>", "F/F", "F/F"),
    ],
)
def test_leading_tag(response: str, reference: str, fixed: str) -> None:
    """One leading tag goes, after the clean-up of the fixed profile."""
    assert [_letters(profile, "startend:quotation", {}, response) for profile in PROFILES] == [reference, fixed]


@pytest.mark.parametrize(
    ("rule", "arguments", "response", "expected", "strict", "loose"),
    [
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 5},
            "* a\n" * 6,
            "exactly 5 bullets",
            "6 bullets",
            "without the first line: 5 bullets",
        ),
        (
            "keywords:frequency",
            {"keyword": "moon", "frequency": 3, "relation": "at least"},
            "moon",
            "at least 3 x 'moon'",
            "1 x 'moon'",
            "1 x 'moon'",
        ),
        ("punctuation:no_comma", {}, "a, b\n,\nc", "no comma", "2 commas", "2 commas"),
        (
            "punctuation:no_comma",
            {},
            "a,\nb\nc,",
            "no comma",
            "2 commas",
            "without the first and last line: no comma",
        ),
        ("startend:quotation", {}, '*"a"*\nb', "quotation marks around the whole", "none around the whole", ""),
        ("keywords:existence", {"keywords": ["a", "b"]}, "a", "each of 'a', 'b'", "no 'b'", "no 'b'"),
        ("keywords:forbidden_words", {"forbidden_words": ["a"]}, "A", "none of 'a'", "'a'", "'a'"),
    ],
)
def test_reasons(rule: str, arguments: dict[str, Any], response: str, expected: str, strict: str, loose: str) -> None:
    """A mark says what was asked and what was found, and loose which text passed."""
    marks = check(rule, arguments, response, "fixed")
    assert [mark.expected for mark in marks] == [expected, expected]
    assert marks[0].found == strict
    assert marks[1].found == (loose or "without asterisks and the last line: quotation marks around the whole")


@pytest.mark.parametrize(
    ("rule", "arguments", "reason"),
    [
        ("keywords:existence", {"keywords": ["(a"]}, "unterminated subpattern"),
        ("keywords:existence", {"keywords": ["x{99999999999}"]}, "repetition number is too large"),
        ("keywords:existence", {"keywords": [5]}, ""),
        ("keywords:existence", {"keywords": [["a"]]}, ""),
        ("keywords:existence", {"keywords": ["(" * 5000]}, ""),
        ("keywords:frequency", {"keyword": 5, "frequency": 1, "relation": "at least"}, "strip"),
        ("keywords:frequency", {"keyword": "a", "frequency": "3", "relation": "at least"}, "not supported"),
        ("language:response_language", {"language": ["en"]}, "unknown language code"),
        ("combination:repeat_prompt", {}, "prompt_to_repeat is missing"),
        ("punctuation:no_comma", {"num_words": 3}, "unknown argument 'num_words'"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 1.5, "nth_paragraph": 2, "first_word": "a"},
            "not a whole number",
        ),
    ],
)
def test_reference_errors(rule: str, arguments: dict[str, Any], reason: str) -> None:
    """What the reference raises becomes a flag with the reason."""
    strict, loose = check(rule, arguments, "some text", "reference")
    assert (strict.flag, loose.flag, strict.met, loose.met) == ("error", "error", False, False)
    assert reason in strict.found


@pytest.mark.parametrize(
    ("rule", "arguments", "reason"),
    [
        ("keywords:existence", {"keywords": [" "]}, "nothing but blanks"),
        ("keywords:existence", {"keywords": ["a", 5]}, "not a list of texts"),
        ("keywords:frequency", {"keyword": " ", "frequency": 1, "relation": "at least"}, "keyword is not a text"),
        ("keywords:frequency", {"keyword": "a", "frequency": "3", "relation": "at least"}, "whole number"),
        ("keywords:frequency", {"keyword": "a", "frequency": 1, "relation": ["at least"]}, "neither"),
        ("keywords:letter_frequency", {"letter": "", "let_frequency": 1, "let_relation": "at least"}, "letter"),
        ("language:response_language", {"language": "xx"}, "unknown code 'xx'"),
        ("length_constraints:number_words", {"relation": "at least"}, "num_words is missing"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"},
            "nth_paragraph is not between",
        ),
    ],
)
def test_invalid_arguments(rule: str, arguments: dict[str, Any], reason: str) -> None:
    """Arguments that the fixed profile cannot use make the instruction invalid, with the reason."""
    strict, loose = check(rule, arguments, "some text", "fixed")
    assert (strict.flag, loose.flag, strict.met, loose.met) == ("invalid", "invalid", False, False)
    assert reason in strict.found


def test_draws_are_enumerated_once() -> None:
    """Every outcome comes once, with chances that add up to one; dependent draws are nested."""

    def read(drawn: Drawn) -> tuple[int, int]:
        first = drawn.draw("first", (1, 2))
        return first, drawn.draw("second", range(first), weights=range(1, first + 1))

    found = [(outcome, drawn.chance) for drawn, outcome in outcomes(read, {}, "")]
    assert found == [((1, 0), (1, 2)), ((2, 0), (1, 6)), ((2, 1), (2, 6))]


@pytest.mark.parametrize(("paragraphs", "chance"), [(3, 1 / 4), (10**12, 0.0)])
def test_drawn_position(paragraphs: int, chance: float) -> None:
    """A drawn paragraph number is one of `num_paragraphs` + 1, however many that are."""
    arguments = {"num_paragraphs": paragraphs, "first_word": "b"}
    strict, _ = check("length_constraints:nth_paragraph_first_word", arguments, "A\n\nB\n\nC", "reference")
    assert (strict.flag, strict.probability) == ("random", chance)


def test_half_is_false() -> None:
    """A probability of exactly one half is no true verdict."""
    strict, _ = check("length_constraints:number_words", {"num_words": 1}, "word", "reference")
    assert (strict.probability, strict.met, strict.flag) == (0.5, False, "random")
    assert strict.expected == "relation drawn at random by the reference"


@pytest.mark.parametrize(("depth", "met"), [(150, True), (900, True), (100_000, False)])
@pytest.mark.parametrize("frames", [0, 300])
def test_deep_json(depth: int, met: bool, frames: int) -> None:
    """Whether deep JSON can be read does not depend on how deep the caller is."""
    if frames:
        test_deep_json(depth, met, frames - 1)
        return
    text = "[" * depth + "]" * depth
    assert JsonFormat().fixed(None).measure(text) is met  # type: ignore[arg-type]  # has no arguments to read


def test_huge_numbers() -> None:
    """A number too long to be printed is still a threshold."""
    arguments = {"num_words": 10**5000, "relation": "less than"}
    for profile in PROFILES:
        strict, _ = check("length_constraints:number_words", arguments, "word", profile)
        assert (strict.met, strict.expected) == (True, "less than a huge number words")


def test_nltk_giving_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that NLTK cannot split in time is an error in the reference and not met in the fixed profile."""

    def give_up(text: str) -> int:
        raise TimeoutError("too long")

    monkeypatch.setattr("evaluators.rules.length_constraints.count_sentences", give_up)
    monkeypatch.setattr("evaluators.rules.length_constraints.sentences", give_up)
    assert count_sentences("One. Two.") == 2
    arguments = {"num_sentences": 1, "relation": "at least"}
    marks = [check("length_constraints:number_sentences", arguments, "Never seen.", profile)[0] for profile in PROFILES]
    assert [(mark.met, mark.flag) for mark in marks] == [(False, "error"), (False, None)]
    assert json.dumps(marks[1].found)
