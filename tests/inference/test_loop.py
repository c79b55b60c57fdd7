"""The loop that asks many: how many at once, what is drawn when, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.errors import DataError, JudgeUnavailable, ModelError, UsageError
from inference import loop

ROOT = Path(__file__).parents[2]


async def echo(item: int) -> int:
    """Answer with the item."""
    await asyncio.sleep(0)
    return item


@pytest.mark.parametrize("concurrency", [1, 2, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 6, 50])
def test_every_item_is_asked_once(concurrency: int, count: int) -> None:
    """All answers come, each once, whether there are more items or more places."""
    came: list[int] = []
    asyncio.run(loop.ask_all(range(count), echo, came.append, concurrency))
    assert sorted(came) == list(range(count))


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_an_endless_stream_is_drawn_as_places_free(concurrency: int) -> None:
    """Never more than N are in flight, N are reached, and nothing is drawn ahead of its turn."""
    drawn, in_flight, most, answered = 0, 0, 0, 0

    def endless() -> Iterator[int]:
        nonlocal drawn
        for number in itertools.count():
            drawn += 1
            yield number

    async def ask(number: int) -> int:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        assert drawn - answered <= concurrency
        await asyncio.sleep(0.001 * (number % 3))
        in_flight -= 1
        return number

    def done(_: int) -> None:
        nonlocal answered
        answered += 1
        if answered == 40:
            raise UsageError("enough")

    with pytest.raises(UsageError, match="enough"):
        asyncio.run(loop.ask_all(endless(), ask, done, concurrency))
    assert most == concurrency


@pytest.mark.parametrize("error", [ModelError("gone"), JudgeUnavailable("gone"), DataError("gone")])
@pytest.mark.parametrize("where", ["ask", "done", "items"])
def test_the_first_error_ends_everything(error: Exception, where: str) -> None:
    """A toolkit error comes out alone, not in a group, and what is in flight is cancelled."""
    cancelled: list[int] = []

    def items() -> Iterator[int]:
        yield from range(5)
        if where == "items":
            raise error
        yield from itertools.count(5)

    async def ask(number: int) -> int:
        if number < 3:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
        await asyncio.sleep(0)
        if number == 4 and where == "ask":
            raise error
        return number

    def done(number: int) -> None:
        if where == "done":
            raise error

    began = time.monotonic()
    with pytest.raises(type(error), match="gone") as caught:
        asyncio.run(loop.ask_all(items(), ask, done, 4))
    assert caught.value is error
    assert sorted(cancelled) == [0, 1, 2]
    assert time.monotonic() - began < 25  # the others would have slept 30


def test_a_toolkit_error_goes_before_others() -> None:
    """Where several fail at once, the error that says what to do is the one raised."""

    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        raise RuntimeError("a consequence") if number == 0 else ModelError("the cause")

    with pytest.raises(ModelError, match="the cause"):
        asyncio.run(loop.ask_all(range(2), ask, print, 2))


def test_a_bug_is_not_hidden() -> None:
    """An error outside the tree comes out as itself."""

    async def ask(number: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(loop.ask_all(range(9), ask, print, 3))


def test_run_returns_at_the_end() -> None:
    """A coroutine that ends by itself is no interruption, and SIGTERM has its former meaning again."""
    before = signal.getsignal(signal.SIGTERM)
    loop.run(asyncio.sleep(0))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_within_this_process_ends_the_run(number: signal.Signals) -> None:
    """SIGTERM and SIGINT both come out as KeyboardInterrupt, after the run's own clean-up."""
    closed: list[str] = []

    async def main() -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        try:
            await loop.ask_all(itertools.count(), lambda _: asyncio.sleep(0.01), lambda _: None, 2)
        finally:
            await asyncio.sleep(0)
            closed.append("yes")

    with pytest.raises(KeyboardInterrupt):
        loop.run(main())
    assert closed == ["yes"]


DRIVER = """
import asyncio, itertools, sys
from data.errors import guarded
from inference import loop

async def ask(number):
    await asyncio.sleep(0.01)
    return number

async def main():
    try:
        await loop.ask_all(itertools.count(), ask, lambda number: print(number, flush=True), 3)
    finally:
        await asyncio.sleep(0.05)
        print("closed", flush=True)

def command():
    loop.run(main())
    return 0

sys.exit(guarded(command, lambda line: print(line, file=sys.stderr)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_cleanly(number: signal.Signals) -> None:
    """A command that gets SIGTERM or SIGINT closes what it holds, says one line and exits with 130."""
    command = [sys.executable, "-c", DRIVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it is at work
        process.send_signal(number)
        rest, said = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "closed"
    assert said.startswith("interrupted: ")
    assert said.count("\n") == 1
