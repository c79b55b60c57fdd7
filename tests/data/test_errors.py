"""The error tree: exit codes, the one line, and what keeps data from steering a terminal."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import errors
from data.errors import (
    DataError,
    FetchError,
    JudgeError,
    JudgeUnavailable,
    ModelError,
    ToolkitError,
    UsageError,
    children_without_interrupts,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ToolkitError("x"), 1),
        (UsageError("x"), 2),
        (DataError("x"), 2),
        (FetchError("x"), 1),
        (ModelError("x"), 1),
        (JudgeError("x"), 1),
        (JudgeUnavailable("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_said_in_one_line_and_gives_its_code(error: ToolkitError, code: int) -> None:
    """A ToolkitError of any kind becomes one line and its exit code."""
    said: list[str] = []

    def command() -> int:
        raise error

    assert errors.guarded(command, said.append) == code
    assert said == ["error: x"]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """Every class that the docstring draws exists, and none is missing there."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert errors.__doc__ is not None
    drawn = {word for word in errors.__doc__.split("A run's")[0].split() if word in vars(errors)}
    assert classes == drawn
    assert issubclass(JudgeUnavailable, JudgeError)
    assert all(issubclass(vars(errors)[name], ToolkitError) for name in classes)


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_command_that_ends_well_keeps_its_own_code(code: int) -> None:
    """Without an error, nothing is said."""
    said: list[str] = []
    assert errors.guarded(lambda: code, said.append) == code
    assert said == []


def test_ctrl_c_says_that_work_is_kept() -> None:
    """Ctrl-C is exit 130 and tells how to continue."""
    said: list[str] = []

    def command() -> int:
        raise KeyboardInterrupt

    assert errors.guarded(command, said.append) == 130
    assert len(said) == 1
    assert "run the same command again" in said[0]


def test_a_fault_of_our_own_is_not_hidden() -> None:
    """What is no ToolkitError keeps its traceback."""

    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        errors.guarded(command, print)


@pytest.mark.parametrize("kind", [UsageError, ModelError, JudgeError])
def test_a_message_of_several_lines_is_said_as_one(kind: type[ToolkitError]) -> None:
    """Line feeds and escape sequences in any error's message are shown, not obeyed."""
    said: list[str] = []

    def command() -> int:
        raise kind("unknown subset '\x1b[2J\n'")

    errors.guarded(command, said.append)
    assert said == [r"error: unknown subset '\x1b[2J\n'"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "wrong"),
        ({"path": "a.jsonl"}, "a.jsonl: wrong"),
        ({"path": Path("a.jsonl"), "line": 7}, "a.jsonl:7: wrong"),
        ({"path": "a.jsonl", "line": 7, "field": "key"}, "a.jsonl:7: field 'key': wrong"),
        ({"path": "a.jsonl", "field": "key"}, "a.jsonl: field 'key': wrong"),
        ({"field": "key"}, "field 'key': wrong"),
        ({"path": "a\nb\x1b]0;x\x07", "line": 1}, r"a\nb\x1b]0;x\x07:1: wrong"),
        ({"path": "a\udcff"}, r"a\udcff: wrong"),
        ({"path": "数据 集.jsonl", "line": 2}, "数据 集.jsonl:2: wrong"),
    ],
)
def test_a_data_error_names_place_and_field(arguments: dict[str, object], message: str) -> None:
    """The message is file:line, field and problem, whichever of them are known."""
    assert str(DataError("wrong", **arguments)) == message  # type: ignore[arg-type]


def test_a_data_error_survives_another_process() -> None:
    """Pickling keeps message and place, as worker processes need it."""
    error = pickle.loads(pickle.dumps(DataError("wrong", path="a.jsonl", line=3, field="key")))
    assert (str(error), error.path, error.line, error.field) == ("a.jsonl:3: field 'key': wrong", "a.jsonl", 3, "key")


@given(st.text(st.characters()))
def test_printable_text_is_one_harmless_line(text: str) -> None:
    """Whatever comes in, what goes out is one line that can be encoded, and printing it twice changes nothing."""
    shown = errors.printable(text)
    assert all(character.isprintable() for character in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert errors.printable(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_printable_leaves_ordinary_text_alone(text: str) -> None:
    """Letters of any script, digits, punctuation and signs stay."""
    assert errors.printable(text) == text


def test_children_begin_undisturbed() -> None:
    """Ctrl-C waits until they are started, and none of them ever hears of it."""
    started = False
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with children_without_interrupts():
            child = subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
            )
            os.kill(os.getpid(), signal.SIGINT)
            started = True
    child.send_signal(signal.SIGINT)
    assert child.communicate()[1] == b""
    assert child.returncode == 0
    assert started
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("Ctrl-C works as before")


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT"])
def test_a_stopped_command_says_so(stop: str) -> None:
    """SIGTERM ends a command like Ctrl-C: one line, exit code 130, and its clean-up runs."""
    code = (
        "import sys, time\n"
        "from data.errors import guarded\n"
        "def command():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "sys.exit(guarded(command, lambda line: print(line, file=sys.stderr)))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, stop))
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == "cleaned up\n"
    assert said.startswith("interrupted: ")
    assert said.count("\n") == 1
