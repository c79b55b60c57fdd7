"""Recognisers: how they are named, what a transcription server is sent, and what becomes of all that goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import soundfile
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsNonStreaming

from data import audio, dataset
from data.audio import Clip
from data.errors import ModelError, ToolkitError, UsageError
from inference import asr, cli, preflight
from inference.asr import RECOGNISERS, TranscriptionFailed, kind_and_model, load_transcriber
from inference.backends import Answer, Request
from inference.backends.cascade import Cascade
from inference.backends.openai_server import encoded
from inference.backends.transcription_server import TranscriptionServer
from inference.chat import ATTEMPTS, MORE_WHEN_LIMITED, Sampling

KEY = "sk-very-secret-0123456789"
SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=32, seed=5)


def tone(seconds: float = 0.5) -> Clip:
    """Return a clip of a tone, in the steps of a 16-bit recording."""
    moment = np.arange(int(seconds * asr.SAMPLING_RATE)) / asr.SAMPLING_RATE
    return Clip((np.rint(8000 * np.sin(2764 * moment)) / 32768).astype(np.float32), asr.SAMPLING_RATE, seconds)


@pytest.fixture
def waits() -> list[float]:
    """What was waited between attempts, none of which takes time."""
    return []


@pytest.fixture
def hear(scripted_server: Any, waits: list[float]) -> Callable[..., Any]:
    """A function that has one clip transcribed; returns the transcript, or the failure of the item or the run."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def send(clip: Clip | None = None, /, **settings: Any) -> str | TranscriptionFailed | ToolkitError:
        async def once() -> str | TranscriptionFailed | ToolkitError:
            server = TranscriptionServer(
                "hears-1", {"asr_base_url": [scripted_server.base_url], **settings}, sleep=sleep
            )
            try:
                return await server.transcribe(clip or tone())
            except (TranscriptionFailed, ToolkitError) as error:
                return error
            finally:
                await server.close()

        return asyncio.run(once())

    scripted_server.react = lambda _: scripted_server.Reaction(body={"text": " fine\n"})
    return send


def always(server: Any, **reaction: Any) -> None:
    """Let a server react to every call in one way."""
    server.react = lambda _: server.Reaction(**reaction)


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("embedded", ("embedded", "")),
        ("faster-whisper:small.en", ("faster-whisper", "small.en")),
        ("transformers:./folder", ("transformers", "./folder")),
        ("openai:owner/model:latest", ("openai", "owner/model:latest")),
    ],
)
def test_a_name_is_a_kind_and_a_model(name: str, expected: tuple[str, str]) -> None:
    """What stands behind the first colon is the model's, further colons included."""
    assert kind_and_model(name) == expected


@pytest.mark.parametrize(
    "name", ["nonsense", "whisper:tiny", "openai", "openai:", "transformers:", ":x", "embedded:x", ""]
)
def test_an_unknown_recogniser_is_refused_with_those_there_are(name: str) -> None:
    """The line names every kind."""
    with pytest.raises(UsageError, match="unknown recogniser") as caught:
        load_transcriber(name, {})
    assert all(kind in str(caught.value) for kind in RECOGNISERS)


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_the_clip_is_uploaded_whole(scripted_server: Any, hear: Any) -> None:
    """The form holds the model, the recording bit for bit, and what makes the answer the same each time."""
    clip = tone(1.5)
    assert hear(clip) == "fine"
    (call,) = scripted_server.calls
    assert call.path == "/v1/audio/transcriptions"
    name, content, kind = call.body.pop("file")
    assert (name, kind) == ("clip.wav", "audio/wav")
    assert call.body == {"model": "hears-1", "response_format": "json", "temperature": "0.0"}
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == clip.rate
    np.testing.assert_array_equal(samples, clip.samples)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, None),
        ({"languages": ["en"]}, "en"),
        ({"languages": ["en", "zh"]}, None),
        ({"asr_language": "zh", "languages": ["en"]}, "zh"),
    ],
)
def test_a_language_is_told_where_there_is_one(
    settings: dict[str, Any], told: str | None, scripted_server: Any, hear: Any
) -> None:
    """The named one, or the only one that the text model speaks; of several the recogniser has to tell."""
    hear(**settings)
    assert scripted_server.calls[0].body.get("language") == told


