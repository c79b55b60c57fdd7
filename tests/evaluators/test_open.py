"""Open items: golden vectors of both profiles, InFoBench's verdicts, and what reports are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records import ItemId, Mark
from evaluators import open as open_ended
from evaluators.votes import NO_READABLE_VOTE, NO_RESPONSE

GOLDEN = Path(__file__).parents[1] / "golden"
ITEM = ItemId("open.jsonl", 7, "7.wav")


def read_golden(name: str) -> list[dict[str, Any]]:
    """Read a golden file."""
    return [json.loads(line) for line in (GOLDEN / name).read_text(encoding="utf-8").splitlines()]


AUTHORED = [vector for vector in read_golden("open_adjust_authored.jsonl") if vector["mode"] == "open"]


def line(vector: dict[str, Any]) -> dict[str, Any]:
    """Return the item's line for a vector."""
    number = vector["questions"]
    fields: dict[str, Any] = {"response": "an answer", "pred_score": vector["pred_score"]}
    return fields if number is None else fields | {"decomposed_questions": [f"Question {i}?" for i in range(number)]}


def test_all_vectors_are_there() -> None:
    """The golden file holds all 131 open vectors."""
    assert len(AUTHORED) == 131


@pytest.mark.parametrize("vector", AUTHORED, ids=lambda vector: vector["id"])
def test_fixed_vector(vector: dict[str, Any]) -> None:
    """Marks, ties, invalid votes and counts are those of the vector, profile `fixed`."""
    wanted = vector["fixed"]
    score = open_ended.score(ITEM, line(vector), "fixed")
    assert score.id == ITEM
    assert score.invalid_votes == wanted["invalid"]
    assert len(vector["pred_score"]) - score.invalid_votes == wanted["valid"]
    if wanted["status"] == "unscored":
        assert (score.unscored, score.marks, score.expected) == (NO_READABLE_VOTE, {}, wanted["total"])
        assert open_ended.counts(score) is None
        return
    assert score.unscored is None
    marks = score.marks["questions"]
    assert [mark.met for mark in marks] == [value == "YES" for value in wanted["majority"]]
    assert list(score.ties) == wanted["ties"]
    assert [place for place, mark in enumerate(marks) if mark.flag == "tie"] == wanted["ties"]
    assert open_ended.counts(score) == {
        "prompt": (int(wanted["prompt"]), 1),
        "instruction": (wanted["yes"], wanted["total"]),
    }


@pytest.mark.parametrize("vector", AUTHORED, ids=lambda vector: vector["id"])
def test_reference_vector(vector: dict[str, Any]) -> None:
    """Marks and counts are those that the published scorer gave; what it drops or trips over is unscored."""
    wanted = vector["reference"]
    score = open_ended.score(ITEM, line(vector), "reference")
    if wanted in ("dropped", "crash"):
        assert score.unscored is not None
        assert score.unscored.startswith("reference raises: ") == (wanted == "crash")
        assert (score.marks, open_ended.counts(score)) == ({}, None)
        return
    assert score.unscored is None
    assert [mark.met for mark in score.marks["questions"]] == [value == "YES" for value in wanted["majority"]]
    assert open_ended.counts(score) == {
        "prompt": (int(wanted["prompt"]), 1),
        "instruction": (wanted["yes"], wanted["total"]),
    }


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_infobench(profile: str) -> None:
    """Four replies with InFoBench's own verdicts give its published share of met requirements, 0.8760."""
    totals = {metric: [0, 0] for metric in open_ended.METRICS}
    for item in read_golden("infobench_gpt4.jsonl"):
        reply = str(["YES" if verdict else "NO" for verdict in item["verdicts"]])
        fields = {
            "response": item["output"],
            "decomposed_questions": item["decomposed_questions"],
            "pred_score": [reply] * 4,
        }
        score = open_ended.score(ItemId("infobench.jsonl", item["id"], None), fields, profile)
        assert [mark.expected for mark in score.marks["questions"]] == item["decomposed_questions"]
        assert (score.ties, score.invalid_votes) == ((), 0)
        for metric, (met, n) in (open_ended.counts(score) or {}).items():
            totals[metric][0] += met
            totals[metric][1] += n
    assert totals == {"prompt": [305, 500], "instruction": [1971, 2250]}
    assert round(1971 / 2250, 4) == 0.8760


