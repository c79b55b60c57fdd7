"""What can be wrong with the lines of one file, without listening: fields, instructions, questions, language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import DatasetFile, identity_digest, item_of
from data.errors import DataError, UsageError
from data.records import Item
from data.suites import language
from data.validate.findings import Fact, Finding

PROMPTS = "prompts"
"""Folder of a data set for the prompts that it was built from, as the bundled sample has it; they are no items."""


@dataclass(frozen=True, slots=True, eq=False)  # a row is itself only, so that it can be the key of a dict
class Row:
    """One line that is an item.

    Attributes:
        file: the file that it stands in.
        number: 1-based line number.
        item: the item.
    """

    file: DatasetFile
    number: int
    item: Item

    @property
    def spoken(self) -> str:
        """Return what is said: `spoken_text`, where that differs from the prompt."""
        return str(self.item.fields.get("spoken_text") or self.item.prompt)

    @property
    def lang(self) -> str | None:
        """Return the language that the line names, or else its file: `en`, `zh`, another code, or None."""
        named = _named_language(self.item.fields)
        return named or (self.file.kind.lang if self.file.kind else None)

    def finding(self, check: str, message: str, badness: float = 0.0) -> Finding:
        """Return a finding about this line."""
        return Finding(check, self.file.path, self.number, message, badness)


@dataclass(frozen=True, slots=True)
class Readers:
    """What validation asks of rooms that may not be imported here.

    Attributes:
        faults: from a closed item's fields to the checks that its instructions fail, each with a message.
        questions: from `decomposed_questions` to the list of questions; None where they cannot be told.
        is_in: whether a text is in a language; None where the language is unknown.
    """

    faults: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]
    questions: Callable[[object], list[str] | None]
    is_in: Callable[[str, str], bool | None]


def read(file: DatasetFile, found: Callable[[Finding], None]) -> list[Row]:
    """Return the lines of a file that are items; what is wrong with the others goes to `found`.

    Raises:
        DataError: the file cannot be read.
    """
    rows: list[Row] = []
    first: dict[bytes, int] = {}
    with jsonl.opened(file.path) as handle:
        for number, raw in enumerate(handle, start=1):
            raw = raw.removeprefix(jsonl.BYTE_ORDER_MARK) if number == 1 else raw
            if not raw.strip():
                continue
            try:
                item = item_of(jsonl.parse(raw, file.path, number), file.path, number)
            except DataError as error:
                found(Finding("line-broken", file.path, number, _problem(error)))
                continue
            row = Row(file, number, item)
            if item.id.key is not None or item.id.audio is not None:
                earlier = first.setdefault(identity_digest(item.id), number)
                if earlier != number:
                    found(row.finding("item-twice", f"key and audio_path are those of line {earlier}"))
                    continue
            rows.append(row)
    if not rows:
        found(Finding("line-broken", file.path, None, "no line of the file is an item"))
    return rows


def check(rows: list[Row], readers: Readers) -> Iterator[Finding]:
    """Yield what is wrong with the lines of one file."""
    for row in rows:
        yield from _fields(row, readers)
        yield from _language(row, readers)
    yield from _prompts(rows)


def _fields(row: Row, readers: Readers) -> Iterator[Finding]:
    fields, suite = row.item.fields, _suite(row)
    if not row.item.prompt.strip():
        yield row.finding("prompt-blank", "the prompt is blank")
    if suite == "closed":
        if row.item.id.key is None:
            yield row.finding("key-missing", "no key, by which renderings of one prompt are told together")
        for name, message in readers.faults(fields):
            yield row.finding(name, message)
    foreign = _FOREIGN.get(suite or "", ())
    for name in foreign:
        if name in fields:
            yield row.finding("foreign-field", f"'{name}' is no field of {suite} items; they could not be counted")
    if suite == "open":
        questions = readers.questions(fields.get("decomposed_questions"))
        if not questions:
            yield row.finding("questions-missing", "no question that the answer could be judged by")
        elif not all(question.strip() for question in questions):
            yield row.finding("questions-odd", "a question is blank")
        elif len(set(questions)) < len(questions):
            yield row.finding("questions-odd", "a question is asked twice")


_FOREIGN = {"open": ("instruction_id_list",), "adjustment": ("instruction_id_list", "decomposed_questions")}


def _language(row: Row, readers: Readers) -> Iterator[Finding]:
    of_file, of_line = row.file.kind and row.file.kind.lang, _named_language(row.item.fields)
    if of_file and of_line and of_file != of_line:
        yield row.finding("language-field", f"the line says '{of_line}', its file's name '{of_file}'")
    if row.lang and row.item.prompt.strip() and readers.is_in(row.item.prompt, row.lang) is False:
        yield row.finding("language-text", f"not recognised as '{row.lang}': {row.item.prompt[:60]}")


def _named_language(fields: Mapping[str, Any]) -> str | None:
    """Return the primary part of a line's BCP 47 tag, `zh` for any of its names."""
    tag = fields.get("language")
    if not isinstance(tag, str) or not tag.strip():
        return None
    primary = tag.strip().replace("_", "-").split("-")[0].lower()
    try:
        return language(primary)
    except UsageError:
        return primary


def _prompts(rows: list[Row]) -> Iterator[Finding]:
    """Yield prompts that stand under several keys; several renderings of one key are no fault."""
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.item.prompt, row)
        if earlier.item.id.key != row.item.id.key:
            yield row.finding("prompt-twice", f"the prompt of line {earlier.number}, under another key")


def question_counts(rows: list[Row], readers: Readers) -> Iterator[Fact]:
    """Yield how much is asked of the grader about the items of one file, if it is asked anything."""
    if not rows or _suite(rows[0]) != "open":
        return
    counts = sorted(len(readers.questions(row.item.fields.get("decomposed_questions")) or ()) for row in rows)
    message = f"{sum(counts)} questions: {counts[0]} to {counts[-1]} an item, {counts[len(counts) // 2]} in the middle"
    yield Fact(rows[0].file.path, message)


def _suite(row: Row) -> str | None:
    """Return the subset: the file's, or, where its name tells nothing, what the fields look like."""
    if row.file.kind is not None:
        return row.file.kind.suite.name
    if "instruction_id_list" in row.item.fields:
        return "closed"
    return "open" if "decomposed_questions" in row.item.fields else None


def _problem(error: DataError) -> str:
    """Return an error's words without the place, which the finding has."""
    place = f"{error.path}:{error.line}: "
    return str(error).removeprefix(place)


def ignored(folder: Path, files: Iterable[DatasetFile]) -> Iterator[Finding]:
    """Yield the JSONL files of a data set's folder that no command reads, but for those that it was built from."""
    known = {file.path.resolve() for file in files}
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*/*.jsonl")]):
        if path.resolve() not in known and path.parent != folder / PROMPTS:
            yield Finding("file-ignored", path, None, "its name or folder is not of the layout, so no command reads it")
