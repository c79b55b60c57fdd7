"""Calibration: gold verdicts joined to judged files, on InFoBench's verdicts and on judges of known errors."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from data.suites import SUITES
from evaluators import stats
from evaluators.__main__ import main
from evaluators.calibrate import ALL, PANEL, Calibration, calibrate
from evaluators.gold import read

Write = Callable[[Path, list[dict[str, Any]]], Path]
Golden = Callable[[str], list[dict[str, Any]]]
Rows = list[dict[str, Any]]
ROOT = Path(__file__).parents[2]
OPEN, ADJUST = SUITES["open"], SUITES["adjustment"]


def reply(verdicts: list[bool]) -> str:
    """Return a grader's reply to an open item."""
    return json.dumps(["YES" if verdict else "NO" for verdict in verdicts])


def judged(rows: Rows, *, false_yes: float, false_no: float, unsteady: float = 0.0, seed: int = 1) -> Rows:
    """Return InFoBench's items as a judge with these error rates would grade them, four replies each.

    `unsteady` is the share of verdicts that each single reply turns round.
    """
    generator = random.Random(seed)
    lines = []
    for row in rows:
        said = [generator.random() >= (false_no if true else 1 - false_yes) for true in row["verdicts"]]
        replies = [reply([verdict ^ (generator.random() < unsteady) for verdict in said]) for _ in range(4)]
        lines.append(
            {
                "key": row["id"],
                "prompt": row["instruction"],
                "decomposed_questions": row["decomposed_questions"],
                "response": row["output"],
                "pred_score": replies,
                "judge": {"model": "simulated", "prompt_id": "judge_open@1"},
            }
        )
    return lines


@pytest.fixture
def infobench(golden: Golden) -> Rows:
    """InFoBench's 500 items with GPT-4's verdicts, which serve as gold."""
    return golden("infobench_gpt4.jsonl")


@pytest.fixture
def compared(tmp_path: Path, write_jsonl: Write) -> Callable[..., Calibration]:
    """A function that writes gold and judged rows, and calibrates."""

    def run(gold: Rows, lines: Rows, suite: str = "open", profile: str = "fixed", **files: Rows) -> Calibration:
        benchmark = write_jsonl(tmp_path / "benchmark.jsonl", files["benchmark"]) if files else None
        return calibrate(
            write_jsonl(tmp_path / "gold.jsonl", gold),
            write_jsonl(tmp_path / "judged.jsonl", lines),
            SUITES[suite],
            profile,
            benchmark=benchmark,
        )

    return run


def holds(estimate: stats.Estimate, truth: float) -> bool:
    """Return whether the interval holds the truth."""
    return estimate.ci95 is not None and estimate.ci95[0] <= truth <= estimate.ci95[1]


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_a_judge_that_repeats_the_gold_verdicts(
    infobench: Rows, compared: Callable[..., Calibration], profile: str
) -> None:
    """InFoBench's own verdicts: full agreement, and its published scores, corrected or not."""
    (judge,) = compared(infobench, judged(infobench, false_yes=0, false_no=0), profile=profile).judges
    rates = judge.kinds[ALL]
    assert (judge.items, judge.unusable, rates.accuracy.n) == (500, 0, 2250)
    assert (rates.accuracy.value, rates.kappa.value, rates.false_yes.value, rates.false_no.value) == (1, 1, 0, 0)
    assert (rates.false_yes.n, rates.false_no.n) == (279, 1971)
    assert judge.samples is not None
    assert judge.samples.value == 1
    for metric, value in (("prompt", 0.61), ("instruction", 0.876)):
        scores = judge.scores[metric]
        assert (scores.judged.value, scores.gold.value, scores.corrected.value) == pytest.approx((value,) * 3)
    assert set(judge.kinds) == {ALL, "Content", "Format", "Linguistic", "Number", "Style"}
    labels = [kind for row in infobench for kinds in row["question_label"] for kind in kinds]
    assert {kind: judge.kinds[kind].accuracy.n for kind in judge.kinds if kind != ALL} == {
        kind: labels.count(kind) for kind in set(labels)
    }


def test_a_judge_of_known_errors(infobench: Rows, compared: Callable[..., Calibration]) -> None:
    """Rates, kappa and the samples' alpha come out as they were put in."""
    lines = judged(infobench, false_yes=0.3, false_no=0.08, unsteady=0.03)
    (judge,) = compared(infobench, lines).judges
    rates = judge.kinds[ALL]
    assert holds(rates.false_yes, 0.3 + 0.4 * 0.01)  # a little more through ties and turned replies
    assert holds(rates.false_no, 0.085)
    said = [vote for line in lines for vote in _votes(line["pred_score"])]
    true = [verdict for row in infobench for verdict in row["verdicts"]]
    agree = sum(one == other for one, other in zip(said, true, strict=True)) / 2250
    chance = (sum(said) * sum(true) + (2250 - sum(said)) * (2250 - sum(true))) / 2250**2
    assert rates.accuracy.value == pytest.approx(agree)
    assert rates.kappa.value == pytest.approx((agree - chance) / (1 - chance))
    assert judge.samples is not None
    assert judge.samples.value is not None
    assert 0.7 < judge.samples.value < 0.95


