"""Ask many, a bounded number at a time; stop cleanly on Ctrl-C and SIGTERM. Speech models and graders share it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from data.errors import ToolkitError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


async def ask_all(
    items: Iterable[Asked],
    ask: Callable[[Asked], Awaitable[Answer]],
    done: Callable[[Answer], None],
    concurrency: int,
) -> None:
    """Ask every item and hand each answer on as it comes, in whatever order they come.

    Items are drawn only when a place is free, so a stream of any length is asked in bounded memory.

    Args:
        items: what to ask, drawn lazily.
        ask: asks one item. A failure that concerns one item must come back as an answer.
        done: called once an answer, before the next item is drawn in that place.
        concurrency: how many are in flight at once.

    Raises:
        ToolkitError: the first that `ask` or `done` raised; everything in flight is dropped.
    """
    iterator = iter(items)

    async def work() -> None:
        for item in iterator:
            done(await ask(item))
            await asyncio.sleep(0)  # a stretch that fails without waiting must not keep Ctrl-C out

    await together(work() for _ in range(concurrency))


async def together(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines side by side to their ends.

    Raises:
        ToolkitError: the first that one of them raised; the others are cancelled.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as failures:
        said, _ = failures.split(ToolkitError)
        raise _first(said or failures) from None


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end; SIGTERM ends it the way Ctrl-C does.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when everything is closed.
    """
    terminated = False

    async def guarded() -> None:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        await main

    before = signal.getsignal(signal.SIGTERM)
    try:
        asyncio.run(guarded())
    except asyncio.CancelledError:
        if not terminated:
            raise
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, before)  # the closed loop has left the system's default there


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
