"""Instructions at odds, judged by the rules themselves: real responses, texts that meet both, texts that cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluators import rules
from evaluators.rules.faults import faults

Instruction = tuple[str, dict[str, Any]]

UPPER, LOWER = ("change_case:english_capital", {}), ("change_case:english_lowercase", {})
JSON, QUOTED = ("detectable_format:json_format", {}), ("startend:quotation", {})
NO_COMMA, TWO = ("punctuation:no_comma", {}), ("combination:two_responses", {})
OPTIONS = ("detectable_format:constrained_response", {})


def words(relation: str, number: int) -> Instruction:
    """Return an instruction about the number of words."""
    return "length_constraints:number_words", {"relation": relation, "num_words": number}


def sentences(relation: str, number: int) -> Instruction:
    """Return an instruction about the number of sentences."""
    return "length_constraints:number_sentences", {"relation": relation, "num_sentences": number}


def often(keyword: str, relation: str, number: int) -> Instruction:
    """Return an instruction about how often a keyword occurs."""
    return "keywords:frequency", {"keyword": keyword, "relation": relation, "frequency": number}


def letters(letter: str, relation: str, number: int) -> Instruction:
    """Return an instruction about how often a letter occurs."""
    return "keywords:letter_frequency", {"letter": letter, "let_relation": relation, "let_frequency": number}


def capitals(relation: str, number: int) -> Instruction:
    """Return an instruction about words in capitals."""
    return "change_case:capital_word_frequency", {"capital_relation": relation, "capital_frequency": number}


def holding(*keywords: str) -> Instruction:
    """Return an instruction that keywords occur."""
    return "keywords:existence", {"keywords": list(keywords)}


def without(*keywords: str) -> Instruction:
    """Return an instruction that keywords do not occur."""
    return "keywords:forbidden_words", {"forbidden_words": list(keywords)}


def repeating(prompt: str) -> Instruction:
    """Return an instruction to repeat a prompt first."""
    return "combination:repeat_prompt", {"prompt_to_repeat": prompt}


def ending(phrase: str) -> Instruction:
    """Return an instruction to end with a phrase."""
    return "startend:end_checker", {"end_phrase": phrase}


def language(code: str) -> Instruction:
    """Return an instruction about the answer's language."""
    return "language:response_language", {"language": code}


def sections(name: str, number: int) -> Instruction:
    """Return an instruction to have numbered sections."""
    return "detectable_format:multiple_sections", {"section_spliter": name, "num_sections": number}


def bullets(number: int) -> Instruction:
    """Return an instruction to have bullets."""
    return "detectable_format:number_bullet_lists", {"num_bullets": number}


def divided(number: int) -> Instruction:
    """Return an instruction to have paragraphs divided by asterisks."""
    return "length_constraints:number_paragraphs", {"num_paragraphs": number}


def beginning(number: int, nth: int, word: str) -> Instruction:
    """Return an instruction on how a paragraph begins."""
    arguments = {"num_paragraphs": number, "nth_paragraph": nth, "first_word": word}
    return "length_constraints:nth_paragraph_first_word", arguments


def names(*instructions: Instruction) -> list[str]:
    """Return the checks that a line with these instructions fails."""
    fields = {"instruction_id_list": [name for name, _ in instructions], "kwargs": [given for _, given in instructions]}
    return [name for name, _ in faults(fields) if name != "kwargs-reference"]


def met(text: str, *instructions: Instruction) -> list[bool]:
    """Return the strict verdicts of the profile `fixed`."""
    prepared = rules.prepare(text, "fixed")
    return [rules.check(name, arguments, prepared, "fixed")[0].met for name, arguments in instructions]


IMPOSSIBLE = [
    (words("at least", 100), words("less than", 100)),
    (words("less than", 0),),
    (sentences("at least", 5), sentences("less than", 5)),
    (sentences("at least", 5), words("less than", 5)),
    (capitals("at least", 3), words("less than", 3)),
    (sections("Part", 4), words("less than", 4)),
    (OPTIONS, words("less than", 4)),
    (capitals("at least", 2), capitals("less than", 2)),
    (LOWER, capitals("at least", 1)),
    (UPPER, capitals("less than", 1)),
    (UPPER, LOWER),
    (UPPER, OPTIONS),
    (LOWER, OPTIONS),
    (LOWER, sections("Part", 2)),
    (UPPER, sections("Part", 2)),
    (language("fr"), language("de")),
    (often("Moon", "at least", 2), often("moon", "less than", 2)),
    (often("full moon", "at least", 2), often("moon", "less than", 2)),
    (often("moon", "at least", 2), letters("o", "less than", 4)),
    (holding("river bank"), words("less than", 2)),
    (holding("river"), letters("R", "less than", 2)),
    (holding("a red, red rose"), NO_COMMA),
    (holding("sea"), often("sea", "less than", 1)),
    (holding("the deep sea"), without("deep")),
    (holding("苹果派"), without("苹果")),
    (letters(",", "at least", 1), NO_COMMA),
    (letters("e", "at least", 9), letters("E", "less than", 4)),
    (repeating("Write a poem, please."), NO_COMMA),
    (repeating("Write a poem about the sea."), without("poem")),
    (repeating("Write a poem about the sea."), words("less than", 6)),
    (repeating("Write a poem."), QUOTED),
    (repeating("Write a poem."), JSON),
    (repeating("Write a poem."), beginning(2, 1, "spring")),
    (JSON, QUOTED),
    (JSON, bullets(3)),
    (JSON, beginning(2, 1, "spring")),
    (bullets(2), bullets(3)),
    (divided(2), divided(3)),
    (divided(2), TWO),
    (beginning(2, 1, "spring"), beginning(3, 1, "spring")),
    (beginning(2, 1, "spring"), beginning(2, 1, "summer")),
    (beginning(1, 1, "well, then"), NO_COMMA),
]

