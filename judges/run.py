"""From responses to verdicts: what `api_judge.py` does once its flags are read.

A file is read three times: to check it whole before anything is sent, to ask what the ledger does not hold yet, and to
write it anew with the replies. In between nothing but the ledger changes, so a kill loses no reply.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from data import jsonl
from data.dataset import with_identity
from data.errors import DataError
from data.records import ItemId, Verdict
from inference import loop
from inference.chat import ChatClient, ChatError, Sampling
from judges.ledger import Ledger, Reply, request_key
from judges.tasks import Task
from prompts.templates import Template

ADDED_FIELDS = frozenset({"pred_score", "judge"})


@dataclass(frozen=True, slots=True)
class Judge:
    """A grader and how it is asked.

    Attributes:
        name: its name in tables.
        label: a remark that stands beside the name wherever its numbers show, or None.
        client: reaches it.
        server: what identifies the server in the ledger; no credentials.
        sampling: how it draws its tokens.
        n: replies wanted per response.
        with_schema: send the reply's JSON schema.
        fields: further fields of every request.
        keep_alive: what has to live as long as the judge (an embedded server).
    """

    name: str
    label: str | None
    client: ChatClient
    server: str
    sampling: Sampling
    n: int
    with_schema: bool = False
    fields: Mapping[str, Any] | None = None
    keep_alive: object = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of judging is asked to do.

    Attributes:
        task: open or adjustment judging.
        files: (source, target) pairs; the same path twice judges in place.
        prompt: the judge prompt.
        system: the grader's system line.
        ledger: the file of replies.
        concurrency: how many responses are judged at once.
    """

    task: Task
    files: tuple[tuple[Path, Path], ...]
    prompt: Template
    system: Template
    ledger: Path
    concurrency: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What judging came to, in items.

    Attributes:
        judged: items with a full set of replies.
        asked: requests that were sent in this run and got all their replies; several items may share one.
        empty: of these, empty responses judged NO without a call.
        unanswered: items without a response, which nobody can judge.
        failed: items whose replies are not complete, with the last reason.
        reason: one failed item's reason, or None.
    """

    judged: int
    asked: int
    empty: int
    unanswered: int
    failed: int
    reason: str | None


class Progress(Protocol):
    """What the run tells while it works."""

    def advance(self, *, failed: bool) -> None:
        """Count one item as done."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """One response to be judged: its conversation, the ledger's key, and the line it stands on."""

    id: ItemId
    messages: list[dict[str, str]]
    extra: dict[str, Any]
    key: str
    fields: Mapping[str, Any]


def run(
    options: Options,
    judge: Callable[[], Judge],
    *,
    progress: Callable[[int, int], AbstractContextManager[Progress]],
) -> Outcome:
    """Judge every response that has no full set of replies yet, and write the files anew.

    Args:
        options: what to do.
        judge: makes the grader; called once every file has proved readable.
        progress: makes a progress display from the total and what was done before.

    Raises:
        DataError: a file is broken or cannot be written.
        JudgeUnavailable: the grader cannot be used; replies received so far are in the ledger.
    """
    for source, _ in options.files:
        _check_source(options.task, source)
    with ExitStack() as stack:
        for target in sorted({target for _, target in options.files}):
            _check_target(target)
            stack.enter_context(jsonl.only_process(target))
        grader = judge()
        ledger = Ledger(options.ledger)
        stack.callback(ledger.close)
        return _Run(options, grader, ledger).finish(progress)


def _check_target(target: Path) -> None:
    """Refuse now what could not be written after every call is paid.

    Raises:
        DataError: the target is a directory or may not be written.
    """
    if target.is_dir():
        raise DataError("is a directory; name a file", path=target)
    if target.exists() and not os.access(target, os.W_OK):
        raise DataError("cannot be written: it is write-protected; name another --output_file", path=target)


def _check_source(task: Task, path: Path) -> None:
    """Read a file whole before anything is asked.

    Raises:
        DataError: a line cannot be judged, or inference has not run.
    """
    has_responses = False
    for _, line in with_identity(path, jsonl.read(path)):
        task.check(line.fields, path, line.number)
        has_responses |= "response" in line.fields
    if not has_responses:
        raise DataError("missing on every line; run inference.py first", path=path, field="response")


