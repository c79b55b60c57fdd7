"""Progress on stderr: a live bar in a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts what is done and tells rate, failures and the time left."""

    def __init__(self, what: str, *, total: int, done: int = 0) -> None:
        """Count up to `total`, of which `done` was there before; `what` names the work."""
        self._what = what
        self._total = total
        self._done_before = done
        self._done = self._told = done
        self._failed = 0
        self._remark = ""
        self._started = self._last_line = time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._bar: Bar | None = None
        if self._console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(what, total=total, completed=done, rate="")

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._done > self._told:
            self._say_line()

    def advance(self, *, failed: bool, known: bool = False) -> None:
        """Count one as done; a known one was done before, and says nothing about the rate."""
        self._done += 1
        self._done_before += known
        self._failed += failed
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, rate=self._rate())
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._say_line()

    def remark(self, text: str) -> None:
        """Show a short text beside the rate."""
        self._remark = f", {text}" if text else ""

    def _say_line(self) -> None:
        self._last_line = time.monotonic()
        self._told = self._done
        seconds = self._last_line - self._started
        left = (self._total - self._done) * seconds / max(self._done - self._done_before, 1)
        minutes, rest = divmod(round(left), 60)
        say(f"{self._what}: {self._done}/{self._total}, {self._rate()}, about {minutes}:{rest:02d} left")

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"{(self._done - self._done_before) / seconds:.2f}/s, {self._failed} failed{self._remark}"


def say(line: str) -> None:
    """Write one line to the user; stdout stays free for results."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # stderr is where talk goes