def test_marks_say_what_was_asked_and_found() -> None:
    """A mark carries the question's text and the votes, and a tie carries its flag."""
    replies = ["[YES, NO]", "[YES, YES]", "[YES, NO]", "[NO, YES]"]
    fields = {"response": "x", "pred_score": replies, "decomposed_questions": "Is it short?\nIs it a poem?"}
    score = open_ended.score(ITEM, fields, "fixed")
    assert score.marks["questions"] == (
        Mark(met=True, expected="Is it short?", found="3 of 4 YES"),
        Mark(met=False, expected="Is it a poem?", found="2 of 4 YES", flag="tie"),
    )


@pytest.mark.parametrize(
    ("replies", "found", "tied"),
    [
        (["['YES']", "['NO']"], "1 of 2 YES", True),
        (["['Yes']", "['Yes']", "['YES']"], "1 of 3 YES, most frequent: 'Yes'", False),
        (["[True]", "[1]", "['YES']"], "1 of 3 YES, most frequent: a value of type bool", False),
        ([f"['{'Y' * 99}']"], f"0 of 1 YES, most frequent: '{'Y' * 40}'", False),
        (["[0x" + "f" * 9000 + "]"], "0 of 1 YES, most frequent: a value of type int", False),
    ],
)
def test_reference_marks_show_odd_values(replies: list[str], found: str, tied: bool) -> None:
    """The reference's majority is shown when it is neither YES nor NO; without questions the position is named."""
    score = open_ended.score(ITEM, {"response": "x", "pred_score": replies}, "reference")
    (mark,) = score.marks["questions"]
    assert (mark.expected, mark.found, mark.flag) == ("question 1 answered YES", found, "tie" if tied else None)
    assert score.ties == ((0,) if tied else ())


@pytest.mark.parametrize(
    ("fields", "fixed", "reference"),
    [
        ({"pred_score": ["[YES]"]}, NO_RESPONSE, NO_RESPONSE),
        ({"response": None, "pred_score": ["['YES']"]}, NO_RESPONSE, NO_RESPONSE),
        ({"response": "x"}, "pred_score missing", "reference raises: pred_score missing"),
        ({"response": "x", "pred_score": None}, "pred_score is null", "reference raises: pred_score is null"),
        ({"response": "x", "pred_score": "['YES']"}, "pred_score is not a list", "pred_score is not a list"),
        ({"response": "x", "pred_score": []}, NO_READABLE_VOTE, NO_READABLE_VOTE),
        ({"response": "x", "pred_score": ["[{}]"]}, NO_READABLE_VOTE, "reference raises: unhashable type: 'dict'"),
    ],
)
def test_unscored(fields: dict[str, Any], fixed: str, reference: str) -> None:
    """An item without usable votes has a reason, keeps its number of questions, and is never zero."""
    for profile, reason in (("fixed", fixed), ("reference", reference)):
        for questions, number in ((["a?", "b?"], 2), (None, None)):
            score = open_ended.score(ITEM, fields | {"decomposed_questions": questions}, profile)
            assert (score.unscored, score.marks, score.expected) == (reason, {}, number)


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_empty_response_is_scored(profile: str) -> None:
    """An empty answer is an answer: its votes count."""
    fields = {"response": "", "pred_score": ["['NO']"] * 4, "decomposed_questions": ["a?"]}
    assert open_ended.counts(open_ended.score(ITEM, fields, profile)) == {"prompt": (0, 1), "instruction": (0, 1)}


def test_unknown_profile() -> None:
    """A misspelt profile is an error, not another way of counting."""
    with pytest.raises(ValueError, match="strict"):
        open_ended.score(ITEM, {"response": "x", "pred_score": []}, "strict")


@given(
    st.lists(st.none() | st.text() | st.lists(st.sampled_from(["YES", "NO", "Yes", 1, [1]])).map(str), max_size=6),
    st.none() | st.text() | st.lists(st.text(), max_size=3),
    st.sampled_from(["reference", "fixed"]),
)
def test_scores_hang_together(replies: list[str | None], questions: object, profile: str) -> None:
    """Whatever the replies are, a score has marks or a reason, and its counts fit its marks."""
    fields = {"response": "x", "pred_score": replies, "decomposed_questions": questions}
    score = open_ended.score(ITEM, fields, profile)
    counted = open_ended.counts(score)
    assert 0 <= score.invalid_votes <= len(replies)
    assert (score.unscored is None) == bool(score.marks) == (counted is not None)
    if counted:
        marks = score.marks["questions"]
        assert counted["instruction"] == (sum(mark.met for mark in marks), len(marks))
        assert counted["prompt"][0] == (counted["instruction"][0] == len(marks))
