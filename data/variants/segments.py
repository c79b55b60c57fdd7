"""Texts as words: English by blanks, Chinese by jieba's dictionary."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from data import cache
from data.errors import UsageError

BLANK = {"en": " ", "zh": ""}
"""What stands between two words, by language."""


def words(text: str, lang: str) -> list[str]:
    """Return a text's words; punctuation belongs to the word in front of it.

    Raises:
        UsageError: Chinese words cannot be told apart because jieba is not installed.
    """
    if lang != "zh":
        return text.split()
    found: list[str] = []
    for piece in _jieba().cut("".join(text.split())):
        if found and not any(map(str.isalnum, piece)):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def starts(text_words: Sequence[str], lang: str) -> list[int]:
    """Return for each word the index that events name it by: its number, or in Chinese that of its first character."""
    if lang != "zh":
        return list(range(len(text_words)))
    return [0, *accumulate(map(len, text_words))][: len(text_words)]


def occurrences(text_words: Sequence[str], phrase: str, lang: str) -> Iterator[range]:
    """Yield the ranges of words that hold a phrase; case and punctuation do not count."""
    part = [bare(word) for word in phrase.split()]
    if lang != "zh":
        bare_words = [bare(word) for word in text_words]
        for start in range(len(bare_words) - len(part) + 1):
            if part and bare_words[start : start + len(part)] == part:
                yield range(start, start + len(part))
        return
    # A phrase may begin and end inside words: those count as its own.
    wanted = "".join(part)
    bounds = [0, *accumulate(len(bare(word)) for word in text_words)]
    whole = "".join(map(bare, text_words))
    for found in re.finditer(re.escape(wanted), whole) if wanted else ():
        touched = [i for i in range(len(text_words)) if bounds[i] < found.end() and bounds[i + 1] > found.start()]
        yield range(touched[0], touched[-1] + 1)


def bare(word: str) -> str:
    """Return a word in lower case without punctuation; an apostrophe inside stays."""
    return re.sub(r"[^\w']", "", word).strip("'").lower()


@functools.cache
def _jieba() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks an old module for its resources
            import jieba
    except ImportError:
        raise UsageError("telling Chinese words apart needs jieba: pip install -e '.[speech]'") from None
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # By default it loads what it calls its cache from the folder for temporary files, where anybody may have put it.
    tokenizer.tmp_dir = cache.folder()
    tokenizer.tmp_dir.mkdir(parents=True, exist_ok=True)
    return tokenizer
