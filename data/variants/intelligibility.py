"""How much of what was said a recogniser wrote down: word error rates, so that "hard" is a number.

In languages that put no blanks between words, characters are counted instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UsageError
from data.variants.numbers import number

Hear = Callable[[Path, str | None], str | None]
"""A recogniser: from a recording and its language to its words; None where it does not know the language."""

UNSEGMENTED = frozenset(("zh", "ja", "th", "lo", "km", "my"))

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SAME = {
    "20": "twenty",
    "30": "thirty",
    "50": "fifty",
    "500": "five hundred",
    "favourite": "favorite",
    "json": "jason",
    "lowercase": "lower case",
    "neighbour": "neighbor",
    "ps": "p s",
} | {str(number): word for number, word in enumerate(_NUMBERS)}
"""Two spellings of the same sound, as far as this sample needs them."""


def words(text: str, lang: str = "en") -> list[str]:
    """Return a text's words for comparison: lower case, no punctuation; in English numbers as words, one spelling."""
    undotted = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", text.lower())
    plain = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in undotted).split()
    return plain if lang != "en" else " ".join(map(_same, plain)).split()


def _same(word: str) -> str:
    if word in _SAME or not word.isdecimal():
        return _SAME.get(word, word)
    try:
        return number(word, "en")
    except UsageError:  # without num2words only the small numbers of `_SAME` are known
        return word


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions of words that lead from what was said to `heard`."""
    row = list(range(len(heard) + 1))
    for deleted, word in enumerate(said, start=1):
        before, row[0] = row[0], deleted
        for column, other in enumerate(heard, start=1):
            cheapest = min(row[column] + 1, row[column - 1] + 1, before + (word != other))
            before, row[column] = row[column], cheapest
    return row[-1]


@dataclass(frozen=True, slots=True)
class Rate:
    """An error rate.

    Attributes:
        file: stem of the JSONL file.
        group: which of its items ("5 dB", "voice pico-en-us"); empty: all.
        errors: fewest insertions, deletions and substitutions.
        said: words (or characters) that were said.
    """

    file: str
    group: str
    errors: int
    said: int

    @property
    def percent(self) -> float:
        """Return the error rate in percent; it exceeds 100 where more is heard than was said."""
        return 100 * self.errors / self.said


def rates(heard: Iterable[tuple[str, Mapping[str, Any], str]]) -> list[Rate]:
    """Compare what was heard with what was said.

    Args:
        heard: for each recording its file's stem, its line and the recogniser's words.

    Returns:
        For each file its rate, then those of its groups: by voice, noise, ratio, style; for disfluency also against
        the fluent words alone. Groups in which nothing was said are left out.
    """
    errors: dict[tuple[str, str], int] = defaultdict(int)
    said: dict[tuple[str, str], int] = defaultdict(int)
    for stem, line, text in heard:
        written = units(text, line["language"])
        for group, reference in _groups(line):
            spoken = units(reference, line["language"])
            errors[stem, group] += word_errors(spoken, written)
            said[stem, group] += len(spoken)
    return [Rate(stem, group, errors[stem, group], count) for (stem, group), count in said.items() if count]


def units(text: str, lang: str) -> list[str]:
    """Return what is counted: characters where words are not set apart, else words."""
    return list(re.sub(r"[\W_]", "", text.lower())) if lang in UNSEGMENTED else words(text, lang)


def _groups(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the groups that a line counts in, each with the text to compare with."""
    spoken = str(line.get("spoken_text", line["prompt"]))
    yield "", spoken
    if "fluent_text" in line:
        yield "against the fluent words", str(line["fluent_text"])
    for field in ("noise", "style"):
        if field in line:
            yield f"{field} {line[field]}", spoken
    if "snr_db" in line:
        yield f"{round(line['snr_db'], 1) + 0.0:g} dB", spoken
    if line.get("variant") in ("standard", "accent"):
        yield f"voice {line['voice']}", spoken
