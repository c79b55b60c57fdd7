"""What a grader is asked: messages, schemas, all-NO replies, and lines that a task refuses."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from judges.tasks import TASKS, sendable
from prompts import replies, templates
from prompts.templates import Template

SYSTEM = templates.bundled("judge_system")
QUESTIONS = ["Is it short?", "Is it kind?", "Is it {response}?"]
OPEN = {"prompt": "Tell {response} me.", "decomposed_questions": QUESTIONS, "response": "I {prompt} {questions} you."}
ADJUST = {"prompt": "Two, no, three tips.", "response": "One {request}."}
LINE = {"open": OPEN, "adjust": ADJUST}


def content(data_type: str, fields: dict[str, Any], prompt: Template | None = None) -> str:
    """Return what the user message of a request says."""
    task = TASKS[data_type]
    system, user = task.messages(SYSTEM, prompt or templates.bundled(task.prompt), fields)
    assert system == {"role": "system", "content": SYSTEM.text}
    assert user["role"] == "user"
    return user["content"]


@pytest.mark.parametrize("data_type", TASKS)
def test_text_that_holds_a_placeholder_is_not_filled(data_type: str) -> None:
    """Request and response stand in the prompt as they are, whatever braces they hold."""
    text = content(data_type, LINE[data_type])
    assert LINE[data_type]["prompt"] in text
    assert LINE[data_type]["response"] in text
    assert text.count(str(LINE[data_type]["response"])) == 1


def test_questions_are_numbered_and_counted() -> None:
    """Each question has its number, and the grader is told how many there are."""
    text = content("open", OPEN)
    assert "1. Is it short?\n2. Is it kind?\n3. Is it {response}?" in text
    assert "There are 3 questions." in text


@pytest.mark.parametrize("form", ["\n".join(QUESTIONS), json.dumps(QUESTIONS), repr(QUESTIONS), tuple(QUESTIONS)])
def test_questions_in_any_form_make_the_same_request(form: object) -> None:
    """A string and a list of the same questions are asked alike."""
    assert content("open", {**OPEN, "decomposed_questions": form}) == content("open", OPEN)


@pytest.mark.parametrize("data_type", TASKS)
def test_every_placeholder_of_the_bundled_prompts_is_known(data_type: str) -> None:
    """No bundled prompt names a value that its task does not have, and each holds the response."""
    prompt = templates.bundled(TASKS[data_type].prompt)
    assert set(templates.PLACEHOLDER.findall(prompt.text)) <= TASKS[data_type].values(LINE[data_type]).keys()
    assert "{response}" in prompt.text


def test_an_unknown_placeholder_is_named() -> None:
    """A prompt of the user's own that asks for what is not there is refused with what there is."""
    with pytest.raises(UsageError, match=re.escape("unknown placeholder {answer}; known: {request}, {response}")):
        content("adjust", ADJUST, Template("mine", "{request} {answer}"))


@given(st.text(st.characters(), max_size=30))
def test_what_is_sent_is_utf8(text: str) -> None:
    """Lone surrogates are replaced, everything else is sent as it is."""
    sent = sendable(text)
    sent.encode("utf-8")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert sent == text


@pytest.mark.parametrize(("text", "sent"), [("a\ud800b", "a\ufffdb"), ("\udc00", "\ufffd"), ("\ud83d\ude00", "😀")])
def test_surrogates(text: str, sent: str) -> None:
    """A lone half becomes the replacement character; two halves are one character."""
    assert sendable(text) == sent


@pytest.mark.parametrize("count", [1, 3, 40])
def test_an_open_all_no_has_one_entry_a_question(count: int) -> None:
    """The reply for an empty response reads as NO to each question, both ways of reading."""
    fields = {**OPEN, "decomposed_questions": [f"Is it {number}?" for number in range(count)]}
    reply = TASKS["open"].all_no(fields)
    assert replies.read_open_reply(reply) == (False,) * count
    assert ast.literal_eval(reply) == json.loads(reply) == ["NO"] * count
    schema = TASKS["open"].schema(fields)["properties"]["verdicts"]
    assert (schema["minItems"], schema["maxItems"]) == (count, count)


def test_an_adjustment_all_no_has_the_three_keys() -> None:
    """The reply for an empty response is NO to each point."""
    reply = TASKS["adjust"].all_no(ADJUST)
    assert replies.read_adjust_reply(reply) == replies.AdjustVote(False, False, False)
    assert replies.stored_values(reply) == ("NO", "NO", "NO")
    assert TASKS["adjust"].schema(ADJUST)["required"] == list(replies.ADJUST_KEYS)


@pytest.mark.parametrize(
    ("data_type", "change", "field", "problem"),
    [
        ("open", {"instruction_id_list": []}, "instruction_id_list", "is this the right file for --data_type open?"),
        ("adjust", {"instruction_id_list": []}, "instruction_id_list", "the right file for --data_type adjust?"),
        ("adjust", {"decomposed_questions": "x"}, "decomposed_questions", "the right file for --data_type adjust?"),
        ("open", {"response": 3}, "response", "must be text or null"),
        ("adjust", {"response": ["a"]}, "response", "must be text or null"),
        ("open", {"decomposed_questions": None}, "decomposed_questions", "needs at least one yes/no question"),
        ("open", {"decomposed_questions": []}, "decomposed_questions", "needs at least one yes/no question"),
        ("open", {"decomposed_questions": " \n "}, "decomposed_questions", "needs at least one yes/no question"),
        ("open", {"decomposed_questions": 5}, "decomposed_questions", "needs at least one yes/no question"),
    ],
)
def test_lines_that_a_task_cannot_judge(data_type: str, change: dict[str, Any], field: str, problem: str) -> None:
    """A line of another subset, or with an unusable field, is named by file, line and field."""
    with pytest.raises(DataError) as caught:
        TASKS[data_type].check({**LINE[data_type], **change}, Path("some.jsonl"), 7)
    assert str(caught.value).startswith(f"some.jsonl:7: field '{field}': ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("data_type", TASKS)
@pytest.mark.parametrize("change", [{}, {"response": None}, {"response": ""}, {"extra": 1}])
def test_lines_that_a_task_takes(data_type: str, change: dict[str, Any]) -> None:
    """A response may be text, empty, null, or not there yet."""
    TASKS[data_type].check({**LINE[data_type], **change}, Path("some.jsonl"), 1)
    without = {name: value for name, value in LINE[data_type].items() if name != "response"}
    TASKS[data_type].check(without, Path("some.jsonl"), 1)