class _Run:
    def __init__(self, options: Options, judge: Judge, ledger: Ledger) -> None:
        self._options = options
        self._judge = judge
        self._ledger = ledger
        self._asked = 0
        self._reasons: dict[str, str] = {}  # ledger key -> why its replies are not complete

    def finish(self, progress: Callable[[int, int], AbstractContextManager[Progress]]) -> Outcome:
        waiting: dict[str, bool] = {}  # by request: several items may have the same
        for asked in self._to_judge():
            if asked.key not in waiting:
                waiting[asked.key] = None in self._known_replies(asked)

        def open_requests() -> Iterator[_Asked]:
            for asked in self._to_judge():
                if waiting[asked.key]:
                    waiting[asked.key] = False
                    yield asked

        done = sum(not is_open for is_open in waiting.values())

        async def main() -> None:
            try:
                with progress(len(waiting), done) as display:
                    await loop.ask_all(
                        open_requests(),
                        self._ask,
                        lambda complete: display.advance(failed=not complete),
                        self._options.concurrency,
                    )
            finally:
                await self._judge.client.close()

        loop.run(main())
        counts = {"judged": 0, "empty": 0, "unanswered": 0, "failed": 0}
        for source, target in self._options.files:
            bom = [jsonl.BYTE_ORDER_MARK] if jsonl.starts_with_byte_order_mark(source) else []
            jsonl.rewrite(target, chain(bom, self._judged_lines(source, counts)))
        return Outcome(
            judged=counts["judged"],
            asked=self._asked,
            empty=counts["empty"],
            unanswered=counts["unanswered"],
            failed=counts["failed"],
            reason=next(iter(self._reasons.values()), None),
        )

    def _to_judge(self) -> Iterator[_Asked]:
        for source, _ in self._options.files:
            for item, line in with_identity(source, jsonl.read(source)):
                if (line.fields.get("response") or "").strip():
                    yield self._request(item.id, line.fields)

    def _request(self, item_id: ItemId, fields: Mapping[str, Any]) -> _Asked:
        judge, task = self._judge, self._options.task
        messages = task.messages(self._options.system, self._options.prompt, fields)
        extra = dict(judge.fields or {})
        if judge.with_schema:
            extra["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "verdicts", "strict": True, "schema": task.schema(fields)},
            }
        sampling = judge.sampling
        body = {
            "model": judge.client.model,
            "messages": messages,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            **extra,
        }
        return _Asked(item_id, messages, extra, request_key(judge.server, body), fields)

    def _known_replies(self, asked: _Asked) -> list[Reply | None]:
        """Return what the ledger holds; a line that carries replies to this very request fills it first."""
        n = self._judge.n
        replies = self._ledger.replies(asked.key, n)
        note, on_line = asked.fields.get("judge"), asked.fields.get("pred_score")
        if (
            None in replies
            and isinstance(note, dict)
            and note.get("request") == asked.key
            and isinstance(on_line, list)
            and all(isinstance(text, str | None) for text in on_line)
        ):
            served = str(note.get("served") or "")
            self._ledger.keep(asked.key, enumerate(Reply(text, served) for text in on_line))
            replies = self._ledger.replies(asked.key, n)
        return replies

    async def _ask(self, asked: _Asked) -> bool:
        """Ask until all replies are there; return whether they are."""
        judge = self._judge
        while missing := [
            sample for sample, reply in enumerate(self._ledger.replies(asked.key, judge.n)) if reply is None
        ]:
            sampling = judge.sampling
            if sampling.seed is not None:  # a server that takes seeds counts up from it, choice by choice
                sampling = replace(sampling, seed=sampling.seed + missing[0])
            try:
                reply = await judge.client.complete(asked.messages, sampling, n=len(missing), extra=asked.extra)
            except ChatError as error:
                self._reasons[asked.key] = str(error)
                return False
            texts = [None if text is None else text.strip() for text in reply.texts]
            kept = [
                (sample, Reply(text, reply.model, reply.fingerprint, reason))
                for sample, text, reason in zip(missing, texts, reply.finish_reasons, strict=False)
            ]
            self._ledger.keep(asked.key, kept)
        self._asked += 1
        return True

    def _judged_lines(self, source: Path, counts: dict[str, int]) -> Iterator[bytes]:
        for item, line in with_identity(source, jsonl.read(source)):
            fields = {name: value for name, value in line.fields.items() if name not in ADDED_FIELDS}
            kind, added = self._verdict(item.id, line.fields)
            counts[kind] += 1
            yield jsonl.dumps({**fields, **added})

    def _verdict(self, item_id: ItemId, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return what became of an item and the fields that its line gets."""
        judge = self._judge
        if fields.get("response") is None:
            return "unanswered", {}
        note: dict[str, Any] = {"model": judge.name, "label": judge.label, "prompt_id": self._options.prompt.prompt_id}
        if not fields["response"].strip():
            text = self._options.task.all_no(fields)
            note["skipped"] = "empty response: NO to everything without a call"
            verdict = Verdict(item_id, judge.name, note["prompt_id"], (text,) * judge.n)
            return "empty", {"pred_score": list(verdict.replies), "judge": note}
        asked = self._request(item_id, fields)
        replies = [reply for reply in self._known_replies(asked) if reply is not None]
        note |= {
            "served": replies[0].model if replies else None,
            "n": judge.n,
            "temperature": judge.sampling.temperature,
            "top_p": judge.sampling.top_p,
            "max_tokens": judge.sampling.max_tokens,
            "request": asked.key,
        }
        if len(replies) < judge.n:
            note["error"] = self._reasons.get(asked.key, "not judged")
            return "failed", {"judge": note}
        verdict = Verdict(item_id, judge.name, note["prompt_id"], tuple(reply.text for reply in replies))
        return "judged", {"pred_score": list(verdict.replies), "judge": note}