# Taken at their word these cannot be met either, though a word may hide inside another one, a short text is in any
# language, and punctuation is not compared at the end.
CONTRADICTORY = [
    (holding("art"), without("art")),
    (ending("Any questions?"), without("questions")),
    (UPPER, language("fr")),
    (LOWER, language("zh-cn")),
]

POSSIBLE: list[tuple[tuple[Instruction, ...], str]] = [
    ((words("at least", 2), words("less than", 3)), "Two words"),
    ((words("less than", 1),), "!"),
    ((sentences("at least", 2), words("less than", 3)), "Yes. No."),
    ((LOWER, capitals("less than", 1)), "small letters only"),
    ((UPPER, capitals("less than", 2)), "YES"),
    ((LOWER, sections("part", 2)), "part 1 is this and part 2 is that"),
    ((LOWER, language("en")), "small letters only"),
    ((language("zh"), language("zh-cn")), "我喜欢苹果"),
    ((holding("start"), without("art")), "Start now"),
    ((often("moon", "at least", 2), often("moon", "less than", 3)), "Moon, moon"),
    ((letters("a", "at least", 1), without("a")), "An apple"),
    ((ending("Well, goodbye"), NO_COMMA), "That is all. Well goodbye"),
    ((repeating("Write a poem."), beginning(2, 1, "write")), "Write a poem.\n\nRoses are red"),
    ((repeating('"Sea" is a word.'), QUOTED), '"Sea" is a word. And so is "sky"'),
    ((JSON, beginning(2, 2, "a")), '{\n\n"a": 1}'),
    ((JSON, bullets(0)), "{}"),
    ((JSON, LOWER), '{"small": "letters"}'),
    ((TWO, NO_COMMA), "this ****** that"),
    ((bullets(2), divided(2)), "* a\n***\n* b"),
    ((OPTIONS, words("less than", 5)), "My answer is yes."),
    ((QUOTED, ending("Any questions?")), '"That is all. Any questions?"'),
]


@pytest.mark.parametrize("instructions", [*IMPOSSIBLE, *CONTRADICTORY], ids=str)
def test_contradictions_are_found_in_either_order(instructions: tuple[Instruction, ...]) -> None:
    """Each of them is one conflict, whichever instruction comes first."""
    assert names(*instructions) == ["instructions-conflict"]
    assert names(*reversed(instructions)) == ["instructions-conflict"]


@pytest.mark.parametrize(("instructions", "text"), POSSIBLE, ids=str)
def test_what_one_answer_can_meet_is_no_conflict(instructions: tuple[Instruction, ...], text: str) -> None:
    """A text that meets all of them is the proof; it stands beside the pair."""
    assert all(met(text, *instructions))
    assert names(*instructions) == []


PIECES = (
    *(
        "Write a poem.",
        "Write a poem, please.",
        "about the sea",
        "river bank",
        "moon",
        "full moon",
        "art",
        "start",
        "e",
    ),
    *("Part 1", "PART 2", "part 3", "a red, red rose", "YES", "no", "My answer is yes.", "spring", "Spring", "summer"),
    *(
        "\n",
        "\n\n",
        "***",
        "******",
        "* a",
        "- b",
        '"',
        "{",
        "}",
        "[1]",
        '{"a": 1}',
        ",",
        ".",
        "!",
        " ",
        "苹果派",
        "deep",
    ),
    *("the deep sea", "well, then", "bonjour mes amis", "```", "JSON"),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(" ".join))
@example('{"a": 1}')
@example('"Write a poem."')
def test_no_text_meets_an_impossible_pair(text: str) -> None:
    """Of texts made of what the instructions ask for, none meets the instructions of any impossible pair."""
    for instructions in IMPOSSIBLE:
        assert not all(met(text, *instructions)), instructions


@pytest.mark.parametrize(
    "instructions",
    [(JSON, TWO), (JSON, ("detectable_format:title", {})), (divided(2), beginning(3, 1, "spring"))],
    ids=str,
)
def test_what_only_an_odd_answer_meets_is_told_apart(instructions: tuple[Instruction, ...]) -> None:
    """It is no conflict, since some answer meets both."""
    assert names(*instructions) == ["instructions-odd"]


def test_real_prompts_have_the_conflicts_that_nobody_can_meet(golden: Callable[[str], list[dict[str, Any]]]) -> None:
    """Of IFEval's 541 prompts five contradict themselves, by repeating what is forbidden; GPT-4 fails all of these."""
    found = {}
    for row in golden("ifeval_gpt4.jsonl"):
        instructions = list(zip(row["instruction_id_list"], row["kwargs"], strict=True))
        if "instructions-conflict" in names(*instructions):
            found[row["key"]] = all(met(row["response"], *instructions))
    assert found == dict.fromkeys([1627, 3369, 3371, 3718, 374], False)


def test_a_huge_threshold_costs_nothing() -> None:
    """No text of that length is made to find out."""
    assert names(often("moon", "at least", 10**12), letters("o", "less than", 3)) == ["instructions-conflict"]
    assert names(words("at least", 10**400), words("less than", 10**399)) == ["instructions-conflict"]
