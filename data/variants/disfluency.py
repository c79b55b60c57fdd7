"""Hesitation put into fluent text: filled pauses, repetitions, restarts.

The kinds follow E. Shriberg, "Preliminaries to a Theory of Speech Disfluencies" (PhD thesis, Berkeley, 1994), where a
disfluency is a reparandum, an interregnum and a repair. Here the repair always says the reparandum's words again: what
a listener has to do stays the same *by construction*, since every fluent word remains, in order, and what is added is
a filler, an editing term or a copy of the words that follow. Substitutions and deletions, in which the words change,
are left out; requests that change their mind are the adjustment subset.

    kind           added            example ("Write a short story")
    filled_pause   uh, um           Write um, a short story
    repetition     one word twice   Write a, a short story
    restart        2-3 words twice  Write a short, I mean, a short story

Numbers, negations and `protected` phrases are neither repeated nor interrupted ("three, three" could be heard as
thirty-three). One disfluency for about eight words is twice what people produce in conversation, on purpose: the
requests are short.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

FILLERS = ("uh", "um")
EDITING_TERMS = ("I mean", "sorry", "well")
KINDS = ("filled_pause", "repetition", "restart")
WORDS_PER_EVENT = 8

FUNCTION_WORD = re.compile(
    "an?|the|of|in|on|at|to|for|with|about|and|or|but|its?|your|my|me|you|that|this|which|what|how|why|is|are"
)
"""What people repeat most: the small words in front of the one they are looking for."""

UNTOUCHABLE = re.compile(
    "not?|nor|never|none|without|nothing|only|exactly|once|twice|fewer|less|least|most|first|second|third|fourth|"
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|[a-z]+ty|hundred|thousand"
)


@dataclass(frozen=True, slots=True)
class Event:
    """One disfluency.

    Attributes:
        kind: one of `KINDS`.
        before: index of the fluent word that it stands in front of.
        added: the words added.
    """

    kind: str
    before: int
    added: str


@dataclass(frozen=True, slots=True)
class Disfluent:
    """Hesitating text.

    Attributes:
        text: what is said.
        events: what was added, in the order of speaking; without them `text` is the fluent text.
    """

    text: str
    events: tuple[Event, ...]


def disfluent(text: str, seed: int, protected: Sequence[str] = ()) -> Disfluent:
    """Make a fluent English text hesitate.

    Args:
        text: the fluent text; runs of white space become one blank.
        seed: the same text and seed give the same disfluencies.
        protected: phrases of the text, as written, into which nothing is put and of which nothing is repeated.

    Returns:
        The text with its disfluencies: one of each kind while there is room, then more filled pauses; none where no
        place is free.
    """
    words = text.split()
    chance = random.Random(seed)
    fixed = _protected(words, protected)
    wanted = max(len(KINDS), round(len(words) / WORDS_PER_EVENT))
    events: dict[int, Event] = {}
    # The longest first, as it needs the most room.
    for kind in ("restart", "repetition", *["filled_pause"] * (wanted - 2)):
        places = _places(words, fixed, kind, events)
        if places:
            place = chance.choice(places)
            events[place] = _event(words, fixed, kind, place, chance)
    return Disfluent(_spoken(words, events), tuple(events[place] for place in sorted(events)))


def _bare(word: str) -> str:
    return re.sub(r"[^\w']", "", word).lower()


def _protected(words: Sequence[str], phrases: Sequence[str]) -> list[bool]:
    """Mark the words that belong to a protected phrase, or are numbers or negations."""
    marks = [UNTOUCHABLE.fullmatch(_bare(word)) is not None or any(map(str.isdigit, word)) for word in words]
    for phrase in phrases:
        part = phrase.split()
        for start in range(len(words) - len(part) + 1):
            if [_bare(word) for word in words[start : start + len(part)]] == [_bare(word) for word in part]:
                marks[start : start + len(part)] = [True] * len(part)
    return marks


def _copyable(words: Sequence[str], fixed: Sequence[bool], start: int, count: int) -> bool:
    """Tell whether these words can be said twice: none is protected, no punctuation ends inside or behind them."""
    part = range(start, start + count)
    return part.stop <= len(words) and all(not fixed[i] and words[i].isalpha() for i in part)


def _places(words: Sequence[str], fixed: Sequence[bool], kind: str, events: dict[int, Event]) -> list[int]:
    """Return the fluent words in front of which a disfluency of this kind may stand."""
    found = []
    for place in range(len(words)):
        if any(abs(place - taken) < 3 for taken in events):
            continue
        # The first word of a protected phrase may follow a pause; the words inside it may not.
        inside = fixed[place] and place > 0 and fixed[place - 1]
        small = FUNCTION_WORD.fullmatch(_bare(words[place])) is not None
        fits = {
            "filled_pause": not inside,
            "repetition": small and _copyable(words, fixed, place, 1),
            "restart": _copyable(words, fixed, place, 2),
        }
        if fits[kind]:
            found.append(place)
    return found


def _event(words: Sequence[str], fixed: Sequence[bool], kind: str, place: int, chance: random.Random) -> Event:
    if kind == "filled_pause":
        filler = chance.choice(FILLERS)
        opens = place == 0 or words[place - 1][-1] in ".?!"
        added = f"{filler.capitalize() if opens else filler},"
    elif kind == "repetition":
        added = f"{words[place]},"
    else:
        count = 3 if _copyable(words, fixed, place, 3) and chance.random() < 0.5 else 2
        added = f"{' '.join(words[place : place + count])}, {chance.choice(EDITING_TERMS)},"
    return Event(kind, place, added)


def _spoken(words: Sequence[str], events: dict[int, Event]) -> str:
    parts: list[str] = []
    for place, word in enumerate(words):
        if place in events:
            parts.append(events[place].added)
        parts.append(word)
    return " ".join(parts)
