"""Thinking aloud is kept apart from the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.reasoning import split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("plain answer", None, "plain answer"),
        ("<think>why\nnot</think>\n\nanswer", "why\nnot", "answer"),
        ("  <think></think>answer", "", "answer"),
        ("the template opened it</think> answer", "the template opened it", "answer"),
        ("<think>cut off at max_tok", "cut off at max_tok", ""),
        ("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
        ("I use the word <think> here", None, "I use the word <think> here"),
        ("", None, ""),
    ],
)
def test_blocks(text: str, reasoning: str | None, answer: str) -> None:
    """A leading block, whole, half or opened elsewhere, is reasoning; what stands behind it is the answer."""
    assert split_reasoning(text) == (reasoning, answer)


@given(st.text().filter(lambda text: "think>" not in text))
def test_other_text_is_left_alone(text: str) -> None:
    """A text without the tags comes back as it is."""
    assert split_reasoning(text) == (None, text)


@given(st.text().filter(lambda text: "think>" not in text), st.text().filter(lambda text: "think>" not in text))
def test_what_is_put_together_comes_apart(reasoning: str, answer: str) -> None:
    """Any reasoning in front of any answer is found again, but for outer white space."""
    found, rest = split_reasoning(f"<think>{reasoning}</think>{answer}")
    assert (found, rest) == (reasoning.strip(), answer.lstrip())
