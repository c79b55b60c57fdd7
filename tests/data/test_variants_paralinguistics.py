"""Styles of speaking."""

from __future__ import annotations

import pytest

from data.errors import UsageError
from data.variants.paralinguistics import MOST_STRESSES, STYLES, parameters, stressed_words, style


def test_every_style_changes_something() -> None:
    """No style is the plain one, and no two are alike."""
    assert len(set(STYLES.values())) == len(STYLES)
    plain = type(style("fast"))()
    assert plain not in STYLES.values()


def test_parameters_name_everything() -> None:
    """A line can be rendered again from what it says."""
    assert parameters("fast") == {"style": "fast", "rate": 1.3, "pitch": 1.0, "gain_db": 0.0, "stress": False}


def test_unknown_style_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(UsageError, match=r"no style 'angry'; there are: fast"):
        style("angry")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Use exactly three words.", ["exactly", "three"]),
        ("Nobody is tone deaf.", []),
        ("Do not stop; do not go.", ["not"]),
        ("A notion, not a fact.", []),  # the string "not" occurs first inside another word
        ("One, two, three, four, five.", ["One", "two", "three"]),
    ],
)
def test_stressed_words(text: str, words: list[str]) -> None:
    """The weighty words are found as words, each once."""
    assert stressed_words(text) == words
    assert len(words) <= MOST_STRESSES