@pydantic.with_config(arbitrary_types_allowed=True)  # a file may be an open one, which pydantic has no schema of
class Form(TranscriptionCreateParamsNonStreaming):
    """OpenAI's own type of the request."""


FORM = pydantic.TypeAdapter(Form)


def check_request(body: dict[str, Any]) -> None:
    """Raise pydantic's ValidationError where a form is no request that OpenAI's own types describe."""
    assert body.keys() <= Form.__required_keys__ | Form.__optional_keys__
    FORM.validate_python(body)


@pytest.mark.parametrize("settings", [{}, {"asr_language": "en"}])
def test_requests_are_what_openai_s_types_describe(settings: dict[str, Any], scripted_server: Any, hear: Any) -> None:
    """The form passes the openai package's own request types."""
    hear(**settings)
    check_request(scripted_server.calls[0].body)


@pytest.mark.parametrize(
    "change",
    [{"temperature": "cold"}, {"response_format": "song"}, {"file": 7}, {"language": ["en"]}, {"stream": "true"}],
    ids=lambda change: next(iter(change)),
)
def test_the_types_find_a_wrong_request(change: dict[str, Any], scripted_server: Any, hear: Any) -> None:
    """The check above is none that everything passes."""
    hear()
    body = scripted_server.calls[0].body
    check_request(body)
    with pytest.raises(pydantic.ValidationError):
        check_request({**body, **change})
    with pytest.raises(pydantic.ValidationError):
        check_request({name: value for name, value in body.items() if name != next(iter(change))} | change)


