"""Items that are asked in writing beside one or two recordings: an instance of Dynamic-SUPERB from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from data import audio
from data.dataset import SAMPLE
from inference import cli
from inference.asking import GAP_SECONDS

RATE = 16_000
RECORDINGS = sorted((SAMPLE / "closed-ended" / "en" / "standard").glob("*.ogg"))[:3]
FILE = "classify_SpeakerVerification_Sample_en.jsonl"
QUESTION = "Is it one speaker? The answer could be yes or no."
EAR = """
import json


class Ear:
    def answer(self, samples, rate, text, system, sampling):
        heard = samples if isinstance(samples, list) else [samples]
        lengths = [None if one is None else len(one) for one in heard]
        return json.dumps({"lengths": lengths, "sum": sum(float(abs(one).sum()) for one in heard if one is not None),
                           "text": text, "listed": isinstance(samples, list)})


class OneOnly(Ear):
    def answer(self, samples, rate, text, system, sampling):
        if len(samples) > 1:
            raise ValueError("one recording only")
        return super().answer(samples, rate, text, system, sampling)
"""


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance of two rows over real speech: the first has one recording, the second two."""
    folder = tmp_path / "SpeakerVerification_Sample"
    folder.mkdir()
    for name, source in zip(("a.wav", "b.wav", "b_pair2.wav"), RECORDINGS, strict=True):
        soundfile.write(folder / name, audio.load(source, RATE), RATE, subtype="PCM_16")
    rows = {
        "a.wav": {"file": "a", "instruction": QUESTION, "label": "yes"},
        "b.wav": {"file": "b", "instruction": QUESTION, "label": "no", "text": "Listen twice."},
    }
    (folder / "metadata.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture
def ask(instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs a class of one's own over the instance; returns the answers' lines, and run.json."""
    (tmp_path / "ears.py").write_text(EAR)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*flags: str, name: str = "Ear") -> tuple[list[dict[str, Any]], dict[str, Any]]:
        out = ["--dataset", str(instance), "--output_dir", str(tmp_path / "out"), "--run_name", "run", "--overwrite"]
        assert cli.main(["--backend", f"ears:{name}", *out, *flags]) == 0
        folder = tmp_path / "out" / "run"
        rows = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
        return rows, json.loads((folder / "run.json").read_text())

    return run


def samples_of(folder: Path, *names: str) -> list[int]:
    """Return how many samples recordings have."""
    return [soundfile.info(folder / name).frames for name in names]


def test_a_model_of_one_recording_gets_them_joined(ask: Any, instance: Path) -> None:
    """Two recordings come as one, with silence between them, beside the question; run.json and the line say so."""
    (one, two), manifest = ask()
    first, second = (json.loads(row["response"]) for row in (one, two))
    a, b, pair = samples_of(instance, "a.wav", "b.wav", "b_pair2.wav")
    assert (first["lengths"], first["text"], first["listed"]) == ([a], QUESTION, False)
    assert second["lengths"] == [b + round(GAP_SECONDS * RATE) + pair]
    assert second["text"] == f"{QUESTION}\n\nListen twice."
    assert two["audio_seconds_used"] == pytest.approx((b + pair) / RATE + GAP_SECONDS, abs=0.001)
    assert manifest["clips"] == {"joined": True, "gap_seconds": GAP_SECONDS}
    assert manifest["score"] is None


def test_a_model_of_two_recordings_gets_them_apart(ask: Any, instance: Path) -> None:
    """With --max_clips 2 a class gets lists, in the order of the row; nothing is added to what was recorded."""
    (one, two), manifest = ask("--max_clips", "2")
    first, second = (json.loads(row["response"]) for row in (one, two))
    a, b, pair = samples_of(instance, "a.wav", "b.wav", "b_pair2.wav")
    assert (first["lengths"], second["lengths"]) == ([a], [b, pair])
    assert first["listed"]
    assert manifest["clips"] == {"joined": False}
    assert manifest["model"]["max_clips"] == 2


def test_joining_adds_silence_and_nothing_else(ask: Any) -> None:
    """What is heard of joined recordings is what is heard of them one by one."""
    joined, apart = (ask(*flags)[0][1] for flags in ((), ("--max_clips", "2")))
    sums = [json.loads(row["response"])["sum"] for row in (joined, apart)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-4)


def test_the_blind_control_gets_the_question_alone(ask: Any) -> None:
    """With --modality text there is no recording, and none is looked for."""
    rows, manifest = ask("--modality", "text")
    assert [json.loads(row["response"])["lengths"] for row in rows] == [[None], [None]]
    assert json.loads(rows[0]["response"])["text"] == QUESTION
    assert "clips" not in manifest


def test_the_limit_is_that_of_what_the_model_gets(ask: Any, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings within the limit can be beyond it when joined: then they are cut, and the line says by how much."""
    a, b, pair = samples_of(instance, "a.wav", "b.wav", "b_pair2.wav")
    limit = max(a, b, pair) / RATE + 0.01
    chosen = cli.models.chosen
    monkeypatch.setattr(
        cli.models, "chosen", lambda choice: (chosen(choice)[0], {**chosen(choice)[1], "max_audio_seconds": limit})
    )
    (one, two), _ = ask()
    assert "audio_seconds_cut" not in one
    assert two["audio_seconds_used"] == pytest.approx(limit, abs=0.001)
    assert two["audio_seconds_cut"] == pytest.approx((b + pair) / RATE + GAP_SECONDS - limit, abs=0.002)
    (_, two), _ = ask("--max_clips", "2")
    assert "audio_seconds_cut" not in two


def test_a_model_that_refuses_two_recordings_is_found_out_before_the_run(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preflight asks a turn of two known recordings where the run has such turns, and says how to go on."""
    (tmp_path / "ears.py").write_text(EAR)
    monkeypatch.syspath_prepend(tmp_path)
    flags = ["--backend", "ears:OneOnly", "--max_clips", "2", "--dataset", str(instance), "--output_dir", str(tmp_path)]
    assert cli.main(flags) == 1
    said = capsys.readouterr().err
    assert "does not answer two known recordings in one turn: ValueError: one recording only (--max_clips 1" in said


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ("", "several recordings of an item: joined, 1 s of silence between two"),
        ("--max_clips 2", "several recordings of an item: in one turn, each apart"),
    ],
)
def test_a_dry_run_shows_the_turn(
    flags: str, shown: str, instance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry_run tells how several recordings would be sent, and shows recording and question."""
    command = f"--backend ears:Ear --dataset {instance} --output_dir {tmp_path} --dry_run {flags}"
    assert cli.main(command.split()) == 0
    out = capsys.readouterr().out
    assert shown in out
    assert json.dumps(QUESTION) in out
    assert str(instance / "a.wav") in out


@pytest.mark.parametrize(
    "flags", ["--backend ears:Ear", "--model embedded", "--model my --base_url http://127.0.0.1:9/v1"]
)
def test_models_without_probabilities_refuse_to_score(
    flags: str, instance: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--score likelihood with a back end that cannot is one line and exit code 2, before anything is loaded."""
    assert cli.main([*flags.split(), "--score", "likelihood", "--dataset", str(instance), "--dry_run"]) == 2
    said = capsys.readouterr().err
    assert "--score likelihood needs a model whose probabilities can be seen: --backend transformers or vllm" in said
    assert len(said.splitlines()) == 1


def test_a_data_set_without_options_is_not_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark whose items name no options is refused as a whole."""
    flags = f"--backend transformers --model {tmp_path} --score likelihood --dry_run --output_dir {tmp_path}"
    assert cli.main(flags.split()) == 2
    assert "needs instructions that name their options" in capsys.readouterr().err


def test_joined_clips_stand_where_they_should() -> None:
    """The gap is zeros of its length, and no sample of the clips is changed."""
    left, right = (audio.Clip(np.full(n, level, dtype=np.float32), 100, n / 100) for n, level in ((50, 0.5), (30, -1)))
    made = audio.joined([left, right], 0.2)
    assert made.samples.tolist() == [0.5] * 50 + [0.0] * 20 + [-1.0] * 30
    assert made.samples.dtype == np.float32
    assert (made.rate, made.seconds) == (100, pytest.approx(1.0))
