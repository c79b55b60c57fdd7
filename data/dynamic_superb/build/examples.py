"""What a built task is made of: examples, and the voices and sentences that its labels must not depend on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from data.variants.jobs import Utterance
from data.variants.rooms import Room
from data.variants.voices import Voice

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard in one recording.

    Attributes:
        said: what is said, one after the other.
        backwards: whether it is played from its end to its start.
        room: in which room it sounds; None: in none.
        snr_db: ratio to Gaussian noise in dB; None: no noise.
    """

    said: tuple[Utterance, ...]
    backwards: bool = False
    room: Room | None = None
    snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a task, still without its instruction.

    Attributes:
        label: the right answer.
        sounds: its recordings.
        text: what is given in writing beside them.
    """

    label: str
    sounds: tuple[Sound, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """What a task is made from.

    Attributes:
        voices: who speaks; for tasks about languages and accents one tuple of voices for each label, in its order.
        chance: drawn from the seed of the build and the name of the instance.
    """

    voices: Sequence[Sequence[Voice]]
    chance: random.Random

    def lines(self) -> list[tuple[str, str]]:
        """Return the English sentences with their terms, in an order drawn by chance."""
        return self.chance.sample(sentences(), len(sentences()))

    def groups(self, size: int) -> Iterator[tuple[Sequence[tuple[str, str]], Sequence[Voice]]]:
        """Yield so many sentences with their terms, and the voices, without end.

        Every sentence comes once a round. The voices are rotated by one from group to group and from round to round,
        so that each of them comes first with every sentence before any comes first with it again.
        """
        lines, (voices,) = self.lines(), self.voices
        for turn, place in turns(len(lines) // size):
            first = turn % len(voices)
            yield lines[place * size : (place + 1) * size], (*voices[first:], *voices[:first])


def turns(length: int) -> Iterator[tuple[int, int]]:
    """Yield places below `length`, round after round, each with a number that grows by one from round to round."""
    for step in count():
        yield step % length + step // length, step % length


Maker = Callable[[Cast], Iterator[Example]]
"""Yields a task's examples in groups: within a group, every label has the same sentences and the same voices."""


def sound(sentence: str, *voices: Voice) -> Sound:
    """Return a sentence, said by each of the voices in turn."""
    return Sound(tuple(Utterance(sentence, voice) for voice in voices))


@cache
def sentences() -> list[tuple[str, str]]:
    """Return the English sentences, each with a term that occurs in no other."""
    return [(sentence, term) for sentence, term in _table("sentences.txt")]


@cache
def translations() -> list[tuple[str, ...]]:
    """Return sentences in the languages of `speakers.LANGUAGES`, in that order."""
    return list(_table("languages.txt"))


def _table(name: str) -> Iterator[tuple[str, ...]]:
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        yield tuple(cell.strip() for cell in line.split("|"))
