"""Tasks about who speaks. Every label gets the same sentences, and its recordings begin with the same voices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.dynamic_superb.build.examples import Cast, Example, Sound, sound
from data.variants.jobs import Utterance
from data.variants.voices import Voice

TURNS = {
    "one": ("0000",),
    "two": ("0101", "0110", "0100", "0010", "0001", "0011"),
    "three": ("0120", "0121", "0102", "0112", "0012", "0122"),
    "four": ("0123",),
}
"""Label -> who says each of four sentences: the first, second, ... of the voices that take part."""


def verification(cast: Cast) -> Iterator[Example]:
    """Yield two sentences by one voice, and two by two voices."""
    for step, (((one, _), (two, _)), voices) in enumerate(cast.groups(2)):
        yield Example("yes", (sound(one, voices[0]), sound(two, voices[0])))
        yield Example("no", (sound(two, voices[0]), sound(one, _other(voices, step))))


def several(cast: Cast) -> Iterator[Example]:
    """Yield three sentences by one voice, and by two."""
    for step, (lines, voices) in enumerate(cast.groups(3)):
        pattern = ((0, 1, 0), (0, 1, 1), (0, 0, 1))[step % 3]
        pair = voices[0], _other(voices, step)
        yield Example("no", (_said(lines, [voices[0]] * 3),))
        yield Example("yes", (_said(lines, [pair[who] for who in pattern]),))


def counting(cast: Cast) -> Iterator[Example]:
    """Yield four sentences by one to four voices."""
    for step, (lines, voices) in enumerate(cast.groups(4)):
        for label, patterns in TURNS.items():
            pattern = patterns[step % len(patterns)]
            yield Example(label, (_said(lines, [voices[int(who)] for who in pattern]),))


def _other(voices: Sequence[Voice], step: int) -> Voice:
    """Return another voice than the first: each in turn, changing when all have been first once."""
    return voices[1 + step // len(voices) % (len(voices) - 1)]


def _said(lines: Sequence[tuple[str, str]], voices: Sequence[Voice]) -> Sound:
    return Sound(tuple(Utterance(sentence, voice) for (sentence, _), voice in zip(lines, voices, strict=True)))
