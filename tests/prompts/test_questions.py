"""The forms in which an item's questions come."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.questions import question_list


@pytest.mark.parametrize(
    ("field", "questions"),
    [
        (["Is it short?", "Is it a poem?"], ["Is it short?", "Is it a poem?"]),
        (("Is it short?",), ["Is it short?"]),
        ([], []),
        ('["Is it short?", "Is it a poem?"]', ["Is it short?", "Is it a poem?"]),
        ("['Is it short?', \"Isn't it a poem?\"]", ["Is it short?", "Isn't it a poem?"]),
        ("\n ['Is it short?']\n", ["Is it short?"]),
        ("1. Is it short?\n\n 2. Is it a poem? \r\n \t\n3. Why?", ["1. Is it short?", "2. Is it a poem?", "3. Why?"]),
        ("['Is it short?', 2]", ["['Is it short?', 2]"]),
        ('{"1": "Is it short?"}', ['{"1": "Is it short?"}']),
        ("'Is it short?'", ["'Is it short?'"]),
        ("[]", []),
        ("", []),
        (" \n ", []),
        ("[" * 50_000, ["[" * 50_000]),
        (None, None),
        (3, None),
        ({"1": "Is it short?"}, None),
    ],
)
def test_question_list(field: object, questions: list[str] | None) -> None:
    """Sequences, written lists and plain lines give the same questions; anything else is unknown."""
    assert question_list(field) == questions


@given(st.lists(st.text()))
def test_written_lists_read_back(questions: list[str]) -> None:
    """A list written as JSON is the list itself."""
    assert question_list(json.dumps(questions)) == questions


@given(st.none() | st.text() | st.integers() | st.lists(st.text() | st.integers()))
def test_never_raises(field: object) -> None:
    """Whatever the field holds, the result is a list of texts or nothing."""
    questions = question_list(field)
    assert questions is None or all(isinstance(question, str) for question in questions)
