"""Who speaks in built tasks: the voices that are installed, natural ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data.errors import UsageError
from data.variants import tts
from data.variants.voices import VOICES, Voice

NATURAL = ("pico-en-us", "pico-en-gb", "flite-slt", "flite-rms", "flite-awb")
"""Five people's voices; festival's is that of flite-slt again."""

ESPEAK_SPEAKERS = ("", "+f2", "+m3", "+f4")
"""Variants of espeak-ng: the same rules and phonemes with another vocal tract, so that a speaker has many languages."""

LANGUAGES = ("en-US", "de-DE", "es-ES", "fr-FR", "it-IT")
ACCENTS = ("en-US", "en-GB", "en-GB-scotland", "en-029")
_PICO = {"en-US": "pico-en-us", "de-DE": "pico-de", "es-ES": "pico-es", "fr-FR": "pico-fr", "it-IT": "pico-it"}
_ESPEAK = {"en-US": "en-us", "en-GB": "en-gb", "de-DE": "de", "es-ES": "es", "fr-FR": "fr-fr", "it-IT": "it"}


def people(least: int) -> tuple[Sequence[Voice], ...]:
    """Return the natural English voices that are installed, with espeak-ng's where they are too few.

    Args:
        least: how many different speakers are needed.

    Raises:
        UsageError: there are not so many.
    """
    found = [VOICES[name] for name in NATURAL if not tts.missing(VOICES[name])]
    if not tts.missing(espeak("en-US")):
        found += [espeak("en-US", speaker) for speaker in ESPEAK_SPEAKERS][: max(0, least - len(found))]
    if len(found) < least:
        raise UsageError(
            f"needs {least} English voices, and {len(found)} are installed; pip install -e '.[speech]', or the Debian "
            "packages flite and espeak-ng"
        )
    return (found,)


def in_languages(_: int) -> tuple[Sequence[Voice], ...]:
    """Return for each of the languages a voice of pico, where it is installed, and espeak-ng's speakers.

    Raises:
        UsageError: neither is installed.
    """
    speakers = ESPEAK_SPEAKERS if not tts.missing(espeak("en-US")) else ()
    found = tuple(
        [
            *(VOICES[name] for name in [_PICO[tag]] if not tts.missing(VOICES[name])),
            *(espeak(tag, who) for who in speakers),
        ]
        for tag in LANGUAGES
    )
    if not found[0]:
        raise UsageError("needs voices of five languages; pip install -e '.[speech]', or the Debian package espeak-ng")
    return found


def in_accents(_: int) -> tuple[Sequence[Voice], ...]:
    """Return for each of the accents the same speakers of espeak-ng.

    Raises:
        UsageError: it is not installed.
    """
    if reason := tts.missing(espeak("en-US")):
        raise UsageError(f"the same speakers with several accents: {reason}")
    return tuple([espeak(tag, speaker) for speaker in ESPEAK_SPEAKERS] for tag in ACCENTS)


def espeak(tag: str, speaker: str = "") -> Voice:
    """Return a voice of espeak-ng by its language tag and the variant that speaks it."""
    setting = _ESPEAK.get(tag, tag.lower()) + speaker
    return replace(VOICES["espeak-en-029"], name=f"espeak-{setting}", setting=setting, tag=tag)
