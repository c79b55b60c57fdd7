"""Which options an answer names, and what is left of an answer without its wrapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.classification import naming
from evaluators.classification.naming import bare, joined, named, place_of, words

END_OF = naming._end_of
YES_NO = ("yes", "no")
NOISE = ("noisy", "clean")
MOODS = ("happy", "sad", "angry")


@pytest.mark.parametrize(
    ("answer", "options", "chosen"),
    [
        ("Yes.", YES_NO, "yes"),
        ("**NO**", YES_NO, "no"),
        ("No, there is nobody.", YES_NO, "no"),
        ("No because nobody speaks", YES_NO, "no"),
        ("The answer is no", YES_NO, "no"),
        ("Yes, there is no noise.", YES_NO, "yes"),  # "no" is a word of quantity here
        ("yes or no", YES_NO, None),
        ("It could be yes. It could be no.", YES_NO, None),
        ("I know nothing.", YES_NO, None),  # whole words only
        ("", YES_NO, None),
        ("I hear speech", ("speech", "no speech"), "speech"),
        ("There is no speech", ("speech", "no speech"), "no speech"),
        ("non-speech", ("speech", "non-speech"), "non-speech"),
        ("non-speech", ("speech", "music"), "music"),
        ("The audio is not noisy.", NOISE, "clean"),
        ("It doesn't seem to be a very noisy recording", NOISE, "clean"),
        ("It isn’t clean", NOISE, "noisy"),
        ("not noisy but clean", NOISE, "clean"),
        ("clean, not noisy", NOISE, "clean"),
        ("It is not clear whether it is noisy", NOISE, "noisy"),  # hedges are taken at their word
        ("noisy, no, not noisy", NOISE, None),
        ("Is it not? Noisy!", NOISE, "noisy"),  # a mark ends what a denial reaches
        ("neither happy nor sad", MOODS, None),
        ("not happy", MOODS, None),
        ("angry rather than sad", MOODS, "angry"),
        ("sad instead of happy", MOODS, "sad"),
        ("happy and sad", MOODS, None),
        ("happy, very happy", MOODS, "happy"),
        ("unhappy", MOODS, None),
        ("air_conditioner", ("air conditioner", "siren"), "air conditioner"),
        ("Sea-waves", ("sea waves", "rain"), "sea waves"),
        ("-5 dB", ("5", "-5", "10"), "-5"),
        ("about 10", ("5", "10", "15"), "10"),
        ("15", ("5", "10", "15"), "15"),
        ("C# minor", ("C", "C#"), "C#"),
        ("这是噪音", ("噪音", "安静"), "噪音"),
        ("ＹＥＳ", YES_NO, "yes"),
        ("yes", (), None),
        ("yes", ("yes", "Yes"), "yes"),
    ],
)
def test_options_in_an_answer(answer: str, options: tuple[str, ...], chosen: str | None) -> None:
    """Exactly one option has to be named, in whole words, the longest first, and not denied."""
    place = named(answer, options).chosen
    assert (None if place is None else options[place]) == chosen


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("The answer is: **Yes**.", "yes"),
        ("It is a dog", "dog"),
        ("It's the dog.", "dog"),
        ("“no”", "no"),
        ("Answer: B", "b"),
        ("the answer is A", "a"),  # an article that is the answer stays
        ("A", "a"),
        ("Sure! The correct label would be five", "five"),
        ("I think that it is happy.", "happy"),
        ("```\nyes\n```", "yes"),
        ("The sea waves", "sea waves"),
        ("yes it is", "yes it is"),
        ("it is", "it is"),
        ("answer", "answer"),
        ("", ""),
    ],
)
def test_what_wraps_an_answer_falls_away(answer: str, left: str) -> None:
    """Marks, case, articles and the usual openings; what follows the answer stays."""
    assert " ".join(bare(answer)) == left


def test_a_long_answer_is_not_held_against_each_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand options and as many words: only an option that begins with a word is looked for there."""
    tried = []
    monkeypatch.setattr(naming, "_end_of", lambda *asked: tried.append(asked) or END_OF(*asked))
    options = tuple(f"o{number}" for number in range(10_000))
    found = named("x " * 10_000 + "it is o77", options)
    assert found.chosen == 77
    assert len(tried) == 1


LABELS = st.lists(st.text(max_size=12), max_size=5).map(tuple)


@given(st.text(max_size=200), LABELS)
def test_any_text_can_be_read(answer: str, options: tuple[str, ...]) -> None:
    """Nothing raises, and what is chosen is an option that is named or the other one of two."""
    found = named(answer, options)
    assert found.chosen is None or 0 <= found.chosen < len(options)
    assert not set(found.affirmed) & set(found.denied)
    if found.chosen is not None and found.affirmed:
        (place,) = found.affirmed
        assert found.chosen == place
        assert f" {joined(options[place])} " in f" {joined(answer)} "
    assert len(bare(answer)) <= len(words(answer))


@given(LABELS.filter(len), st.data())
def test_an_option_alone_chooses_itself(options: tuple[str, ...], data: st.DataObject) -> None:
    """The bare option, in any letter case, is its own answer, unless a denial stands in it."""
    option = data.draw(st.sampled_from(options))
    place = place_of(option, options)
    if place is not None:
        assert joined(options[place]) == joined(option)
        assert named(option.swapcase(), options).chosen in (place, place_of(option.swapcase(), options))
