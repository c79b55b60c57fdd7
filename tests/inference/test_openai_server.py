"""Speech over chat completions: what is sent, what comes back, and what becomes of everything that goes wrong."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pydantic
import pytest
import soundfile
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from data.audio import Clip
from data.errors import ModelError, ToolkitError, UsageError
from inference import embedded
from inference.backends import Answer, Request, load_backend
from inference.backends.openai_server import OpenAIServer, encoded
from inference.backends.pool import ASIDE, ServerPool
from inference.chat import ATTEMPTS, MORE_WHEN_LIMITED, Sampling

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=32, seed=5)
KEY = "sk-very-secret-0123456789"
RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE) -> Clip:
    """Return a clip of a tone, in the steps of a 16-bit recording."""
    wave = np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)) / 32768
    return Clip(wave.astype(np.float32), rate, seconds)


def spoken(clip: Clip | None = None, system: str | None = "Obey.") -> Request:
    """Return a speech turn."""
    return Request((clip or tone(),), None, system, SAMPLING)


def written(text: str = "Say it.", system: str | None = "Obey.") -> Request:
    """Return a text turn."""
    return Request((), text, system, SAMPLING)


@pytest.fixture
def waits() -> list[float]:
    """What was waited between attempts, none of which takes time."""
    return []


@pytest.fixture
def ask(scripted_server: Any, waits: list[float]) -> Callable[..., Any]:
    """A function that asks one request of a new back end; returns its Answer or the error that ends the run."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def send(turn: Request | None = None, /, **settings: Any) -> Answer | ToolkitError:
        async def once() -> Answer | ToolkitError:
            backend = OpenAIServer({"id": "hears-1", "base_url": [scripted_server.base_url], **settings}, sleep=sleep)
            try:
                return await backend.answer(turn or spoken())
            except ToolkitError as error:
                return error
            finally:
                await backend.close()

        return asyncio.run(once())

    return send


def always(server: Any, **reaction: Any) -> None:
    """Let a server react to every call in one way."""
    server.react = lambda _: server.Reaction(**reaction)


