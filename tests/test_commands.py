"""The three commands as a newcomer runs them: as processes, on the bundled speech, with the embedded model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command from the checkout and expect success."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: one item of every English file answered, the open and adjustment ones judged."""
    output = tmp_path_factory.mktemp("results")
    asked = command("inference.py", "--limit", 1, "--max_tokens", 16, "--output_dir", output)
    assert "embedded (smoke-test model): 7 responses, 0 failed" in asked.stderr
    assert "files in other languages are skipped" in asked.stderr
    folder = output / "embedded"
    assert [Path(line).parent for line in asked.stdout.split()] == [folder] * 7
    for data_type, name in (("open", "open_ended_en.jsonl"), ("adjust", "adjustment_en.jsonl")):
        flags = ("--data_type", data_type, "--src_file", folder / name, "--judge_model", "embedded")
        assert command("api_judge.py", *flags).stdout == f"{folder / name}\n"
    return folder


def test_a_run_writes_what_was_answered_and_by_what(run_folder: Path) -> None:
    """Every line has its answer and what was heard; the manifest has the model's label and its packages."""
    for path in run_folder.glob("*.jsonl"):
        (row,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        assert row["key"] == 1
        assert row["response"]
        assert row["asr_transcript"]
    manifest = json.loads((run_folder / "run.json").read_text())
    assert manifest["model"]["label"] == "smoke-test model"
    assert {"xllamacpp", "faster-whisper"} <= manifest["packages"].keys()


def test_a_run_ends_in_one_table(run_folder: Path) -> None:
    """Every file of the run stands in the table, fully scored, under the model's name and label."""
    text = command("evaluate.py", "--results", run_folder).stdout
    assert "embedded (smoke-test model)" in text
    assert "judge_open@" in text
    assert "max_tokens 16" in text
    assert "[" not in text  # nothing is unscored, so no range is shown


@pytest.mark.parametrize(
    ("evaluator", "name", "metrics"),
    [
        ("close", "closed_standard_en.jsonl", 6),
        ("open", "open_ended_en.jsonl", 2),
        ("adjust", "adjustment_en.jsonl", 2),
    ],
)
@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_each_file_is_counted_alone(run_folder: Path, evaluator: str, name: str, metrics: int, profile: str) -> None:
    """Each evaluator counts its file in either profile, and every judged cell is covered."""
    flags = ("--evaluator", evaluator, "--src_file", run_folder / name, "--profile", profile, "--format", "json")
    (file,) = json.loads(command("evaluate.py", *flags).stdout)["files"]
    assert (file["n_items"], file["n_scored"]) == (1, 1)
    assert len(file["metrics"]) == metrics
    assert all(metric["value"] is not None for metric in file["metrics"].values())


def test_a_finished_run_asks_nothing(run_folder: Path) -> None:
    """The same command again loads no model and changes no file."""
    before = {path.name: path.read_bytes() for path in run_folder.glob("*.jsonl")}
    again = command("inference.py", "--limit", 1, "--max_tokens", 16, "--output_dir", run_folder.parent)
    assert "every item has its answer already" in again.stderr
    assert {path.name: path.read_bytes() for path in run_folder.glob("*.jsonl")} == before
