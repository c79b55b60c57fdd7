"""What the three commands' flags have in common: one clear line for a wrong one, and numbers that are in range."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NoReturn

from data.errors import printable


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names a default where there is one that the help's own words do not name."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False) or "(default: " in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


class FlagParser(argparse.ArgumentParser):
    """argparse with whole flag names only, defaults in the help, and one line for a wrong flag."""

    def __init__(self, *, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=_Help,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and exit with 2."""
        sys.stderr.write(f"error: {printable(message)}; python {self.prog} --help shows every flag\n")
        raise SystemExit(2)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def count(text: str) -> int:
    """Read a whole number of at least 0."""
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def seconds(text: str) -> float:
    """Read a time span above 0 seconds."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def not_negative(text: str) -> float:
    """Read a number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def fraction(text: str) -> float:
    """Read a number above 0 and up to 1."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1")
    return value


def share(text: str) -> tuple[int, int]:
    """Read a share of the work, I/N with 1 <= I <= N."""
    part, _, whole = text.partition("/")
    if not (part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N")
    return int(part), int(whole)


def assignment(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; a value that is JSON (a number, true, a list) is taken as such, any other as text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number") from None
