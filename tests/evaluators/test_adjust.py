"""Adjustment items: golden vectors of both profiles, and what reports are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records import ItemId
from evaluators import adjust
from evaluators.votes import NO_READABLE_VOTE, NO_RESPONSE
from prompts.replies import ADJUST_KEYS

GOLDEN = Path(__file__).parents[1] / "golden"
ITEM = ItemId("adjust.jsonl", "a-1", None)


def read_vectors() -> list[dict[str, Any]]:
    """Read the adjustment vectors."""
    lines = (GOLDEN / "open_adjust_authored.jsonl").read_text(encoding="utf-8").splitlines()
    return [vector for vector in map(json.loads, lines) if vector["mode"] == "adjust"]


AUTHORED = read_vectors()


def reply(letters: str) -> str:
    """Write a vote from three letters: after, before, content."""
    words = ["YES" if letter == "Y" else "NO" for letter in letters]
    return json.dumps(dict(zip(ADJUST_KEYS, words, strict=True)))


def score_of(vector: dict[str, Any], profile: str) -> Any:
    """Score a vector."""
    return adjust.score(ITEM, {"response": "an answer", "pred_score": vector["pred_score"]}, profile)


def test_all_vectors_are_there() -> None:
    """The golden file holds all 67 adjustment vectors."""
    assert len(AUTHORED) == 67


@pytest.mark.parametrize("vector", AUTHORED, ids=lambda vector: vector["id"])
def test_fixed_vector(vector: dict[str, Any]) -> None:
    """Marks, ties and invalid votes are those of the vector, profile `fixed`."""
    wanted = vector["fixed"]
    score = score_of(vector, "fixed")
    assert score.invalid_votes == wanted["invalid"]
    assert len(vector["pred_score"]) - score.invalid_votes == wanted["valid"]
    if wanted["status"] == "unscored":
        assert (score.unscored, score.marks, score.expected) == (NO_READABLE_VOTE, {}, 1)
        assert adjust.counts(score) is None
        return
    assert score.unscored is None
    assert adjust.counts(score) == {"iar": (int(wanted["iar"]), 1), "ecr": (int(wanted["ecr"]), 1)}
    assert list(score.ties) == wanted["ties"]
    flags = {metric: score.marks[metric][0].flag == "tie" for metric in adjust.METRICS}
    assert flags == {"iar": bool({"after", "content"} & {*wanted["ties"]}), "ecr": "before" in wanted["ties"]}


@pytest.mark.parametrize("vector", AUTHORED, ids=lambda vector: vector["id"])
def test_reference_vector(vector: dict[str, Any]) -> None:
    """Marks are those that the published scorer gave; what it drops or trips over is unscored."""
    wanted = vector["reference"]
    score = score_of(vector, "reference")
    if wanted in ("dropped", "crash"):
        assert score.unscored is not None
        assert score.unscored.startswith("reference raises: ") == (wanted == "crash")
        assert (score.marks, adjust.counts(score)) == ({}, None)
        return
    assert score.unscored is None
    assert adjust.counts(score) == {"iar": (wanted["iar"], 1), "ecr": (wanted["ecr"], 1)}


def test_marks_say_what_was_found() -> None:
    """IAR shows the two majorities that it rests on, ECR its own."""
    fields = {"response": "x", "pred_score": [reply("YNY"), reply("YYN"), reply("YNY"), reply("NNN"), "n/a"]}
    score = adjust.score(ITEM, fields, "fixed")
    (followed,), (superseded,) = score.marks["iar"], score.marks["ecr"]
    assert (followed.met, followed.flag) == (False, "tie")
    assert followed.found == "followed: 3 of 4 YES; content right: 2 of 4 YES"
    assert (superseded.met, superseded.flag) == (False, None)
    assert superseded.found == "superseded request followed: 1 of 4 YES"
    assert (score.ties, score.invalid_votes) == (("content",), 1)


def test_reference_counts_partial_votes_per_key() -> None:
    """Under `reference` the three keys may have different numbers of votes, and only an empty vote is invalid."""
    replies = ['{"follow_after_adjust": "YES"}', reply("NYN"), reply("YYY"), "n/a"]
    score = adjust.score(ITEM, {"response": "x", "pred_score": replies}, "reference")
    assert score.marks["iar"][0].found == "followed: 2 of 3 YES; content right: 1 of 2 YES"
    assert score.marks["ecr"][0].found == "superseded request followed: 2 of 2 YES"
    assert (adjust.counts(score), score.ties, score.invalid_votes) == ({"iar": (0, 1), "ecr": (1, 1)}, ("content",), 1)


@pytest.mark.parametrize(
    ("fields", "fixed", "reference"),
    [
        ({"pred_score": [reply("YNY")]}, NO_RESPONSE, NO_RESPONSE),
        ({"response": None, "pred_score": [reply("YNY")]}, NO_RESPONSE, NO_RESPONSE),
        ({"response": "x"}, "pred_score missing", "pred_score missing"),
        ({"response": "x", "pred_score": None}, "pred_score is null", "reference raises: pred_score is null"),
        ({"response": "x", "pred_score": {}}, "pred_score is not a list", "pred_score is not a list"),
        ({"response": "x", "pred_score": []}, NO_READABLE_VOTE, NO_READABLE_VOTE),
    ],
)
def test_unscored(fields: dict[str, Any], fixed: str, reference: str) -> None:
    """An item without usable votes has a reason and is never zero."""
    for profile, reason in (("fixed", fixed), ("reference", reference)):
        score = adjust.score(ITEM, fields, profile)
        assert (score.unscored, score.marks, score.expected) == (reason, {}, 1)


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_empty_response_is_scored(profile: str) -> None:
    """An empty answer is an answer: its votes count."""
    score = adjust.score(ITEM, {"response": "", "pred_score": [reply("NNN")] * 4}, profile)
    assert adjust.counts(score) == {"iar": (0, 1), "ecr": (0, 1)}


def test_unknown_profile() -> None:
    """A misspelt profile is an error, not another way of counting."""
    with pytest.raises(ValueError, match="loose"):
        adjust.score(ITEM, {"response": "x", "pred_score": []}, "loose")


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_profiles_agree_without_ties(verdicts: list[tuple[bool, bool, bool]]) -> None:
    """On well-formed votes the profiles differ at ties only."""
    replies = [reply("".join("Y" if verdict else "N" for verdict in vote)) for vote in verdicts]
    fields = {"response": "x", "pred_score": replies}
    fixed, reference = adjust.score(ITEM, fields, "fixed"), adjust.score(ITEM, fields, "reference")
    assert fixed.ties == reference.ties
    if not fixed.ties:
        assert adjust.counts(fixed) == adjust.counts(reference)
    sure = [2 * sum(column) > len(verdicts) for column in zip(*verdicts, strict=True)]
    assert adjust.counts(fixed) == {"iar": (int(sure[0] and sure[2]), 1), "ecr": (int(sure[1]), 1)}
