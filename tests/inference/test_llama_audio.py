"""Speech over a real server: llama.cpp's own, with SmolLM2 and ears of random weights, made here.

Random ears hear no words. That they hear at all shows in the answers: another recording, another answer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import audio
from data.audio import Clip
from data.errors import ModelError
from inference import cli, embedded, preflight
from inference.asr import SAMPLING_RATE, TranscriptionFailed
from inference.backends import Answer, Request
from inference.backends.openai_server import OpenAIServer
from inference.backends.transcription_server import TranscriptionServer
from inference.chat import ATTEMPTS, ChatClient, ChatError, Sampling

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=8, seed=0)
CONTEXT_TOKENS = 256  # also ends a transcription, which llama.cpp limits by nothing else
TOKENS_A_WINDOW = 25  # of the 30 s that these ears hear at once
WARNING = "this model may not hear the audio at all"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function that starts SmolLM2 with one of the pairs of ears; returns the server's address."""
    import xllamacpp

    folder = tmp_path_factory.mktemp("projectors")
    subprocess.run([sys.executable, Path(__file__).with_name("make_audio_projector.py"), folder], check=True)
    running = []

    def start(ears: str) -> str:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(embedded.llm_file())
        parameters.mmproj.path = str(folder / f"{ears}.gguf")
        parameters.model_alias = {embedded.LLM_NAME}
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_parallel = 1
        parameters.n_ctx = CONTEXT_TOKENS
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1  # several would wait for each other
        parameters.verbosity = -1
        running.append(xllamacpp.Server(parameters))
        return f"{running[-1].listening_address}/v1"

    return start


@pytest.fixture(scope="module")
def hearing(serve: Callable[[str], str]) -> str:
    """Address of a server whose model hears."""
    return serve("hearing")


