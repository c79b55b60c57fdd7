"""The same words in another manner: rate, pitch, loudness and stress.

Synthetic voices without emotion are all there is to work with, so a style is named after what is done to the sound
("fast", "stressed"), not after a feeling that a listener may or may not hear. The parameters go on the item's line.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from data.errors import UsageError


@dataclass(frozen=True, slots=True)
class Style:
    """A manner of speaking.

    Attributes:
        rate: speaking rate relative to the voice's own.
        pitch: pitch relative to the voice's own.
        gain_db: level relative to the usual one, in dB.
        stress: whether numbers and words such as "only" are stressed; pico voices alone can do that.
    """

    rate: float = 1.0
    pitch: float = 1.0
    gain_db: float = 0.0
    stress: bool = False


STYLES: dict[str, Style] = {
    "fast": Style(rate=1.3),
    "slow": Style(rate=0.75),
    "high": Style(pitch=1.25),
    "low": Style(pitch=0.8),
    "quiet": Style(gain_db=-15.0),
    "fast_high": Style(rate=1.2, pitch=1.2),
    "slow_low_quiet": Style(rate=0.85, pitch=0.85, gain_db=-9.0),
    "stressed": Style(stress=True),
}

MOST_STRESSES = 3

_WEIGHTY = re.compile(
    r"\b(?:exactly|only|whole|every|nothing|not|no|capital|lower case|"
    r"one|two|three|four|five|six|twenty|thirty|fifty)\b",
    re.IGNORECASE,
)


def style(name: str) -> Style:
    """Return a style by its name.

    Raises:
        UsageError: no such style.
    """
    if name not in STYLES:
        raise UsageError(f"no style '{name}'; there are: {', '.join(STYLES)}")
    return STYLES[name]


def stressed_words(text: str) -> list[str]:
    """Return the words of an English request that carry its constraints: up to three, as written, in order.

    Each is listed once, and only if its first occurrence as a string is that word (not a piece of a longer one).
    """
    found: list[str] = []
    for match in _WEIGHTY.finditer(text):
        word = match.group()
        if word not in found and text.find(word) == match.start():
            found.append(word)
    return found[:MOST_STRESSES]


def parameters(name: str) -> dict[str, Any]:
    """Return what an item's line says about its style: the name and every parameter.

    Raises:
        UsageError: no such style.
    """
    return {"style": name, **asdict(style(name))}
