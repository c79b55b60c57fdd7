"""What tests of counting share: answers to instances of Dynamic-SUPERB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.dynamic_superb.options import sentence

Answer = Callable[..., dict[str, Any]]
WriteAnswers = Callable[[Path, str, Sequence[dict[str, Any]]], Path]


@pytest.fixture
def answer() -> Answer:
    """Return a line of a file of answers: key, options, label, answer, and further fields."""

    def line(key: str, options: Sequence[str], label: str, response: str | None, **fields: Any) -> dict[str, Any]:
        instruction = f"Listen. {sentence(options)}"
        return {
            "file": key,
            "key": key,
            "audio_path": f"{key}.wav",
            "instruction": instruction,
            "prompt": instruction,
            "label": label,
            "written": True,
            "response": response,
            **fields,
        }

    return line


@pytest.fixture
def write_answers(write_jsonl: Callable[[Path, list[dict[str, Any]]], Path]) -> WriteAnswers:
    """Write the answers to an instance into a run's folder."""

    def write(folder: Path, instance: str, lines: Sequence[dict[str, Any]]) -> Path:
        return write_jsonl(folder / f"classify_{instance}_en.jsonl", list(lines))

    return write