@pytest.fixture(scope="module")
def deaf(serve: Callable[[str], str]) -> str:
    """Address of a server that takes audio, and whose model hears nothing of it."""
    return serve("deaf")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Two recordings of the sample."""
    return [audio.clip(path, SAMPLING_RATE) for path in preflight.CLIPS]


async def at_once(_: float) -> None:
    """Wait for nothing."""


def back_end(url: str, **settings: Any) -> OpenAIServer:
    """Return our back end for a server."""
    named = {"id": embedded.LLM_NAME, "base_url": [url], "request": embedded.REQUEST_FIELDS}
    return OpenAIServer({**named, **settings}, sleep=at_once)


def ask(url: str, clip: Clip | None, **settings: Any) -> Answer:
    """Ask one recording of a server."""

    async def once() -> Answer:
        server = back_end(url, **settings)
        try:
            return await server.answer(
                Request((clip,) if clip else (), None if clip else "Say hello.", "Obey.", SAMPLING)
            )
        finally:
            await server.close()

    return asyncio.run(once())


def checked(url: str, clip: Clip) -> list[str]:
    """Return what the preflight says of a server."""

    async def once() -> list[str]:
        said: list[str] = []
        server = back_end(url)
        try:
            await preflight.check(server, Request((clip,), None, "Obey.", SAMPLING), SAMPLING_RATE, said.append)
        finally:
            await server.close()
        return said

    return asyncio.run(once())


def test_speech_is_answered(hearing: str, clips: list[Clip]) -> None:
    """Another recording gets another answer, the same one the same; audio is counted in tokens, window by window."""
    first, second = (ask(hearing, clip) for clip in clips)
    assert first.error is None and second.error is None
    assert first.text and second.text and first.text != second.text
    assert first.finish_reason == "length"
    assert ask(hearing, clips[0]) == first
    written = ask(hearing, None)
    assert first.prompt_tokens == second.prompt_tokens > TOKENS_A_WINDOW
    assert written.prompt_tokens < first.prompt_tokens
    half_a_minute = Clip(np.resize(clips[0].samples, 40 * SAMPLING_RATE), SAMPLING_RATE, 40.0)
    assert ask(hearing, half_a_minute).prompt_tokens == first.prompt_tokens + TOKENS_A_WINDOW


@pytest.mark.parametrize("settings", [{"stream": True}, {"audio_format": "flac"}, {"audio_format": "mp3"}], ids=str)
def test_speech_goes_in_other_ways_too(settings: dict[str, Any], hearing: str, clips: list[Clip]) -> None:
    """A stream, and FLAC, are answered to the letter like a WAV; MP3 sounds a little different."""
    answer = ask(hearing, clips[0], **settings)
    assert answer.error is None and answer.text
    if settings.get("audio_format") != "mp3":
        assert answer == ask(hearing, clips[0])


def test_the_preflight_notices_a_server_that_drops_audio(hearing: str, deaf: str, clips: list[Clip]) -> None:
    """It warns of a model that takes audio and answers something else, and of no other."""
    assert checked(hearing, clips[0]) == []
    (warning,) = checked(deaf, clips[0])
    assert WARNING in warning and "the same answer and the same " in warning


@pytest.mark.parametrize("ears", ["hearing", "deaf"])
def test_the_command_over_the_sample(
    ears: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """`inference.py --base_url` asks recordings and keeps the answers, with a warning where nothing is heard."""
    flags = (
        f"--model {embedded.LLM_NAME} --base_url {request.getfixturevalue(ears)} --subset adjust --lang en --limit 2"
    )
    assert cli.main([*flags.split(), "--max_tokens", "8", "--output_dir", str(tmp_path)]) == 0
    folder = tmp_path / embedded.LLM_NAME
    rows = [json.loads(line) for line in (folder / "adjustment_en.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(row["response"] for row in rows)
    assert all(row["prompt_tokens"] > TOKENS_A_WINDOW and row["audio_seconds_used"] > 1 for row in rows)
    assert (rows[0]["response"] == rows[1]["response"]) == (ears == "deaf")
    assert json.loads((folder / "run.json").read_text())["first_prompt"]["tokens"] == rows[0]["prompt_tokens"]
    assert (WARNING in capsys.readouterr().err) == (ears == "deaf")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,AAAA"}}, "unsupported content[].type"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "Failed to load"),
    ],
    ids=["audio_url", "no audio"],
)
def test_what_the_server_refuses_is_permanent(part: dict[str, Any], said: str, hearing: str) -> None:
    """A kind of part that it does not know, and audio that is none, get a 400: the item's error, asked once."""

    async def once() -> None:
        client = ChatClient(hearing, embedded.LLM_NAME, sleep=at_once)
        with pytest.raises(ChatError, match="HTTP 400") as caught:
            await client.complete([{"role": "user", "content": [part]}], SAMPLING)
        assert caught.value.permanent and said in str(caught.value)
        await client.close()

    asyncio.run(once())


def test_a_model_without_ears_ends_the_run_before_it_begins(embedded_server: Any, clips: list[Clip]) -> None:
    """A text-only model answers audio with 500: the item may be asked again, and the preflight says why it ends."""
    answer = ask(embedded_server.base_url, clips[0])
    assert (answer.text, answer.permanent) == (None, False)
    assert "HTTP 500: audio input is not supported" in answer.error and f"tried {ATTEMPTS} times" in answer.error
    with pytest.raises(ModelError, match="does not answer a known recording: HTTP 500: audio input is not supported"):
        checked(embedded_server.base_url, clips[0])


def test_it_transcribes_after_its_fashion(hearing: str, embedded_server: Any, clips: list[Clip]) -> None:
    """Its `/v1/audio/transcriptions` takes our upload; without ears it says for good that it does not."""

    async def heard(url: str) -> str:
        server = TranscriptionServer(embedded.LLM_NAME, {"asr_base_url": [url], "asr_language": "en"}, sleep=at_once)
        try:
            return await server.transcribe(clips[0])
        finally:
            await server.close()

    assert asyncio.run(heard(hearing))
    with pytest.raises(TranscriptionFailed, match="HTTP 501: The current model does not support audio") as caught:
        asyncio.run(heard(embedded_server.base_url))
    assert caught.value.permanent