def _votes(replies: list[str]) -> list[bool]:
    return [2 * votes.count("YES") > 4 for votes in zip(*map(json.loads, replies), strict=True)]


def test_the_score_is_corrected_from_a_part_of_the_labels(
    infobench: Rows, compared: Callable[..., Calibration]
) -> None:
    """With 150 of 500 items labelled, the corrected scores hold GPT-4's and are narrower than the labels alone."""
    lines = judged(infobench, false_yes=0.35, false_no=0.02)
    part = random.Random(2).sample(infobench, 150)
    result = compared(part, lines)
    assert (result.labelled, result.items) == (150, 500)
    for metric, truth in (("prompt", 0.61), ("instruction", 0.876)):
        scores = result.judges[0].scores[metric]
        assert not holds(scores.judged, truth)
        assert holds(scores.corrected, truth)
        assert scores.corrected.ci95 is not None
        assert scores.gold.ci95 is not None
        assert scores.corrected.ci95[1] - scores.corrected.ci95[0] < scores.gold.ci95[1] - scores.gold.ci95[0]
        assert scores.corrected.method is not None
        assert scores.corrected.method.startswith("prediction-powered")


def test_error_rates_correct_another_file(infobench: Rows, compared: Callable[..., Calibration]) -> None:
    """Easy items are labelled, the hard ones are the benchmark: its score comes back within its interval."""
    easy = [row for row in infobench if row["subset"] == "Easy_set"]
    hard = [row for row in infobench if row["subset"] != "Easy_set"]
    errors = {"false_yes": 0.3, "false_no": 0.05}
    result = compared(easy, judged(easy, **errors), benchmark=judged(hard, seed=5, **errors))
    scores = result.judges[0].scores["instruction"]
    truth = 1361 / 1560
    assert scores.judged.n == 1560
    assert scores.corrected.method is not None
    assert scores.corrected.method.startswith("Rogan-Gladen")
    assert holds(scores.corrected, truth)


def test_a_panel_is_calibrated_judge_by_judge(infobench: Rows, compared: Callable[..., Calibration]) -> None:
    """The vote of three judges with errors of their own is better than each; their agreement is measured."""
    lines = judged(infobench, false_yes=0.2, false_no=0.1)
    others = [judged(infobench, false_yes=0.2, false_no=0.1, seed=seed) for seed in (2, 3)]
    for line, second, third in zip(lines, *others, strict=True):
        line["pred_scores"] = {"a": line["pred_score"], "b": second["pred_score"], "c": third["pred_score"]}
    result = compared([{"id": row["id"], "verdicts": row["verdicts"]} for row in infobench], lines)
    assert [judge.name for judge in result.judges] == [PANEL, "a", "b", "c"]
    vote, *single = [judge.kinds[ALL].accuracy.value for judge in result.judges]
    assert vote is not None
    assert all(value is not None and value < vote for value in single)
    assert result.judges[0].samples is None
    assert result.agreement is not None
    assert result.agreement.value is not None
    assert 0.3 < result.agreement.value < 0.6
    assert result.agreement.n == 2250


ADJUST_KEYS = ("follow_after_adjust", "follow_before_adjust", "after_adjust_content_correct")


def test_adjustment_items(compared: Callable[..., Calibration]) -> None:
    """The three keys are the kinds of question; gold may be an object or a list, in words or as booleans."""
    truths = [[True, False, True], [True, True, False], [False, True, False]] * 10
    gold: Rows = []
    lines: Rows = []
    for key, truth in enumerate(truths):
        said = [truth[0], False, truth[2]]  # a judge that never sees the superseded request followed
        words = dict(zip(ADJUST_KEYS, ("YES" if verdict else "NO" for verdict in truth), strict=True))
        gold.append({"key": key, "verdicts": truth if key % 2 else words})
        replies = [json.dumps(dict(zip(ADJUST_KEYS, ("YES" if v else "NO" for v in said), strict=True)))] * 4
        lines.append({"key": key, "prompt": "p", "response": "r", "pred_score": replies})
    (judge,) = compared(gold, lines, suite="adjustment").judges
    assert list(judge.kinds) == [ALL, "after", "before", "content"]
    assert judge.kinds["before"].false_no.value == 1
    assert judge.kinds["after"].accuracy.value == 1
    assert judge.scores["iar"].gold.value == pytest.approx(1 / 3)
    assert (judge.scores["ecr"].judged.value, judge.scores["ecr"].corrected.value) == (0, pytest.approx(2 / 3))
    assert judge.name == "unknown judge"


