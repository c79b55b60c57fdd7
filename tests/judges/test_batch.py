"""Judging through batches, against a server that implements the files and batches endpoints."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data import jsonl
from judges import batch, cli

ROOT = Path(__file__).parents[2]
GOOD = '["YES", "NO"]'


class BatchServer:
    """The OpenAI Batch form on the loopback interface.

    Attributes:
        answer: a request's body -> the text of its replies, or an HTTP status and an error.
        looks: how often a batch is looked at before it has ended.
        status: what a batch ends as.
        keep: how many of a batch's requests come to an end; None: all.
        refuse: method and path -> (status, error) for requests that fail, once each.
        uploads: the requests of each file that was sent.
    """

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Any] = lambda _: GOOD
        self.looks = 1
        self.status = "completed"
        self.keep: int | None = None
        self.refuse: dict[str, tuple[int, dict[str, Any]]] = {}
        self.uploads: list[list[dict[str, Any]]] = []
        self.batches: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.created = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._serve(self, b"")

            def do_POST(self) -> None:
                server._serve(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_: object) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def base_url(self) -> str:
        """Return the address up to and including /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        path = handler.path.partition("?")[0].removeprefix("/v1")
        status, content = self._reaction(handler.command, path, body)
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(sent)))
        handler.send_header("retry-after", "0")
        handler.end_headers()
        handler.wfile.write(sent)

    def _reaction(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if refusal := self.refuse.pop(f"{method} {path}", None):
            return refusal[0], {"error": refusal[1]}
        match method, path.strip("/").split("/"):
            case "POST", ["files"]:
                content = re.search(rb'filename="[^"]+"\r\n.*?\r\n\r\n(.*)\r\n--', body, re.DOTALL)
                assert content is not None
                assert b'name="purpose"\r\n\r\nbatch' in body
                name = f"file-{len(self.files)}"
                self.files[name] = content[1]
                self.uploads.append([json.loads(line) for line in content[1].splitlines()])
                return 200, {
                    "id": name,
                    "object": "file",
                    "bytes": 1,
                    "created_at": 0,
                    "filename": "x",
                    "purpose": "batch",
                }
            case "POST", ["batches"]:
                return 200, self._create(json.loads(body))
            case "GET", ["batches"]:
                return 200, {"object": "list", "data": self.batches[::-1], "has_more": False}
            case "GET", ["batches", name]:
                return 200, self._look(next(found for found in self.batches if found["id"] == name))
            case "GET", ["files", name, "content"]:
                return 200, self.files[name]
        return 404, {"error": {"message": f"no {path}"}}

    def _create(self, fields: dict[str, Any]) -> dict[str, Any]:
        assert fields["endpoint"] == "/v1/chat/completions"
        made = {
            "id": f"batch_{len(self.batches)}",
            "object": "batch",
            "created_at": 0,
            "status": "validating",
            **fields,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "looks": 0,
        }
        self.batches.append(made)
        self.created.set()
        return made

    def _look(self, made: dict[str, Any]) -> dict[str, Any]:
        made["looks"] += 1
        if made["looks"] < self.looks:
            made["status"] = "in_progress"
        elif made["status"] != self.status:
            self._end(made)
        return made

    def _end(self, made: dict[str, Any]) -> None:
        made["status"] = self.status
        if self.status == "failed":
            made["errors"] = {"object": "list", "data": [{"code": "bad", "message": "line 1 is bad", "line": 1}]}
            return
        requests = [json.loads(line) for line in self.files[made["input_file_id"]].splitlines()]
        good, bad = [], []
        for place, request in enumerate(requests):
            line: dict[str, Any] = {"id": f"r{place}", "custom_id": request["custom_id"], "error": None}
            answer = self.answer(request["body"])
            if self.keep is not None and place >= self.keep:
                bad.append({**line, "response": None, "error": {"code": "batch_expired", "message": "too late"}})
            elif isinstance(answer, str):
                good.append({**line, "response": {"status_code": 200, "body": completion(request["body"], answer)}})
            else:
                bad.append({**line, "response": {"status_code": answer[0], "body": {"error": answer[1]}}})
        for field, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                made[field] = f"file-{len(self.files)}"
                self.files[made[field]] = b"".join(json.dumps(line).encode() + b"\n" for line in lines[::-1])
        made["request_counts"] = {"total": len(requests), "completed": len(good), "failed": len(bad)}


def completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a chat completion with as many choices as were asked for."""
    count = body.get("n", 1)
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "served",
        "choices": [{"index": place, "message": message, "finish_reason": "stop"} for place in range(count)],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10 * count, "total_tokens": 100 + 10 * count},
    }


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """A batch server."""
    made = BatchServer()
    yield made
    made.close()


@pytest.fixture
def source(tmp_path: Path, write_jsonl: Any) -> Path:
    """A file of five answered open items."""
    rows = [
        {"key": key, "prompt": f"Ask {key}.", "decomposed_questions": ["a?", "b?"], "response": "so", "audio_path": "a"}
        for key in range(5)
    ]
    return Path(write_jsonl(tmp_path / "open_ended_en.jsonl", rows))


@pytest.fixture
def judge(server: BatchServer, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A function that judges the file in batches, without waiting between looks."""
    monkeypatch.setattr(batch, "FIRST_WAIT", 0.0)
    return lambda flags="": cli.main([*arguments(server, source), *flags.split()])


def arguments(server: BatchServer, source: Path) -> list[str]:
    """Return the command's arguments."""
    grader = ["--base_url", server.base_url, "--judge_model", "grader", "--n", "2"]
    return ["--data_type", "open", "--src_file", str(source), *grader, "--batch"]


def scores(source: Path) -> list[Any]:
    """Return the replies on each line."""
    return [line.fields.get("pred_score") for line in jsonl.read(source)]


def sent(server: BatchServer) -> list[list[str]]:
    """Return, by file, the requests' names at the server."""
    return [[request["custom_id"] for request in upload] for upload in server.uploads]


def test_a_file_is_judged_in_one_batch(
    judge: Any, server: BatchServer, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One request a response, in the same words as without a batch; the spend is booked at the batch's price."""
    server.looks = 3
    assert judge("--price 1000,0") == 0
    assert scores(source) == [[GOOD] * 2] * 5
    ((*requests,),) = server.uploads
    assert len({request["custom_id"] for request in requests}) == 5
    assert all(len(request["custom_id"]) <= 64 for request in requests)
    assert requests[0]["body"]["n"] == 2
    said = capsys.readouterr().err
    assert "batch batch_0 with 5 requests" in said
    assert "in_progress" in said
    assert "5 judged by grader (5 asked now)" in said
    manifest = json.loads(source.with_name("open_ended_en.judge.json").read_text())
    assert manifest["judges"][0]["tokens"] == {"batched": {"prompt": 500, "cached": 0, "completion": 100}}
    assert judge() == 0
    assert len(server.uploads) == 1


def test_classifications_are_judged_in_a_batch(
    server: BatchServer, tmp_path: Path, write_jsonl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All instances of a run's folder go in one batch, each request once."""
    monkeypatch.setattr(batch, "FIRST_WAIT", 0.0)
    server.answer = lambda _: '{"verdict": "NO"}'
    for name in ("A", "B"):
        line = {"key": "a", "prompt": "Is it?", "instruction": "Is it?", "label": "yes", "response": "no"}
        write_jsonl(tmp_path / f"classify_{name}_en.jsonl", [line, {**line, "key": "b", "response": f"no {name}"}])
    assert cli.main([*arguments(server, tmp_path), "--data_type", "classify"]) == 0
    assert [len(upload) for upload in server.uploads] == [3]
    assert scores(tmp_path / "classify_B_en.jsonl") == [['{"verdict": "NO"}'] * 2] * 2


def test_batched_and_live_replies_share_the_ledger(judge: Any, server: BatchServer, source: Path) -> None:
    """What a batch brought is not asked for live, with the same flags."""
    assert judge() == 0
    flags = [flag for flag in arguments(server, source) if flag != "--batch"]
    assert cli.main(flags) == 0
    assert scores(source) == [[GOOD] * 2] * 5


@pytest.mark.parametrize("kept", [1, 4])
def test_the_failed_part_is_sent_again(kept: int, judge: Any, server: BatchServer, source: Path) -> None:
    """A batch that expired brings what it has; the rest goes into the next one."""
    server.status, server.keep = "expired", kept
    assert judge() == 0
    assert scores(source) == [[GOOD] * 2] * 5
    sizes = [len(names) for names in sent(server)]
    assert sizes == list(range(5, 0, -kept))


def test_what_never_comes_fails_and_stays_open(
    judge: Any, server: BatchServer, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After three rounds without a new reply the item has failed, with the server's words; the next run asks again."""
    server.answer = lambda body: (500, {"message": "broken"}) if "Ask 2." in body["messages"][1]["content"] else GOOD
    assert judge() == 0
    assert [len(names) for names in sent(server)] == [5, 1, 1, 1]
    assert [found is None for found in scores(source)] == [False, False, True, False, False]
    rows = [line.fields for line in jsonl.read(source)]
    assert rows[2]["judge"]["error"] == "in the batch: broken"
    assert "4 judged by grader (4 asked now)" in capsys.readouterr().err
    server.answer = lambda _: GOOD
    assert judge() == 0
    assert scores(source) == [[GOOD] * 2] * 5


def test_refusals_are_learned_from(judge: Any, server: BatchServer, source: Path) -> None:
    """What a batch's requests were refused for is left out of the next one."""

    def answer(body: dict[str, Any]) -> Any:
        for name in ("response_format", "temperature"):
            if name in body and body[name] != {"type": "json_object"}:
                return 400, {"message": f"'{name}' is not supported", "param": name}
        return GOOD

    server.answer = answer
    assert judge() == 0
    assert scores(source) == [[GOOD] * 2] * 5
    assert len(server.uploads) == 3
    manifest = json.loads(source.with_name("open_ended_en.judge.json").read_text())
    assert manifest["judges"][0]["not_taken"] == {"response_format": "json_object", "temperature": "left out"}


def test_unreadable_replies_are_asked_for_again(judge: Any, server: BatchServer, source: Path) -> None:
    """In the next batch, with what was wrong."""
    server.answer = lambda body: GOOD if len(body["messages"]) > 2 else "no idea"
    assert judge() == 0
    assert scores(source) == [[GOOD] * 2] * 5
    assert {len(request["body"]["messages"]) for request in server.uploads[1]} == {4}


@pytest.mark.parametrize(("status", "words"), [("failed", "failed: line 1 is bad"), ("cancelled", "cancelled")])
def test_a_batch_that_was_refused_ends_the_run(
    status: str, words: str, judge: Any, server: BatchServer, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused whole, or cancelled by somebody: one line says so, and nothing is sent behind their back."""
    server.status, server.keep = status, 2
    assert judge() == 1
    assert words in capsys.readouterr().err
    assert len(server.uploads) == 1
    server.status, server.keep = "completed", None
    assert judge() == 0
    assert [len(names) for names in sent(server)] == [5, 5 if status == "failed" else 3]


def test_a_server_without_batches_is_said(judge: Any, server: BatchServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that does not know the endpoint gets one line."""
    server.refuse["POST /files"] = (404, {"message": "no such path"})
    assert judge() == 1
    assert "HTTP 404: no such path" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["POST /files", "POST /batches", "GET /batches/batch_0", "GET /files/file-1/content"])
def test_a_passing_failure_is_tried_again(path: str, judge: Any, server: BatchServer, source: Path) -> None:
    """A 503 on the way costs nothing, and makes no second batch."""
    server.refuse[path] = (503, {"message": "busy"})
    assert judge() == 0
    assert scores(source) == [[GOOD] * 2] * 5
    assert len(server.batches) == 1


def test_max_cost_sends_only_what_fits(
    judge: Any, server: BatchServer, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Estimated at the batch's price before it is sent; the rest waits for a higher limit."""
    assert judge("--price 0,100000 --max_cost 3.5") == 1
    sizes = [len(names) for names in sent(server)]
    assert 0 < sum(sizes) < 5
    assert "stopped at --max_cost" in capsys.readouterr().err
    assert judge("--price 0,100000 --max_cost 100") == 0
    assert sum(len(names) for names in sent(server)) == 5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--no_ledger", "--batch needs a ledger"),
        ("--judge_model embedded", "the embedded grader does not"),
    ],
)
def test_what_cannot_be_is_refused(flags: str, words: str, judge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything is sent."""
    assert judge(flags) == 2
    assert words in capsys.readouterr().err


def start(server: BatchServer, source: Path) -> subprocess.Popen[str]:
    """Start the script itself."""
    command = [sys.executable, "api_judge.py", *arguments(server, source)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_command_picks_its_batch_up(number: signal.Signals, server: BatchServer, source: Path) -> None:
    """The server goes on; the next command fetches its results and sends nothing twice."""
    server.looks = 10**9
    process = start(server, source)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (server.batches and server.batches[0]["looks"]):
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), said
    server.looks = 1
    again = start(server, source)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert len(server.uploads) == 1
    assert scores(source) == [[GOOD] * 2] * 5


def forget(source: Path) -> None:
    """Leave of a judged file and its ledger what a kill right after noting the mark would have left."""
    with sqlite3.connect(source.parent / "ledger.sqlite") as connection:
        connection.execute("DELETE FROM replies")
        connection.execute("UPDATE batches SET batch = NULL, done = 0")
    source.write_text(
        "".join(json.dumps({**line.fields, "judge": 0, "pred_score": 0}) + "\n" for line in jsonl.read(source))
    )


def test_a_batch_whose_name_was_never_noted_is_found(judge: Any, server: BatchServer, source: Path) -> None:
    """Killed between sending a batch and noting its name: the mark that both sides have leads back to it."""
    assert judge() == 0
    forget(source)
    assert judge() == 0
    assert len(server.uploads) == 1
    assert scores(source) == [[GOOD] * 2] * 5


def test_a_mark_that_led_nowhere_is_dropped(judge: Any, server: BatchServer, source: Path) -> None:
    """Killed before the batch was made: the requests are sent anew."""
    assert judge() == 0
    server.batches.clear()
    forget(source)
    assert judge() == 0
    assert len(server.uploads) == 2
    assert scores(source) == [[GOOD] * 2] * 5


def test_large_batches_are_sent_in_parts(
    judge: Any, server: BatchServer, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file has more requests, or bytes, than a server takes."""
    monkeypatch.setattr("inference.batches.MOST_REQUESTS", 2)
    assert judge() == 0
    assert [len(names) for names in sent(server)] == [2, 2, 1]
    assert scores(source) == [[GOOD] * 2] * 5
