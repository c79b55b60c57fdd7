"""How fast a server is asked: requests in flight, requests and tokens a minute, and what its own headers ask for."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

WINDOW = 5.0  # seconds over which refusals are counted
LEAST_IN_WINDOW = 5  # of fewer answers a share says nothing
TOO_MANY_REFUSED = 0.2
LONGEST_PAUSE = 120.0  # seconds
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Throttle:
    """Gives out the places in flight to one server, first come, first served.

    A request holds its place while the server works on it, not while it waits for another attempt. When more than a
    fifth of the answers of five seconds are 429, the places are halved; without that they grow again, an eighth at a
    time, to the number that was asked for.

    Attributes:
        most: the places that were asked for.
        places: the places at the moment.
    """

    def __init__(
        self,
        most: int,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Allow `most` requests in flight, and so much a minute; None sets no limit."""
        self.most = self.places = most
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._requests = _bucket(requests_per_minute, 1 / 60) if requests_per_minute else None
        # One request may be a large part of a minute's tokens, so that bucket is deeper.
        self._tokens = _bucket(tokens_per_minute, 1 / 10) if tokens_per_minute else None
        self._clock = clock
        self._sleep = sleep
        self._closed_until = 0.0
        self._answers: deque[tuple[float, bool]] = deque()  # when, and whether it was a 429
        self._settled = clock()

    @asynccontextmanager
    async def place(self, tokens: int = 0) -> AsyncIterator[None]:
        """Hold a place in flight for a request of about so many tokens."""
        await self._enter()
        try:
            while (pause := self._closed_until - self._clock()) > 0:
                await self._sleep(pause)
            if self._requests is not None:
                await self._requests.acquire()
            if self._tokens is not None:
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))
            yield
        finally:
            self._in_flight -= 1
            self._wake()

    def answered(self, headers: Mapping[str, str], *, refused: bool) -> None:
        """Take note of an answer: whether it was a 429, and what its headers say is left.

        Headers: `x-ratelimit-remaining-requests`, `-tokens` and the times until both are reset, as OpenAI documents
        them (platform.openai.com, guide "Rate limits").
        """
        for what in ("requests", "tokens"):
            if headers.get(f"x-ratelimit-remaining-{what}") == "0":
                pause = min(_seconds(headers.get(f"x-ratelimit-reset-{what}", "")), LONGEST_PAUSE)
                self._closed_until = max(self._closed_until, self._clock() + pause)
        now = self._clock()
        self._answers.append((now, refused))
        while self._answers[0][0] < now - WINDOW:
            self._answers.popleft()
        if now < self._settled + WINDOW or len(self._answers) < LEAST_IN_WINDOW:
            return
        share = sum(was_refused for _, was_refused in self._answers) / len(self._answers)
        if share > TOO_MANY_REFUSED:
            self.places, self._settled = max(1, self.places // 2), now
        elif self.places < self.most:
            self.places, self._settled = min(self.most, self.places + max(1, self.most // 8)), now
            self._wake()

    async def _enter(self) -> None:
        if self._in_flight < self.places and not self._waiting:
            self._in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._in_flight -= 1  # the place was given in the same moment: it goes on to the next
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self.places:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)


def _bucket(per_minute: int, depth: float) -> AsyncLimiter:
    """Return a limiter that lets at most `per_minute` through in any minute.

    A leaky bucket lets its depth through at once and refills meanwhile: both together are the minute's worth.
    """
    capacity = max(1.0, per_minute * depth)
    per_second = max(per_minute - capacity, 1.0) / 60
    return AsyncLimiter(capacity, capacity / per_second)


def _seconds(text: str) -> float:
    """Read a span as rate-limit headers write it (`1s`, `6m0s`, `20ms`, or plain seconds); 0 for anything else."""
    spans = _SPAN.findall(text)
    if spans:
        return sum(float(number) * _SECONDS[unit] for number, unit in spans)
    try:
        return max(float(text), 0.0)
    except ValueError:
        return 0.0
