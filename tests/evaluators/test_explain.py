"""The command explain: each mark with its reason, each reply and how it was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators.__main__ import main

Write = Callable[[Path, list[dict[str, Any]]], Path]
ADJUST = '{"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}'


def explained(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what the command prints."""
    assert main(["explain", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_closed_items_name_rule_and_reason(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every rendering of the key is shown; strict and loose stand apart only where they differ."""
    item = {
        "prompt": "p",
        "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
        "kwargs": [{}, {"keywords": ["river"]}],
    }
    path = write_jsonl(
        tmp_path / "closed_accent_en.jsonl",
        [
            {**item, "key": 7, "audio_path": "a.wav", "response": "first, line\nthe river \u001b[2J\n  met: forged"},
            {**item, "key": 7, "audio_path": "b.wav", "response": None, "error": "no answer"},
            {**item, "key": 8, "audio_path": "c.wav", "response": "another"},
        ],
    )
    shown = explained(capsys, path, 7)
    assert "[7, a.wav]: not met" in shown
    assert "[7, b.wav]: unscored (no response)" in shown
    assert "c.wav" not in shown
    assert "NOT met: strict punctuation:no_comma" in shown
    assert "  met: loose punctuation:no_comma" in shown
    assert "met: strict and loose keywords:existence" in shown
    assert "\x1b" not in shown
    assert "│   met: forged" in shown


@pytest.mark.parametrize(
    ("profile", "read"),
    [
        ("reference", ["not read", "YES, NO", "YES, a value of type bool"]),
        ("fixed", ["YES, NO", "YES, NO", "not read"]),
    ],
)
def test_votes_are_shown_as_the_profile_reads_them(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str], profile: str, read: list[str]
) -> None:
    """A reply in a code fence counts under fixed only; a bare True is a value of its own under reference."""
    replies = ['```json\n["YES", "NO"]\n```', '["YES", "NO"]', '["YES", True]']
    line = {"key": 1, "prompt": "p", "response": "r", "decomposed_questions": ["q", "s"], "pred_score": replies}
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [line])
    shown = explained(capsys, path, 1, "--profile", profile)
    votes = [text for text in shown.splitlines() if text.startswith("  judge: ")]
    assert [vote.removeprefix("  judge: ").removesuffix(": it does not count") for vote in votes] == read


def test_a_panel_is_shown_judge_by_judge(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each judge's votes stand under its name, in the words of the three questions."""
    line = {"key": 1, "prompt": "p", "response": "r", "pred_scores": {"one": [ADJUST], "two": ["?"]}}
    path = write_jsonl(tmp_path / "adjustment_en.jsonl", [line])
    shown = explained(capsys, path, 1)
    assert "one: after YES, before NO, content YES" in shown
    assert "two: not read" in shown


def test_an_unknown_key_is_one_line(tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that no line has is refused with exit code 2."""
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [{"key": 1, "prompt": "p", "response": "r"}])
    assert main(["explain", str(path), "2"]) == 2
    assert "no item with the key 2" in capsys.readouterr().err
