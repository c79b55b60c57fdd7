"""What a grader is asked about one response: the messages, the form of the reply, and what an empty answer gets.

Rules: docs/open-adjust.md sections 2 and 3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError, UsageError
from prompts.questions import question_list
from prompts.replies import ADJUST_KEYS, json_value, read_adjust_reply, read_open_reply
from prompts.templates import Template

VERDICTS = "verdicts"  # the one key of an open reply's object


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of judging.

    Attributes:
        data_type: the name that `--data_type` takes.
        prompt: name of the bundled judge prompt.
        placeholders: the values that a prompt may ask for.
        needed: of these, the ones without which a prompt judges nothing.
        values: the values of the prompt's placeholders, from an item's fields.
        schema: JSON schema of the reply, from an item's fields; an object, which is all that some servers keep to.
        plain: the reply that a schema's object stands for; any other text as it is.
        complaint: what is wrong with a reply that cannot be read, from it and an item's fields; None for a good one.
        all_no: the reply that says NO to everything, from an item's fields.
        foreign_fields: fields that only items of another subset have.
    """

    data_type: str
    prompt: str
    placeholders: tuple[str, ...]
    needed: frozenset[str]
    values: Callable[[Mapping[str, Any]], dict[str, str]]
    schema: Callable[[Mapping[str, Any]], dict[str, Any]]
    plain: Callable[[str], str]
    complaint: Callable[[str | None, Mapping[str, Any]], str | None]
    all_no: Callable[[Mapping[str, Any]], str]
    foreign_fields: tuple[str, ...]

    def check(self, fields: Mapping[str, Any], path: Path, line: int) -> None:
        """Refuse a line that this task cannot judge.

        Raises:
            DataError: a field is missing, or the line is of another subset.
        """
        for foreign in self.foreign_fields:
            if foreign in fields:
                raise DataError(
                    f"is no field of {self.data_type} items; is this the right file for --data_type {self.data_type}?",
                    path=path,
                    line=line,
                    field=foreign,
                )
        if not isinstance(fields.get("response"), str | None):
            raise DataError("must be text or null", path=path, line=line, field="response")
        if self.data_type == "open" and not question_list(fields.get("decomposed_questions")):
            raise DataError(
                "missing or without questions; the grader needs at least one yes/no question",
                path=path,
                line=line,
                field="decomposed_questions",
            )

    def check_prompt(self, prompt: Template) -> None:
        """Refuse a prompt that does not show the grader what it judges, or asks for a value that there is none of.

        Raises:
            UsageError: a placeholder is missing or unknown.
        """
        prompt.fill(dict.fromkeys(self.placeholders, ""))
        missing = ", ".join("{" + name + "}" for name in sorted(self.needed - prompt.placeholders))
        if missing:
            raise UsageError(f"prompt '{prompt.name}' lacks {missing}: the grader would not see what it judges")

    def messages(self, system: Template, prompt: Template, fields: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the conversation that asks about one item's response."""
        values = {name: sendable(value) for name, value in self.values(fields).items()}
        return [{"role": "system", "content": system.text}, {"role": "user", "content": prompt.fill(values)}]


def sendable(text: str) -> str:
    """Return text that UTF-8 can carry: a lone surrogate becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _common_values(fields: Mapping[str, Any]) -> dict[str, str]:
    return {"request": fields["prompt"], "response": fields["response"]}


def _questions(fields: Mapping[str, Any]) -> list[str]:
    return question_list(fields["decomposed_questions"]) or []


def _open_values(fields: Mapping[str, Any]) -> dict[str, str]:
    questions = _questions(fields)
    numbered = "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))
    return {**_common_values(fields), "questions": numbered, "question_count": str(len(questions))}


def _open_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    count = len(_questions(fields))
    verdict = {"type": "string", "enum": ["YES", "NO"]}
    return _object({VERDICTS: {"type": "array", "items": verdict, "minItems": count, "maxItems": count}})


def _open_plain(text: str) -> str:
    value = json_value(text)
    if isinstance(value, dict) and list(value) == [VERDICTS] and isinstance(value[VERDICTS], list):
        return json.dumps(value[VERDICTS], ensure_ascii=False)
    return text


def _open_complaint(text: str | None, fields: Mapping[str, Any]) -> str | None:
    verdicts = read_open_reply(text)
    count = len(_questions(fields))
    if verdicts is None:
        return f'It holds no list of {count} entries, each "YES" or "NO".'
    if len(verdicts) != count:
        return f"It holds {len(verdicts)} entries, but there are {count} questions."
    return None


def _open_all_no(fields: Mapping[str, Any]) -> str:
    return json.dumps(["NO"] * len(_questions(fields)))


def _adjust_schema(_: Mapping[str, Any]) -> dict[str, Any]:
    return _object({key: {"type": "string", "enum": ["YES", "NO"]} for key in ADJUST_KEYS})


def _adjust_plain(text: str) -> str:
    return text


def _adjust_complaint(text: str | None, _: Mapping[str, Any]) -> str | None:
    if read_adjust_reply(text) is None:
        return f'It holds no JSON object with the keys {", ".join(ADJUST_KEYS)}, each "YES" or "NO".'
    return None


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _adjust_all_no(_: Mapping[str, Any]) -> str:
    return json.dumps(dict.fromkeys(ADJUST_KEYS, "NO"))


TASKS = {
    "open": Task(
        "open",
        "judge_open",
        ("request", "response", "questions", "question_count"),
        frozenset({"response", "questions"}),
        _open_values,
        _open_schema,
        _open_plain,
        _open_complaint,
        _open_all_no,
        ("instruction_id_list",),
    ),
    "adjust": Task(
        "adjust",
        "judge_adjust",
        ("request", "response"),
        frozenset({"request", "response"}),
        _common_values,
        _adjust_schema,
        _adjust_plain,
        _adjust_complaint,
        _adjust_all_no,
        ("instruction_id_list", "decomposed_questions"),
    ),
}
