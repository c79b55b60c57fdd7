"""Tokens of options behind their prompts, and what their scores become."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from inference.backends import likelihood

VOCABULARY: list[str] = []


def encode(text: str) -> list[int]:
    """Return tokens of a made-up tokeniser: words with the blank before them, line feeds, and `:a` as one."""
    pieces = re.findall(r":a| ?\w+|\s|.", text)
    VOCABULARY.extend(piece for piece in pieces if piece not in VOCABULARY)
    return [VOCABULARY.index(piece) for piece in pieces]


def words(tokens: list[list[int]]) -> list[list[str]]:
    """Return the text of each token."""
    return [[VOCABULARY[token] for token in option] for option in tokens]


def refuse(_: str) -> str:
    """Stand for a template that takes no assistant's turn."""
    raise ValueError("roles must alternate")


@pytest.mark.parametrize(
    ("prompt", "answered", "expected"),
    [
        ("user: Q\nassistant\n", None, [["yes"], ["very", " near"]]),
        ("user: Q\nassistant\n", lambda option: f"user: Q\nassistant\n{option}", [["yes"], ["very", " near"]]),
        ("[Q]", lambda option: f"[Q] {option}", [[" yes"], [" very", " near"]]),
        ("Q\n", lambda option: f"Q\n<think></think>{option}", [["yes"], ["very", " near"]]),
        ("Q\n", refuse, [["yes"], ["very", " near"]]),
        ("", None, [["yes"], ["very", " near"]]),
    ],
    ids=["bare", "template", "template with a blank", "template with more", "template that raises", "tokens only"],
)
def test_tokens_of_options(prompt: str, answered: Callable[[str], str] | None, expected: list[list[str]]) -> None:
    """An option is what follows the prompt; of what a template puts in front of it, only white space counts."""
    assert words(likelihood.option_tokens(["yes", "very near"], encode, prompt, answered)) == expected


def test_a_token_across_the_border_is_not_counted() -> None:
    """Where tokeniser and border disagree, the option stands alone: the prompt's tokens are given."""
    assert words([encode("A:a b")]) == [["A", ":a", " b"]]
    assert words(likelihood.option_tokens(["a b", "yes"], encode, "A:")) == [["a", " b"], ["yes"]]


def test_the_likeliest_option_is_the_answer() -> None:
    """The best score wins, the first of equals; the scores stay beside it."""
    answer = likelihood.answer_of({"no": -2.0, "yes": -1.0, "maybe": -1.0}, 7)
    assert (answer.text, answer.error, answer.prompt_tokens) == ("yes", None, 7)
    assert answer.option_scores == {"no": -2.0, "yes": -1.0, "maybe": -1.0}


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_scores_that_are_no_numbers_fail_the_item(score: float) -> None:
    """Overflown weights must not choose an answer."""
    answer = likelihood.answer_of({"yes": -1.0, "no": score}, 7)
    assert (answer.text, answer.permanent, answer.option_scores) == (None, True, None)
