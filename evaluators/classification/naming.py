"""What an answer names: its words, the options among them, and which of these it denies.

Words are compared in lower case and without punctuation. Of options that share words the longest is meant: "no speech"
names `no speech`, not `speech`. Rules: docs/dynamic-superb.md, section "Scoring".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# A number keeps its sign, a note its sharp; a Chinese or Japanese character is a word. Marks end what a denial reaches.
_TOKEN = re.compile(
    r"(?P<word>[\u3040-\u30ff\u3400-\u9fff]"
    r"|(?<![^\W_])[-+]?\d+(?:[.,]\d+)*%?"
    r"|(?:[^\W_\u3040-\u30ff\u3400-\u9fff]|(?<=[^\W_])['’](?=[^\W_]))+[#+%]*)"
    r"|(?P<end>[.,;:!?()\n。，！？；：…]|--|[–—])"
)
_END = ""
"""What stands for a mark between words."""
_ARTICLES = frozenset({"a", "an", "the"})
_WRAPPINGS = re.compile(
    r"(?:(?:sure|okay|ok|certainly|well|so) )*"
    r"(?:(?:i (?:think|believe|would say|hear|guess)|in my opinion) )?(?:that )?"
    r"(?:(?:it|this|that) is |it's |that's |its )?"
    r"(?:(?:(?:the|my) )?(?:(?:correct|right|best|final|most likely) )?(?:answer|label|option|choice|response|output)"
    r"(?: (?:is|would be|could be|should be|will be))? )?"
    r"(?=.)"
)
_DENYING = frozenset({"no", "not", "non", "never", "neither", "nor", "without", "cannot", "hardly"})
_DENYING_PAIRS = frozenset({("rather", "than"), ("instead", "of"), ("opposed", "to"), ("free", "of"), ("lack", "of")})
_BETWEEN = frozenset({
    "a", "an", "the", "any", "really", "actually", "very", "quite", "particularly", "be", "been", "being", "is",
    "considered", "classified", "as", "to", "that", "so", "have", "has", "sound", "sounds", "seem", "seems",
    "appear", "appears", "contain", "contains", "include", "includes", "show", "shows", "feature", "features",
    "there"
})  # fmt: skip
"""Words that may stand between a denial and what it denies: "does not seem to be very noisy"."""
_MOST_BETWEEN = 5
_AFTER_NO = frozenset({
    "a", "an", "the", "because", "since", "as", "there", "it", "this", "that", "i", "they", "he", "she", "we",
    "you", "but", "and", "so", "both", "two", "not"
})  # fmt: skip
"""Words that begin a new thought after the answer "no"; any other makes it a word of quantity ("no noise")."""


@dataclass(frozen=True, slots=True)
class Named:
    """Which options an answer names, by their places.

    Attributes:
        affirmed: the options that it names, in the order of the text.
        denied: the options that it names only to deny them ("not noisy").
        chosen: the one that it chooses; None where it names none, or several.
    """

    affirmed: tuple[int, ...]
    denied: tuple[int, ...]
    chosen: int | None


def words(text: str) -> tuple[str, ...]:
    """Return a text's words in lower case, without marks."""
    return tuple(word for word in _tokens(text) if word)


def joined(text: str) -> str:
    """Return a text's words with single blanks between them: what makes two labels the same."""
    return " ".join(words(text))


def bare(text: str) -> tuple[str, ...]:
    """Return the words of an answer without what wraps it ("The answer is ...") and without articles."""
    unwrapped = _WRAPPINGS.sub("", " ".join(words(text)), count=1).split()
    return tuple(word for word in unwrapped if word not in _ARTICLES) or tuple(unwrapped)


def place_of(label: str, options: Sequence[str]) -> int | None:
    """Return which option a label is, by its words; None where it is none of them."""
    return _wanted(tuple(options)).get(words(label))


def named(answer: str, options: Sequence[str]) -> Named:
    """Return which of the options an answer names, and which one it chooses.

    Exactly one has to be named without a denial. An answer that only denies, and one of two options, chooses the other.
    """
    tokens = _tokens(answer)
    wanted, starting = _wanted(tuple(options)), _starting(tuple(options))
    affirmed: dict[int, None] = {}
    denied: dict[int, None] = {}
    place = 0
    while place < len(tokens):
        begun = starting.get(tokens[place], ())
        option, end = next(((option, end) for option in begun if (end := _end_of(option, tokens, place))), ((), 0))
        if not option or (option == ("no",) and not _stands_alone(tokens, place)):
            place += 1
            continue
        (denied if _is_denied(tokens, place, wanted) else affirmed)[wanted[option]] = None
        place = end
    chosen = None
    if len(affirmed) == 1 and not denied.keys() & affirmed.keys():
        (chosen,) = affirmed
    elif not affirmed and len(denied) == 1 and len(wanted) == 2:
        (chosen,) = set(wanted.values()) - denied.keys()
    return Named(tuple(affirmed), tuple(other for other in denied if other not in affirmed), chosen)


@lru_cache(maxsize=1024)
def _wanted(options: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Return each option's words with its place, the longest first; of options with the same words the first."""
    found: dict[tuple[str, ...], int] = {}
    for place, option in enumerate(options):
        if own := words(option):
            found.setdefault(own, place)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


@lru_cache(maxsize=1024)
def _starting(options: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    """Return the options' words by their first one, so that a long answer is not held against each of many options."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for option in _wanted(options):
        found.setdefault(option[0], []).append(option)
    return found


def _tokens(text: str) -> tuple[str, ...]:
    """Return a text's words, with an empty one where a mark stands between them."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("−", "-").casefold()
    return tuple(match["word"] or _END for match in _TOKEN.finditer(plain))


def _end_of(option: Sequence[str], tokens: Sequence[str], place: int) -> int:
    """Return the place behind an option's words, which begin here and may have marks between them; 0 for others."""
    for number, word in enumerate(option):
        while number and place < len(tokens) and tokens[place] == _END:
            place += 1
        if place == len(tokens) or tokens[place] != word:
            return 0
        place += 1
    return place


def _stands_alone(tokens: Sequence[str], place: int) -> bool:
    """Return whether a "no" is an answer of its own, not a word of quantity."""
    following = tokens[place + 1] if place + 1 < len(tokens) else _END
    return following == _END or following in _AFTER_NO


def _is_denied(tokens: Sequence[str], place: int, options: dict[tuple[str, ...], int]) -> bool:
    """Return whether a denial stands before a word, with nothing between them but words that carry it on."""
    start = place
    while start and place - start < _MOST_BETWEEN and tokens[start - 1] in _BETWEEN:
        start -= 1
    last = tokens[start - 1] if start else _END
    if tuple(tokens[max(start - 2, 0) : start]) in _DENYING_PAIRS or last.endswith("n't"):
        return True
    # Where "no" or "not" is an option itself, it is an answer and not a denial of the next word.
    return last in _DENYING and (last,) not in options
