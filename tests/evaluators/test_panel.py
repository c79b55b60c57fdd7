"""The vote of a panel: each judge's verdicts are a ballot (docs/calibration.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from data.records import ItemId
from data.suites import SUITES
from evaluators import adjust
from evaluators import open as open_ended
from evaluators.cli import main
from evaluators.count import count_file

Write = Callable[[Path, list[dict[str, Any]]], Path]
ITEM = ItemId("open_ended_en.jsonl", 1, None)
YES, NO, UNREADABLE = '["YES"]', '["NO"]', "no idea"


def open_line(**panel: list[str] | None) -> dict[str, Any]:
    """Return a line with one question that these judges graded."""
    return {"response": "r", "decomposed_questions": ["q"], "pred_scores": panel}


def adjust_reply(verdicts: str) -> str:
    """Return a reply for verdicts like YNY: after, before, content."""
    words = {"Y": "YES", "N": "NO"}
    names = ("follow_after_adjust", "follow_before_adjust", "after_adjust_content_correct")
    return json.dumps(dict(zip(names, (words[verdict] for verdict in verdicts), strict=True)))


@pytest.mark.parametrize(
    ("panel", "fixed", "reference"),
    [
        ({"a": [YES] * 4, "b": [NO] * 4, "c": [YES] * 4}, "2 of 3 judges YES: met", "2 of 3 judges YES: met"),
        # Seven of twelve replies say NO, but two of three judges say YES: judges vote, replies do not.
        ({"a": [YES, YES, YES, NO], "b": [NO] * 4, "c": [YES, YES, NO, YES]}, "2 of 3 judges YES: met", None),
        ({"a": [YES] * 4, "b": [NO] * 4}, "1 of 2 judges YES: not met, tied", "1 of 2 judges YES: met, tied"),
        ({"a": [NO] * 4, "b": [YES] * 4}, "1 of 2 judges YES: not met, tied", "1 of 2 judges YES: not met, tied"),
        # A judge that is tied with itself says NO under `fixed`, and what it said first under `reference`.
        ({"a": [YES, NO], "b": [YES], "c": [NO]}, "1 of 3 judges YES: not met", "2 of 3 judges YES: met"),
        ({"a": [UNREADABLE] * 4, "b": [YES] * 4}, "1 of 1 judges YES: met", None),
        ({"a": None, "b": [YES] * 4, "c": "YES"}, "1 of 1 judges YES: met", None),
    ],
)
def test_votes_across_judges(panel: dict[str, Any], fixed: str, reference: str | None) -> None:
    """Each judge's own vote comes first, the majority of the judges second; a tie follows the profile's rule."""
    for profile, expected in (("fixed", fixed), ("reference", reference or fixed)):
        (mark,) = open_ended.score(ITEM, open_line(**panel), profile).marks["questions"]
        shown = f"{mark.found}: {'met' if mark.met else 'not met'}{', tied' if mark.flag == 'tie' else ''}"
        assert shown == expected


def test_ballots_of_another_length() -> None:
    """The longest list wins under `reference`; `fixed` without questions takes the length of more than half."""
    panel = {"a": ['["YES", "YES"]'], "b": ['["YES", "YES"]'], "c": ['["NO", "NO", "NO"]']}
    line = {"response": "r", "pred_scores": panel}
    assert [mark.met for mark in open_ended.score(ITEM, line, "reference").marks["questions"]] == [False] * 3
    assert [mark.met for mark in open_ended.score(ITEM, line, "fixed").marks["questions"]] == [True] * 2


@pytest.mark.parametrize(
    ("panel", "reason"),
    [
        ({"a": [UNREADABLE], "b": [UNREADABLE]}, "no readable vote"),
        ({"a": None, "b": None}, "pred_score is null"),
        ({"a": None, "b": [UNREADABLE]}, "no readable vote"),
    ],
)
@pytest.mark.parametrize("score", [open_ended.score, adjust.score])
def test_a_panel_without_ballots(score: Callable[..., Any], panel: dict[str, Any], reason: str) -> None:
    """Where no judge decided anything the item is unscored, and every unreadable reply is counted."""
    found = score(ITEM, {"response": "r", "pred_scores": panel}, "fixed")
    assert (found.unscored, found.marks) == (reason, {})
    assert found.invalid_votes == sum(replies == [UNREADABLE] for replies in panel.values())


def test_adjustment_keys_are_voted_on_one_by_one() -> None:
    """The panel's IAR rests on its votes on both keys, not on the judges' IAR marks."""
    panel = {"a": [adjust_reply("YNN")], "b": [adjust_reply("NYY")], "c": [adjust_reply("YNY")]}
    line = {"response": "r", "pred_scores": panel}
    marks = adjust.score(ITEM, line, "fixed").marks
    assert (marks["iar"][0].met, marks["ecr"][0].met) == (True, False)
    assert marks["iar"][0].found == "followed: 2 of 3 judges YES; content right: 2 of 3 judges YES"


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.integers(1, 5), st.sampled_from(["reference", "fixed"]))
def test_judges_of_one_mind_vote_like_one_judge(verdicts: list[bool], judges: int, profile: str) -> None:
    """However many judges repeat the same verdicts, the panel says what one of them says, without a tie."""
    reply = json.dumps(["YES" if verdict else "NO" for verdict in verdicts])
    line = {"response": "r", "decomposed_questions": ["q"] * len(verdicts)}
    alone = open_ended.score(ITEM, line | {"pred_score": [reply] * 4}, profile)
    panel = open_ended.score(ITEM, line | {"pred_scores": {str(n): [reply] * 4 for n in range(judges)}}, profile)
    assert open_ended.counts(panel) == open_ended.counts(alone)
    assert panel.ties == ()


@pytest.fixture
def panel_file(tmp_path: Path, write_jsonl: Write) -> Path:
    """Forty items that three judges graded, the third of them with every verdict turned round on ten."""
    rows = []
    for key in range(40):
        truth = [YES] if key % 3 else [NO]
        third = [NO if truth == [YES] else YES] if key < 10 else truth
        rows.append(
            {
                "key": key,
                "prompt": f"p{key}",
                "response": None if key == 39 else "r",
                "decomposed_questions": ["q"],
                **({} if key == 39 else {"pred_score": truth, "pred_scores": {"a": truth, "b": truth, "c": third}}),
                "judge": {"model": "a", "prompt_id": "judge_open@1"},
                "judges": {"a": {"model": "a", "prompt_id": "judge_open@1"}, "b": {"model": "m-b", "prompt_id": "p"}},
            }
        )
    return write_jsonl(tmp_path / "open_ended_en.jsonl", rows)


def test_each_judge_is_counted_alone_too(panel_file: Path, tmp_path: Path, write_jsonl: Write) -> None:
    """A judge's row is what a file by that judge alone gives; the file's own numbers are the panel's vote."""
    result = count_file(panel_file, SUITES["open"], "fixed")
    assert list(result.panel) == ["a", "b", "c"]
    rows = [json.loads(line) for line in panel_file.read_text().splitlines()]
    for name, tally in result.panel.items():
        alone = [{**row, "pred_score": row.get("pred_scores", {}).get(name), "pred_scores": {}} for row in rows]
        path = write_jsonl(tmp_path / name / "open_ended_en.jsonl", alone)
        assert tally.cells() == count_file(path, SUITES["open"], "fixed").tally.cells()
    assert result.tally.ratios["prompt"].met == result.panel["a"].ratios["prompt"].met == 26
    assert result.agreement is not None
    assert result.agreement.n == 39
    assert result.agreement.value == pytest.approx(
        0.62773, abs=5e-6
    )  # nltk's AnnotationTask.alpha() on the same ratings
    assert result.judges == {"a, prompt judge_open@1", "b: m-b, prompt p", "c: unknown judge"}


