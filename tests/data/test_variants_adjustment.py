"""Revisions: what was superseded and what holds exclude each other, and the rest of the request stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset import SAMPLE
from data.variants.adjustment import OPENERS, adjusted
from data.variants.spoken import spoken, unsayable
from evaluators import rules
from evaluators.rules.faults import faults

pytest.importorskip("num2words", reason="the extra 'speech' is not installed")
pytest.importorskip("cn2an", reason="the extra 'speech' is not installed")


IFEVAL = Path(__file__).parents[1] / "golden" / "ifeval_gpt4.jsonl"


def prompts(name: str) -> list[dict[str, Any]]:
    """Return prompts of the sample."""
    return [
        json.loads(line) for line in (SAMPLE / "prompts" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]


CLOSED = [(row, lang) for name, lang in (("closed_en", "en"), ("closed_cn", "zh")) for row in prompts(name)]


@pytest.mark.parametrize(("row", "lang"), CLOSED, ids=[f"{lang}-{row['key']}" for row, lang in CLOSED])
def test_one_instruction_is_revised(row: dict[str, Any], lang: str) -> None:
    """One instruction changes or goes, the others stay as they are, and the revision can be said."""
    for seed in range(20):
        made = adjusted(row["prompt"], lang, seed, row["instruction_id_list"], row["kwargs"])
        if made is None:
            assert seed == 0 or adjusted(row["prompt"], lang, 0, row["instruction_id_list"], row["kwargs"]) is None
            continue
        before = list(zip(row["instruction_id_list"], row["kwargs"], strict=True))
        after = list(zip(made.instruction_id_list, made.kwargs, strict=True))
        assert len([pair for pair in before if pair not in after]) == 1
        assert made.rule in row["instruction_id_list"]
        assert made.superseded != made.holds
        assert unsayable(made.revision, lang) == []
        assert any(made.revision.startswith(opener.split("{")[0]) for opener in OPENERS[lang])


def test_every_prompt_of_ifeval_is_revised_soundly() -> None:
    """What holds can be checked by the rules, and shuts nothing else out that was asked for."""
    made = 0
    for line in IFEVAL.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        kwargs = [{name: value for name, value in given.items() if value is not None} for given in row["kwargs"]]
        before = set(faults({**row, "kwargs": kwargs}))
        text = spoken(row["prompt"], "en", tuple(row["instruction_id_list"]))
        for seed in range(3):
            change = adjusted(text, "en", seed, row["instruction_id_list"], kwargs)
            if change is None or not change.instruction_id_list:
                continue
            made += 1
            after = {"instruction_id_list": list(change.instruction_id_list), "kwargs": list(change.kwargs)}
            new = {check for check, told in faults({**row, **after}) if (check, told) not in before}
            assert new <= {"kwargs-reference"}, (row["key"], change)
            assert unsayable(change.revision, "en") == []
    assert made > 900


@pytest.mark.parametrize(
    ("rule", "arguments", "answers"),
    [
        (
            "length_constraints:number_sentences",
            {"num_sentences": 3, "relation": "at least"},
            ["A b.", "A. B. C.", "A. B. C. D. E."],
        ),
        (
            "length_constraints:number_words",
            {"num_words": 5, "relation": "less than"},
            ["a b", "a b c d e", "a b c d e f g"],
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 2},
            ["- a\n- b", "- a\n- b\n- c", "- a\n- b\n- c\n- d"],
        ),
        ("keywords:frequency", {"keyword": "moon", "frequency": 2, "relation": "at least"}, ["moon", "moon moon moon"]),
        ("change_case:english_capital", {}, ["ALL OF THIS IS LOUD", "all of this is quiet"]),
        ("language:response_language", {"language": "fr"}, ["Il fait beau aujourd'hui et nous allons au parc."]),
    ],
)
def test_what_holds_excludes_what_was_superseded(rule: str, arguments: dict[str, Any], answers: list[str]) -> None:
    """No answer follows both, by the project's own rules."""
    for seed in range(10):
        made = adjusted("Write it.", "en", seed, [rule], [arguments])
        assert made is not None
        for answer in answers:
            old = rules.check(rule, arguments, answer, "fixed")[0].met
            new = rules.check(made.instruction_id_list[0], made.kwargs[0], answer, "fixed")[0].met
            assert not (old and new), (answer, made)


@pytest.mark.parametrize(
    ("text", "lang", "found"),
    [
        ("Name three indoor plants.", "en", "three"),
        ("Name three plants and two birds.", "en", None),
        ("Name a plant.", "en", None),
        ("请推荐三种植物。", "zh", "三"),
        ("请在第三段推荐三种植物。", "zh", None),
        ("Nenne drei Pflanzen.", "de", None),
    ],
)
def test_a_prompt_without_rules(text: str, lang: str, found: str | None) -> None:
    """The one number that is named changes; with several, or none, or in another language, nothing does."""
    made = adjusted(text, lang, 1)
    assert (made.superseded if made else None) == found
    assert made is None or (made.rule, made.instruction_id_list) == ("", ())


@given(st.integers(0, 2**31), st.sampled_from(CLOSED))
def test_same_seed_same_revision(seed: int, chosen: tuple[dict[str, Any], str]) -> None:
    """Nothing but the request and the seed decides."""
    row, lang = chosen
    arguments = (row["prompt"], lang, seed, row["instruction_id_list"], row["kwargs"])
    assert adjusted(*arguments) == adjusted(*arguments)


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text()))))
def test_odd_arguments_are_left_alone(arguments: dict[str, Any]) -> None:
    """What is no usable argument gives no revision instead of nonsense or an exception."""
    for rule in rules.RULES:
        for lang in OPENERS:
            made = adjusted("Do it.", lang, 1, [rule], [arguments])
            assert made is None or unsayable(made.revision, lang) == []
