"""Which language a text is in: langdetect with a fixed seed, and the plainer tests for English and Chinese."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from evaluators.rules.text import count_han, count_kana, tokens

_FEW_LETTERS = 30
"""Below this many letters the statistics of a detector are worthless."""


@lru_cache(maxsize=512)
def detected(text: str) -> str | None:
    """Return langdetect's answer under seed 0 (`zh-cn`, `en`, `unknown`), or None where it finds no features."""
    from langdetect.lang_detect_exception import LangDetectException  # type: ignore[import-untyped]  # no types

    detector = _factory().create()
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


@lru_cache(maxsize=64)
def is_english(text: str) -> bool:
    """Return E(t) of section 5: mostly Latin letters, and few of them or a detector that says English."""
    letters = [character for character in text if character.isalpha()]
    foreign = 0 if text.isascii() else sum(not _is_latin(letter) for letter in letters)
    if not letters or 10 * foreign > len(letters):
        return False
    return len(letters) < _FEW_LETTERS or detected(text) == "en" or detected(text.lower()) == "en"


@lru_cache(maxsize=64)
def is_chinese(text: str) -> bool:
    """Return Z(t) of section 5: at least half of the units are Han characters, and hardly any are kana."""
    han, kana = count_han(text), count_kana(text)
    words = sum(any(map(str.isalpha, text[start:end])) for start, end in tokens(text))
    return han > 0 and 2 * han >= han + kana + words and 10 * kana <= han


@lru_cache(maxsize=4096)
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("LATIN")


@cache
def _factory() -> Any:
    """Return langdetect's factory with its own profiles, read in the order of their names.

    The library reads them in the order of the directory, which may differ between machines and decides in which order
    probabilities are added up.
    """
    from langdetect.detector import Detector  # type: ignore[import-untyped]  # no types
    from langdetect.detector_factory import (  # type: ignore[import-untyped]  # no types
        PROFILES_DIRECTORY,
        DetectorFactory,
    )

    class Detecting(Detector):  # type: ignore[misc]  # langdetect has no types
        """The library's detector with its two innermost loops written as comprehensions: the same floats, sooner."""

        def _update_lang_prob(self, prob: list[float], word: str, alpha: float) -> bool:
            weight = alpha / self.BASE_FREQ
            shares = self.word_lang_prob_map[word]
            prob[:] = [value * (weight + share) for value, share in zip(prob, shares, strict=True)]
            return True

        def _normalize_prob(self, prob: list[float]) -> float:
            total = sum(prob)
            prob[:] = [value / total for value in prob]
            return max(prob)

    class Factory(DetectorFactory):  # type: ignore[misc]  # langdetect has no types
        """The library's factory, making the detector above."""

        def _create_detector(self) -> Detecting:
            return Detecting(self)

    factory = Factory()
    factory.set_seed(0)
    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    return factory