def test_a_panel_is_shown(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table and JSON hold the vote, each judge, the tie rule and the agreement."""
    assert main(["--src_file", str(panel_file), "--profile", "fixed"]) == 0
    text = capsys.readouterr().out
    names = [line.split()[0] for line in text.splitlines() if line.split()]
    assert [name for name in names if name in ("open", "a", "b", "c")] == ["open", "a", "b", "c"]
    assert "the vote of a panel of 3, one ballot a judge, a tie is NO" in text
    assert main(["--src_file", str(panel_file), "--format", "json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert list(file["panel"]["judges"]) == ["a", "b", "c"]
    assert file["panel"]["judges"]["c"]["metrics"]["prompt"]["n"] == 39
    assert (file["agreement"]["name"], file["agreement"]["among"]) == ("Krippendorff's alpha", "judges")


def test_judges_in_folders_stay_apart(tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Two graders whose folders' last parts are alike are numbered: none takes the other's place."""
    line = {"prompt": "p", **open_line(**{"/here/grader": [YES], "/there/grader": [NO]})}
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [line])
    assert main(["--src_file", str(path), "--format", "json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    judges = file["panel"]["judges"]
    assert [(name, judge["metrics"]["prompt"]["value"]) for name, judge in judges.items()] == [
        ("grader (1)", 1.0),
        ("grader (2)", 0.0),
    ]


def test_a_broken_panel_is_named(tmp_path: Path, write_jsonl: Write) -> None:
    """`pred_scores` that is no object is refused with its line."""
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [{"prompt": "p", "response": "r", "pred_scores": [YES]}])
    with pytest.raises(DataError, match=r"open_ended_en\.jsonl:1: field 'pred_scores': must be an object"):
        count_file(path, SUITES["open"], "fixed")
