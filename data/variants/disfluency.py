"""Hesitation put into fluent text: filled pauses, repetitions, restarts, self-corrections.

The kinds follow E. Shriberg, "Preliminaries to a Theory of Speech Disfluencies" (PhD thesis, Berkeley, 1994), where a
disfluency is a reparandum, an interregnum (a filler or an editing term) and a repair; the split of repetitions and
repairs is that of W. Levelt, "Monitoring and self-repair in speech" (Cognition 14, 1983).

    kind             added                             example ("Write a short story")
    filled_pause     uh, um                            Write um, a short story
    repetition       one word twice                    Write a, a short story
    restart          2-3 words twice, editing term     Write a short, I mean, a short story
    self_correction  a wrong small word, editing term  Write the, sorry, a short story

What a listener has to do stays the same *by construction*: every fluent word remains, in order, and what is added is a
filler, an editing term, a copy of the words that follow, or a small grammatical word (an article, a preposition) that
the editing term takes back and the fluent word replaces. Corrections that change the request are the adjustment subset.

Numbers, negations and `protected` phrases are neither repeated, corrected nor interrupted ("three, three" could be
heard as thirty-three). People produce about six disfluencies in 100 words of conversation (H. Bortfeld and others,
"Disfluency rates in conversation", Language and Speech 44, 2001); `RATE` is twice that, on purpose: requests are short.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from data.errors import UsageError
from data.variants import segments
from data.variants.segments import bare

KINDS = ("restart", "self_correction", "repetition", "filled_pause")
"""In the order in which they are placed: the longest first, as it needs the most room."""

RATE = 12.5
"""Disfluencies per 100 fluent words."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one language's hesitation.

    Attributes:
        fillers: what fills a pause.
        editing_terms: what stands between the words said in vain and their repair.
        taking_back: editing terms that take a wrong word back.
        small: what people repeat most: the small words in front of the one they are looking for.
        untouchable: numbers, negations and words of quantity.
        mistaken_for: small word -> words that somebody may say by mistake in its place.
        clinging: words that belong to the one in front of them, so that nothing goes between.
        comma: what stands behind everything added.
    """

    fillers: tuple[str, ...]
    editing_terms: tuple[str, ...]
    taking_back: tuple[str, ...]
    small: re.Pattern[str]
    untouchable: re.Pattern[str]
    mistaken_for: Mapping[str, tuple[str, ...]]
    clinging: re.Pattern[str]
    comma: str


LEXICONS = {
    "en": Lexicon(
        fillers=("uh", "um"),
        editing_terms=("I mean", "sorry", "well"),
        taking_back=("I mean", "sorry", "no"),
        small=re.compile(
            "an?|the|of|in|on|at|to|for|with|about|and|or|but|its?|your|my|me|you|that|this|which|what|how|why|is|are"
        ),
        untouchable=re.compile(
            "not?|nor|never|none|without|nothing|only|exactly|once|twice|fewer|less|least|most|first|second|third|"
            "fourth|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|[a-z]+ty|hundred|"
            "thousand"
        ),
        mistaken_for={
            "a": ("the",),
            "an": ("the",),
            "the": ("a", "this"),
            "in": ("on",),
            "on": ("in",),
            "for": ("to",),
            "with": ("for",),
            "about": ("of",),
            "this": ("that",),
            "that": ("this",),
            "my": ("our",),
            "your": ("the",),
        },
        clinging=re.compile("(?!)"),
        comma=",",
    ),
    "zh": Lexicon(
        fillers=("嗯", "呃", "那个"),
        editing_terms=("我是说", "不好意思", "哦"),
        taking_back=("不对", "我是说", "说错了"),
        small=re.compile("请|在|把|用|给|对|和|跟|从|关于|这|那|这个|那个|我|我的|你|你的|他|她|它|要|是"),
        untouchable=re.compile(
            ".*[不没别无非勿莫只仅零一二两三四五六七八九十百千万亿第几半多少每全].*|至少|最多|最少|超过|少于|正好|恰好|左右"
        ),
        mistaken_for={
            "在": ("从",),
            "从": ("在",),
            "给": ("跟",),
            "跟": ("给",),
            "这": ("那",),
            "那": ("这",),
            "这个": ("那个",),
            "那个": ("这个",),
            "我的": ("我们的",),
            "用": ("拿",),
        },
        clinging=re.compile("[的地得了着过们吗呢吧里上下中]|之间|以后|以前"),
        comma="，",
    ),
}
"""Language -> its words; other languages have no disfluency."""


@dataclass(frozen=True, slots=True)
class Event:
    """One disfluency.

    Attributes:
        kind: one of `KINDS`.
        before: index of the fluent word that it stands in front of; in Chinese of the fluent character.
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


