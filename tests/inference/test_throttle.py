"""Places in flight, limits a minute, and what a server's headers ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from inference.throttle import Throttle


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock at 0."""
    return Clock()


def timed(make: Callable[[], Throttle], requests: int, tokens: int = 0) -> list[float]:
    """Return when each of many requests got its place, in seconds of an event loop that skips waits."""

    async def main() -> list[float]:
        throttle = make()
        loop = asyncio.get_running_loop()
        started: list[float] = []

        async def one() -> None:
            async with throttle.place(tokens):
                started.append(loop.time())

        await asyncio.gather(*(one() for _ in range(requests)))
        return started

    return run_skipping(main())


def run_skipping(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop whose clock jumps to the next timer instead of waiting for it."""
    loop = asyncio.new_event_loop()
    skipped = 0.0
    select = loop._selector.select  # type: ignore[attr-defined]  # the loop has no public way to wait differently

    def no_wait(timeout: float | None) -> Any:
        nonlocal skipped
        skipped += timeout or 0.0
        return select(0)

    loop._selector.select = no_wait  # type: ignore[attr-defined]
    real = loop.time
    loop.time = lambda: real() + skipped  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def most_in_a_minute(times: list[float], weight: int = 1) -> int:
    """Return the most that began within any 60 s."""
    return max(sum(start <= time < start + 60 for time in times) for start in times) * weight


@pytest.mark.parametrize("limit", [30, 120, 600])
def test_requests_a_minute_are_kept(limit: int) -> None:
    """No minute sees more than the limit, and little less than that is used."""
    times = timed(lambda: Throttle(1000, requests_per_minute=limit), 3 * limit)
    assert most_in_a_minute(times) <= limit
    assert 3 * 60 * 0.9 <= times[-1] - times[0] <= 3 * 60 * 1.1


def test_tokens_a_minute_are_kept() -> None:
    """Requests are let through by their size; one that is larger than the bucket gets through alone."""
    times = timed(lambda: Throttle(1000, tokens_per_minute=6000), 30, tokens=500)
    assert most_in_a_minute(times, 500) <= 6000
    assert times[-1] - times[0] <= 30 * 500 / 6000 * 60 * 1.15
    assert len(timed(lambda: Throttle(1000, tokens_per_minute=600), 2, tokens=5000)) == 2


def test_places_are_given_in_turn_and_never_more() -> None:
    """At most so many are in flight; those that wait are served first come, first served."""

    async def main() -> tuple[int, list[int]]:
        throttle = Throttle(3)
        inside, most, order = 0, 0, []

        async def one(number: int) -> None:
            nonlocal inside, most
            async with throttle.place():
                order.append(number)
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(one(number) for number in range(20)))
        return most, order

    most, order = asyncio.run(main())
    assert most == 3
    assert order == list(range(20))


def test_whoever_is_cancelled_gives_its_place_on() -> None:
    """A request that is dropped while it waits, or in the moment of its turn, leaves no place taken."""

    async def main() -> None:
        throttle = Throttle(1)
        entered = asyncio.Event()

        async def hold() -> None:
            async with throttle.place():
                entered.set()
                await asyncio.sleep(0.01)

        holder = asyncio.create_task(hold())
        await entered.wait()
        waiting = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await holder
        waiting[1].cancel()  # its turn has come, but it has not run yet
        await asyncio.wait_for(waiting[2], 1)
        async with asyncio.timeout(1):
            await hold()

    asyncio.run(main())


def answers(throttle: Throttle, clock: Clock, *, refused: int, of: int, seconds: float) -> None:
    """Let answers arrive evenly over some seconds, the first ones refused."""
    for number in range(of):
        clock.now += seconds / of
        throttle.answered({}, refused=number % of < refused)


def test_few_refusals_change_nothing(clock: Clock) -> None:
    """Less than a fifth of the answers may be 429."""
    throttle = Throttle(64, clock=clock)
    for _ in range(5):
        answers(throttle, clock, refused=8, of=50, seconds=5)
    assert throttle.places == 64


def test_many_refusals_halve_the_places_and_quiet_brings_them_back(clock: Clock) -> None:
    """More than a fifth in five seconds halves them, once a window; without refusals they grow to what was asked."""
    throttle = Throttle(64, clock=clock)
    answers(throttle, clock, refused=30, of=60, seconds=6)
    assert throttle.places == 32
    answers(throttle, clock, refused=40, of=40, seconds=11)
    assert throttle.places == 8
    seen = []
    for _ in range(12):
        answers(throttle, clock, refused=0, of=30, seconds=5.5)
        seen.append(throttle.places)
    assert seen == sorted(seen)
    assert seen[-1] == 64


def test_one_place_is_always_left(clock: Clock) -> None:
    """However much is refused, somebody goes on asking."""
    throttle = Throttle(4, clock=clock)
    answers(throttle, clock, refused=400, of=400, seconds=100)
    assert throttle.places == 1


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1s", 1), ("6m0s", 120), ("20ms", 0.02), ("1m30s", 90), ("2", 2), ("0.5s", 0.5), ("soon", 0), ("", 0), ("-3", 0)],
)
@pytest.mark.parametrize("what", ["requests", "tokens"])
def test_a_server_that_says_nothing_is_left_is_left_alone(
    what: str, written: str, seconds: float, clock: Clock
) -> None:
    """With 0 remaining, nobody asks until the reset that the headers name, at most two minutes."""

    async def main() -> None:
        throttle = Throttle(4, clock=clock, sleep=clock.sleep)
        throttle.answered({f"x-ratelimit-remaining-{what}": "5", f"x-ratelimit-reset-{what}": "9s"}, refused=False)
        async with throttle.place():
            assert clock.now == 0
        throttle.answered({f"x-ratelimit-remaining-{what}": "0", f"x-ratelimit-reset-{what}": written}, refused=False)
        async with throttle.place():
            assert clock.now == pytest.approx(seconds)

    asyncio.run(main())