def test_classification_items(compared: Callable[..., Calibration]) -> None:
    """There is one verdict an answer, YES or not; rules count beside the judge and have nothing to calibrate."""
    gold: Rows = []
    lines: Rows = []
    for key in range(40):
        true, said = (("YES", "YES"), ("NO", "NO"), ("N/A", "YES"), ("N/A", "N/A"))[key % 4]
        gold.append({"key": key, "verdicts": [true]})
        line = {"key": key, "prompt": "p", "instruction": "i", "label": "yes", "response": "Yes."}
        lines.append({**line, "pred_score": [json.dumps({"verdict": said})] * 4})
    lines[0]["pred_score"] = ["no idea"] * 4
    (judge,) = compared(gold, lines, suite="classification").judges
    assert list(judge.scores) == ["judge"]
    assert (judge.items, judge.unusable) == (39, 1)
    assert judge.kinds[ALL].false_yes.value == pytest.approx(1 / 3)
    assert judge.kinds[ALL].false_no.value == 0
    assert judge.scores["judge"].judged.value == pytest.approx(19 / 39)
    assert judge.scores["judge"].gold.value == judge.scores["judge"].corrected.value == pytest.approx(9 / 39)


@pytest.mark.parametrize("verdicts", [["YES", "NO"], ["maybe"], []])
def test_classification_gold_has_one_verdict(verdicts: list[str], tmp_path: Path, write_jsonl: Write) -> None:
    """Another number is another subset's, and another word is none."""
    path = write_jsonl(tmp_path / "gold.jsonl", [{"key": 1, "verdicts": verdicts}])
    with pytest.raises(DataError, match=r'the one verdict on the answer|"N/A" or null|one verdict a question'):
        read(path, "classify")


def test_what_the_judge_did_not_decide_is_counted(infobench: Rows, compared: Callable[..., Calibration]) -> None:
    """Unreadable replies and unlabelled questions leave every rate, and the items are counted as unusable."""
    rows = infobench[:40]
    lines = judged(rows, false_yes=0, false_no=0)
    lines[0]["pred_score"] = ["no idea"] * 4
    lines[1]["response"] = None
    gold: Rows = [{"key": row["id"], "verdicts": list(row["verdicts"])} for row in rows]
    gold[2]["verdicts"][0] = None
    (judge,) = compared(gold, lines).judges
    questions = sum(len(row["verdicts"]) for row in rows[2:]) - 1
    assert (judge.items, judge.unusable, judge.kinds[ALL].accuracy.n) == (38, 2, questions)
    assert judge.scores["prompt"].gold.n == 37
    assert judge.scores["prompt"].judged.n == 38


def test_a_later_grading_replaces_an_earlier_one(compared: Callable[..., Calibration]) -> None:
    """Two lines of one item are two gradings; the later one counts."""
    line = {"key": 1, "prompt": "p", "response": "r", "decomposed_questions": ["q"]}
    gradings = [{**line, "pred_score": [reply([verdict])] * 4} for verdict in (False, True)]
    result = compared([{"key": 1, "verdicts": [True]}], gradings)
    assert (result.items, result.judges[0].kinds[ALL].accuracy.value) == (1, 1.0)


LINE = {"key": 1, "audio_path": "a", "prompt": "p", "response": "r", "decomposed_questions": ["q"], "pred_score": []}
GOLD = {"key": 1, "verdicts": [True]}


