"""The same words in another manner: rate, pitch, loudness, stress, and emotion where a voice offers it.

Most voices have no emotions, so a style is named after what is done to the sound ("fast", "stressed"), not after a
feeling that a listener may or may not hear. A voice that can speak faster or higher by itself does so; for the others
the vocoder WORLD does it (M. Morise and others, IEICE Transactions E99-D(7), 2016): it takes speech apart into pitch,
spectral envelope and noise, so that another pitch leaves the formants, and with them the speaker, as they are. The
parameters go on the item's line.
"""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from data.errors import UsageError
from data.variants.engines import Manner
from data.variants.level import Samples
from data.variants.voices import Voice

EMOTIONS = {
    "happy": "Sound happy, as if the speaker had just heard good news.",
    "sad": "Sound sad and a little tired.",
    "angry": "Sound angry, without shouting.",
    "excited": "Sound excited and full of energy.",
    "whispering": "Whisper.",
}
"""What a voice with emotions is told."""

FRAME_MS = 5.0
"""Step of WORLD's analysis."""


@dataclass(frozen=True, slots=True)
class Style:
    """A manner of speaking.

    Attributes:
        rate: speaking rate relative to the voice's own.
        pitch: pitch relative to the voice's own.
        gain_db: level relative to the usual one, in dB.
        stress: whether numbers and words such as "only" are stressed; pico voices alone can do that, in English.
        emotion: a key of `EMOTIONS`, or empty.
    """

    rate: float = 1.0
    pitch: float = 1.0
    gain_db: float = 0.0
    stress: bool = False
    emotion: str = ""


STYLES: dict[str, Style] = {
    "fast": Style(rate=1.3),
    "slow": Style(rate=0.75),
    "high": Style(pitch=1.25),
    "low": Style(pitch=0.8),
    "loud": Style(gain_db=8.0),
    "quiet": Style(gain_db=-15.0),
    "fast_high": Style(rate=1.2, pitch=1.2),
    "slow_low_quiet": Style(rate=0.85, pitch=0.85, gain_db=-9.0),
    "stressed": Style(stress=True),
    **{name: Style(emotion=name) for name in EMOTIONS},
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


def impossible(wanted: Style, voice: Voice, text: str, lang: str) -> str | None:
    """Return why a voice cannot say a text in a style ("... has no emotions"), or None if it can."""
    if wanted.emotion and not voice.emotion:
        return f"voice '{voice.name}' has no emotions"
    if wanted.stress and not voice.stress:
        return f"voice '{voice.name}' cannot stress single words"
    if wanted.stress and (lang != "en" or not stressed_words(text)):
        return "there is no word to stress"
    if by_vocoder(wanted, voice) != (1.0, 1.0) and not _has_world():
        return f"voice '{voice.name}' needs pyworld for another speed or pitch: pip install -e '.[speech]'"
    return None


def manner(wanted: Style, voice: Voice, stressed: Sequence[str]) -> Manner:
    """Return what the voice itself is asked for."""
    return Manner(
        rate=wanted.rate if voice.rate else 1.0,
        pitch=wanted.pitch if voice.pitch else 1.0,
        stressed=tuple(stressed),
        emotion=wanted.emotion,
    )


def by_vocoder(wanted: Style, voice: Voice) -> tuple[float, float]:
    """Return the rate and pitch that are left to be changed in the voice's sound; (1, 1) where none is."""
    return (1.0 if voice.rate else wanted.rate, 1.0 if voice.pitch else wanted.pitch)


def revoiced(samples: Samples, sampled_at: int, rate: float, pitch: float) -> Samples:
    """Speak faster and higher after the fact, by WORLD; formants stay.

    Args:
        samples: speech, shape (n,).
        sampled_at: sampling rate in Hz.
        rate: speaking rate relative to the speech's own.
        pitch: pitch relative to the speech's own.

    Returns:
        Speech of about n / rate samples.

    Raises:
        UsageError: pyworld is not installed.
    """
    world = _world()
    speech = samples.astype(np.float64)
    coarse, times = world.dio(speech, sampled_at, frame_period=FRAME_MS)
    frequency = world.stonemask(speech, coarse, times, sampled_at)
    envelope = world.cheaptrick(speech, frequency, times, sampled_at)
    noise = world.d4c(speech, frequency, times, sampled_at)
    made = world.synthesize(frequency * pitch, envelope, noise, sampled_at, FRAME_MS / rate)
    return np.asarray(np.clip(made, -1.0, 1.0), dtype=np.float32)


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


def parameters(name: str, stressed: Sequence[str] = (), vocoder: bool = False) -> dict[str, Any]:
    """Return what an item's line says about its style: the name and every parameter.

    Raises:
        UsageError: no such style.
    """
    told = {field: value for field, value in asdict(style(name)).items() if field != "emotion" or value}
    return {"style": name, **told, "stress": list(stressed), **({"vocoder": "WORLD"} if vocoder else {})}


@cache
def _has_world() -> bool:
    return importlib.util.find_spec("pyworld") is not None


@cache
def _world() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks setuptools for its version in a way that will go
            import pyworld
    except ImportError as error:
        raise UsageError(
            f"another speed or pitch of this voice needs pyworld ({error}): pip install -e '.[speech]'"
        ) from None
    return pyworld
