"""The OpenAI Batch form: requests go up as one file, wait at the server, and come back as others.

Source: the openai package 3.51 (`resources/batches.py`, `resources/files.py`, `types/batch.py`), checked 2026-11-20: at
most 50,000 requests and 200 MB a file, results within 24 hours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data.errors import printable
from inference.chat import NO_COMPLETION, ChatClient, ChatReply, reply_of

MOST_REQUESTS = 10_000  # a fifth of what is allowed: a file has to fit into memory, in both directions
MOST_BYTES = 100_000_000
ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
MARK = "requests"  # our name among the batch's metadata
PAGES = 20  # of a hundred batches each, looked through for one that was sent just before a kill


@dataclass(frozen=True, slots=True)
class State:
    """How a batch fares.

    Attributes:
        id: the server's name for it.
        status: `validating`, `in_progress`, `finalizing`, or one of ENDED.
        done: requests that came to an end, failed ones included.
        total: requests in all.
        files: where results and failures lie, as far as there are any.
        reason: why the whole batch was refused, or None.
    """

    id: str
    status: str
    done: int
    total: int
    files: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request of a batch.

    Attributes:
        name: the request's name in its file.
        reply: the answer, or None.
        status: the HTTP status that the request alone would have had; 0 where it was never tried.
        parameter: what a refusal names as the culprit, if it does.
        reason: why there is no answer.
    """

    name: str
    reply: ChatReply | None
    status: int = 0
    parameter: str | None = None
    reason: str = ""


def lines(requests: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    """Yield a batch file's lines for requests and their names."""
    for name, body in requests:
        line = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        yield json.dumps(line).encode("ascii") + b"\n"


async def submit(client: ChatClient, content: bytes, mark: str) -> str:
    """Send a file of requests off; return the batch's id.

    Args:
        client: reaches the server.
        content: the file, as `lines` makes it.
        mark: kept with the batch, so that `find` finds it again.

    Raises:
        ChatError: the server takes no batch.
        ToolkitError: the server cannot be used at all.
    """

    async def upload() -> str:
        file = await client.sdk.files.create(file=(f"{mark}.jsonl", content, "application/jsonl"), purpose="batch")
        return str(file.id)

    file = await client.patiently(upload, "uploaded file")

    async def create() -> str:
        batch = await client.sdk.batches.create(
            input_file_id=file,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={MARK: mark},
        )
        return str(batch.id)

    # Whether an attempt whose answer was lost has made one is found out before another is made.
    return await find(client, mark, create)


async def find(client: ChatClient, mark: str, otherwise: Any = None) -> str:
    """Return the batch with a mark; where there is none, what `otherwise` makes, or an empty text."""

    async def look() -> str:
        page = await client.sdk.batches.list(limit=100)
        for _ in range(PAGES):
            for batch in page.data:
                if (batch.metadata or {}).get(MARK) == mark:
                    return str(batch.id)
            if not page.has_next_page():
                break
            page = await page.get_next_page()
        return str(await otherwise()) if otherwise else ""

    found: str = await client.patiently(look, "list of batches")
    return found


async def state(client: ChatClient, batch: str) -> State:
    """Return how a batch fares.

    Raises:
        ChatError: the server does not know it.
        ToolkitError: the server cannot be used at all.
    """

    async def retrieve() -> State:
        found = await client.sdk.batches.retrieve(batch)
        counts = found.request_counts
        errors = [error.message or error.code or "" for error in (found.errors.data if found.errors else None) or ()]
        files = tuple(file for file in (found.output_file_id, found.error_file_id) if file)
        return State(
            id=batch,
            status=str(found.status),
            done=counts.completed + counts.failed if counts else 0,
            total=counts.total if counts else 0,
            files=files,
            reason=printable("; ".join(errors))[:300] or None,
        )

    return await client.patiently(retrieve, "batch")


async def results(client: ChatClient, batch: State) -> list[Result]:
    """Return what became of a batch's requests, as far as that is known.

    Raises:
        ChatError: a file of results is not there.
        ToolkitError: the server cannot be used at all.
    """
    found: list[Result] = []
    for file in batch.files:

        async def content(file: str = file) -> bytes:
            return bytes((await client.sdk.files.content(file)).content)

        body = await client.patiently(content, "file of results")
        found += [_result(line) for line in body.splitlines() if line.strip()]
    return found


def _result(line: bytes) -> Result:
    name = ""
    try:
        fields = json.loads(line)
        name = str(fields["custom_id"])
        response, error = fields.get("response") or {}, fields.get("error")
        status = int(response.get("status_code") or 0)
        if error or status != 200:
            said = (response.get("body") or {}).get("error") or error or {}
            reason = printable(str(said.get("message") or said.get("code") or f"HTTP {status}"))[:300]
            return Result(name, None, status, said.get("param"), reason)
        return Result(name, reply_of(response["body"]), status)
    except NO_COMPLETION as error:
        return Result(name, None, reason=f"the batch's line is no chat completion ({type(error).__name__})")
