"""Tasks about what is said: a term, a whole sentence, a command, the language, the accent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from data.dynamic_superb.build.examples import Cast, Example, Sound, sound, translations, turns
from data.variants.jobs import Utterance

COMMANDS = ("stop", "start", "left", "right", "forward", "backward", "open", "close", "louder", "quieter")

MANNERS = ("", "slow", "fast")
"""How the voices say commands, by names of `data.variants.paralinguistics.STYLES`; "" is their own way."""

LANGUAGES = ("English", "German", "Spanish", "French", "Italian")
"""Labels, in the order of `speakers.LANGUAGES`."""

ACCENTS = ("American", "British", "Scottish", "Caribbean")
"""Labels, in the order of `speakers.ACCENTS`."""


def term(cast: Cast) -> Iterator[Example]:
    """Yield sentences with a term that is said in them, or in the other sentence of a group of two."""
    yield from _matched(cast, 1)


def text(cast: Cast) -> Iterator[Example]:
    """Yield sentences with their own text, or with that of the other sentence of a group of two."""
    yield from _matched(cast, 0)


def _matched(cast: Cast, written: int) -> Iterator[Example]:
    """Yield groups in which every sentence, text and voice is met once as right and once as wrong.

    Args:
        cast: who speaks.
        written: what is given in writing: 0 the sentence, 1 its term.
    """
    for lines, voices in cast.groups(2):
        (one, two), texts = (line[0] for line in lines), [line[written] for line in lines]
        yield Example("yes", (sound(one, voices[0]),), texts[0])
        yield Example("no", (sound(two, voices[0]),), texts[0])
        yield Example("yes", (sound(two, voices[1]),), texts[1])
        yield Example("no", (sound(one, voices[1]),), texts[1])


def command(cast: Cast) -> Iterator[Example]:
    """Yield each command by each voice, then slower, then faster."""
    (voices,) = cast.voices
    for step in count():
        voice, manner = voices[step % len(voices)], MANNERS[step // len(voices) % len(MANNERS)]
        for word in COMMANDS:
            yield Example(word, (Sound((Utterance(f"{word}.", voice, manner),)),))


def language(cast: Cast) -> Iterator[Example]:
    """Yield a sentence in each of the languages, by voices of the same kind."""
    yield from _spoken_as(cast, [dict(zip(LANGUAGES, row, strict=True)) for row in translations()], LANGUAGES)


def accent(cast: Cast) -> Iterator[Example]:
    """Yield a sentence in each of the accents, by voices of the same kind."""
    yield from _spoken_as(cast, [dict.fromkeys(ACCENTS, sentence) for sentence, _ in cast.lines()], ACCENTS)


def _spoken_as(cast: Cast, lines: list[dict[str, str]], labels: tuple[str, ...]) -> Iterator[Example]:
    kinds = len(cast.voices[0])
    for turn, place in turns(len(lines)):
        for label, voices in zip(labels, cast.voices, strict=True):
            yield Example(label, (sound(lines[place][label], voices[turn % kinds]),))
