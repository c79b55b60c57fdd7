"""From responses to verdicts: what `api_judge.py` does once its flags are read.

A file is read three times: to check it whole before anything is sent, to ask what the ledger does not hold yet, and to
write it anew with the replies. In between nothing but the ledger changes, so a kill loses no reply.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from data import jsonl
from data.dataset import VERDICT_FIELDS, with_identity
from data.errors import DataError
from data.records import ItemId, Verdict
from inference import loop
from judges import manifest
from judges.asking import Asked, Asking
from judges.batch import Batching
from judges.cost import Account
from judges.judge import Judge
from judges.ledger import Ledger, Reply, Usage
from judges.tasks import Task
from prompts.templates import Template

# A call that waits for its next attempt holds no place in flight: others may use it meanwhile.
RESPONSES_PER_PLACE = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of judging is asked to do.

    Attributes:
        task: open, adjustment or classification judging.
        files: (source, target) pairs; the same path twice judges in place.
        prompt: the judge prompt.
        system: the grader's system line.
        ledger: the file of replies; None keeps none.
        max_rejudge: how often a reply that cannot be read is asked for again.
        max_cost: US dollars that this run may spend; None for no limit.
        batch: ask through the server's Batch API.
    """

    task: Task
    files: tuple[tuple[Path, Path], ...]
    prompt: Template
    system: Template
    ledger: Path | None
    max_rejudge: int = 0
    max_cost: float | None = None
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What judging came to, in items.

    Attributes:
        judged: items with a full set of replies from every grader.
        asked: responses that got all their replies in this run, over all graders; several items may share one.
        empty: empty responses, judged without a call.
        unanswered: items without a response, which nobody can judge.
        failed: items whose replies are not complete.
        unreadable: replies that cannot be read, however often they were asked for.
        reason: why one item failed, or None.
        account: what the run spent.
    """

    judged: int
    asked: int
    empty: int
    unanswered: int
    failed: int
    unreadable: int
    reason: str | None
    account: Account


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would ask one grader.

    Attributes:
        judge: the grader's name.
        calls: responses to ask about.
        known: responses whose replies are there.
        prompt_tokens: about how many tokens these calls' requests have.
        reply_tokens: and their replies.
        dollars: about what that costs; None where no price is known.
    """

    judge: str
    calls: int
    known: int
    prompt_tokens: int
    reply_tokens: int
    dollars: float | None


class Progress(Protocol):
    """What the run tells while it works."""

    def advance(self, *, failed: bool, known: bool = False) -> None:
        """Count one response as done; a known one was done before."""
        ...

    def remark(self, text: str) -> None:
        """Show a short text beside the rate."""
        ...


def run(
    options: Options,
    judges: Callable[[], list[Judge]],
    *,
    progress: Callable[[int], AbstractContextManager[Progress]],
    say: Callable[[str], None],
) -> Outcome:
    """Judge every response that has no full set of replies yet, and write the files anew.

    Args:
        options: what to do.
        judges: makes the graders; called once every file has proved readable. The first one's replies are `pred_score`.
        progress: makes a progress display from the number of responses, once a grader.
        say: writes a line of talk.

    Raises:
        DataError: a file is broken or cannot be written.
        JudgeUnavailable: a grader cannot be used; replies received so far are in the ledger.
    """
    total = sum(_check_source(options.task, source) for source, _ in options.files)
    with ExitStack() as stack:
        for target in sorted({target for _, target in options.files}):
            _check_target(target)
            stack.enter_context(jsonl.only_process(target))
        graders = judges()
        ledger = Ledger(options.ledger)
        stack.callback(ledger.close)
        work = _Run(options, graders, ledger)
        loop.run(work.batched(say) if options.batch else work.ask(lambda: progress(total * len(graders))))
        return work.written()


def plan(options: Options, judges: Callable[[], list[Judge]]) -> list[Plan]:
    """Return what a run would ask each grader; nothing is sent, nothing is written.

    Raises:
        DataError: a file is broken.
    """
    for source, _ in options.files:
        _check_source(options.task, source)
    there = options.ledger is not None and options.ledger.exists()
    with closing(Ledger(options.ledger if there else None)) as ledger:
        work = _Run(options, judges(), ledger)
        return [work.planned(asking) for asking in work.askings]


def _check_target(target: Path) -> None:
    """Refuse now what could not be written after every call is paid.

    Raises:
        DataError: the target is a directory or may not be written.
    """
    if target.is_dir():
        raise DataError("is a directory; name a file", path=target)
    if target.exists() and not os.access(target, os.W_OK):
        raise DataError("cannot be written: it is write-protected; name another --output_file", path=target)


