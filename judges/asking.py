"""One grader and the responses of a run: what it is asked about each, what it replied, and what became of that.

A reply is found in the ledger or asked for, and filed there before the next is read. One that cannot be read is
answered with what was wrong, in a conversation of its own: every step of it is filed under what determined it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference.chat import ChatError, ChatReply
from inference.reasoning import split_reasoning
from judges.cost import Account, estimated_tokens
from judges.judge import Judge
from judges.ledger import Ledger, Reply, Usage, request_key
from judges.tasks import Task
from prompts import fencing
from prompts.complaints import Doubt
from prompts.templates import Template

OVER_BUDGET = "--max_cost is reached"
ASK_AGAIN = "That reply cannot be used. {complaint} Reply once more, with the verdicts and with nothing beside them."


@dataclass(frozen=True, slots=True)
class Asked:
    """One conversation with a grader about one response.

    Attributes:
        messages: the conversation.
        extra: further fields of the request.
        key: the request's name in the ledger.
        fields: the item's line.
    """

    messages: list[dict[str, str]]
    extra: dict[str, Any]
    key: str
    fields: Mapping[str, Any]


class Asking:
    """Asks one grader about responses.

    Attributes:
        judge: the grader.
        asked: responses that got all their replies in this run.
        reasons: ledger key of a response's first conversation -> why its replies are not complete.
    """

    def __init__(
        self,
        judge: Judge,
        task: Task,
        system: Template,
        prompt: Template,
        ledger: Ledger,
        account: Account,
        *,
        max_rejudge: int,
    ) -> None:
        """Ask `judge` with these prompts; a reply that cannot be read is asked for again up to `max_rejudge` times."""
        self.judge = judge
        self.asked = 0
        self.reasons: dict[str, str] = {}
        self._task = task
        self._system = system
        self._prompt = prompt
        self._ledger = ledger
        self._account = account
        self._max_rejudge = max_rejudge
        self._one_at_a_time = False

    def about(self, fields: Mapping[str, Any]) -> Asked:
        """Return the conversation that asks about one response."""
        extra = dict(self.judge.fields or {})
        if self.judge.reply_form != "text":
            extra["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "verdicts", "strict": True, "schema": self._task.schema(fields)},
            }
        return self._conversation(self._task.messages(self._system, self._prompt, fields), extra, fields)

    def courses(self, asked: Asked) -> list[list[tuple[Asked, Reply | None]]]:
        """Return, for each wanted reply, every conversation about it and what came of that; None: nothing yet."""
        courses = []
        for sample, first in enumerate(self._ledger.replies(asked.key, self.judge.n)):
            course = [(asked, first)]
            for _ in range(self._max_rejudge):
                latest, reply = course[-1]
                complaint = self._task.complaint(self.text(reply), asked.fields) if reply else None
                if reply is None or complaint is None:
                    break
                latest = self._again(latest, reply, complaint)
                course.append((latest, self._ledger.replies(latest.key, sample + 1)[sample]))
            courses.append(course)
        return courses

    def replies(self, asked: Asked) -> list[Reply | None]:
        """Return the replies that count; None for those still to be asked for."""
        return [course[-1][1] for course in self.courses(asked)]

    def text(self, reply: Reply) -> str | None:
        """Return what a reply says: without reasoning, without the schema's frame."""
        if reply.text is None:
            return None
        _, text = split_reasoning(reply.text)
        return self._task.plain(text) if self.judge.reply_form != "text" else text

    def texts(self, asked: Asked, replies: Sequence[Reply | None]) -> list[str | None]:
        """Return what replies say, as the judged file has it: without reasoning, without the schema's frame.

        A reply that could be counted but may not be a verdict is None there; the ledger has it.
        """
        texts = [self.text(reply) if reply is not None else None for reply in replies]
        return [None if isinstance(self._task.complaint(text, asked.fields), Doubt) else text for text in texts]

    def unreadable(self, asked: Asked, replies: Sequence[Reply | None]) -> int:
        """Return how many replies cannot be read."""
        texts = self.texts(asked, replies)
        return sum(self._task.complaint(text, asked.fields) is not None for text in texts)

    def usage(self, asked: Asked) -> list[Usage]:
        """Return what the replies about a response have cost, those that could not be read included."""
        keys = {latest.key for course in self.courses(asked) for latest, _ in course}
        return [usage for key in keys for usage in self._ledger.usage(key)]

    async def ask(self, asked: Asked) -> bool:
        """Ask until all replies are there; return whether they are."""
        while missing := self.missing(asked):
            try:
                await _all(self._call(*group) for group in missing)
            except ChatError as error:
                self.reasons[asked.key] = str(error)
                return False
        self.asked += 1
        return True

    def missing(self, asked: Asked) -> list[tuple[Asked, list[int]]]:
        """Return the conversations that are still open, each with the numbers of the replies that it wants."""
        open_: dict[str, tuple[Asked, list[int]]] = {}
        for sample, course in enumerate(self.courses(asked)):
            latest, reply = course[-1]
            if reply is None:
                open_.setdefault(latest.key, (latest, []))[1].append(sample)
        if self._one_at_a_time:
            return [(latest, [sample]) for latest, samples in open_.values() for sample in samples]
        return list(open_.values())

    def keep(self, key: str, samples: Sequence[int], reply: ChatReply, *, batched: bool = False) -> None:
        """File the replies of one call under their sample numbers."""
        self._one_at_a_time |= len(reply.texts) < len(samples)  # it takes no `n`, or does not heed it
        usage = Usage(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens, batched)
        texts = [None if text is None else text.strip() for text in reply.texts]
        kept = [
            (sample, Reply(text, reply.model, reply.fingerprint, reason))
            for sample, text, reason in zip(samples, texts, reply.finish_reasons, strict=False)
        ]
        self._ledger.keep(key, kept, usage)

    def body(self, asked: Asked, samples: Sequence[int]) -> dict[str, Any]:
        """Return the request for some of a conversation's replies."""
        return self.judge.client.body(asked.messages, self._sampling(samples[0]), n=len(samples), extra=asked.extra)

    def expected(self, asked: Asked, n: int, *, batched: bool = False) -> Usage:
        """Return about what a call for n replies costs."""
        prompt = sum(estimated_tokens(message["content"]) for message in asked.messages)
        # JSON has a token for about every second character.
        return Usage(prompt, n * (len(self._task.all_no(asked.fields)) // 2 + 2), batched=batched)

    def _sampling(self, sample: int) -> Any:
        sampling = self.judge.sampling
        # A server that takes seeds counts up from it, choice by choice.
        return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + sample)

    def _conversation(self, messages: list[dict[str, str]], extra: dict[str, Any], fields: Mapping[str, Any]) -> Asked:
        body = {"seed": None, **self.judge.client.body(messages, self.judge.sampling, extra=extra)}
        return Asked(messages, extra, request_key(self.judge.server, body), fields)

    def _again(self, asked: Asked, reply: Reply, complaint: str) -> Asked:
        # A grader that repeats what it read can repeat a sign that ends a turn.
        said = {"role": "assistant", "content": fencing.shown(self.text(reply) or "") or "(nothing)"}
        told = {"role": "user", "content": ASK_AGAIN.format(complaint=complaint)}
        return self._conversation([*asked.messages, said, told], asked.extra, asked.fields)

    async def _call(self, asked: Asked, samples: list[int]) -> None:
        judge = self.judge
        expected = self.expected(asked, len(samples))
        dollars = judge.price.dollars(expected) if judge.price else 0.0
        reserved = await self._account.reserve(dollars)
        if reserved is None:
            raise ChatError(OVER_BUDGET, permanent=False)
        usage = None
        try:
            reply = await judge.client.complete(
                asked.messages,
                self._sampling(samples[0]),
                n=len(samples),
                extra=asked.extra,
                tokens=expected.prompt + expected.completion,
            )
            usage = Usage(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
            self.keep(asked.key, samples, reply)
        finally:
            self._account.settle(reserved, dollars, usage, judge.price)


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all calls, then raise what the first of them raised: a call that is paid is read to its end."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
