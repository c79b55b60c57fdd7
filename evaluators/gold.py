"""Files of gold verdicts: what people decided about the answers that a judge graded.

A line looks like

    {"key": 7, "audio_path": "en/7.wav", "verdicts": [true, false], "question_label": [["Format"], ["Content"]]}

`key` (or `id`) and, where one key has several renderings, `audio_path` say which item it is. `verdicts` has one entry a
question: true or "YES", false or "NO", null for a question that was not labelled; of an adjustment item it is an object
with the judge's three keys, or a list in their order; of a classification there is one, which may be "N/A" and then
counts as "NO". `question_label` (names of each question's kind) and `response` (the answer that was labelled) are
optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import identity_of
from data.errors import DataError
from data.records import ItemId
from evaluators import adjust
from prompts.replies import ADJUST_KEYS

_WORDS = {"YES": True, "NO": False}


@dataclass(frozen=True, slots=True)
class Gold:
    """The gold verdicts on one item.

    Attributes:
        line: 1-based line number in the file.
        verdicts: one entry a question; None where it was not labelled.
        kinds: names of each question's kind, along `verdicts`; None where the line has none.
        response: the answer that was labelled; None where the line does not hold it.
    """

    line: int
    verdicts: tuple[bool | None, ...]
    kinds: tuple[tuple[str, ...], ...] | None
    response: str | None


def read(path: Path, evaluator: str) -> dict[tuple[int | str, str | None], Gold]:
    """Return a file's gold verdicts by key and audio_path.

    Raises:
        DataError: a line has no key or no usable verdicts, or two lines are about the same item.
    """
    words = _WORDS | ({"N/A": False} if evaluator == "classify" else {})
    found: dict[tuple[int | str, str | None], Gold] = {}
    for line in jsonl.read(path):

        def refuse(field: str | None, problem: str, number: int = line.number) -> DataError:
            return DataError(problem, path=path, line=number, field=field)

        item_id = identity_of(line.fields, path, line.number)
        if item_id.key is None:
            raise refuse("key", "missing; gold verdicts are joined by key (or id), with audio_path where there is one")
        verdicts = line.fields.get("verdicts")
        if evaluator == "adjust" and isinstance(verdicts, dict) and set(verdicts) == set(ADJUST_KEYS):
            verdicts = [verdicts[name] for name in ADJUST_KEYS]
        if not isinstance(verdicts, list) or not verdicts:
            raise refuse("verdicts", "must be a list with one verdict a question")
        if evaluator == "classify" and len(verdicts) != 1:
            raise refuse("verdicts", "must be a list with the one verdict on the answer")
        if evaluator == "adjust" and len(verdicts) != len(ADJUST_KEYS):
            raise refuse("verdicts", f"must be an object with {', '.join(ADJUST_KEYS)}, or a list in this order")
        try:
            read_verdicts = tuple(_verdict(value, words) for value in verdicts)
        except ValueError:
            raise refuse("verdicts", f"each must be true, false, {', '.join(map(json.dumps, words))} or null") from None
        kinds = kinds_of(line.fields, path, line.number, len(verdicts))
        gold = Gold(
            line.number,
            read_verdicts,
            tuple((name,) for name in adjust.NAMES) if evaluator == "adjust" else kinds,
            response if isinstance(response := line.fields.get("response"), str) else None,
        )
        first = found.setdefault((item_id.key, item_id.audio), gold)
        if first is not gold:
            raise refuse(None, f"the same item as line {first.line} (key and audio_path alike); keep one of them")
    return found


def kinds_of(fields: Mapping[str, Any], path: Path, number: int, questions: int) -> tuple[tuple[str, ...], ...] | None:
    """Return the names of each question's kind, where a line has any.

    Raises:
        DataError: they are not one name, or list of names, a question.
    """
    labels = fields.get("question_label")
    if labels is None:
        return None
    if isinstance(labels, list) and len(labels) == questions:
        kinds = [[label] if isinstance(label, str) else label for label in labels]
        if all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in kinds):
            return tuple(map(tuple, kinds))
    raise DataError(
        f"must be a list of {questions} names, or lists of names, one a question",
        path=path,
        line=number,
        field="question_label",
    )


class Joined:
    """Gold verdicts as they are handed out to the items of a judged file, each once."""

    def __init__(self, path: Path, gold: Mapping[tuple[int | str, str | None], Gold]) -> None:
        """Take the verdicts of a file."""
        self.path = path
        self._gold = gold
        self._taken: dict[int, str] = {}

    def of(self, item_id: ItemId, response: object, place: str) -> Gold | None:
        """Return the gold verdicts on an item; None where it has none.

        Args:
            item_id: the item.
            response: the answer that the judge saw.
            place: file:line of the item, for messages.

        Raises:
            DataError: the verdicts are about another answer, or the line without an audio_path fits several items.
        """
        if item_id.key is None:
            return None
        gold = self._gold.get((item_id.key, item_id.audio)) or self._gold.get((item_id.key, None))
        if gold is None:
            return None
        if gold.line in self._taken:
            raise DataError(
                f"fits both {self._taken[gold.line]} and {place}; add the audio_path of the one that was labelled",
                path=self.path,
                line=gold.line,
            )
        self._taken[gold.line] = place
        if gold.response is not None and gold.response != response:
            raise DataError(
                f"is not the answer that was judged ({place}); label that one, or leave the field out",
                path=self.path,
                line=gold.line,
                field="response",
            )
        return gold

    def check_complete(self, judged: Path) -> None:
        """Refuse gold verdicts that no item took.

        Raises:
            DataError: there are some.
        """
        left = [(key, gold.line) for (key, _), gold in self._gold.items() if gold.line not in self._taken]
        if left:
            (key, line), count = left[0], len(left)
            others = f", nor are {count - 1} more of the {len(self._gold)} labelled items" if count > 1 else ""
            raise DataError(
                f"key {key!r} is not in {judged}{others}; are the items the same, and the keys of the same type?",
                path=self.path,
                line=line,
            )


def _verdict(value: object, words: Mapping[str, bool]) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().upper() in words:
        return words[value.strip().upper()]
    raise ValueError(value)
