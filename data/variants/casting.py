"""Who speaks: voices by name or language tag, or the best that are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data.errors import UsageError
from data.variants import tts, voices
from data.variants.recipe import PromptSet
from data.variants.voices import Voice


def cast(wanted: PromptSet, own: Mapping[str, Voice]) -> tuple[list[Voice], list[Voice]]:
    """Return the voices of the standard recordings and of the accents.

    Raises:
        UsageError: one that was named is not there or not installed, or nobody speaks the language.
    """
    installed = _installed(wanted.lang, own)
    chosen = [voice for name in wanted.voices for voice in _named(name, installed, own)]
    if not chosen:
        if not installed:
            raise UsageError(
                f"no voice for '{wanted.lang}' is installed; pip install -e '.[speech]' brings en, de, es, fr and it, "
                "the Debian package espeak-ng over a hundred languages; or describe your own (--voices_file)"
            )
        chosen = [voice for voice in installed if voice.tag == installed[0].tag]
    accents = [voice for name in wanted.accents for voice in _named(name, installed, own)]
    if not accents:
        tags = {wanted.lang, *(voice.tag for voice in chosen)}
        accents = [voice for voice in installed if voice.tag not in tags]
    for voice in (*chosen, *accents):
        if reason := tts.missing(voice):
            raise UsageError(f"voice '{voice.name}': {reason}")
        if voice.language != wanted.lang:
            raise UsageError(f"voice '{voice.name}' speaks '{voice.language}', the prompts are in '{wanted.lang}'")
    return chosen, accents


def _installed(lang: str, own: Mapping[str, Voice]) -> list[Voice]:
    """Return who speaks a language here: the user's voices, those of the table, and espeak-ng's if there are few."""
    found = [
        voice for voice in (*own.values(), *voices.VOICES.values()) if voice.language == lang and not tts.missing(voice)
    ]
    if len({voice.tag for voice in found}) < 2 and lang != "zh":  # what espeak-ng has for zh are other languages
        known = {voice.tag for voice in found} | ({lang} if found else set())
        found += [v for v in voices.espeak_voices().values() if v.language == lang and v.tag not in known]
    return found


def _named(name: str, installed: Sequence[Voice], own: Mapping[str, Voice]) -> list[Voice]:
    """Return the voice of this name, or all installed voices of this language tag."""
    by_tag = [voice for voice in installed if voice.tag.lower() == name.lower()]
    return by_tag or [voices.named(name, own)]
