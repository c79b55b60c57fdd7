"""Disfluency never touches the fluent words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.variants.disfluency import EDITING_TERMS, FILLERS, KINDS, UNTOUCHABLE, disfluent

TEXT = "Write a short story about the old lighthouse, and use the words river and stone at least three times in it."

WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "the", "of", "and", "three", "not", "without", "Write,", "story.", "river", "it's", "12"]
        ),
        st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6).filter(
            lambda word: len(word.split()) == 1
        ),
    ),
    max_size=40,
)


@given(WORDS, st.integers(0, 10_000), st.data())
def test_fluent_words_remain_in_order(words: list[str], seed: int, data: st.DataObject) -> None:
    """Taking out what the events name leaves the fluent text, whatever it is."""
    start = data.draw(st.integers(0, len(words)))
    phrase = " ".join(words[start : start + 3])
    made = disfluent(" ".join(words), seed, [phrase] if phrase else [])
    spoken = made.text.split()
    position = {event.before: event.added.split() for event in made.events}
    rest = iter(spoken)
    for index, word in enumerate(words):
        for added in position.get(index, []):
            assert next(rest) == added
        assert next(rest) == word
    assert next(rest, None) is None


@given(WORDS, st.integers(0, 10_000))
def test_added_words_carry_no_meaning(words: list[str], seed: int) -> None:
    """Only fillers, editing terms and copies of the words that follow are added; never a number or a negation."""
    for event in disfluent(" ".join(words), seed).events:
        assert event.kind in KINDS
        if event.kind == "filled_pause":
            assert event.added.strip(",").lower() in FILLERS
            continue
        copied = event.added.split(",")[0].split()
        assert words[event.before : event.before + len(copied)] == copied
        assert not any(UNTOUCHABLE.fullmatch(word.lower()) for word in copied)
        if event.kind == "restart":
            assert event.added.split(",")[1].strip() in EDITING_TERMS


@given(st.integers(0, 10_000))
def test_protected_phrase_stays_whole(seed: int) -> None:
    """A phrase that a checker looks for is said once, in one piece."""
    made = disfluent(TEXT, seed, ["the words river and stone"])
    assert "the words river and stone" in made.text
    assert made.text.count("river") == made.text.count("stone") == 1
    assert {event.kind for event in made.events} == set(KINDS)


@given(st.integers(0, 10_000))
def test_same_seed_same_text(seed: int) -> None:
    """Nothing but text, seed and protected phrases decides."""
    assert disfluent(TEXT, seed) == disfluent(TEXT, seed)


def test_seeds_differ() -> None:
    """Different seeds hesitate in different places."""
    assert len({disfluent(TEXT, seed).text for seed in range(20)}) > 10


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_to_say(text: str) -> None:
    """Where there is no word there is no place to hesitate."""
    made = disfluent(text, 1)
    assert (made.text, made.events) == ("", ())