def said(server: Any, message: dict[str, Any], finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    """Return a completion of one message."""
    body: dict[str, Any] = {**server.completion("x"), **more}
    body["choices"] = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    return body


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_speech_turn_is_the_audio_alone(scripted_server: Any, ask: Any) -> None:
    """The body holds the system line, one user turn with the WAV, the sampling, and the further fields asked for."""
    answer = ask(spoken(), request={"modalities": ["text"]})
    (call,) = scripted_server.calls
    assert call.path == "/v1/chat/completions"
    audio = base64.b64encode(encoded(tone(), "wav")).decode()
    assert call.body == {
        "model": "hears-1",
        "messages": [
            {"role": "system", "content": "Obey."},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": audio, "format": "wav"}}]},
        ],
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 32,
        "seed": 5,
        "modalities": ["text"],
    }
    assert answer == Answer("fine", finish_reason="stop", prompt_tokens=7, completion_tokens=3)


@pytest.mark.parametrize("line", ["given", "folded"])
def test_recordings_come_first_and_the_question_behind_them(line: str, scripted_server: Any, ask: Any) -> None:
    """A turn of two recordings and a written question has a part for each, in that order, also in what is shown."""
    turn = replace(spoken(), clips=(tone(0.5), tone(0.25)), text="The same?")
    ask(turn, system_line=line)
    user = scripted_server.calls[0].body["messages"][-1]
    audios = [base64.b64encode(encoded(clip, "wav")).decode() for clip in turn.clips]
    folded = [{"type": "text", "text": "Obey."}] if line == "folded" else []
    assert user["content"] == [
        *folded,
        *({"type": "input_audio", "input_audio": {"data": audio, "format": "wav"}} for audio in audios),
        {"type": "text", "text": "The same?"},
    ]
    shown = OpenAIServer({"id": "hears-1", "base_url": ["http://h/v1"]}).rendered(turn)
    assert shown.index("<0.5 s of wav") < shown.index("<0.2 s of wav") < shown.index("The same?")


def test_a_text_turn_is_plain_text(scripted_server: Any, ask: Any) -> None:
    """The control asks in a string, which every server takes; without a system line there is none."""
    ask(written())
    ask(written(system=None))
    first, second = (call.body["messages"] for call in scripted_server.calls)
    assert first == [{"role": "system", "content": "Obey."}, {"role": "user", "content": "Say it."}]
    assert second == first[1:]


def test_a_folded_system_line_stands_in_front_of_the_turn(scripted_server: Any, ask: Any) -> None:
    """A model that takes no system line reads it as the user turn's first part; without one nothing is added."""
    for request in (spoken(), written(), spoken(system=None), written(system=None)):
        ask(request, system_line="folded")
    heard, read, heard_alone, read_alone = (call.body["messages"] for call in scripted_server.calls)
    line = {"type": "text", "text": "Obey."}
    assert [message["role"] for message in heard] == ["user"]
    assert heard[0]["content"][0] == line
    assert [part["type"] for part in heard[0]["content"]] == ["text", "input_audio"]
    assert read == [{"role": "user", "content": [line, {"type": "text", "text": "Say it."}]}]
    assert [part["type"] for part in heard_alone[0]["content"]] == ["input_audio"]
    assert read_alone == [{"role": "user", "content": "Say it."}]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("audio_format", ["wav", "flac", "mp3"])
def test_the_sent_audio_decodes_to_the_samples(audio_format: str, rate: int, scripted_server: Any, ask: Any) -> None:
    """WAV and FLAC carry a 16-bit recording bit for bit, MP3 closely; all at the clip's own rate."""
    clip = tone(rate=rate)
    ask(spoken(clip), audio_format=audio_format)
    sent = scripted_server.calls[0].body["messages"][1]["content"][0]["input_audio"]
    assert sent["format"] == audio_format
    file = io.BytesIO(base64.b64decode(sent["data"]))
    assert soundfile.info(file).format == audio_format.upper()
    file.seek(0)
    samples, sent_rate = soundfile.read(file, dtype="float32")
    assert (sent_rate, samples.shape) == (rate, clip.samples.shape)
    if audio_format == "mp3":
        assert np.corrcoef(samples, clip.samples)[0, 1] > 0.99
    else:
        np.testing.assert_array_equal(samples, clip.samples)


def test_wav_is_16_bit() -> None:
    """The one encoding that every server reads."""
    assert soundfile.info(io.BytesIO(encoded(tone(), "wav"))).subtype == "PCM_16"


@pytest.mark.parametrize("audio_format", ["wav", "flac"])
def test_loud_samples_are_clipped_not_wrapped(audio_format: str) -> None:
    """What resampling lifts beyond full scale stays at full scale."""
    clip = Clip(np.array([1.0, 1.5, -1.0, -1.5, 40_000.0, 0.0], dtype=np.float32), RATE, 6 / RATE)
    samples, _ = soundfile.read(io.BytesIO(encoded(clip, audio_format)), dtype="int16")
    assert samples.tolist() == [32767, 32767, -32768, -32768, 32767, 0]


def test_a_rate_that_mp3_does_not_know_is_the_item_s_error(scripted_server: Any, ask: Any) -> None:
    """Nothing is sent, and the reason says what the format takes."""
    answer = ask(spoken(tone(rate=96_000)), audio_format="mp3")
    assert answer.text is None
    assert answer.permanent
    assert answer.error.startswith("audio cannot be sent as mp3: ")
    assert "48000" in answer.error
    assert not scripted_server.calls


def test_the_rendered_prompt_names_the_audio_in_a_few_words(scripted_server: Any) -> None:
    """It is what is sent, but for the base64."""
    backend = OpenAIServer({"id": "hears-1", "base_url": [scripted_server.base_url], "audio_format": "flac"})
    assert json.loads(backend.rendered(spoken(tone(12.3)))) == [
        {"role": "system", "content": "Obey."},
        {
            "role": "user",
            "content": [
                {"type": "input_audio", "input_audio": {"data": "<12.3 s of flac, 16000 Hz>", "format": "flac"}}
            ],
        },
    ]
    assert json.loads(backend.rendered(written("Sag's, bitte: ü"))) == [
        {"role": "system", "content": "Obey."},
        {"role": "user", "content": "Sag's, bitte: ü"},
    ]
    asyncio.run(backend.close())


# --- against OpenAI's own request types -----------------------------------------------------------------------------

NON_STREAMING = pydantic.TypeAdapter(CompletionCreateParamsNonStreaming)
STREAMING = pydantic.TypeAdapter(CompletionCreateParamsStreaming)


def check_request(kind: pydantic.TypeAdapter[Any], body: dict[str, Any]) -> None:
    """Raise pydantic's ValidationError where a body is no request that OpenAI's own types describe."""
    unknown = body.keys() - CompletionCreateParamsNonStreaming.__annotations__.keys() - {"stream"}
    assert not unknown
    read_through(kind.validate_python(body, strict=True))


def read_through(value: Any) -> None:
    """Go through everything: pydantic checks what is declared Iterable only while it is read."""
    if isinstance(value, dict):
        for part in value.values():
            read_through(part)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for part in value:
            read_through(part)


@pytest.mark.parametrize("system_line", ["given", "folded"])
@pytest.mark.parametrize("audio_format", ["wav", "mp3"])
@pytest.mark.parametrize("stream", [False, True])
def test_requests_are_what_openai_s_types_describe(
    stream: bool, audio_format: str, system_line: str, scripted_server: Any, ask: Any
) -> None:
    """Every kind of turn passes the openai package's own request types."""
    always(scripted_server, body=stream_of("fine") if stream else scripted_server.completion("fine"))
    for request in (spoken(), written(), spoken(system=None)):
        ask(
            request,
            stream=stream,
            audio_format=audio_format,
            system_line=system_line,
            request={"modalities": ["text"]},
        )
    assert len(scripted_server.calls) == 3
    for call in scripted_server.calls:
        check_request(STREAMING if stream else NON_STREAMING, call.body)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["messages"][1]["content"][0]["input_audio"].update(format="ogg"),
        lambda body: body["messages"][1]["content"][0]["input_audio"].pop("data"),
        lambda body: body["messages"][1]["content"][0].update(type="audio"),
        lambda body: body["messages"][1].update(role="narrator"),
        lambda body: body.update(temperature="cold"),
        lambda body: body.update(modalities=["smell"]),
        lambda body: body.update(stream=True),
        lambda body: body.pop("model"),
    ],
    ids=["format", "no data", "part type", "role", "temperature", "modality", "stream", "no model"],
)
def test_the_types_find_a_wrong_request(change: Callable[[Any], Any], scripted_server: Any, ask: Any) -> None:
    """The check above is none that everything passes."""
    ask()
    body = scripted_server.calls[0].body
    check_request(NON_STREAMING, body)
    change(body)
    with pytest.raises(pydantic.ValidationError):
        check_request(NON_STREAMING, body)


