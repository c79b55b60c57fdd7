"""Prompts as they are to be spoken: read, brought into spoken form, and refused where they cannot be said or scored.

    {"key": 4, "prompt": "Name 3 plants.", "instruction_id_list": [...], "kwargs": [...], "say": "...", "protected": []}

`say` is what the voice gets instead of the prompt's own spoken form; `protected` are phrases that disfluency leaves
whole, beside the texts among the arguments. Neither stays on the item's line. A line with instructions is a closed
item, one with `decomposed_questions` an open one; a line with neither is judged as a whole, by one question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import item_of
from data.errors import DataError
from data.suites import SUITES, Suite
from data.variants.languages import refused
from data.variants.recipe import PromptSet
from data.variants.spoken import spoken, unsayable, wordless

WHOLE = {"en": "Does the answer do everything that the request asks?", "zh": "回答是否完全做到了请求的内容？"}
"""The question of a prompt that brings none; other languages have the English one, which the grader reads."""

_NOT_KEPT = ("say", "protected", "audio_path")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to be spoken.

    Attributes:
        suite: the subset that it belongs to.
        key: its key; its line's number, counted over all files, where it has none.
        words: what is said, fluently.
        protected: phrases of `words` that stay whole.
        fields: what goes on the item's line, `prompt` and `key` among it.
        source_sha256: hash of the line that it comes from, as JSON with sorted names.
        place: its file and line.
    """

    suite: Suite
    key: int | str
    words: str
    protected: tuple[str, ...]
    fields: Mapping[str, Any]
    source_sha256: str
    place: tuple[Path, int]

    @property
    def instructions(self) -> tuple[str, ...]:
        """Return the instruction ids; none for an open item."""
        return tuple(self.fields.get("instruction_id_list") or ())


def read(wanted: PromptSet) -> list[Prompt]:
    """Read the prompts of a list.

    Raises:
        DataError: a file cannot be read, a line is no prompt, cannot be said, or asks for what cannot be checked in
            its language; the message names the first such line and the numbers of the others.
        UsageError: numbers are to be written out, and what does that is not installed.
    """
    found: list[Prompt] = []
    faults: list[DataError] = []
    seen: dict[int | str, tuple[Path, int]] = {}
    for path in wanted.prompts:
        for line in jsonl.read(path):
            try:
                prompt = _prompt(wanted, path, line, len(found) + len(faults) + 1)
            except DataError as fault:
                faults.append(fault)
                continue
            first = seen.setdefault(prompt.key, prompt.place)
            if first != prompt.place:
                raise DataError(
                    f"the key {prompt.key!r} stands at {first[0].name}:{first[1]} too; give each prompt its own",
                    path=path,
                    line=line.number,
                    field="key",
                )
            found.append(prompt)
    if faults:
        others = ", ".join(str(fault.line) for fault in faults[1:20])
        more = f" (and {len(faults) - 1} more: line {others}{', ...' if len(faults) > 20 else ''})"
        first_fault = faults[0]
        raise DataError(f"{first_fault}{more if len(faults) > 1 else ''}")
    return found


def _prompt(wanted: PromptSet, path: Path, line: jsonl.Line, number: int) -> Prompt:
    item = item_of(line.fields, path, line.number)
    problem = next(_problems(line.fields), None)
    if problem:
        raise DataError(problem[1], path=path, line=line.number, field=problem[0])
    instructions = tuple(line.fields.get("instruction_id_list") or ())
    if reason := refused(instructions, wanted.lang):
        raise DataError(reason, path=path, line=line.number, field="instruction_id_list")
    field = "say" if "say" in line.fields else "prompt"
    words = spoken(line.fields[field], wanted.lang, instructions)
    if wordless(words):
        raise DataError("holds no words to speak", path=path, line=line.number, field=field)
    if left := unsayable(words, wanted.lang):
        marks = " ".join(left[:8])
        raise DataError(
            f"cannot be said: {marks} is left of it; write the field 'say' with words to speak",
            path=path,
            line=line.number,
            field=field,
        )
    suite = SUITES[wanted.suite or ("closed" if instructions else "open")]
    fields = {name: value for name, value in line.fields.items() if name not in _NOT_KEPT}
    key = item.id.key if item.id.key is not None else number
    if suite.name == "open" and not fields.get("decomposed_questions"):
        fields["decomposed_questions"] = [WHOLE.get(wanted.lang, WHOLE["en"])]
    return Prompt(
        suite=suite,
        key=key,
        words=words,
        protected=tuple(_both(line.fields, wanted.lang, instructions)),
        fields={"key": key, **fields},
        source_sha256=hashlib.sha256(json.dumps(line.fields, sort_keys=True).encode()).hexdigest(),
        place=(path, line.number),
    )


def _problems(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong with it)."""
    if not fields["prompt"].strip():
        yield "prompt", "empty; every item needs its request as text"
    if not isinstance(fields.get("say", ""), str):
        yield "say", "must be text"
    for field, kind, what in (
        ("protected", str, "texts"),
        ("instruction_id_list", str, "instruction ids"),
        ("kwargs", dict, "objects, one for each instruction"),
    ):
        value = fields.get(field) or []
        if not isinstance(value, list) or not all(isinstance(entry, kind) for entry in value):
            yield field, f"must be a list of {what}"
    instructions, kwargs = fields.get("instruction_id_list") or [], fields.get("kwargs") or []
    if isinstance(instructions, list) and isinstance(kwargs, list) and len(instructions) != len(kwargs):
        yield "kwargs", f"{len(kwargs)} objects for {len(instructions)} instructions; give one for each"
    if isinstance(key := fields.get("key"), str) and not key.strip():
        yield "key", "empty; leave the field out, or give each prompt its own"


def _both(fields: Mapping[str, Any], lang: str, instructions: tuple[str, ...]) -> Iterator[str]:
    """Yield the protected phrases as they are written and as they are said."""
    for phrase in (*(fields.get("protected") or ()), *_texts(fields.get("kwargs"))):
        yield from dict.fromkeys((phrase, spoken(phrase, lang, instructions)))


def _texts(kwargs: Any) -> Iterator[str]:
    """Yield the texts among the arguments: keywords, phrases, names."""
    for arguments in kwargs or ():
        for value in arguments.values():
            yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))
