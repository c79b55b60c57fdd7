"""Shared fixtures: a clean environment, a scripted chat server for faults, and the embedded model as a real one."""

from __future__ import annotations

import email
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"

# A shell starts what runs in the background with Ctrl-C ignored; commands that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as a busy machine needs.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys and proxies of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)


@dataclass
class Call:
    """One request that the scripted server received; in a form, a file is its name, content and type."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Reaction:
    """What the scripted server does with one request.

    Attributes:
        status: the HTTP status.
        body: an object (sent as JSON) or raw bytes.
        headers: further headers.
        wait: seconds before anything is sent.
        torn: promise the whole body, send half of it, and hang up.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    torn: bool = False


def fields_of(content_type: str, content: bytes) -> dict[str, Any]:
    """Return the fields of a body, JSON or a form."""
    if not content_type.startswith("multipart/form-data"):
        return dict(json.loads(content))
    head = f"content-type: {content_type}\r\n\r\n".encode()
    fields: dict[str, Any] = {}
    for part in email.message_from_bytes(head + content).get_payload():
        value, name = part.get_payload(decode=True), part.get_filename()
        field_name = part.get_param("name", header="content-disposition")
        fields[field_name] = (name, value, part.get_content_type()) if name else value.decode()
    return fields


def completion(*texts: str | None, model: str = "scripted-1") -> dict[str, Any]:
    """Return a chat completion with one choice a text."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "system_fingerprint": "fp_scripted",
        "choices": [
            {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for place, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3 * len(texts), "total_tokens": 7 + 3 * len(texts)},
    }


class ScriptedServer:
    """A chat server on the loopback interface that reacts as a function of the call says."""

    Reaction = Reaction
    completion = staticmethod(completion)

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.react: Callable[[Call], Reaction] = lambda call: Reaction(
            body=completion(*["fine"] * int(call.body.get("n", 1)))
        )
        self._lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name that http.server calls
                length = int(self.headers.get("content-length", 0))
                body = fields_of(self.headers.get("content-type", ""), self.rfile.read(length))
                call = Call(self.path, dict(self.headers), body)
                with scripted._lock:
                    scripted.calls.append(call)
                scripted._answer(self, scripted.react(call))

            def log_message(self, *_: object) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Return the address up to and including /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _answer(handler: BaseHTTPRequestHandler, reaction: Reaction) -> None:
        if reaction.wait:
            threading.Event().wait(reaction.wait)
        body = reaction.body if isinstance(reaction.body, bytes) else json.dumps(reaction.body).encode()
        headers = {"content-type": "application/json", **reaction.headers}
        try:
            handler.send_response(reaction.status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2] if reaction.torn else body)
            if reaction.torn:
                handler.close_connection = True
        except OSError:
            handler.close_connection = True  # the client had enough: what a test of time limits wants


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """A chat server whose every reaction a test decides."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def second_server() -> Iterator[ScriptedServer]:
    """Another scripted server, beside the first."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def unused_urls() -> Iterator[list[str]]:
    """Two addresses at which nobody listens; they stay taken, so that nobody else can."""
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
        yield [f"http://127.0.0.1:{taken.getsockname()[1]}/v1" for taken in (one, other)]


@pytest.fixture
def unused_url(unused_urls: list[str]) -> str:
    """An address at which nobody listens."""
    return unused_urls[0]


@pytest.fixture(scope="session")
def english_voices() -> None:
    """Skip where flite or espeak-ng is missing; fail on a CI machine, whose script installs them."""
    from data.variants import tts
    from data.variants.voices import VOICES

    for name in ("flite-slt", "espeak-en-029"):
        if reason := tts.missing(VOICES[name]):
            if os.environ.get("CI") == "true" and (ROOT / ".ci" / "run").is_file():
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def embedded_server() -> Any:
    """The real SmolLM2 behind llama.cpp's own OpenAI-compatible server."""
    from inference import embedded

    return embedded.LlamaServer(embedded.llm_file(), threads=embedded.cores(), choices=4)


@pytest.fixture
def write_jsonl() -> Callable[[Path, list[dict[str, Any]]], Path]:
    """A function that writes rows to a file and returns its path."""

    def write(path: Path, rows: list[dict[str, Any]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def golden() -> Callable[[str], list[dict[str, Any]]]:
    """A function that returns the rows of a golden file."""
    return lambda name: [json.loads(line) for line in (GOLDEN / name).read_bytes().splitlines()]
