"""Dynamic-SUPERB as a newcomer runs it: built tasks, asked as processes, judged by rule, ending in one table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MAKE_MODELS = ROOT / "tests" / "inference" / "make_tiny_models.py"
INSTANCES = ("SpeakerVerification_Speech", "SpokenTermDetection_Speech")  # two recordings; a text input


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command from the checkout and expect success."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


def lines(run_folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all files of answers."""
    for path in sorted(run_folder.glob("classify_*.jsonl")):
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def tasks(english_voices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two built tasks, and one of them in other words."""
    del english_voices  # needed, and used by the commands
    out = tmp_path_factory.mktemp("tasks")
    names = [name.partition("_")[0] for name in INSTANCES]
    command("-m", "data", "build", "--as", "dynamic-superb", "--out", out, "--examples", 32, "--tasks", *names)
    command("-m", "data", "reword", out / INSTANCES[1], "--kinds", "order")
    assert command("-m", "data", "validate", "--as", "dynamic-superb", out).stdout.startswith("0 errors, 0 warnings")
    return out


def test_the_embedded_model_is_asked_in_writing(tasks: Path, tmp_path: Path) -> None:
    """It gets what it heard in every recording with the instruction, and ends in a table of tiers."""
    asked = command("inference.py", "--dataset", tasks, "--limit", 1, "--max_tokens", 8, "--output_dir", tmp_path)
    assert "3 responses, 0 failed" in asked.stderr
    (folder,) = tmp_path.iterdir()
    verification, reworded, _ = lines(folder)
    assert len(verification["audio_paths"]) == 2
    assert verification["asr_transcript"].count("\n") >= 1  # one transcript a recording
    assert reworded["rewording"]["kind"] == "order"
    told = json.loads((folder / "run.json").read_text())
    assert (told["clips"], told["score"]) == ({"joined": False}, None)
    assert told["first_prompt"]["item"].startswith("classify_SpeakerVerification_Speech_en.jsonl[")
    assert verification["instruction"] in told["first_prompt"]["rendered"]
    shown = json.loads(command("evaluate.py", "--results", folder, "--format", "json").stdout)
    assert [file["n_scored"] for file in shown["files"]] == [1, 1, 1]
    assert {"strict", "stripped", "option"} <= shown["files"][0]["metrics"].keys()
    text = command("evaluate.py", "--evaluator", "classify", "--results", folder).stdout
    assert all(name.partition("_")[0] in text for name in INSTANCES)


@pytest.fixture(scope="module")
def tiny_audio_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2-Audio of random weights, which takes any number of recordings a turn."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("weights")
    subprocess.run([sys.executable, MAKE_MODELS, folder], check=True, timeout=300)
    return folder / "tiny-qwen2-audio"


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [(), ("--max_clips", 1), ("--score", "likelihood")], ids=["written", "joined", "scores"]
)
def test_an_audio_model_is_asked(
    flags: tuple[object, ...], tasks: Path, tiny_audio_model: Path, tmp_path: Path
) -> None:
    """Built instances through transformers: answers written, with recordings joined, and options scored."""
    given = ("--dataset", tasks, "--limit", 2, "--max_tokens", 8, "--output_dir", tmp_path)
    asked = command("inference.py", "--model", tiny_audio_model, "--backend", "transformers", *given, *flags)
    assert "6 responses, 0 failed" in asked.stderr
    (folder,) = tmp_path.iterdir()
    scored = "likelihood" in flags
    for line in lines(folder):
        assert ("option_scores" in line) == scored
        if scored:
            assert line["response"] == max(line["option_scores"], key=line["option_scores"].__getitem__)
    told = json.loads((folder / "run.json").read_text())
    assert told["clips"]["joined"] == ("--max_clips" in flags)
    shown = json.loads(command("evaluate.py", "--results", folder, "--format", "json").stdout)
    for file in shown["files"]:
        assert (file["metrics"]["likelihood"]["value"] is not None) == scored
        assert (file["metrics"]["strict"]["value"] is None) == scored
