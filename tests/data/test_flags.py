"""What the commands' flags have in common."""

from __future__ import annotations

import argparse

import pytest

from data.flags import FlagParser, assignment, fraction, not_negative, positive, share


@pytest.mark.parametrize(("text", "value"), [("1/1", (1, 1)), ("3/16", (3, 16)), ("16/16", (16, 16))])
def test_shares(text: str, value: tuple[int, int]) -> None:
    """I/N names a share of the work."""
    assert share(text) == value


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "/", "1/", "/4", "a/b", "1/0", "-1/4", "1.5/4", "1/4/2", ""])
def test_impossible_shares(text: str) -> None:
    """A share outside the whole, or none at all, is refused."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not I/N"):
        share(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dtype=bfloat16", ("dtype", "bfloat16")),
        ("max_model_len=4096", ("max_model_len", 4096)),
        ("enforce_eager=true", ("enforce_eager", True)),
        ('limit_mm_per_prompt={"audio": 1}', ("limit_mm_per_prompt", {"audio": 1})),
        ("name=a=b", ("name", "a=b")),
        ("name=", ("name", "")),
    ],
)
def test_assignments(text: str, value: tuple[str, object]) -> None:
    """A value that is JSON is taken as such, any other as text."""
    assert assignment(text) == value


@pytest.mark.parametrize("text", ["", "name", "=value"])
def test_impossible_assignments(text: str) -> None:
    """What names nothing is refused."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAME=VALUE"):
        assignment(text)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (positive, ["1", "64"], ["0", "-1", "1.5", "a", ""]),
        (not_negative, ["0", "0.5", "7"], ["-0.1", "nan", "inf", "a", ""]),
        (fraction, ["0.01", "1"], ["0", "1.01", "nan", "-1"]),
    ],
)
def test_ranges(read: object, good: list[str], bad: list[str]) -> None:
    """Numbers outside their range are refused."""
    assert callable(read)
    for text in good:
        assert read(text) == float(text)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)


@pytest.mark.parametrize("flags", [["--n", "x"], ["--unknown"], ["--n"], ["stray\x1b[31m"]])
def test_a_wrong_flag_is_one_line(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong flag ends with exit code 2 and one line that names the way to help."""
    parser = FlagParser(prog="evaluate.py", description="Counts.")
    parser.add_argument("--n", type=positive)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(flags)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "python evaluate.py --help" in said.err
    assert "\x1b" not in said.err


def test_the_help_names_each_default_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A default stands once behind its flag; a flag without one says nothing of it."""
    parser = FlagParser(prog="evaluate.py", description="Counts.")
    parser.add_argument("--n", type=positive, default=4, help="replies")
    parser.add_argument("--file", help="where (default: in place)")
    parser.add_argument("--all", action="store_true", help="everything")
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "replies (default: 4)" in shown
    assert "where (default: in place)" in shown
    assert shown.count("default") == 2