def disfluent(
    text: str,
    seed: int,
    protected: Sequence[str] = (),
    *,
    lang: str = "en",
    kinds: Sequence[str] = KINDS,
    rate: float = RATE,
    least: int = 1,
) -> Disfluent:
    """Make a fluent text hesitate.

    Args:
        text: the fluent text; runs of white space become one blank.
        seed: the same text and seed give the same disfluencies.
        protected: phrases of the text, as written, into which nothing is put and of which nothing is repeated.
        lang: a key of `LEXICONS`.
        kinds: which kinds to use.
        rate: disfluencies per 100 words.
        least: how many there are however short the text is.

    Returns:
        The text with its disfluencies: one of each kind while rate and room allow, then more filled pauses; none where
        no place is free.

    Raises:
        UsageError: no such language or kind, or Chinese words cannot be told apart because jieba is not installed.
    """
    if lang not in LEXICONS:
        raise UsageError(f"no disfluency in '{lang}'; there is: {', '.join(LEXICONS)}")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"no disfluency '{unknown[0]}'; there are: {', '.join(KINDS)}")
    words = segments.words(text, lang)
    speaker = _Speaker(words, _protected(words, protected, lang), lang, random.Random(seed))
    events: dict[int, Event] = {}
    able = [kind for kind in KINDS if kind in kinds]
    wanted = speaker.plan(able, max(least, round(len(words) * rate / 100)))
    speaker.hesitate(wanted, events)
    while wanted and able and not events:  # a short text may have room for another kind than what was drawn
        speaker.hesitate([able.pop()], events)
    added = {place: event.added for place, event in events.items()}
    spoken = [piece for place, word in enumerate(words) for piece in (added.get(place), word) if piece is not None]
    starts = segments.starts(words, lang)
    found = tuple(Event(event.kind, starts[place], event.added) for place, event in sorted(events.items()))
    return Disfluent(segments.BLANK[lang].join(spoken), found)


@dataclass(frozen=True, slots=True)
class _Speaker:
    """A text and what may be done to it.

    Attributes:
        words: the fluent words.
        fixed: for each word whether it must be left whole.
        lang: their language.
        chance: the random numbers.
    """

    words: Sequence[str]
    fixed: Sequence[bool]
    lang: str
    chance: random.Random

    def plan(self, kinds: Sequence[str], wanted: int) -> list[str]:
        """Return the kinds of so many disfluencies: each once, then filled pauses (or, without these, all in turn)."""
        if wanted < len(kinds):
            chosen = self.chance.sample(range(len(kinds)), wanted)
            return [kinds[index] for index in sorted(chosen)]
        rest = ["filled_pause"] if "filled_pause" in kinds else list(kinds)
        return [*kinds, *(rest[index % len(rest)] for index in range(wanted - len(kinds) if kinds else 0))]

    def hesitate(self, kinds: Iterable[str], events: dict[int, Event]) -> None:
        """Add to the events one of each of these kinds, where there is a place for it."""
        for kind in kinds:
            if places := self.places(kind, events):
                place = self.chance.choice(places)
                events[place] = self.event(kind, place)

    def places(self, kind: str, events: Mapping[int, Event]) -> list[int]:
        """Return the words in front of which a disfluency of this kind may stand."""
        return [
            place
            for place in range(len(self.words))
            if not any(abs(place - taken) < 3 for taken in events) and self._fits(kind, place)
        ]

    def event(self, kind: str, place: int) -> Event:
        """Return a disfluency in front of a word."""
        lexicon, blank = LEXICONS[self.lang], segments.BLANK[self.lang]
        word, chance = self.words[place], self.chance
        pieces: list[str]
        if kind == "filled_pause":
            filler = chance.choice(lexicon.fillers)
            opens = place == 0 or self.words[place - 1][-1] in ".?!"
            pieces = [filler.capitalize() if opens else filler]
        elif kind == "repetition":
            pieces = [word]
        elif kind == "self_correction":
            wrong = chance.choice(lexicon.mistaken_for[bare(word)])
            pieces = [wrong.capitalize() if word[0].isupper() else wrong, chance.choice(lexicon.taking_back)]
        else:
            count = 3 if self._copyable(place, 3) and chance.random() < 0.5 else 2
            pieces = [blank.join(self.words[place : place + count]), chance.choice(lexicon.editing_terms)]
        return Event(kind, place, blank.join(f"{piece}{lexicon.comma}" for piece in pieces))

    def _fits(self, kind: str, place: int) -> bool:
        lexicon, word = LEXICONS[self.lang], bare(self.words[place])
        if lexicon.clinging.fullmatch(word):
            return False
        if kind == "filled_pause":
            # The first word of a protected phrase may follow a pause; the words inside it may not.
            return not (self.fixed[place] and place > 0 and self.fixed[place - 1])
        if kind == "restart":
            return self._copyable(place, 2)
        if kind == "self_correction" and word not in lexicon.mistaken_for:
            return False
        return lexicon.small.fullmatch(word) is not None and self._copyable(place, 1)

    def _copyable(self, start: int, count: int) -> bool:
        """Tell whether these words can be said twice: none is protected, no punctuation ends inside or behind them."""
        part = range(start, start + count)
        return part.stop <= len(self.words) and all(not self.fixed[i] and self.words[i].isalpha() for i in part)


def _protected(words: Sequence[str], phrases: Sequence[str], lang: str) -> list[bool]:
    """Mark the words that belong to a protected phrase, or are numbers or negations."""
    untouchable = LEXICONS[lang].untouchable
    marks = [untouchable.fullmatch(bare(word)) is not None or any(map(str.isdigit, word)) for word in words]
    for place in range(1, len(words) - 1):
        if bare(words[place]) in ("and", "point") and marks[place - 1] and marks[place + 1]:
            marks[place] = True  # "three hundred and fifty", "two point five"
    for phrase in phrases:
        for span in segments.occurrences(words, phrase, lang):
            marks[span.start : span.stop] = [True] * len(span)
    return marks
