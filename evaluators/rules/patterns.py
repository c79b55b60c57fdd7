"""Regular expressions that come from the data, for the reference profile: they must neither crash nor hang a run."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import warnings
from types import FrameType
from typing import Literal

Method = Literal["search", "findall", "split"]

SECONDS = 1.0
"""Processor time that one pattern may take on one text."""

_METACHARACTERS = frozenset(".^$*+?{}[]|()\\")

# What a thread other than the main one runs in a process of its own, where the timer's signal ends the process.
_ALONE = """
import json, re, signal, sys, warnings
warnings.simplefilter("ignore")
pattern, text, method, flags, seconds = json.load(sys.stdin)
if hasattr(signal, "setitimer"):
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
try:
    found = getattr(re.compile(pattern, flags), method)(text)
    print(json.dumps(len(found) if isinstance(found, list) else int(found is not None)))
except Exception as error:
    print(json.dumps(str(error) or type(error).__name__))
"""


class PatternTooSlow(Exception):
    """The pattern took more than `SECONDS` of processor time."""

    def __init__(self) -> None:
        super().__init__(f"the pattern takes more than {SECONDS:g} s")


def is_plain(keyword: str) -> bool:
    """Return whether a keyword holds no metacharacter, so that as a pattern it can neither fail nor run away."""
    return _METACHARACTERS.isdisjoint(keyword)


def matches(method: Method, pattern: str, text: str, flags: int = 0, *, plain: bool = False) -> int:
    """Return how much a pattern finds: 0 or 1 for `search`, the length of the list for `findall` and `split`.

    Args:
        method: the function of `re` to use.
        pattern: a regular expression that comes from the data.
        text: where to look.
        flags: flags of `re`.
        plain: whether the pattern is known to be harmless; then no limit is set up.

    Raises:
        PatternTooSlow: more than `SECONDS` of processor time passed.
        re.error, OverflowError, RecursionError, MemoryError: the pattern cannot be compiled or matched.
    """
    if plain:
        return _run(method, pattern, text, flags)
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _run_limited(method, pattern, text, flags)
    return _run_alone(method, pattern, text, flags)


def _run(method: Method, pattern: str, text: str, flags: int) -> int:
    found = getattr(re.compile(pattern, flags), method)(text)
    return len(found) if isinstance(found, list) else int(found is not None)


def _run_limited(method: Method, pattern: str, text: str, flags: int) -> int:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise PatternTooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        timer = signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a pattern that `re` finds odd is the data's affair
                return _run(method, pattern, text, flags)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, *timer)
    finally:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL if before is None else before)


def _run_alone(method: Method, pattern: str, text: str, flags: int) -> int:
    """Match in a new process, which the timer or the waiting time (wall clock, 10 s more) ends."""
    import subprocess

    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _ALONE],
            input=json.dumps([pattern, text, method, int(flags), SECONDS]),
            capture_output=True,
            check=False,
            encoding="ascii",
            timeout=SECONDS + 10,
        )
    except subprocess.TimeoutExpired:
        raise PatternTooSlow from None
    if done.returncode or not done.stdout:
        raise PatternTooSlow
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        raise re.error(answer)
    return int(answer)