def _check_source(task: Task, path: Path) -> int:
    """Read a file whole before anything is asked; return how many responses there are to judge.

    Raises:
        DataError: a line cannot be judged, or inference has not run.
    """
    has_responses = False
    count = 0
    for _, line in with_identity(path, jsonl.read(path)):
        task.check(line.fields, path, line.number)
        has_responses |= "response" in line.fields
        count += _has_answer(line.fields)
    if not has_responses:
        raise DataError("missing on every line; run inference.py first", path=path, field="response")
    return count


def _has_answer(fields: Mapping[str, Any]) -> bool:
    return bool((fields.get("response") or "").strip())


class _Run:
    """One run's graders and what they are asked."""

    def __init__(self, options: Options, judges: list[Judge], ledger: Ledger) -> None:
        self._options = options
        self._ledger = ledger
        self._account = Account(options.max_cost)
        self.askings = [
            Asking(
                judge,
                options.task,
                options.system,
                options.prompt,
                ledger,
                self._account,
                max_rejudge=options.max_rejudge,
            )
            for judge in judges
        ]

    async def ask(self, progress: Callable[[], AbstractContextManager[Progress]]) -> None:
        """Ask every grader for what is missing, all graders side by side."""
        try:
            with progress() as display:
                await loop.together(self._ask_one(asking, display) for asking in self.askings)
        finally:
            for asking in self.askings:
                await asking.judge.client.close()

    async def batched(self, say: Callable[[str], None]) -> None:
        """Ask every grader for what is missing through batches, all graders side by side."""
        try:
            batchings = [(Batching(asking, self._ledger, self._account, say), asking) for asking in self.askings]
            await loop.together(batching.ask(partial(self._responses, asking)) for batching, asking in batchings)
        finally:
            for asking in self.askings:
                await asking.judge.client.close()

    def planned(self, asking: Asking) -> Plan:
        """Return what one grader would be asked."""
        calls, known, expected = 0, 0, Usage()
        for asked in self._responses(asking):
            if asking.missing(asked):
                calls += 1
                usage = asking.expected(asked, asking.judge.n, batched=self._options.batch)
                prompt, completion = expected.prompt + usage.prompt, expected.completion + usage.completion
                expected = Usage(prompt, completion, batched=usage.batched)
            else:
                known += 1
        price = asking.judge.price
        dollars = price.dollars(expected) if price else None
        return Plan(asking.judge.name, calls, known, expected.prompt, expected.completion, dollars)

    def written(self) -> Outcome:
        """Write the files anew, each with its manifest; return what the run came to."""
        total: Counter[str] = Counter()
        for source, target in self._options.files:
            counts: Counter[str] = Counter()
            tallies = [manifest.Tally(asking) for asking in self.askings]
            bom = [jsonl.BYTE_ORDER_MARK] if jsonl.starts_with_byte_order_mark(source) else []
            jsonl.rewrite(target, chain(bom, self._judged_lines(source, counts, tallies)))
            manifest.write(target, tallies, self._settings(), counts)
            total += counts
        return Outcome(
            judged=total["judged"],
            asked=sum(asking.asked for asking in self.askings),
            empty=total["empty"],
            unanswered=total["unanswered"],
            failed=total["failed"],
            unreadable=total["unreadable_replies"],
            reason=next((reason for asking in self.askings for reason in asking.reasons.values()), None),
            account=self._account,
        )

    def _settings(self) -> dict[str, Any]:
        options = self._options
        return {
            "data_type": options.task.data_type,
            "prompt_id": options.prompt.prompt_id,
            "system_prompt_id": options.system.prompt_id,
            "max_rejudge": options.max_rejudge,
        }

    async def _ask_one(self, asking: Asking, display: Progress) -> None:
        def done(complete: bool) -> None:
            display.advance(failed=not complete)
            display.remark(spent(self._account))

        await loop.ask_all(
            self._open(asking, display), asking.ask, done, asking.judge.concurrency * RESPONSES_PER_PLACE
        )

    def _open(self, asking: Asking, display: Progress) -> Iterator[Asked]:
        """Yield the conversations that want replies, each once: several items may share one."""
        for asked in self._responses(asking, repeated=lambda: display.advance(failed=False, known=True)):
            if asking.missing(asked):
                yield asked
            else:
                display.advance(failed=False, known=True)

    def _responses(self, asking: Asking, repeated: Callable[[], None] = lambda: None) -> Iterator[Asked]:
        seen: set[str] = set()
        for source, _ in self._options.files:
            for _, line in with_identity(source, jsonl.read(source)):
                if not _has_answer(line.fields):
                    continue
                asked = asking.about(line.fields)
                if asked.key in seen:
                    repeated()
                    continue
                seen.add(asked.key)
                self._from_line(asking, asked)
                yield asked

    def _from_line(self, asking: Asking, asked: Asked) -> None:
        """File the replies that a line carries to this very request, where the ledger has lost them."""
        name = asking.judge.name
        for note, on_line in (
            (asked.fields.get("judge"), asked.fields.get("pred_score")),
            (_entry(asked.fields, "judges", name), _entry(asked.fields, "pred_scores", name)),
        ):
            if (
                isinstance(note, dict)
                and note.get("request") == asked.key
                and isinstance(on_line, list)
                and all(isinstance(text, str | None) for text in on_line)
                and asking.missing(asked)
            ):
                served = str(note.get("served") or "")
                self._ledger.keep(asked.key, enumerate(Reply(text, served) for text in on_line))

    def _judged_lines(self, source: Path, counts: Counter[str], tallies: list[manifest.Tally]) -> Iterator[bytes]:
        for item, line in with_identity(source, jsonl.read(source)):
            fields = {name: value for name, value in line.fields.items() if name not in VERDICT_FIELDS}
            kind, added = self._verdicts(item.id, line.fields, counts, tallies)
            counts[kind] += 1
            yield jsonl.dumps({**fields, **added})

    def _verdicts(
        self, item_id: ItemId, fields: Mapping[str, Any], counts: Counter[str], tallies: list[manifest.Tally]
    ) -> tuple[str, dict[str, Any]]:
        """Return what became of an item and the fields that its line gets."""
        if fields.get("response") is None:
            return "unanswered", {}
        verdicts: dict[str, Verdict] = {}
        notes: dict[str, dict[str, Any]] = {}
        for asking, tally in zip(self.askings, tallies, strict=True):
            name = asking.judge.name
            notes[name], texts = self._verdict(asking, tally, fields, counts)
            if texts is not None:
                verdicts[name] = Verdict(item_id, name, notes[name]["prompt_id"], texts)
        first = self.askings[0].judge.name
        added: dict[str, Any] = {"pred_score": list(verdicts[first].replies)} if first in verdicts else {}
        added["judge"] = notes[first]
        if len(self.askings) > 1:
            added["pred_scores"] = {name: list(verdict.replies) for name, verdict in verdicts.items()}
            added["judges"] = notes
        if len(verdicts) < len(self.askings):
            return "failed", added
        return "judged" if _has_answer(fields) else "empty", added

    def _verdict(
        self, asking: Asking, tally: manifest.Tally, fields: Mapping[str, Any], counts: Counter[str]
    ) -> tuple[dict[str, Any], tuple[str | None, ...] | None]:
        """Return a grader's note about one response, and its replies; None where they are not complete."""
        judge = asking.judge
        note: dict[str, Any] = {"model": judge.name, "label": judge.label, "prompt_id": self._options.prompt.prompt_id}
        if not _has_answer(fields):
            note["skipped"] = "empty response: judged without a call"
            return note, (self._options.task.all_no(fields),) * judge.n
        asked = asking.about(fields)
        replies = asking.replies(asked)
        there = [reply for reply in replies if reply is not None]
        note |= {
            "served": there[0].model if there else None,
            "n": judge.n,
            "temperature": judge.sampling.temperature,
            "top_p": judge.sampling.top_p,
            "max_tokens": judge.sampling.max_tokens,
            "reply_form": judge.reply_form,
            "request": asked.key,
        }
        if len(there) < judge.n:
            note["error"] = asking.reasons.get(asked.key, "not judged")
            return note, None
        unreadable = asking.unreadable(asked, replies)
        counts["unreadable_replies"] += unreadable
        tally.add(asked.key, there, unreadable, asking.usage(asked))
        return note, tuple(asking.texts(asked, replies))


def spent(account: Account) -> str:
    """Return what was spent so far, for people."""
    tokens = account.usage.prompt + account.usage.completion
    return f"{tokens:,} tokens" + (f", ${account.dollars:.4f}" if account.dollars else "")


def _entry(fields: Mapping[str, Any], field: str, name: str) -> object:
    value = fields.get(field)
    return value.get(name) if isinstance(value, dict) else None
