"""Judging at half price: the same requests, filed under the same names, sent as batches that may take a day.

A batch is noted in the ledger before it is sent and until its results are filed, so whoever starts the command again
picks up where the server is. What failed, and what cannot be read, goes into the next batch.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator

from data.errors import JudgeUnavailable
from inference import batches
from inference.chat import ChatError
from judges.asking import OVER_BUDGET, Asked, Asking
from judges.cost import Account
from judges.ledger import Ledger, Usage

FRUITLESS_ROUNDS = 3  # in a row, after which what is missing has failed
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0  # seconds between two looks at a batch


class Batching:
    """Asks one grader through batches."""

    def __init__(
        self,
        asking: Asking,
        ledger: Ledger,
        account: Account,
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """File what comes back in `ledger` and book it to `account`."""
        self._reasons: dict[str, str] = {}  # request -> why the server did not answer it
        self._refusals: set[tuple[str | None, str]] = set()  # what it named as the culprit, and what it said
        self._asking = asking
        self._judge = asking.judge
        self._ledger = ledger
        self._account = account
        self._say = say
        self._sleep = sleep

    async def ask(self, responses: Callable[[], Iterator[Asked]]) -> None:
        """Ask until nothing is missing, or nothing more comes.

        Args:
            responses: yields the conversations about all responses anew.

        Raises:
            JudgeUnavailable: the server takes no batches, refused one, or somebody cancelled it.
        """
        open_before = sum(bool(self._asking.missing(asked)) for asked in responses())
        fruitless = 0
        try:
            await self._finish_open()
            while fruitless < FRUITLESS_ROUNDS and (parts := list(self._parts(responses()))):
                for part in parts:
                    await self._send(part)
                filed = await self._finish_open()
                fruitless = 0 if filed or self._learn(responses()) else fruitless + 1
        except ChatError as error:
            raise JudgeUnavailable(f"{self._judge.name}: the batch failed: {error}") from None
        for asked in responses():
            for conversation, _ in self._asking.missing(asked):
                reason = OVER_BUDGET if self._account.is_over else "no reply in the batch"
                self._asking.reasons[asked.key] = self._reasons.get(conversation.key, reason)
        self._asking.asked = open_before - len(self._asking.reasons)

    def _parts(self, responses: Iterable[Asked]) -> Iterator[bytes]:
        """Yield files that ask for what is missing, as far as money allows."""
        lines: list[bytes] = []
        size = 0
        for line in self._lines(responses):
            if lines and (len(lines) == batches.MOST_REQUESTS or size + len(line) > batches.MOST_BYTES):
                yield b"".join(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            yield b"".join(lines)

    def _lines(self, responses: Iterable[Asked]) -> Iterator[bytes]:
        left = None if self._account.max_dollars is None else self._account.max_dollars - self._account.dollars
        price = self._judge.price
        for asked in responses:
            for conversation, samples in self._asking.missing(asked):
                if left is not None and price is not None:
                    left -= price.dollars(self._asking.expected(conversation, len(samples), batched=True))
                    if left < 0:
                        self._account.is_over = True
                        return
                body = self._judge.support.fitted(self._asking.body(conversation, samples))
                yield from batches.lines([(_name(conversation.key, samples), body)])

    async def _send(self, content: bytes) -> None:
        mark = f"judge-{secrets.token_hex(8)}"
        self._note(mark)
        batch = await batches.submit(self._judge.client, content, mark)
        self._note(mark, batch)
        count = content.count(b"\n")
        self._say(
            f"{self._judge.name}: batch {batch} with {count} requests; it goes on without this command, and the same "
            "command picks it up again"
        )

    async def _finish_open(self) -> int:
        """Wait for every batch that is noted, and file its replies; return how many calls were filed."""
        filed = 0
        for mark, noted in self._ledger.open_batches(self._judge.server, self._judge.client.model):
            # A command that was killed between sending a batch and noting its name has left a mark only.
            batch = noted or await batches.find(self._judge.client, mark)
            if batch:
                state = await self._ended(batch)
                filed += sum([self._file(result) for result in await batches.results(self._judge.client, state)])
            self._note(mark, batch, done=True)
            if batch and state.status in ("failed", "cancelled"):
                why = f": {state.reason}" if state.reason else ""
                raise JudgeUnavailable(f"{self._judge.name}: batch {batch} {state.status}{why}; nothing new was sent")
        return filed

    async def _ended(self, batch: str) -> batches.State:
        """Return a batch's state when it has come to its end."""
        wait, told = FIRST_WAIT, ""
        while (state := await batches.state(self._judge.client, batch)).status not in batches.ENDED:
            line = f"{self._judge.name}: batch {batch}: {state.status}, {state.done} of {state.total} done"
            if line != told:
                self._say(line)
            told = line
            await self._sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)
        return state

    def _file(self, result: batches.Result) -> bool:
        """File one request's replies, or note why there are none; return whether there were any."""
        try:
            key, samples = _read_name(result.name)
        except ValueError:
            return False  # a line without its name, or of somebody else's making
        if result.reply is None:
            self._reasons[key] = f"in the batch: {result.reason}"
            if result.status in (400, 422):
                self._refusals.add((result.parameter, result.reason))
            return False
        reply = result.reply
        self._asking.keep(key, samples, reply, batched=True)
        usage = Usage(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens, batched=True)
        self._account.book(usage, self._judge.price)
        return True

    def _learn(self, responses: Iterable[Asked]) -> bool:
        """Learn from the batch's refusals; return whether requests will look different now."""
        refusals, self._refusals = self._refusals, set()
        for asked in responses:
            for conversation, samples in self._asking.missing(asked):
                wanted = self._asking.body(conversation, samples)
                sent = self._judge.support.fitted(wanted)
                learned = [self._judge.support.learn(wanted, sent, *refusal) for refusal in refusals]
                return any(learned)
        return False

    def _note(self, mark: str, batch: str | None = None, *, done: bool = False) -> None:
        self._ledger.note_batch(mark, self._judge.server, self._judge.client.model, batch, done=done)


def _name(key: str, samples: Iterable[int]) -> str:
    """Return a request's name in its file: the ledger's, shortened to what any server takes, and its sample numbers."""
    return ".".join((base64.urlsafe_b64encode(bytes.fromhex(key)).decode("ascii").rstrip("="), *map(str, samples)))


def _read_name(name: str) -> tuple[str, list[int]]:
    key, *samples = name.split(".")
    return base64.urlsafe_b64decode(key + "=").hex(), [int(sample) for sample in samples]
