"""Verdicts of rules, kept from one counting to the next: most of a report's time goes into checking the same answers.

An entry holds the scores of one file in the order in which counting asks for them. It is found by a hash over all that
decides them: the file's name and content, evaluator and profile, our own sources, and the versions of what these stand
on. So an entry is never out of date: what changes is looked for under another name. Entries are compressed JSON, from
which nothing is run; one that cannot be read is as good as none. All of them may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from data import cache as cached
from data import jsonl
from data.errors import DataError
from data.records import ItemId, Mark, Score

MOST_BYTES = 20_000_000  # verdicts of a larger file would take too much memory, while counting takes hardly any
PACKAGES = ("langdetect", "nltk", "regex")  # with NLTK's data, whose hash stands in rules/sentences.py
_SOURCES = ("data", "evaluators", "prompts")
_MARK = tuple(field.name for field in fields(Mark))
_REST = tuple(field.name for field in fields(Score) if field.name not in ("id", "marks"))

Scoring = Callable[[ItemId, Mapping[str, Any], str], Score]


class KeptScores:
    """Scores of one file: those that are kept where there are any, else what the evaluator says."""

    def __init__(self, path: Path, evaluator: str, score: Scoring, profile: str) -> None:
        """Look for what is kept.

        Args:
            path: the file of responses.
            evaluator: the evaluator's name.
            score: how it scores an item; what it says has to depend on the file, the profile and our sources only.
            profile: `reference` or `fixed`.
        """
        self._path = path
        self._evaluator = evaluator
        self._score = score
        self._profile = profile
        self._entry = self._place()
        self._found = _read(self._entry) if self._entry is not None else []
        self._next = iter(self._found)
        self._made: list[Score] = []

    def score(self, item_id: ItemId, line: Mapping[str, Any], profile: str) -> Score:
        """Return the score of the next item; raises what the evaluator raises."""
        known = next(self._next, None)
        if known is not None:
            marks, rest = known
            return Score(item_id, marks, **rest)
        score = self._score(item_id, line, profile)
        if self._entry is not None:
            self._made.append(score)
        return score

    def keep(self) -> None:
        """Keep what was made, once the whole file is scored; a cache that cannot be written costs nothing but time."""
        # Not where the file was replaced meanwhile: the entry would tell another one's scores for ever.
        if self._found or not self._made or self._entry is None or self._place() != self._entry:
            return
        try:
            self._entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # reasons quote responses
            jsonl.rewrite(self._entry, [zlib.compress(json.dumps([_row(score) for score in self._made]).encode())])
        except (OSError, DataError):
            pass

    def _place(self) -> Path | None:
        """Return the entry of the file as it is now; None where nothing is kept of it."""
        try:
            if not self._path.is_file() or self._path.stat().st_size > MOST_BYTES:
                return None
            with self._path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            decides = json.dumps([self._path.name, content, self._evaluator, self._profile, code()])
            return cached.folder() / "verdicts" / f"{hashlib.sha256(decides.encode()).hexdigest()}.json.z"
        except (OSError, RuntimeError):  # RuntimeError: a user without a home
            return None


@cache
def code() -> str:
    """Return a hash of what scores besides the file: our sources, and the versions of what they stand on."""
    hashed = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        hashed.update(f"{package} {metadata.version(package)}\n".encode())
    root = Path(__file__).parent.parent
    for path in sorted(path for room in _SOURCES for path in (root / room).rglob("*.py")):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return hashed.hexdigest()


def _row(score: Score) -> list[Any]:
    marks = {name: [[getattr(mark, part) for part in _MARK] for mark in own] for name, own in score.marks.items()}
    return [marks, {name: getattr(score, name) for name in _REST}]


def _read(entry: Path) -> list[tuple[dict[str, tuple[Mark, ...]], dict[str, Any]]]:
    """Return what an entry holds; nothing where there is none or it is damaged."""
    try:
        return [
            (
                {name: tuple(Mark(*mark) for mark in own) for name, own in marks.items()},
                {name: tuple(value) if isinstance(value, list) else value for name, value in rest.items()},
            )
            for marks, rest in json.loads(zlib.decompress(entry.read_bytes()))
        ]
    except (OSError, zlib.error, ValueError, TypeError, AttributeError, RecursionError):
        return []