@pytest.mark.parametrize(
    ("gold", "lines", "place", "says"),
    [
        ([GOLD, {**GOLD, "key": 2}], [LINE], "gold.jsonl:2", "key 2 is not in"),
        ([{**GOLD, "key": "1"}, {**GOLD, "key": "2"}], [LINE], "gold.jsonl:1", "nor are 1 more of the 2"),
        ([{**GOLD, "audio_path": "b"}], [LINE], "gold.jsonl:1", "key 1 is not in"),
        ([GOLD, GOLD], [LINE], "gold.jsonl:2", "the same item as line 1"),
        ([GOLD], [LINE, {**LINE, "audio_path": "b"}], "gold.jsonl:1", "add the audio_path"),
        ([{**GOLD, "response": "s"}], [LINE], "gold.jsonl:1: field 'response'", "is not the answer that was judged"),
        ([{**GOLD, "verdicts": [True, False]}], [LINE], "gold.jsonl:1: field 'verdicts'", "has 2 entries"),
        ([{**GOLD, "verdicts": []}], [LINE], "gold.jsonl:1: field 'verdicts'", "list with one verdict a question"),
        ([{**GOLD, "verdicts": ["maybe"]}], [LINE], "gold.jsonl:1: field 'verdicts'", '"YES", "NO" or null'),
        ([{**GOLD, "verdicts": [1]}], [LINE], "gold.jsonl:1: field 'verdicts'", '"YES", "NO" or null'),
        ([{"verdicts": [True]}], [LINE], "gold.jsonl:1: field 'key'", "joined by key"),
        ([{**GOLD, "key": 1.5}], [LINE], "gold.jsonl:1: field 'key'", "an integer or text"),
        ([{**GOLD, "question_label": ["a", "b"]}], [LINE], "gold.jsonl:1: field 'question_label'", "a list of 1 names"),
        ([GOLD], [{**LINE, "question_label": [7]}], "judged.jsonl:1: field 'question_label'", "a list of 1 names"),
        ([GOLD], [{k: v for k, v in LINE.items() if k != "pred_score"}], "judged.jsonl", "api_judge.py first"),
        ([], [LINE], "gold.jsonl", "the file is empty"),
    ],
)
def test_what_does_not_join_is_named(
    tmp_path: Path,
    write_jsonl: Write,
    capsys: pytest.CaptureFixture[str],
    gold: Rows,
    lines: Rows,
    place: str,
    says: str,
) -> None:
    """Files that do not fit get one line with the place, exit code 2, and no output."""
    gold_file, judged_file = write_jsonl(tmp_path / "gold.jsonl", gold), write_jsonl(tmp_path / "judged.jsonl", lines)
    flags = ["--gold", str(gold_file), "--src_file", str(judged_file), "--evaluator", "open"]
    assert main(["calibrate", *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"{tmp_path / place}" in shown.err
    assert says in shown.err


def test_adjustment_gold_needs_three_verdicts(tmp_path: Path, write_jsonl: Write) -> None:
    """An adjustment item is labelled with the judge's three keys."""
    path = write_jsonl(tmp_path / "gold.jsonl", [GOLD])
    with pytest.raises(Exception, match="follow_after_adjust, follow_before_adjust"):
        read(path, "adjust")


def test_other_judges_and_closed_files_are_refused(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """Error rates belong to one judge, and closed files have none."""
    gold = write_jsonl(tmp_path / "gold.jsonl", [GOLD])
    line = {**LINE, "pred_score": [reply([True])]}
    file = write_jsonl(tmp_path / "open_ended_en.jsonl", [{**line, "judge": {"model": "m", "prompt_id": "p"}}])
    other = write_jsonl(tmp_path / "other.jsonl", [{**line, "judge": {"model": "n", "prompt_id": "p"}}])
    assert main(["calibrate", "--gold", str(gold), "--src_file", str(file), "--benchmark", str(other)]) == 2
    assert "is judged by n, prompt p, not by m, prompt p" in capsys.readouterr().err
    assert main(["calibrate", "--gold", str(gold), "--src_file", str(file), "--evaluator", "close"]) == 2
    assert "counted by rule" in capsys.readouterr().err
    assert main(["calibrate", "--gold", str(gold), "--src_file", str(file), "--output_file", str(gold)]) == 2
    assert "overwrite" in capsys.readouterr().err


def test_the_command(infobench: Rows, tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Every form carries the same numbers; every number has its interval and every interval its method."""
    gold = write_jsonl(tmp_path / "gold.jsonl", infobench[:100])
    lines = write_jsonl(tmp_path / "open_ended_en.jsonl", judged(infobench[:300], false_yes=0.3, false_no=0.1))
    flags = ["calibrate", "--gold", str(gold), "--src_file", str(lines), "--profile", "fixed"]
    assert main([*flags, "--format", "json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    (judge,) = numbers["judges"]
    accuracy = judge["questions"]["all"]["accuracy"]
    assert (numbers["n_labelled"], numbers["n_items"], accuracy["method"]) == (100, 300, "cluster bootstrap")
    shown = f"{100 * accuracy['value']:.2f}"
    for form, dash in (("table", "–"), ("latex", "--"), ("csv", "–"), ("markdown", "–")):
        assert main([*flags, "--format", form]) == 0
        text = capsys.readouterr().out
        assert shown in text
        assert f"{100 * accuracy['ci95'][0]:.1f}{dash}{100 * accuracy['ci95'][1]:.1f}" in text
        assert ("seed 20261120" in text) == (form != "csv")
        assert ("drawn at random" in text) == (form != "csv")
    target = tmp_path / "out.md"
    assert main([*flags, "--format", "markdown", "--output_file", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert target.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("words", [[], ["calibrate"], ["compare"], ["decompose"]])
def test_help_is_light(words: list[str]) -> None:
    """--help of the sub-commands imports none of the heavy packages."""
    command = [sys.executable, "-X", "importtime", "-m", "evaluators", *words, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"numpy", "scipy", "nltk", "rich"}
