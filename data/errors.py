"""Every error of the toolkit, in one tree.

    ToolkitError                 a run cannot go on; one line says what to do
    ├── UsageError               the command line asks for something impossible
    ├── DataError                a file is not what it should be (file:line, field, what to do)
    ├── FetchError               a data set cannot be fetched
    ├── ModelError               the speech model cannot be reached or loaded
    └── JudgeError               judging cannot go on
        └── JudgeUnavailable     no server, no access, no such model

A run's failure is raised once and printed once, as one line without a traceback. The failure of a single item is
no exception: it becomes data (`Response.error`, `Score.unscored`).
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class ToolkitError(Exception):
    """Base of all errors that end a run; its message is the one line that the user reads."""

    exit_code = 1


class UsageError(ToolkitError):
    """A flag, or a combination of flags, that cannot work."""

    exit_code = 2


class DataError(ToolkitError):
    """Input that does not hold what its reader needs.

    Attributes:
        path: the file, or None where the input is no file.
        line: 1-based line number, or None where the whole file is meant.
        field: the field at fault, or None.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        """Join place, field and problem into the one line that is shown; control characters are escaped."""
        self.path = path
        self.line = line
        self.field = field
        place = "" if path is None else str(path) if line is None else f"{path}:{line}"
        parts = [place, "" if field is None else f"field '{field}'", problem]
        super().__init__(printable(": ".join(part for part in parts if part)))


class FetchError(ToolkitError):
    """The hub cannot be reached, refuses, or what came from it is not what it says; what was fetched is kept."""


class ModelError(ToolkitError):
    """The speech model cannot be loaded, reached or used at all."""


class JudgeError(ToolkitError):
    """Judging cannot go on; every reply received so far is kept."""


class JudgeUnavailable(JudgeError):
    """No server, no access or no such model."""


def printable(text: str) -> str:
    """Return text with control characters and lone surrogates escaped, so that data cannot steer a terminal."""
    return "".join(
        character if character.isprintable() or character == " " else ascii(character)[1:-1] for character in text
    )


def guarded(command: Callable[[], int], say: Callable[[str], None]) -> int:
    """Run a command and return its exit code; what stops it is said in one line.

    SIGTERM stops a command the way Ctrl-C does. Text that stdout's encoding cannot carry is escaped, and whatever is
    left in its buffer is written here, so that a full disk or a closed pipe is noticed here too.

    Args:
        command: the command's body, returning its exit code.
        say: writes one line to the user (stderr).

    Returns:
        The command's own code, the error's `exit_code`, 2 when stdout cannot be written, 130 after Ctrl-C or SIGTERM;
        0 when whoever read stdout has gone.
    """
    before = signal.getsignal(signal.SIGTERM)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except ToolkitError as error:
        say(f"error: {printable(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted: what was finished is kept; run the same command again to continue")
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 0
    except OSError as error:
        _abandon_stdout()
        say(f"error: {printable(str(error.filename or 'stdout'))}: {error.strerror or error}")
        return 2
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block, where it is the main thread's: only that is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {
        stop: signal.signal(stop, lambda number, _: caught.append(number)) for stop in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
    for number in caught[:1]:
        signal.raise_signal(number)


@contextmanager
def children_without_interrupts() -> Iterator[None]:
    """Have the processes that are started within never see Ctrl-C: it is their parent's affair, from their first line.

    Here it waits until they are started, for children that lose their parent while they begin complain of it. Python's
    own helper process is started first, since it lets signals through again when it is.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    # A library's thread, which the block does not reach, may take the signal: Python then handles it here all the same.
    with interrupts_later():
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _abandon_stdout() -> None:
    """Point stdout at nothing, or the interpreter would try to write the rest at its end, and complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
