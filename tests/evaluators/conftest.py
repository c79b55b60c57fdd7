"""What tests of counting share: a cache of their own, and answers to instances of Dynamic-SUPERB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.dynamic_superb.options import sentence

Answer = Callable[..., dict[str, Any]]
WriteAnswers = Callable[[Path, str, Sequence[dict[str, Any]]], Path]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the cache of whoever runs the tests out of them, and each test's out of the others."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


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
