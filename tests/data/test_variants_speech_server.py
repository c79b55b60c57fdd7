"""A server as a voice: a real one that speaks with espeak-ng, and a scripted one for faults."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import tenacity

from data.errors import DataError, UsageError
from data.variants import tts
from data.variants.engines import Manner
from data.variants.paralinguistics import EMOTIONS
from data.variants.voices import VOICES, Voice

HELLO = "Hello, this is a server."


def voice(base_url: str) -> Voice:
    """Return a voice behind an address."""
    row = Voice("served", "server", "alloy", "en-US", "none", rate=True, emotion=True)
    return Voice(**{name: getattr(row, name) for name in row.__slots__} | {"base_url": base_url, "model": "tts-x"})


@pytest.fixture
def speaking() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve /v1/audio/speech with what espeak-ng says; yield the address and the bodies received."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append({**body, "path": self.path, "key": self.headers["Authorization"]})
            speech = tts.speak(body["input"], VOICES["espeak-en-029"], Manner(rate=body.get("speed", 1.0)))
            content = io.BytesIO()
            sf.write(content, speech.samples, speech.rate, format=body["response_format"].upper())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1", received
    server.shutdown()
    server.server_close()


def test_a_server_speaks(speaking: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sends is the speech; model, voice, speed and emotion reach it, and the key from the environment."""
    base_url, received = speaking
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    plain = tts.speak(HELLO, voice(base_url))
    fast = tts.speak(HELLO, voice(base_url), Manner(rate=1.3, emotion="happy"))
    direct = tts.speak(HELLO, VOICES["espeak-en-029"])
    assert plain.rate == direct.rate
    assert np.abs(plain.samples - direct.samples).max() <= 1 / 32767
    assert len(fast.samples) < len(plain.samples)
    assert received[0] == {
        "path": "/v1/audio/speech",
        "key": "Bearer secret-1",
        "model": "tts-x",
        "input": HELLO,
        "voice": "alloy",
        "response_format": "wav",
    }
    assert (received[1]["speed"], received[1]["instructions"]) == (1.3, EMOTIONS["happy"])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing between attempts."""
    monkeypatch.setattr(tenacity, "wait_exponential_jitter", lambda **_: tenacity.wait_none())


def wav() -> bytes:
    """Return a second of a tone."""
    content = io.BytesIO()
    sf.write(content, 0.1 * np.sin(np.arange(8000) / 5), 8000, format="WAV")
    return content.getvalue()


def test_a_busy_server_is_asked_again(scripted_server: Any, hasty: None) -> None:
    """Too many requests and server errors pass; the text is sent again as it was."""
    reactions = iter([(429, {"error": "slow down"}), (503, {"error": "warming up"}), (200, wav())])
    scripted_server.react = lambda _: scripted_server.Reaction(*next(reactions))
    assert tts.speak(HELLO, voice(scripted_server.base_url)).rate == 8000
    assert [call.body["input"] for call in scripted_server.calls] == [HELLO] * 3


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, {"error": "no voice alloy, secret-1"}, DataError, "answered 400: .*no voice alloy, [*]{3}"),
        (401, {"error": "wrong key"}, UsageError, "answered 401; check base_url, model and the key in OPENAI_API_KEY"),
        (404, {}, UsageError, "answered 404"),
        (200, b"no sound", DataError, "is no audio"),
    ],
)
def test_what_a_server_refuses_is_told(
    status: int, body: Any, error: type[Exception], said: str, scripted_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, without the key, and no second attempt."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    scripted_server.react = lambda _: scripted_server.Reaction(status, body)
    with pytest.raises(error, match=said) as caught:
        tts.speak(HELLO, voice(scripted_server.base_url))
    assert "secret" not in str(caught.value)
    assert len(scripted_server.calls) == 1


def test_no_server(hasty: None) -> None:
    """The address is named."""
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        tts.speak(HELLO, voice("http://127.0.0.1:9/v1"))
    assert (
        tts.missing(voice("localhost:80")) == "base_url 'localhost:80' is no address such as http://localhost:8000/v1"
    )
