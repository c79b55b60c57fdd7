"""What a grader is asked about one response: the messages, the form of the reply, and what an empty answer gets.

Rules: docs/open-adjust.md sections 2 and 3, docs/dynamic-superb.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError, UsageError
from prompts import fencing
from prompts.complaints import adjust_complaint, classify_complaint, open_complaint
from prompts.questions import question_list
from prompts.replies import ADJUST_KEYS, CLASSIFY_VERDICTS, json_value
from prompts.templates import Template

VERDICTS = "verdicts"  # the one key of an open reply's object
_LINE_BREAKS = re.compile(r"[\r\n]+")


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
        all_no: the reply that an empty response gets without a call, from an item's fields: NO to everything, or N/A.
        complaint_about: what is wrong with a reply, from it, an item's fields, and the texts that are judged.
        foreign_fields: fields that only items of another subset have.
        fault: which of an item's fields keeps it from being judged, and why; None where none does.
    """

    data_type: str
    prompt: str
    placeholders: tuple[str, ...]
    needed: frozenset[str]
    values: Callable[[Mapping[str, Any]], dict[str, str]]
    schema: Callable[[Mapping[str, Any]], dict[str, Any]]
    plain: Callable[[str], str]
    all_no: Callable[[Mapping[str, Any]], str]
    complaint_about: Callable[[object, Mapping[str, Any], Iterable[str]], str | None]
    foreign_fields: tuple[str, ...]
    fault: Callable[[Mapping[str, Any]], tuple[str, str] | None] = lambda _: None

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
        fault = self.fault(fields)
        if fault is not None:
            field, problem = fault
            raise DataError(problem, path=path, line=line, field=field)

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
        """Return the conversation that asks about one item's response; what others wrote stands in it fenced."""
        values = {name: fencing.shown(value) for name, value in self.values(fields).items()}
        code = fencing.code_of([system.text, prompt.text, *values.values()])
        for name in fencing.PARTS:
            if name in values:
                values[name] = fencing.fenced(name, values[name], code)
        return [
            {"role": "system", "content": system.fill({"code": code})},
            {"role": "user", "content": prompt.fill(values)},
        ]

    def complaint(self, reply: object, fields: Mapping[str, Any]) -> str | None:
        """Return why a reply is not exactly one verdict on an item, or None when it is."""
        return self.complaint_about(reply, fields, self._material(fields))

    def _material(self, fields: Mapping[str, Any]) -> Iterator[str]:
        """Yield the texts of an item that others wrote; worked out only when they are looked at."""
        values = self.values(fields)
        yield from (values[name] for name in fencing.PARTS if name in values)


def _common_values(fields: Mapping[str, Any]) -> dict[str, str]:
    return {"request": fields["prompt"], "response": fields["response"]}


def _questions(fields: Mapping[str, Any]) -> list[str]:
    return question_list(fields["decomposed_questions"]) or []


def _open_values(fields: Mapping[str, Any]) -> dict[str, str]:
    # One line each: a line break inside a question could make another numbered one.
    questions = [_LINE_BREAKS.sub(" ", question) for question in _questions(fields)]
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


def _open_all_no(fields: Mapping[str, Any]) -> str:
    return json.dumps(["NO"] * len(_questions(fields)))


def _open_fault(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    if question_list(fields.get("decomposed_questions")):
        return None
    return "decomposed_questions", "missing or without questions; the grader needs at least one yes/no question"


def _open_complaint(reply: object, fields: Mapping[str, Any], material: Iterable[str]) -> str | None:
    return open_complaint(reply, len(_questions(fields)), material)


def _adjust_schema(_: Mapping[str, Any]) -> dict[str, Any]:
    return _object({key: {"type": "string", "enum": ["YES", "NO"]} for key in ADJUST_KEYS})


def _as_it_is(text: str) -> str:
    return text


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _adjust_all_no(_: Mapping[str, Any]) -> str:
    return json.dumps(dict.fromkeys(ADJUST_KEYS, "NO"))


def _adjust_complaint(reply: object, _: Mapping[str, Any], material: Iterable[str]) -> str | None:
    return adjust_complaint(reply, material)


def _classify_values(fields: Mapping[str, Any]) -> dict[str, str]:
    return {**_common_values(fields), "label": fields["label"]}


def _classify_schema(_: Mapping[str, Any]) -> dict[str, Any]:
    return _object({"verdict": {"type": "string", "enum": list(CLASSIFY_VERDICTS)}})


def _classify_not_applicable(_: Mapping[str, Any]) -> str:
    return json.dumps({"verdict": "N/A"})


def _classify_complaint(reply: object, _: Mapping[str, Any], material: Iterable[str]) -> str | None:
    return classify_complaint(reply, material)


def _classify_fault(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    for field in ("instruction", "label"):
        if not isinstance(fields.get(field), str) or not fields[field].strip():
            return field, "missing or no text; the grader holds the answer against the instruction and its label"
    if "option_scores" in fields:
        return (
            "option_scores",
            "this answer is the likeliest of the options, chosen by --score likelihood: there is nothing to judge; "
            "python evaluate.py --evaluator classify counts it as it is",
        )
    return None


TASKS = {
    "open": Task(
        data_type="open",
        prompt="judge_open",
        placeholders=("request", "response", "questions", "question_count"),
        needed=frozenset({"response", "questions"}),
        values=_open_values,
        schema=_open_schema,
        plain=_open_plain,
        all_no=_open_all_no,
        complaint_about=_open_complaint,
        foreign_fields=("instruction_id_list",),
        fault=_open_fault,
    ),
    "adjust": Task(
        data_type="adjust",
        prompt="judge_adjust",
        placeholders=("request", "response"),
        needed=frozenset({"request", "response"}),
        values=_common_values,
        schema=_adjust_schema,
        plain=_as_it_is,
        all_no=_adjust_all_no,
        complaint_about=_adjust_complaint,
        foreign_fields=("instruction_id_list", "decomposed_questions", "written"),
    ),
    "classify": Task(
        data_type="classify",
        prompt="judge_classify",
        placeholders=("request", "label", "response"),
        needed=frozenset({"request", "label", "response"}),
        values=_classify_values,
        schema=_classify_schema,
        plain=_as_it_is,
        all_no=_classify_not_applicable,
        complaint_about=_classify_complaint,
        foreign_fields=("instruction_id_list", "decomposed_questions"),
        fault=_classify_fault,
    ),
}
