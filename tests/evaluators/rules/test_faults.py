"""What is wrong with the instructions of a line, told by the rules that will read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from data.validate.findings import CHECKS
from evaluators import rules
from evaluators.rules.faults import faults, is_in

WORDS = "length_constraints:number_words"


@pytest.mark.parametrize(
    ("ids", "kwargs", "check", "told"),
    [
        (None, [{}], "instructions-missing", "no list"),
        ([], [], "instructions-missing", "empty"),
        ("punctuation:no_comma", [{}], "instructions-missing", "no list"),
        (["punctuation:no_coma"], [{}], "rule-unknown", "did you mean 'punctuation:no_comma'"),
        ([7], [{}], "rule-unknown", "7"),
        (["punctuation:no_comma"], None, "kwargs-count", "1 instructions, but kwargs is no list"),
        (["punctuation:no_comma"], [{}, {}], "kwargs-count", "2 entries"),
        (["punctuation:no_comma"], [None], "kwargs-unusable", "no object"),
        ([WORDS], [{"num_words": 5}], "kwargs-unusable", "relation is missing"),
        ([WORDS], [{"num_words": "5", "relation": "at least"}], "kwargs-unusable", "not a whole number"),
        ([WORDS], [{"num_words": -1, "relation": "at least"}], "kwargs-unusable", "not a whole number"),
        ([WORDS], [{"num_words": True, "relation": "at least"}], "kwargs-unusable", "not a whole number"),
        ([WORDS], [{"num_words": 5, "relation": "more than"}], "kwargs-unusable", "neither"),
        (
            ["length_constraints:nth_paragraph_first_word"],
            [{"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "so"}],
            "kwargs-unusable",
            "not between 1 and num_paragraphs",
        ),
        (["keywords:existence"], [{"keywords": "sea"}], "kwargs-unusable", "not a list"),
        (["language:response_language"], [{"language": "klingon"}], "kwargs-unusable", "unknown code"),
        (["punctuation:no_comma"], [{"strict": 1}], "kwargs-unknown", "it takes nothing"),
        ([WORDS], [{"num_words": 5, "relation": "at least", "n": 2}], "kwargs-unknown", "num_words, relation"),
        ([WORDS], [{"num_words": 0, "relation": "at least"}], "kwargs-reference", "draws num_words at random"),
        (
            ["keywords:letter_frequency"],
            [{"letter": "#", "let_frequency": 2, "let_relation": "at least"}],
            "kwargs-reference",
            "draws letter at random",
        ),
        (["language:response_language"], [{"language": "zh"}], "kwargs-reference", "raises"),
    ],
)
def test_a_fault_is_named(ids: Any, kwargs: Any, check: str, told: str) -> None:
    """Exactly one check fails, and it says where; arguments that the reference does not know it raises on as well."""
    found = dict(faults({"instruction_id_list": ids, "kwargs": kwargs}))
    assert told in found.pop(check)
    assert set(found) <= ({"kwargs-reference"} if check == "kwargs-unknown" else set())
    assert check in CHECKS


def test_null_arguments_are_no_arguments() -> None:
    """The form in which tables store IFEval, with every argument of every rule, is read like the original."""
    every = {name: None for rule in rules.RULES.values() for name in rule.names}
    arguments = {**every, "relation": "at least", "num_words": 30}
    assert list(faults({"instruction_id_list": [WORDS], "kwargs": [arguments]})) == []


def test_ifeval_has_few_faults(golden: Callable[[str], list[dict[str, Any]]]) -> None:
    """Its known ones: two random letters, and five prompts that contradict themselves."""
    found = [name for row in golden("ifeval_gpt4.jsonl") for name, _ in faults(row)]
    assert sorted(found) == ["instructions-conflict"] * 5 + ["kwargs-reference"] * 2


@pytest.mark.parametrize("row", rules.RULES, ids=str)
def test_arguments_of_the_golden_cases_agree_with_the_verdicts(
    row: str, golden: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Wherever an argument is unusable here, counting calls the instruction invalid, and nowhere else."""
    for case in golden("closed_authored.jsonl"):
        if case["instruction_id"] == row:
            found = {name for name, _ in faults({"instruction_id_list": [row], "kwargs": [case["kwargs"]]})}
            mark, _ = rules.check(row, case["kwargs"], "Some text.", "fixed")
            assert ("kwargs-unusable" in found) == (mark.flag == "invalid"), case


@pytest.mark.parametrize(
    ("text", "code", "answer"),
    [
        ("Tell me a story about a fisherman.", "en", True),
        ("请讲一个关于渔夫的小故事。", "zh", True),
        ("请讲一个关于渔夫的小故事。", "en", False),
        ("Tell me a story about a fisherman.", "zh", False),
        ("Erzähle mir bitte eine kurze Geschichte über einen alten Fischer am Meer.", "de", True),
        ("Erzähle mir bitte eine kurze Geschichte über einen alten Fischer am Meer." * 2, "en", False),
        ("Suggest a recipe for a vegan dessert.", "en", None),
        ("Suggest a recipe for a vegan dessert.", "ja", False),
        ("anything", "tlh", None),
    ],
)
def test_languages_are_told(text: str, code: str, answer: bool | None) -> None:
    """As rule 5 tells them; neither an unknown language is judged, nor a few Latin letters."""
    assert is_in(text, code) is answer
