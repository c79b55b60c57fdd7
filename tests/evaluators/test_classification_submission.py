"""Scores in Dynamic-SUPERB's own form: written from a run, checked, and counted anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators.__main__ import main

Answer = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
COMMITS = {"SpeechDetection_LJSpeech": "a" * 40, "SpeakerVerification_VCTK": "b" * 40}
YES_NO = ("yes", "no")


@pytest.fixture
def run_folder(answer: Answer, write_answers: Write, tmp_path: Path) -> Path:
    """A run over two instances whose versions run.json pins, and a reworded one."""
    folder = tmp_path / "run"
    for place, name in enumerate((*COMMITS, "SpeakerVerification_VCTK.order"), start=1):
        lines = [answer(f"k{key}", YES_NO, "yes", "yes" if key < 10 * place else "Yes!") for key in range(40)]
        write_answers(folder, name, lines)
    source = {"benchmark": "dynamic-superb", "parts": {name: {"revision": one} for name, one in COMMITS.items()}}
    run = {"model": {"name": "m"}, "sampling": {}, "data": {"source": source}}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_scores_are_written_and_hold(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry an instance: the strict tier, the pinned version, and what the model was trained on."""
    target = tmp_path / "scores.json"
    assert main(["submission", str(run_folder), "--out", str(target), "--seen", "SpeakerVerification"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{target}\n"
    assert "left out: SpeakerVerification_VCTK.order" in said.err
    assert json.loads(target.read_text()) == [
        {"name": name, "scores": [{"metric": "accuracy", "value": value, "version": COMMITS[name], "seen": seen}]}
        for name, value, seen in (
            ("SpeakerVerification_VCTK", 0.5, True),
            ("SpeechDetection_LJSpeech", 0.25, False),
        )
    ]
    assert main(["submission", "--verify", str(target)]) == 0
    assert main(["submission", str(run_folder), "--verify", str(target)]) == 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("value", 0.75, "SpeakerVerification_VCTK: 0.75 was written, 0.5 is counted"),
        ("version", "c" * 40, "the run used " + "b" * 40),
        ("metric", "f1", "f1 is not counted here"),
    ],
)
def test_what_is_not_as_counted_is_named(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: Any, message: str
) -> None:
    """Another number or version than the run's ends with exit code 1 and the difference."""
    target = tmp_path / "scores.json"
    assert main(["submission", str(run_folder), "--out", str(target)]) == 0
    entries = json.loads(target.read_text())
    entries[0]["scores"][0][name] = value
    target.write_text(json.dumps(entries))
    capsys.readouterr()
    assert main(["submission", str(run_folder), "--verify", str(target)]) == 1
    assert message in capsys.readouterr().out


SCORE = {"metric": "accuracy", "value": 0.5, "version": "a" * 40, "seen": False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {}, "must be a list"),
        (lambda entries: [*entries, 3], "entry 3 must be an object with a name"),
        (lambda entries: entries[:1], "number of tasks: 1"),
        (lambda entries: [*entries, entries[0]], "has two entries"),
        (lambda entries: [{**entries[0], "model": "m"}, entries[1]], "and nothing else"),
        (lambda entries: [{**entries[0], "scores": []}, entries[1]], "at least one score"),
        (lambda entries: [{**entries[0], "scores": [{"value": 1}]}, entries[1]], "metric, value, version, seen"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "value": 50}]}, entries[1]], "between 0 and 1"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "value": True}]}, entries[1]], "must be a number"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "value": 10**400}]}, entries[1]], "must be a number"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "metric": ""}]}, entries[1]], "metric must be text"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "version": "main"}]}, entries[1]], "40 hexadecimal"),
        (lambda entries: [{**entries[0], "scores": [{**SCORE, "seen": "yes"}]}, entries[1]], "true or false"),
    ],
)
def test_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[list[Any]], Any], message: str
) -> None:
    """What is not in the project's form is refused in one line."""
    target = tmp_path / "scores.json"
    entries = [{"name": name, "scores": [SCORE]} for name in ("A_B", "C_D")]
    target.write_text(json.dumps(entries))
    assert main(["submission", "--verify", str(target)]) == 0
    target.write_text(json.dumps(change(entries)))
    assert main(["submission", "--verify", str(target)]) == 2
    assert message in capsys.readouterr().err
    target.write_text("{")
    assert main(["submission", "--verify", str(target)]) == 2


def test_runs_that_cannot_be_submitted(
    run_folder: Path, answer: Answer, write_answers: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unanswered items, unpinned versions and a single task are refused, and nothing is written."""
    target = tmp_path / "scores.json"
    out = ["--out", str(target)]

    def refusal(*flags: str) -> str:
        assert main(["submission", str(run_folder), *out, *flags]) == 2
        return capsys.readouterr().err

    assert "no such instance or task" in refusal("--seen", "SarcasmDetection")
    assert "40 hexadecimal" in refusal("--version", "main")
    lines = [answer(f"k{key}", YES_NO, "yes", None if key else "yes") for key in range(5)]
    path = write_answers(run_folder, "StressDetection_MIRSD", lines)
    assert "4 of 5 items are not answered" in refusal()
    scored = answer("k1", YES_NO, "yes", "no", option_scores={"yes": -2.0, "no": -1.0})
    write_answers(run_folder, "StressDetection_MIRSD", [*lines[:1], scored])
    assert "mixes written answers with likelihoods" in refusal("--version", "a" * 40)
    write_answers(run_folder, "StressDetection_MIRSD", lines[:1])
    assert "pins no version of StressDetection_MIRSD" in refusal()
    path.unlink()
    (run_folder / "classify_SpeakerVerification_VCTK_en.jsonl").unlink()
    assert "number of tasks: 1" in refusal()
    assert not target.exists()


def test_a_part_of_an_instance_is_no_score_of_it(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Items that the data set has, by run.json, and the run never asked are missing: no file is written, none holds."""
    target, note = tmp_path / "scores.json", run_folder / "run.json"
    assert main(["submission", str(run_folder), "--out", str(target)]) == 0
    run = json.loads(note.read_text())
    run["data"]["items"] = {"classify_SpeechDetection_LJSpeech_en.jsonl": 90}
    note.write_text(json.dumps(run))
    assert main(["submission", str(run_folder), "--out", str(tmp_path / "part.json")]) == 2
    assert "50 of 90 items are not answered" in capsys.readouterr().err
    assert not (tmp_path / "part.json").exists()
    assert main(["submission", str(run_folder), "--verify", str(target)]) == 1
    assert "50 of 90 items are not answered" in capsys.readouterr().out