# --- key and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"asr_api_key_env": "MY_KEY"}])
def test_the_hosted_service_needs_a_key(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the line says which variable, or which flag; with one nothing else is needed."""
    variable = settings.get("asr_api_key_env", "OPENAI_API_KEY")
    with pytest.raises(UsageError, match=f"set {variable}, or name another server with --asr_base_url"):
        load_transcriber("openai:gpt-4o-transcribe", settings)
    monkeypatch.setenv(variable, KEY)
    asyncio.run(load_transcriber("openai:gpt-4o-transcribe", settings).close())


def test_the_key_goes_to_the_server_alone(scripted_server: Any, hear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the header, and is struck out of what a server says."""
    monkeypatch.setenv("MY_KEY", KEY)
    always(scripted_server, status=400, body={"error": {"message": f"no audio from {KEY}"}})
    failed = hear(asr_api_key_env="MY_KEY")
    headers = {name.lower(): value for name, value in scripted_server.calls[0].headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert str(failed) == "HTTP 400: no audio from ***"


# --- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "transcript"),
    [
        ({"text": "Say it."}, {}, "Say it."),
        ({"text": " Say it. ", "usage": {"type": "duration", "seconds": 2}, "segments": []}, {}, "Say it."),
        ({"text": ""}, {}, ""),
        ("Sag's: ü.\n".encode(), {"content-type": "text/plain; charset=utf-8"}, "Sag's: ü."),
        (b"", {"content-type": "text/plain"}, ""),
    ],
    ids=["JSON", "more JSON", "nothing heard", "text", "no text"],
)
def test_transcripts_come_as_json_or_text(
    body: Any, headers: dict[str, str], transcript: str, scripted_server: Any, hear: Any
) -> None:
    """Silence is a transcript too."""
    always(scripted_server, body=body, headers=headers)
    assert hear() == transcript
    assert len(scripted_server.calls) == 1


PASSING: dict[str, tuple[dict[str, Any], str]] = {
    "429": ({"status": 429, "body": {"error": {"message": "slow down"}}}, "HTTP 429: slow down"),
    "500": ({"status": 500, "body": {"error": {"message": "oops"}}}, "HTTP 500: oops"),
    "reset half-way": ({"body": {"text": "never whole"}, "torn": True}, "connection failed"),
    "invalid JSON": ({"body": b'{"text": "Sa'}, "the body is no transcription (JSONDecodeError)"),
    "no transcript": ({"body": {"message": "hello"}}, "the body is no transcription (KeyError)"),
    "no text": ({"body": {"text": ["a"]}}, "the body is no transcription (TypeError)"),
    "not UTF-8": ({"body": b'{"text": "\xff\xfe"}'}, "the body is no transcription (UnicodeDecodeError)"),
    "not UTF-8 either": ({"body": b"\xff", "headers": {"content-type": "text/plain"}}, "the body is no transcription"),
    "a page": ({"body": b"<html>Welcome</html>", "headers": {"content-type": "text/html"}}, "is no transcription"),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_tried_to_the_last_attempt(kind: str, scripted_server: Any, hear: Any) -> None:
    """Then it is the item's failure, which a later run asks again; one failure before a success leaves no trace."""
    reaction, reason = PASSING[kind]
    always(scripted_server, **reaction)
    failed = hear()
    assert isinstance(failed, TranscriptionFailed)
    assert reason in str(failed)
    assert not failed.permanent
    assert len(scripted_server.calls) == ATTEMPTS * (MORE_WHEN_LIMITED if kind == "429" else 1)
    scripted_server.calls.clear()
    bad, fine = scripted_server.Reaction(**reaction), scripted_server.Reaction(body={"text": "fine"})
    scripted_server.react = lambda _: bad if len(scripted_server.calls) == 1 else fine
    assert hear() == "fine"
    first, second = (call.body for call in scripted_server.calls)
    assert first == second  # the recording is sent anew, whole


def test_a_hanging_server_meets_the_time_limit(scripted_server: Any, hear: Any) -> None:
    """Waiting too long is a failure that may pass."""
    always(scripted_server, body={"text": "late"}, wait=60)
    assert str(hear(timeout_seconds=0.1)) == f"the server did not answer in time (tried {ATTEMPTS} times)"


def test_retry_after_is_waited_for(scripted_server: Any, hear: Any, waits: list[float]) -> None:
    """A server that is asked too often says when to come back."""
    busy = scripted_server.Reaction(status=429, body={}, headers={"retry-after": "17"})
    fine = scripted_server.Reaction(body={"text": "fine"})
    scripted_server.react = lambda _: busy if len(scripted_server.calls) == 1 else fine
    assert hear() == "fine"
    assert waits == [17]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_never_passes_is_asked_once(status: int, scripted_server: Any, hear: Any) -> None:
    """A recording that is too large for a server is so the second time too."""
    always(scripted_server, status=status, body={"error": {"message": "too large"}})
    failed = hear()
    assert isinstance(failed, TranscriptionFailed)
    assert (str(failed), failed.permanent) == (f"HTTP {status}: too large", True)
    assert len(scripted_server.calls) == 1


@pytest.mark.parametrize("status", [401, 404])
def test_no_access_ends_the_run_at_once(status: int, scripted_server: Any, hear: Any) -> None:
    """A wrong key, a wrong model name, or a server that transcribes nothing is every item's."""
    always(scripted_server, status=status, body={"error": {"message": "no"}})
    error = hear()
    assert type(error) is ModelError
    assert f"HTTP {status}" in str(error) and "hears-1" in str(error)
    assert len(scripted_server.calls) == 1


def test_nobody_listening_ends_the_run(hear: Any, unused_url: str, waits: list[float]) -> None:
    """A recogniser that is not there is tried as often as any failure, then the run ends."""
    error = hear(asr_base_url=[unused_url])
    assert isinstance(error, ModelError)
    assert unused_url in str(error) and "is the server running?" in str(error)
    assert len(waits) == ATTEMPTS - 1


def test_several_servers_share_the_clips(scripted_server: Any, second_server: Any, unused_url: str, hear: Any) -> None:
    """The least busy one is asked; one that is gone costs no clip."""
    second_server.react = scripted_server.react
    urls = [unused_url, scripted_server.base_url, second_server.base_url]

    async def all_of_them() -> list[str]:
        server = TranscriptionServer("hears-1", {"asr_base_url": urls}, sleep=lambda _: asyncio.sleep(0))
        try:
            return await asyncio.gather(*[server.transcribe(tone()) for _ in range(20)])
        finally:
            await server.close()

    assert asyncio.run(all_of_them()) == ["fine"] * 20
    assert min(len(scripted_server.calls), len(second_server.calls)) >= 5


# --- in a cascade ---------------------------------------------------------------------------------------------------


class Scripted:
    """A recogniser and a text model in one, whose every word a test decides."""

    revision = "0123456789abcdef"

    def __init__(self, heard: str | Exception, answered: Answer) -> None:
        self.heard, self.answered = heard, answered
        self.asked: list[Request] = []
        self.closed = 0

    async def transcribe(self, _: Clip) -> str:
        """Hear."""
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard

    async def answer(self, request: Request) -> Answer:
        """Answer."""
        self.asked.append(request)
        return self.answered

    def rendered(self, request: Request) -> str:
        """Show."""
        return str(request.text)

    async def close(self) -> None:
        """Close."""
        self.closed += 1


def through(parts: Scripted) -> Answer:
    """Return what a cascade of scripted parts answers to speech."""

    async def once() -> Answer:
        cascade = Cascade(parts, parts)
        try:
            return await cascade.answer(Request((tone(),), None, "Obey.", SAMPLING))
        finally:
            await cascade.close()

    return asyncio.run(once())


@pytest.mark.parametrize("permanent", [True, False])
def test_a_clip_that_is_not_heard_is_asked_of_nobody(permanent: bool) -> None:
    """The recogniser's reason is the item's, and so is whether asking again may help."""
    parts = Scripted(TranscriptionFailed("HTTP 413: too large", permanent=permanent), Answer("never"))
    assert through(parts) == Answer(None, "transcription failed: HTTP 413: too large", permanent)
    assert (parts.asked, parts.closed) == ([], 2)


def test_a_transcript_outlives_the_text_model_s_failure() -> None:
    """What was heard stays on the line, so that one sees what the model was asked."""
    answer = through(Scripted("Say it.", Answer(None, "HTTP 500")))
    assert (answer.text, answer.error, answer.transcript) == (None, "HTTP 500", "Say it.")


HEARD = "What a speech recogniser heard in {}:\n{}"


@pytest.mark.parametrize(
    ("seconds", "text", "expected"),
    [
        ([0.5], None, "0.5 s"),
        ([0.5], "What is it?", HEARD.format("the recording", "0.5 s") + "\n\nWhat is it?"),
        (
            [0.5, 2.0],
            "The same?",
            "\n\n".join([HEARD.format("recording 1", "0.5 s"), HEARD.format("recording 2", "2 s"), "The same?"]),
        ),
        (
            [0.5, 2.0],
            None,
            "\n\n".join([HEARD.format("recording 1", "0.5 s"), HEARD.format("recording 2", "2 s")]),
        ),
    ],
    ids=["spoken alone", "asked in writing", "two, asked in writing", "two, spoken alone"],
)
def test_a_text_model_gets_transcripts_and_the_question(seconds: list[float], text: str | None, expected: str) -> None:
    """Each recording is heard by itself; what is asked in writing follows, and a transcript is called one beside it."""

    class Measuring(Scripted):
        async def transcribe(self, clip: audio.Clip) -> str:
            return f"{clip.seconds:g} s"

    parts = Measuring("", Answer("fine"))
    request = Request(tuple(tone(length) for length in seconds), text, None, SAMPLING, options=("yes", "no"))
    answer = asyncio.run(Cascade(parts, parts).answer(request))
    (asked,) = parts.asked
    assert (asked.clips, asked.text, asked.options) == ((), expected, ("yes", "no"))
    assert answer.transcript == "\n".join(f"{length:g} s" for length in seconds)


def test_recordings_of_nothing_have_no_transcript() -> None:
    """Where nothing is heard in any of several recordings, the transcript is empty, and counted as such."""
    parts = Scripted("", Answer("fine"))
    answer = asyncio.run(Cascade(parts, parts).answer(Request((tone(), tone()), "The same?", None, SAMPLING)))
    assert answer.transcript == ""


def test_a_recogniser_that_is_gone_ends_the_run() -> None:
    """A ModelError passes through."""
    with pytest.raises(ModelError, match="not there"):
        through(Scripted(ModelError("not there"), Answer("never")))


@pytest.mark.parametrize("heard", ["", "Something."])
def test_a_deaf_recogniser_is_noticed_before_the_run(heard: str) -> None:
    """Known speech that is heard as nothing is worth a warning."""
    said: list[str] = []
    parts = Scripted(heard, Answer("fine"))
    clip = audio.clip(preflight.CLIPS[0], asr.SAMPLING_RATE)
    request = Request((clip,), None, None, SAMPLING)
    asyncio.run(preflight.check(Cascade(parts, parts), request, asr.SAMPLING_RATE, said.append))
    assert ("warning: the recogniser heard nothing in a known recording" in said) == (heard == "")


# --- the whole command, with real speech and real weights -------------------------------------------------------------


@pytest.fixture(scope="module")
def whisper() -> asr.FasterWhisper:
    """The embedded Whisper tiny.en."""
    recogniser = load_transcriber("embedded", {"threads": 1})
    assert isinstance(recogniser, asr.FasterWhisper)
    return recogniser


def heard(whisper: asr.FasterWhisper, file: bytes, folder: Path) -> str:
    """Return what a recogniser hears in an audio file's content."""
    path = folder / "sent.wav"
    path.write_bytes(file)
    return whisper._heard(audio.clip(path, asr.SAMPLING_RATE))


@pytest.fixture
def whisper_server(scripted_server: Any, whisper: asr.FasterWhisper, tmp_path: Path) -> Any:
    """A server that transcribes what it is sent."""
    one_at_a_time = threading.Lock()

    def transcribed(call: Any) -> Any:
        if "file" not in call.body:
            return scripted_server.Reaction(status=404, body={"error": {"message": "only transcriptions here"}})
        with one_at_a_time:
            return scripted_server.Reaction(body={"text": heard(whisper, call.body["file"][1], tmp_path)})

    scripted_server.react = transcribed
    return scripted_server


def test_the_command_with_a_recogniser_behind_a_server(
    whisper_server: Any, whisper: asr.FasterWhisper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line keeps what the server heard, to the letter what the same weights hear here; run.json names both."""
    url = whisper_server.base_url.replace("http://", "http://me:hunter2@")
    flags = f"--backend cascade --asr openai:whisper --asr_base_url {url} --llm embedded --output_dir {tmp_path}"
    less = "--subset adjust --limit 2 --max_tokens 8 --skip_preflight"
    assert cli.main([*flags.split(), *less.split()]) == 0, capsys.readouterr().err
    folder = tmp_path / "cascade-openai_whisper-embedded"
    rows = [json.loads(line) for line in (folder / "adjustment_en.jsonl").read_text().splitlines()]
    (file,) = dataset.dataset_files(dataset.SAMPLE / "adjustment" / "adjustment_en.jsonl")
    finder = dataset.AudioFinder(file.root)
    for row in rows:
        sent = encoded(audio.clip(finder.find(row["audio_path"], file.path), asr.SAMPLING_RATE), "wav")
        assert row["asr_transcript"] == heard(whisper, sent, tmp_path) != ""
        assert row["response"]
    assert len(rows) == 2
    assert {call.path for call in whisper_server.calls} == {"/v1/audio/transcriptions"}
    assert {call.body["language"] for call in whisper_server.calls} == {"en"}
    manifest = (folder / "run.json").read_text()
    model = json.loads(manifest)["model"]
    assert (model["asr"], model["asr_base_url"]) == ("openai:whisper", [whisper_server.base_url])
    assert (model["llm"]["backend"], model["label"]) == ("embedded", "smoke-test model")
    assert "hunter2" not in manifest + capsys.readouterr().err


def test_a_recogniser_that_is_not_there_is_one_line(
    unused_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with the address that does not answer."""
    monkeypatch.setattr("inference.backends.pool.ATTEMPTS", 1)
    (tmp_path / "echoes.py").write_text("class Echo:\n    def answer(self, *turn): return turn[2]\n")
    monkeypatch.syspath_prepend(tmp_path)
    flags = f"--modality transcript --asr openai:whisper --asr_base_url {unused_url} --backend echoes:Echo --lang en"
    assert cli.main([*flags.split(), "--output_dir", str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert unused_url in line and "is the server running?" in line


def test_a_dry_run_names_the_recogniser_and_asks_nobody(
    scripted_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither server nor weights are needed to see what would be asked."""
    url = scripted_server.base_url
    flags = f"--backend cascade --asr openai:whisper --asr_base_url {url} --llm embedded --dry_run --lang en"
    assert cli.main([*flags.split(), "--output_dir", str(tmp_path)]) == 0
    assert "of model 'cascade-openai:whisper-embedded', heard by openai:whisper, " in capsys.readouterr().out
    assert not scripted_server.calls