# --- key and settings -----------------------------------------------------------------------------------------------


def test_the_hosted_service_needs_a_key() -> None:
    """Without a server of one's own a key is asked for by the name of its variable."""
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        OpenAIServer({"id": "gpt-audio"})
    with pytest.raises(UsageError, match="MY_KEY"):
        OpenAIServer({"id": "gpt-audio", "api_key_env": "MY_KEY"})


def test_the_hosted_service_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key, nothing else is needed; the row's back end is found by its name."""
    monkeypatch.setenv("MY_KEY", KEY)
    backend = load_backend({"backend": "openai", "id": "gpt-audio", "api_key_env": "MY_KEY"})
    assert isinstance(backend, OpenAIServer)
    (server,) = backend._pool._servers
    assert server.client.base_url == "https://api.openai.com/v1"
    asyncio.run(backend.close())


@pytest.mark.parametrize("key", [None, KEY])
def test_a_server_of_one_s_own_gets_a_key_where_there_is_one(
    key: str | None, scripted_server: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is sent when its variable is set, and none is needed."""
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    assert ask().text == "fine"
    headers = {name.lower(): value for name, value in scripted_server.calls[0].headers.items()}
    assert (KEY in headers["authorization"]) == (key is not None)


def test_one_address_may_be_plain_text(scripted_server: Any, ask: Any) -> None:
    """A row that gives its only address without brackets is understood."""
    assert ask(base_url=scripted_server.base_url).text == "fine"


@pytest.mark.parametrize(
    "wrong", [{"audio_format": "ogg"}, {"system_line": "sung"}, {"base_url": ["localhost:8000/v1"]}]
)
def test_a_setting_that_cannot_work_is_refused_at_once(wrong: dict[str, Any]) -> None:
    """What a run would stumble over on its first item is a wrong flag."""
    with pytest.raises(UsageError):
        OpenAIServer({"id": "hears-1", "base_url": ["http://127.0.0.1:1/v1"], **wrong})


# --- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(name: str, scripted_server: Any, ask: Any) -> None:
    """What a server tells of the thinking is no part of the answer, under either name."""
    always(scripted_server, body=said(scripted_server, {"content": "Four.", name: "Two and two."}))
    answer = ask()
    assert (answer.text, answer.reasoning, answer.error) == ("Four.", "Two and two.", None)


@pytest.mark.parametrize("reasoning", [None, "", 3, ["a"]])
def test_odd_reasoning_is_none(reasoning: Any, scripted_server: Any, ask: Any) -> None:
    """Only text is reasoning."""
    always(scripted_server, body=said(scripted_server, {"content": "Four.", "reasoning_content": reasoning}))
    assert ask() == Answer("Four.", finish_reason="stop", prompt_tokens=7, completion_tokens=3)


def test_a_server_that_does_not_count_gives_no_counts(scripted_server: Any, ask: Any) -> None:
    """No count is not a count of zero."""
    always(scripted_server, body=said(scripted_server, {"content": "Four."}, usage=None))
    answer = ask()
    assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    ("content", "finish_reason", "expected"),
    [
        ("", "stop", ("", None, False)),
        ("", "length", ("", None, False)),
        (None, "stop", (None, "the server returned no text", False)),
        (None, "content_filter", (None, "content filter", True)),
        ("", "content_filter", (None, "content filter", True)),
        ("I can say so m", "content_filter", ("I can say so m", None, False)),
    ],
)
def test_an_empty_answer_is_one_and_none_is_none(
    content: str | None, finish_reason: str, expected: tuple[Any, ...], scripted_server: Any, ask: Any
) -> None:
    """An empty text is what the model answered; no text is a failure, for good where a filter held it back."""
    always(scripted_server, body=said(scripted_server, {"content": content}, finish_reason))
    answer = ask()
    assert (answer.text, answer.error, answer.permanent) == expected
    assert answer.finish_reason == finish_reason
    assert len(scripted_server.calls) == 1


# --- streams --------------------------------------------------------------------------------------------------------


def chunk(delta: dict[str, Any] | None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one event of a stream; without a delta, one without choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "streams-1",
        "choices": choices,
        **more,
    }


def events(*chunks: Any, done: bool = True) -> bytes:
    """Return the body of a stream."""
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}" for event in chunks] + ["data: [DONE]"] * done
    return "".join(line + "\n\n" for line in lines).encode()


def stream_of(*pieces: str) -> bytes:
    """Return the stream of an answer."""
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return events(
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": piece}) for piece in pieces],
        chunk({}, "stop"),
        chunk(None, usage=usage),
    )


STREAM = {"content-type": "text/event-stream"}


def test_a_stream_is_put_together(scripted_server: Any, ask: Any) -> None:
    """Pieces, reason and counts become one answer; the request asks for a stream with its usage."""
    always(scripted_server, body=stream_of("Fo", "ur", ".\u2028Ü"), headers=STREAM)
    assert ask(stream=True) == Answer("Four.\u2028Ü", finish_reason="stop", prompt_tokens=9, completion_tokens=4)
    body = scripted_server.calls[0].body
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_streamed_reasoning_is_kept_apart(name: str, scripted_server: Any, ask: Any) -> None:
    """Pieces of reasoning are put together beside those of the answer."""
    body = events(chunk({name: "Two "}), chunk({name: "and two."}), chunk({"content": "Four."}), chunk({}, "length"))
    always(scripted_server, body=body, headers=STREAM)
    answer = ask(stream=True)
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("Four.", "Two and two.", "length")


@pytest.mark.parametrize(
    "body",
    [
        events(chunk({"content": "Four."}, "stop"), done=False),
        events(chunk({"content": "Four."})),
        b": keep-alive\r\n\r\n" + stream_of("Four.").replace(b"\n", b"\r\n").replace(b"data: ", b"data:"),
    ],
    ids=["no DONE", "no reason", "comments and other line ends"],
)
def test_streams_end_in_several_ways(body: bytes, scripted_server: Any, ask: Any) -> None:
    """Either of the two signs of an end is enough."""
    always(scripted_server, body=body, headers=STREAM)
    assert ask(stream=True).text == "Four."


def test_a_stream_without_content_is_no_answer(scripted_server: Any, ask: Any) -> None:
    """A filter that held everything back is told from an empty answer."""
    always(scripted_server, body=events(chunk({"role": "assistant"}), chunk({}, "content_filter")), headers=STREAM)
    answer = ask(stream=True)
    assert (answer.text, answer.error, answer.permanent) == (None, "content filter", True)


TORN_STREAMS: dict[str, dict[str, Any]] = {
    "connection lost": {"body": stream_of("Four."), "torn": True},
    "ends early": {"body": events(chunk({"content": "Fo"}), done=False)},
    "cut in an event": {"body": events(chunk({"content": "Fo"}), done=False) + b'data: {"choi'},
    "not UTF-8": {"body": b'data: {"choices": [{"delta": {"content": "\xff"}, "finish_reason": "stop"}]}\n\n'},
    "no stream": {"body": b"<html>Welcome to the hotel's network</html>"},
    "nothing": {"body": b""},
    "other JSON": {"body": b"data: []\n\ndata: [DONE]\n\n"},
    "choices as text": {"body": b'data: {"choices": "abc"}\n\n'},
    "an error": {"body": events(chunk({"content": "Fo"}), {"error": {"message": "worker died"}})},
    "an error in words": {"body": events({"error": "worker died"}, done=False)},
    "hangs": {"body": stream_of("Four."), "wait": 60},
}


@pytest.mark.parametrize("kind", TORN_STREAMS)
def test_a_torn_stream_is_tried_again(kind: str, scripted_server: Any, ask: Any) -> None:
    """Half an answer is none: it may pass, and the whole one counts."""
    torn = scripted_server.Reaction(headers=STREAM, **TORN_STREAMS[kind])
    whole = scripted_server.Reaction(headers=STREAM, body=stream_of("Four."))
    scripted_server.react = lambda _: torn if len(scripted_server.calls) == 1 else whole
    assert ask(stream=True, timeout_seconds=1 if kind == "hangs" else 600).text == "Four."
    assert len(scripted_server.calls) == 2


def test_a_stream_that_stays_torn_is_the_item_s_error(scripted_server: Any, ask: Any) -> None:
    """After all attempts the item failed, for now."""
    always(scripted_server, body=events(chunk({"content": "Fo"}), done=False), headers=STREAM)
    answer = ask(stream=True)
    assert (answer.text, answer.permanent) == (None, False)
    assert "the stream ended half-way" in answer.error
    assert len(scripted_server.calls) == ATTEMPTS


def test_a_refusal_in_a_stream_is_permanent(scripted_server: Any, ask: Any) -> None:
    """A server that finds out late that it will never take a request says so in an event, with a status."""
    always(scripted_server, body=events({"error": {"message": "audio too long", "code": 400}}), headers=STREAM)
    assert ask(stream=True) == Answer(None, "HTTP 400: audio too long", permanent=True)
    assert len(scripted_server.calls) == 1


def test_a_stream_kept_alive_by_comments_meets_the_time_limit(ask: Any) -> None:
    """Signs of life are no answer: the limit is one of the whole request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def trickle() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

        def drip(connection: socket.socket) -> None:
            with connection:
                connection.recv(1 << 20)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                try:
                    for _ in range(3000):  # a minute: then it is no time limit that ends the request
                        if ended.wait(0.02):
                            break
                        connection.sendall(b": wait\n\n")
                except OSError:
                    pass  # the client had enough

        threading.Thread(target=trickle, daemon=True).start()
        answer = ask(
            written(), stream=True, timeout_seconds=0.2, base_url=[f"http://127.0.0.1:{listener.getsockname()[1]}/v1"]
        )
        ended.set()
    assert answer.error == f"the server did not answer in time (tried {ATTEMPTS} times)"


# --- failures -------------------------------------------------------------------------------------------------------

PASSING: dict[str, tuple[dict[str, Any], str]] = {
    "429": ({"status": 429, "body": {"error": {"message": "slow down"}}}, "HTTP 429: slow down"),
    "500": ({"status": 500, "body": {"error": {"message": "oops"}}}, "HTTP 500: oops"),
    "hang": ({"wait": 60, "body": {}}, "did not answer in time"),
    "reset half-way": ({"body": {"choices": ["never whole"]}, "torn": True}, "connection failed"),
    "invalid JSON": ({"body": b'{"choices": [{"mess'}, "no chat completion"),
    "not UTF-8": ({"body": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'}, "no chat completion"),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_tried_to_the_last_attempt(kind: str, scripted_server: Any, ask: Any) -> None:
    """Then it is the item's failure, which a later run asks again."""
    reaction, reason = PASSING[kind]
    always(scripted_server, **reaction)
    answer = ask(written(), timeout_seconds=0.2 if kind == "hang" else 600)
    assert answer.text is None
    assert reason in answer.error
    assert not answer.permanent
    assert len(scripted_server.calls) == ATTEMPTS * (MORE_WHEN_LIMITED if kind == "429" else 1)


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_leaves_no_trace(kind: str, scripted_server: Any, ask: Any) -> None:
    """One failure before a success costs a second call, nothing else."""
    bad = scripted_server.Reaction(**PASSING[kind][0])
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    scripted_server.react = lambda _: bad if len(scripted_server.calls) == 1 else fine
    assert ask(written(), timeout_seconds=1 if kind == "hang" else 600).text == "fine"
    assert len(scripted_server.calls) == 2


def test_retry_after_is_waited_for(scripted_server: Any, ask: Any, waits: list[float]) -> None:
    """A server that is asked too often says when to come back."""
    busy = scripted_server.Reaction(status=429, body={}, headers={"retry-after": "17"})
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    scripted_server.react = lambda _: busy if len(scripted_server.calls) == 1 else fine
    assert ask().text == "fine"
    assert waits == [17]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_never_passes_is_asked_once(status: int, scripted_server: Any, ask: Any) -> None:
    """A clip that is too large for a server is so the second time too."""
    always(scripted_server, status=status, body={"error": {"message": "too large"}})
    assert ask() == Answer(None, f"HTTP {status}: too large", permanent=True)
    assert len(scripted_server.calls) == 1


@pytest.mark.parametrize("status", [401, 404])
def test_no_access_ends_the_run_at_once(status: int, scripted_server: Any, ask: Any) -> None:
    """A wrong key or model name is every item's."""
    always(scripted_server, status=status, body={"error": {"message": "no"}})
    error = ask()
    assert type(error) is ModelError
    assert f"HTTP {status}" in str(error)
    assert len(scripted_server.calls) == 1


def test_nobody_listening_ends_the_run(ask: Any, unused_url: str, waits: list[float]) -> None:
    """A server that is not there is tried as often as any failure, then the run ends."""
    error = ask(base_url=[unused_url])
    assert isinstance(error, ModelError)
    assert "is the server running?" in str(error)
    assert len(waits) == ATTEMPTS - 1


# --- several servers ------------------------------------------------------------------------------------------------

MESSAGES = [{"role": "user", "content": "Say it."}]


class Clock:
    """Time that passes when it is told to, also while somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.now

    async def sleep(self, _: float) -> None:
        """Return at once; waits between attempts shall not count here."""


async def outcomes(pool: ServerPool, times: int) -> list[Any]:
    """Ask so often at once; return each reply's text, or its error."""
    asked = await asyncio.gather(*[pool.complete(MESSAGES, SAMPLING) for _ in range(times)], return_exceptions=True)
    return [result if isinstance(result, BaseException) else result.texts[0] for result in asked]


def with_pool(urls: Sequence[str], use: Callable[[ServerPool, Clock], Any]) -> Any:
    """Run a test's coroutine on a pool whose time stands still."""

    async def main() -> Any:
        clock = Clock()
        pool = ServerPool(urls, "hears-1", sleep=clock.sleep, clock=clock)
        try:
            return await use(pool, clock)
        finally:
            await pool.close()

    return asyncio.run(main())


def test_the_least_busy_server_is_asked(scripted_server: Any, second_server: Any) -> None:
    """While one server chews on its item, the other gets all that come."""
    chewing, go_on = threading.Event(), threading.Event()

    def chew(_: Any) -> Any:
        chewing.set()
        go_on.wait(60)
        return scripted_server.Reaction(body=scripted_server.completion("slow"))

    scripted_server.react = chew

    async def use(pool: ServerPool, _: Clock) -> None:
        slow = asyncio.create_task(pool.complete(MESSAGES, SAMPLING))
        assert await asyncio.to_thread(chewing.wait, 60)
        for _ in range(5):
            assert (await pool.complete(MESSAGES, SAMPLING)).texts == ("fine",)
        go_on.set()
        assert (await slow).texts == ("slow",)

    with_pool([scripted_server.base_url, second_server.base_url], use)
    assert (len(scripted_server.calls), len(second_server.calls)) == (1, 5)


@pytest.mark.parametrize("at_once", [True, False])
def test_equal_servers_get_equal_shares(at_once: bool, scripted_server: Any, second_server: Any) -> None:
    """Items that come together are shared out, and so are items that come one after another."""

    async def use(pool: ServerPool, _: Clock) -> None:
        for _ in range(1 if at_once else 20):
            assert set(await outcomes(pool, 20 if at_once else 1)) == {"fine"}

    with_pool([scripted_server.base_url, second_server.base_url], use)
    assert (len(scripted_server.calls), len(second_server.calls)) == (10, 10)


def test_a_dead_server_costs_no_item(scripted_server: Any, unused_url: str, ask: Any) -> None:
    """Its items are asked of another at once."""
    assert with_pool([unused_url, scripted_server.base_url], lambda pool, _: outcomes(pool, 20)) == ["fine"] * 20
    assert ask(base_url=[unused_url, scripted_server.base_url]).text == "fine"


def test_a_dead_server_is_set_aside_and_tried_again_by_one(scripted_server: Any, unused_url: str) -> None:
    """It gets no item for 30 s, then one; the others do not queue up behind that."""

    async def use(pool: ServerPool, clock: Clock) -> None:
        dead = pool._servers[0]
        assert await outcomes(pool, 1) == ["fine"]
        assert dead.asked == 1
        clock.now = ASIDE - 1
        assert await outcomes(pool, 10) == ["fine"] * 10
        assert dead.asked == 1
        clock.now = ASIDE
        assert await outcomes(pool, 10) == ["fine"] * 10
        assert dead.asked == 2
        assert dead.aside_until == 2 * ASIDE

    with_pool([unused_url, scripted_server.base_url], use)
    assert len(scripted_server.calls) == 21


def test_a_server_that_comes_back_is_used_again(scripted_server: Any, second_server: Any) -> None:
    """One answer is enough to be trusted as before."""

    async def use(pool: ServerPool, clock: Clock) -> None:
        pool._servers[0].aside_until = ASIDE
        assert await outcomes(pool, 4) == ["fine"] * 4
        assert not scripted_server.calls
        clock.now = ASIDE
        assert await outcomes(pool, 1) == ["fine"]
        assert pool._servers[0].aside_until is None

    with_pool([scripted_server.base_url, second_server.base_url], use)
    assert len(scripted_server.calls) == 1


def test_all_dead_ends_the_run(unused_urls: list[str], ask: Any, waits: list[float]) -> None:
    """Nobody left to ask: the last one's error is the run's. Each was tried a few times only."""
    error = ask(base_url=unused_urls)
    assert isinstance(error, ModelError)
    assert unused_urls[1] in str(error)
    assert "is the server running?" in str(error)
    assert len(waits) == 2 * (ATTEMPTS // 2 - 1)


def test_all_dead_at_once_ends_the_run_too(unused_urls: list[str]) -> None:
    """Items in flight at both do not send each other round in circles, and who asks again is told again."""

    async def use(pool: ServerPool, _: Clock) -> list[Any]:
        return await outcomes(pool, 6) + await outcomes(pool, 2)

    results = with_pool(unused_urls, use)
    assert len(results) == 8
    assert all(isinstance(result, ModelError) for result in results)


def test_a_sick_server_s_item_is_asked_of_another(scripted_server: Any, second_server: Any) -> None:
    """A passing failure moves on too; who answers at all is not set aside."""
    always(scripted_server, status=503, body={})

    async def use(pool: ServerPool, _: Clock) -> None:
        assert await outcomes(pool, 1) == ["fine"]
        assert pool._servers[0].aside_until is None

    with_pool([scripted_server.base_url, second_server.base_url], use)
    assert (len(scripted_server.calls), len(second_server.calls)) == (ATTEMPTS // 2, 1)


@pytest.mark.parametrize("sick_first", [True, False])
def test_sick_and_dead_together_fail_the_item_only(
    sick_first: bool, scripted_server: Any, unused_url: str, ask: Any
) -> None:
    """As long as one server says something, the run goes on."""
    always(scripted_server, status=503, body={"error": {"message": "loading"}})
    urls = [scripted_server.base_url, unused_url]
    answer = ask(base_url=urls if sick_first else urls[::-1])
    assert "HTTP 503: loading" in answer.error
    assert not answer.permanent


def test_what_never_passes_is_asked_of_one_server_only(scripted_server: Any, second_server: Any, ask: Any) -> None:
    """Servers of one model agree on what they cannot take; a wrong key is wrong at once."""
    for server in (scripted_server, second_server):
        always(server, status=413, body={"error": {"message": "too large"}})
    urls = [scripted_server.base_url, second_server.base_url]
    assert ask(base_url=urls).permanent
    assert (len(scripted_server.calls), len(second_server.calls)) == (1, 0)
    always(scripted_server, status=401, body={})
    assert isinstance(ask(base_url=urls), ModelError)
    assert (len(scripted_server.calls), len(second_server.calls)) == (2, 0)


# --- a real server --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_real_server_answers_text(stream: bool, embedded_server: Any, ask: Any) -> None:
    """llama.cpp's own server answers, whole and in pieces, and counts."""
    answer = ask(
        Request((), "What is the capital of France?", None, replace(SAMPLING, max_tokens=12)),
        base_url=[embedded_server.base_url],
        id=embedded.LLM_NAME,
        stream=stream,
        request=embedded.REQUEST_FIELDS,
    )
    assert "Paris" in answer.text
    assert answer.error is None
    assert answer.finish_reason in ("stop", "length")
    assert answer.prompt_tokens > 5
    assert answer.completion_tokens > 1


def test_a_real_server_without_ears_fails_the_item(embedded_server: Any, ask: Any) -> None:
    """A text-only model's server refuses audio; that is an answer with a reason, no crash."""
    answer = ask(spoken(), base_url=[embedded_server.base_url], id=embedded.LLM_NAME)
    assert answer.text is None
    assert "audio" in answer.error


@pytest.mark.parametrize(
    ("finish_reason", "text", "error"), [("length", "", None), ("stop", None, "the server returned no text")]
)
def test_thinking_until_the_limit_is_an_empty_answer(
    finish_reason: str, text: str | None, error: str | None, scripted_server: Any
) -> None:
    """A reply of nothing but reasoning, cut at max_tokens, is an answer like an unclosed block of thoughts."""
    body = scripted_server.completion(None)
    body["choices"][0]["message"]["reasoning_content"] = "let me see"
    body["choices"][0]["finish_reason"] = finish_reason
    scripted_server.react = lambda _: scripted_server.Reaction(body=body)

    async def ask() -> Answer:
        server = OpenAIServer({"id": "m", "base_url": [scripted_server.base_url]})
        try:
            return await server.answer(Request((), "Think.", None, Sampling(0.0, 1.0, 4, 0)))
        finally:
            await server.close()

    answer = asyncio.run(ask())
    assert (answer.text, answer.error, answer.reasoning) == (text, error, "let me see")
