"""The words in which the rules speak of characters (section 5 of docs/closed-rules.md); all of it takes linear time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u3005\u3007"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
CJK = HAN + KANA
"""For use inside the brackets of a regular expression; `KANA` lists the letters of section 5's ranges only."""

# Classes this large take milliseconds to compile, so `re` does it (and keeps the result) when they are first used.
_ONE_HAN = f"[{HAN}]"
_ONE_KANA = f"[{KANA}]"
_ONE_CJK = f"[{CJK}]"
_COMMON_IDEOGRAPH = re.compile("[\u4e00-\u9fff]")
_ASCII_TOKEN = re.compile("[A-Za-z0-9]+")
_TOKEN_KINDS = re.compile("a[am]*")
_QUOTES = str.maketrans("“”‘’", "\"\"''")


class _Kinds(dict[int, str]):
    """For `str.translate`: CJK to `c`, other letters and digits to `a`, combining marks to `m`, the rest to a dot."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if re.match(_ONE_CJK, character):
            kind = "c"
        elif character.isalnum():  # exactly the categories L… and N…
            kind = "a"
        else:
            kind = "m" if unicodedata.category(character)[0] == "M" else "."
        self[code] = kind
        return kind


class _Folds(dict[int, str]):
    """For `str.translate`: every character to one that stands for all that `re.IGNORECASE` takes for the same."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = next((form for form in (character.casefold(), character.lower()) if len(form) == 1), character)
        self[code] = folded
        return folded


_KINDS = _Kinds()
# Equal for `re`, though neither folding nor lower-casing makes one character of them.
_FOLDS = _Folds({ord("ı"): "i", ord("İ"): "i", 0xFB05: "\ufb06", 0x1FD3: "\u0390", 0x1FE3: "\u03b0"})


def count_cjk(text: str) -> int:
    """Return the number of CJK characters: Han and kana, not Hangul."""
    return 0 if text.isascii() else len(re.findall(_ONE_CJK, text))


def count_han(text: str) -> int:
    """Return the number of Han characters."""
    return 0 if text.isascii() else len(re.findall(_ONE_HAN, text))


def count_kana(text: str) -> int:
    """Return the number of kana letters."""
    return 0 if text.isascii() else len(re.findall(_ONE_KANA, text))


def holds_cjk(text: str) -> bool:
    """Return whether the text holds a CJK character."""
    return not text.isascii() and re.search(_ONE_CJK, text) is not None


def count_common_ideographs(text: str) -> int:
    """Return the number of characters in U+4E00–9FFF, which is all that the reference takes for Chinese."""
    return 0 if text.isascii() else len(_COMMON_IDEOGRAPH.findall(text))


def holds_letter_or_digit(text: str) -> bool:
    """Return whether any character has Unicode category L… or N…."""
    return any(map(str.isalnum, text))


@lru_cache(maxsize=64)
def tokens(text: str) -> tuple[tuple[int, int], ...]:
    """Return (start, end) of every token: a run of non-CJK letters, digits and marks that a mark does not begin."""
    found = _ASCII_TOKEN.finditer(text) if text.isascii() else _TOKEN_KINDS.finditer(text.translate(_KINDS))
    return tuple(match.span() for match in found)


@lru_cache(maxsize=64)
def insides(text: str) -> bytes:
    """Return a flag for every position 0…len(text): whether it lies between two characters of one token."""
    flags = bytearray(len(text) + 1)
    for start, end in tokens(text):
        flags[start + 1 : end] = b"\1" * (end - start - 1)
    return bytes(flags)


def fold_quotes(text: str) -> str:
    """Return the text with curly quotes made straight."""
    return text.translate(_QUOTES)


def fold_case(text: str) -> str:
    """Return a text of the same length in which equal characters are those that `re.IGNORECASE` takes for equal."""
    return text.lower() if text.isascii() else text.translate(_FOLDS)


@lru_cache(maxsize=64)
def fold(text: str) -> str:
    """Return the text with case and quotes folded, for literal search; positions stay what they were."""
    return fold_case(fold_quotes(text))


def occurrences(folded: str, literal: str) -> Iterator[int]:
    """Yield the start of every occurrence of a literal, without overlap; both sides already folded."""
    at = folded.find(literal)
    while at >= 0:
        yield at
        at = folded.find(literal, at + len(literal))
