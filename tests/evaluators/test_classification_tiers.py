"""From an answer to one mark a tier (docs/dynamic-superb.md, section "Scoring")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset import item_of
from data.errors import DataError
from data.suites import SUITES
from evaluators.classification import tiers
from evaluators.compare import compare
from evaluators.count import count_file
from evaluators.explain import explain
from evaluators.tally import EVALUATORS

Answer = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
YES_NO = ("yes", "no")


def choice_of(fields: dict[str, Any]) -> tiers.Choice:
    """Return what a line comes to."""
    item = item_of(fields, Path("classify_A_B_en.jsonl"), 1)
    return tiers.choice(item, tiers.score(item.id, fields, "reference"))


@pytest.mark.parametrize(
    ("response", "met", "failure"),
    [
        ("yes", {"strict", "stripped", "option"}, None),
        ("YES", {"strict", "stripped", "option"}, None),
        ("yes.", {"stripped", "option"}, "wrong format"),
        (" yes", {"stripped", "option"}, "wrong format"),  # strict strips nothing
        ("The answer is yes", {"stripped", "option"}, "wrong format"),
        ("Yes, I hear two people", {"option"}, "wrong format"),
        ("no", set(), "wrong answer"),
        ("I do not know", set(), "wrong answer"),
        ("", set(), "wrong answer"),
    ],
)
def test_tiers_by_rule(answer: Answer, response: str, met: set[str], failure: str | None) -> None:
    """Each tier takes more than the one before; a wrong format is told from a wrong answer."""
    found = choice_of(answer("a", YES_NO, "Yes", response))
    assert {tier for tier, is_met in found.marks.items() if is_met} == met
    assert found.marks.keys() == {"strict", "stripped", "option"}
    assert found.failure == failure


@pytest.mark.parametrize(
    ("replies", "met", "absent", "invalid"),
    [
        (["YES"], True, False, 0),
        (["NO"], False, False, 0),
        (["N/A"], False, True, 0),
        (["YES", "YES", "N/A"], True, False, 0),
        (["YES", "NO"], False, False, 0),
        (["YES", "N/A", "N/A"], False, True, 0),
        (["NO", "N/A"], False, False, 0),
        (["hm", "YES"], True, False, 1),
        ([None, 3], None, False, 2),
        ([], None, False, 0),
    ],
)
def test_judge_tier(answer: Answer, replies: list[Any], met: bool | None, absent: bool, invalid: int) -> None:
    """YES needs more than half of the readable votes, N/A counts as wrong; without a readable vote there is no mark."""
    fields = answer("a", YES_NO, "yes", "maybe", pred_score=replies)
    found = choice_of(fields)
    assert found.marks.get("judge") is met
    assert ("judge" in found.not_answered) is absent
    assert tiers.score(item_of(fields, Path("f"), 1).id, fields, "fixed").invalid_votes == invalid


def test_panel_of_judges(answer: Answer) -> None:
    """Each judge of a panel has one ballot."""
    panel = {"one": ["YES"], "two": ["N/A"], "three": ["N/A"]}
    found = choice_of(answer("a", YES_NO, "yes", "maybe", pred_scores=panel))
    assert found.marks["judge"] is False
    assert "judge" in found.not_answered
    assert choice_of(answer("a", YES_NO, "yes", "x", pred_scores={**panel, "three": ["YES"]})).marks["judge"] is True


def test_likelihood_stands_alone(answer: Answer) -> None:
    """Nothing was generated, so no other tier is filled; without the label among the options nothing is scored."""
    fields = answer("a", YES_NO, "no", "no", option_scores={"yes": -1.5, "No": -0.5}, pred_score=["YES"])
    found = choice_of(fields)
    assert found.marks == {"likelihood": True}
    assert (found.chosen, found.expected, found.failure) == (1, 1, None)
    other = item_of({**fields, "label": "maybe"}, Path("f"), 1)
    assert tiers.score(other.id, other.fields, "reference").unscored == tiers.NO_LABEL


def test_labels_that_are_no_option(answer: Answer) -> None:
    """Without readable options, or with a label that is none of them, there is no option tier; the others stand."""
    for fields in (
        answer("a", YES_NO, "maybe", "maybe"),
        {**answer("a", YES_NO, "yes", "yes"), "instruction": "Is it?"},
    ):
        found = choice_of(fields)
        assert found.marks == {"strict": True, "stripped": True}
        assert found.expected is None


@given(st.text(max_size=60), st.text(min_size=1, max_size=12).filter(str.strip))
def test_any_answer_can_be_marked(response: str, label: str) -> None:
    """Whatever is answered and asked for: what is right strictly is right when stripped, and nothing raises."""
    instruction = f"Which? The answer could be {label} or another."
    fields = {"key": 1, "prompt": "p", "instruction": instruction, "label": label, "response": response}
    for said in (response, label, label.swapcase(), f"The answer is {label}."):
        found = choice_of({**fields, "response": said})
        assert found.marks["stripped"] or not found.marks["strict"]
        assert found.marks.keys() <= {"strict", "stripped", "option"}
    assert found.failure in (None, "wrong format", "wrong answer")


def test_no_response_is_no_zero(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """Items without a response are in no value, and in the bounds; a tier that nobody filled has no value."""
    lines = [answer("a", YES_NO, "yes", "yes"), answer("b", YES_NO, "yes", None, error="timeout")]
    result = count_file(write_answers(tmp_path, "A_B", lines), SUITES["classification"], "reference")
    cells = result.tally.cells()
    assert (cells["strict"].value, cells["strict"].bounds, cells["strict"].n) == (1.0, (0.5, 1.0), 1)
    assert (cells["judge"].value, cells["judge"].bounds, cells["judge"].unscored) == (None, (0.0, 1.0), 2)
    assert cells["strict"].unscored == 1
    assert result.agreement is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": None}, "field 'label': must be text"),
        ({"instruction": 3}, "field 'instruction': must be text"),
        ({"option_scores": {}}, "field 'option_scores': must be an object"),
        ({"option_scores": {"yes": "high"}}, "field 'option_scores': must be an object"),
        ({"option_scores": {"yes": float("nan")}}, "field 'option_scores'"),
        ({"option_scores": {"yes": 10**400}}, "field 'option_scores'"),
        ({"option_scores": {"yes": True}}, "field 'option_scores'"),
        ({"instruction_id_list": []}, "is no field of classification items"),
        ({"pred_scores": 1}, "field 'pred_scores'"),
    ],
)
def test_lines_that_cannot_be_counted(
    answer: Answer, write_answers: Write, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """The file, the line and the field are named."""
    path = write_answers(
        tmp_path, "A_B", [answer("a", YES_NO, "yes", "yes"), answer("b", YES_NO, "yes", "yes") | change]
    )
    with pytest.raises(DataError) as found:
        count_file(path, SUITES["classification"], "reference")
    assert message in str(found.value)
    assert ":2" in str(found.value)


def test_the_same_item_twice_is_refused(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """No judge alone decides here, so a second line of an item is no second grading."""
    path = write_answers(tmp_path, "A_B", [answer("a", YES_NO, "yes", "yes")] * 2)
    with pytest.raises(DataError, match="the same item as line 1"):
        count_file(path, SUITES["classification"], "reference")


def test_explanation_shows_each_tier(answer: Answer) -> None:
    """Every tier stands there with its reason, every reply with how it was read, and why it fails."""
    fields = answer("a", YES_NO, "yes", "It is not no.", pred_score=["YES", "?"])
    item = item_of(fields, Path("f"), 1)
    found = explain(item, tiers.score(item.id, fields, "reference"), EVALUATORS["classify"], "reference", "en")
    assert [(reason.name, reason.mark.met) for reason in found.reasons] == [
        ("strict", False),
        ("stripped", False),
        ("option", True),
        ("judge", True),
    ]
    assert found.reasons[2].mark.found == "denies the other than yes"
    assert [vote.read for vote in found.votes] == ["YES", None]
    assert found.verdict == "not met"
    assert found.remarks == ("wrong format",)


def test_runs_are_compared_tier_by_tier(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """Another judge takes only the judge's tier out of a comparison."""
    for run, response in (("one", "yes"), ("two", "yes.")):
        note = {"model": run, "prompt_id": "p@1"}
        lines = [answer(str(key), YES_NO, "yes", response, pred_score=["YES"], judge=note) for key in range(25)]
        write_answers(tmp_path / run, "A_B", lines)
    (found,) = compare(
        tmp_path / "one", [tmp_path / "two"], "reference", added_fields={"response", "pred_score", "judge"}
    )
    assert {tier: change.difference.value for tier, change in found.changes.items()} == {
        "strict": -1.0,
        "stripped": 0.0,
        "option": 0.0,
    }
    assert found.refusal is not None
    assert "judged by one" in found.refusal
