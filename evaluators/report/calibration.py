"""How far a judge can be trusted, as tables and as JSON."""

from __future__ import annotations

import json
from typing import Any

from evaluators.calibrate import PANEL, Calibration, JudgeResult
from evaluators.report import as_json, numbers
from evaluators.report.forms import Sheet
from evaluators.report.rows import Table

NAMES = {
    "prompt": "P. Acc.",
    "instruction": "I. Acc.",
    "iar": "IAR ↑",
    "ecr": "ECR ↓",
    "judge": "Acc. (judge)",
}


def for_json(result: Calibration) -> str:
    """Return the numbers as JSON, fractions with their intervals and methods, with a final line feed."""
    shown = {
        "profile": result.profile,
        "evaluator": result.suite.evaluator,
        "gold": result.gold.name,
        "file": result.judged.name,
        "benchmark": None if result.benchmark is None else result.benchmark.name,
        "n_labelled": result.labelled,
        "n_items": result.items,
        "judges": [_judge(judge) for judge in result.judges],
        "agreement": None if result.agreement is None else as_json.alpha(result.agreement),
    }
    return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"


def sheet(result: Calibration) -> Sheet:
    """Return tables and notes."""
    title = f"{result.judged.name} beside {result.gold.name} · profile {result.profile}"
    return Sheet(title, [_rates(result), _scores(result), _agreement(result)], _notes(result))


def _rates(result: Calibration) -> Table:
    lines = []
    for judge in result.judges:
        for kind, rates in judge.kinds.items():
            cells = [
                numbers.percent_with_interval(rates.accuracy),
                numbers.with_interval(rates.kappa),
                numbers.percent_with_interval(rates.false_yes),
                numbers.percent_with_interval(rates.false_no),
            ]
            lines.append([judge.name, kind, str(rates.accuracy.n), *cells])
    headers = ["judge", "questions", "n", "accuracy", "kappa", "false YES", "false NO"]
    return _one_judge(Table(headers, lines, 2), result)


def _scores(result: Calibration) -> Table:
    lines = [
        [judge.name, NAMES[metric], *map(numbers.percent_with_interval, (scores.judged, scores.gold, scores.corrected))]
        for judge in result.judges
        for metric, scores in judge.scores.items()
    ]
    return _one_judge(Table(["judge", "metric", "judged", "gold", "corrected"], lines, 2), result)


def _agreement(result: Calibration) -> Table:
    lines = [
        [f"samples of {judge.name}", str(judge.samples.n), numbers.with_interval(judge.samples)]
        for judge in result.judges
        if judge.samples is not None
    ]
    if result.agreement is not None:
        lines.append(["judges of the panel", str(result.agreement.n), numbers.with_interval(result.agreement)])
    return Table(["agreement among", "questions", "alpha"], lines, 1)


def _one_judge(shown: Table, result: Calibration) -> Table:
    """Leave the judge's column out where there is only one: the notes name it."""
    if len(result.judges) > 1:
        return shown
    return Table(shown.headers[1:], [row[1:] for row in shown.rows], shown.text_columns - 1)


def _notes(result: Calibration) -> list[str]:
    judges = "; ".join(judge.name for judge in result.judges if judge.name != PANEL)
    found = [
        f"Judged by {judges}. {result.labelled} of {result.items} items are labelled. Percent, below each its 95 % "
        "interval; kappa is Cohen's, alpha Krippendorff's.",
        "False YES: share of the gold NO that the judge calls YES; false NO: share of the gold YES that it calls NO.",
        *(
            f"{judge.name}: {judge.unusable} labelled items without a usable verdict are in no number."
            for judge in result.judges
            if judge.unusable
        ),
    ]
    scores = [scores for judge in result.judges for scores in judge.scores.values()]
    if result.benchmark is not None:
        found.append(
            f"Corrected: the score of {result.benchmark.name}, if the judge errs there as on the labelled items."
        )
    elif result.labelled == result.items:
        found.append("Corrected: every item is labelled, so the gold verdicts' own score.")
    else:
        found.append("Corrected: holds if the labelled items were drawn at random from the file.")
    if any(score.corrected.value is None for score in scores):
        found.append("–: cannot be told from these labels, or the judge tells YES from NO no better than chance.")
    shown = [number for score in scores for number in (score.judged, score.gold, score.corrected)]
    shown += [
        number
        for judge in result.judges
        for rates in judge.kinds.values()
        for number in (rates.accuracy, rates.kappa, rates.false_yes, rates.false_no)
    ]
    found.append(numbers.methods_note(shown))
    return found


def _judge(judge: JudgeResult) -> dict[str, Any]:
    return {
        "name": judge.name,
        "n_items": judge.items,
        "unusable": judge.unusable,
        "questions": {
            kind: {
                "accuracy": as_json.estimate(rates.accuracy),
                "kappa": as_json.estimate(rates.kappa),
                "false_yes": as_json.estimate(rates.false_yes),
                "false_no": as_json.estimate(rates.false_no),
            }
            for kind, rates in judge.kinds.items()
        },
        "samples": None if judge.samples is None else as_json.alpha(judge.samples),
        "scores": {
            metric: {
                "judged": as_json.estimate(scores.judged),
                "gold": as_json.estimate(scores.gold),
                "corrected": as_json.estimate(scores.corrected),
            }
            for metric, scores in judge.scores.items()
        },
    }
