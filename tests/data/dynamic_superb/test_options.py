"""Options are read from instructions as people write them, and written so that they are read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dynamic_superb import options

LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12).filter(
    lambda label: label == label.strip() and not label.endswith(",") and not set(label) & set("\"'“”‘’«»`")
)
OPTIONS = st.lists(LABELS, min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("instruction", "read"),
    [
        ("Is it speech? The answer could be yes or no.", ("yes", "no")),
        ("Name it. The answer could be anger, disgust, or no emotion.", ("anger", "disgust", "no emotion")),
        ("Name it. The answer could be anger, disgust or no emotion.", ("anger", "disgust", "no emotion")),
        ("Name it. The answer could be anger, disgust, no emotion.", ("anger", "disgust", "no emotion")),
        (
            "The answer could be exterior and urban noises, animals, or rain.",
            ("exterior and urban noises", "animals", "rain"),
        ),
        ("The answer could be up or down or left.", ("up", "down", "left")),
        ("THE ANSWER COULD BE Yes OR No", ("Yes", "No")),
        ("the answer could be yes or no", ("yes", "no")),
        ("The answer could be either true or false!", ("true", "false")),
        ("The answer could be yes or no. Then stop, or go on.", ("yes", "no")),
        ("The answer could be yes or no\nThen stop, or go on.", ("yes", "no")),
        ("The answer could be 0.4m, 2.0m, or 3.2m.", ("0.4m", "2.0m", "3.2m")),
        ("The answer could be -5 dB, 0 dB, or 15 dB.", ("-5 dB", "0 dB", "15 dB")),
        ("The answer could be don't know or o'clock.", ("don't know", "o'clock")),
        ("The answer could be 'yes' or 'no'.", ("yes", "no")),
        ('The answer could be "yes" or "no".', ("yes", "no")),
        ("The answer could be “yes”, ‘no’, or «maybe».", ("yes", "no", "maybe")),
        ('The answer could be "yes," "no," or "maybe."', ("yes", "no", "maybe")),
        ('The answer could be "wind, rain", "a or b", or "U.S."', ("wind, rain", "a or b", "U.S")),
        ('The answer could be "wind, rain", "a or b", or "U.S.".', ("wind, rain", "a or b", "U.S.")),
        ('The answer could be yes or "no".', ("yes", "no")),
        ("The answer could be: yes; no; or maybe.", ("yes", "no", "maybe")),
        ("The answer should be exact 'yes', 'maybe' or 'no'.", ("yes", "maybe", "no")),
        ("The answer must be one of the following: a, b, c.", ("a", "b", "c")),
        ("Your response should be yes or no.", ("yes", "no")),
        ("Is it? Answer with yes or no.", ("yes", "no")),
        ("Please choose from A, B, and C.", ("A", "B", "C")),
        ("Choose between yes and no.", ("yes", "no")),
        ("Select the correct answer from the following options: 'a', 'b', 'c'.", ("a", "b", "c")),
        ("Options: yes/no", ("yes", "no")),
        ("The possible answers are major and minor.", ("major", "minor")),
        ("The answer could be early or late. The answer could be yes or no.", ("yes", "no")),
        ("The answer could be yes or no. The answer could be found below.", ("yes", "no")),
    ],
)
def test_options_are_read(instruction: str, read: tuple[str, ...]) -> None:
    """As many as there are, in their order and with their own case."""
    assert options.read(instruction) == read


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "Transcribe the recording.",
        "The answer could be found in the recording.",
        "The answer could be",
        "The answer could be ,, or .",
        "The answer could be yes.",
        "Yes or no? Decide.",
    ],
)
def test_fewer_than_two_are_none(instruction: str) -> None:
    """One option is no choice: the sentence says something else."""
    assert options.read(instruction) == ()


@given(st.text(), st.sampled_from(["", "The answer could be ", "Choose from: ", 'The answer could be "']))
def test_reading_never_raises(text: str, lead: str) -> None:
    """Whatever stands there."""
    assert all(option.strip() for option in options.read(lead + text))


@pytest.mark.parametrize(
    "text", ["The answer could be ", '"a,', '"a" ', "choose ", "a or ", "   ", "answers have ", "'", "/", "options:"]
)
def test_long_texts_are_read_in_one_go(text: str) -> None:
    """No instruction makes reading take more than about its length: these would take minutes otherwise."""
    options.read("The answer could be " + text * 20_000)


@given(
    OPTIONS, st.sampled_from(["", "Is it so? ", "Choose, or leave it. "]), st.sampled_from(["", " Now, do it or not."])
)
def test_a_sentence_is_read_back(labels: list[str], before: str, after: str) -> None:
    """Wherever it stands, whatever its labels hold."""
    assert options.read(before + options.sentence(labels) + after) == tuple(labels)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["yes", "no"], "The answer could be yes or no."),
        (["a", "no speech", "c"], "The answer could be a, no speech, or c."),
        (["wind, rain", "sun"], 'The answer could be "wind, rain" or "sun".'),
        (['a "b", c', "d"], "The answer could be 'a \"b\", c' or 'd'."),
    ],
)
def test_quotes_stand_only_where_they_are_needed(labels: list[str], sentence: str) -> None:
    """And are such that no label holds."""
    assert options.sentence(labels) == sentence


@pytest.mark.parametrize("labels", [[], ["alone"], ["a", ""], ["a", "b\nc"], ["a", " b"]])
def test_what_cannot_be_named_is_refused(labels: list[str]) -> None:
    """Rather than written as something else."""
    with pytest.raises(ValueError, match="no sentence names these options"):
        options.sentence(labels)
    with pytest.raises(ValueError, match="no sentence names these options"):
        options.replaced("The answer could be yes or no.", labels)


@pytest.mark.parametrize(
    ("instruction", "labels", "replaced"),
    [
        (
            "Go. The answer could be 'a', 'b' or 'c'. Now.",
            ["c", "a", "b"],
            "Go. The answer could be 'c', 'a' or 'b'. Now.",
        ),
        ("Please choose from a, b, and c", ["b", "c", "a"], "Please choose from b, c, and a"),
        ("The answer could be a or b.", ["a", "b", "c d"], "The answer could be a, b, or c d."),
        ("The answer could be a or b.", ["x, y", "z"], 'The answer could be "x, y" or "z".'),
    ],
)
def test_options_take_each_others_places(instruction: str, labels: list[str], replaced: str) -> None:
    """Nothing else of the instruction changes, unless quotes are needed."""
    assert options.replaced(instruction, labels) == replaced


@given(OPTIONS, st.randoms())
def test_any_options_can_be_shuffled(labels: list[str], draw: object) -> None:
    """And are read in their new order."""
    shuffled = sorted(labels, key=lambda _: draw.random())  # type: ignore[attr-defined]
    changed = options.replaced(f"Is it? {options.sentence(labels)} Go.", shuffled)
    assert options.read(changed) == tuple(shuffled)
    assert changed.startswith("Is it? The answer could be ")
    assert changed.endswith(" Go.")


def test_an_instruction_without_options_keeps_none() -> None:
    """There is no place to put others."""
    for function in (options.own_sentence, lambda text: options.replaced(text, ["a", "b"])):
        with pytest.raises(ValueError, match="names no options"):
            function("Transcribe it.")


@pytest.mark.parametrize(
    ("instruction", "sentence"),
    [
        ("Is it? The answer could be a or b. Go.", "The answer could be a or b."),
        ("Is it? Please, choose from 'a', 'b'", "Please, choose from 'a', 'b'."),
        ("Is it so: the answer could be a or b!", "The answer could be a or b."),
        ("Options: a, b", "Options: a, b."),
    ],
)
def test_the_sentence_of_options_is_told(instruction: str, sentence: str) -> None:
    """As it stands, or as a new one where it is part of the request."""
    assert options.own_sentence(instruction) == sentence
