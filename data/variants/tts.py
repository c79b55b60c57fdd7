"""Text to speech: the engines by name, what they are not asked, and a cache of what they said.

The voices are in `data.variants.voices`. Speech is kept in steps of 16 bits, as nearly every engine gives it, so that
what comes out of the cache is what went in.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile as sf

from data import jsonl
from data.errors import DataError, UsageError
from data.variants.engines import Command, Engine, Espeak, Festival, Flite, Manner, Pico, Speech
from data.variants.speech_server import Server
from data.variants.voices import Voice

ENGINES: dict[str, Engine] = {
    "pico": Pico(),
    "flite": Flite(),
    "festival": Festival(),
    "espeak-ng": Espeak(),
    "server": Server(),
    "command": Command(),
}

PLAIN = Manner()


def speak(text: str, voice: Voice, manner: Manner = PLAIN) -> Speech:
    """Say a text.

    Args:
        text: what to say; plain text, no markup.
        voice: who says it.
        manner: how.

    Returns:
        The speech at the engine's own sampling rate.

    Raises:
        UsageError: the voice's engine is not installed, or cannot do what is asked.
        DataError: the text is blank or holds markup, or the engine failed on it.
    """
    refuse(text, voice, manner)
    return engine_of(voice).speak(text, voice, manner)


def refuse(text: str, voice: Voice, manner: Manner = PLAIN) -> None:
    """Raise for what cannot be said, before any engine is started; see `speak`."""
    if reason := missing(voice):
        raise UsageError(f"voice '{voice.name}': {reason}")
    for wanted, able, what in (
        (manner.rate != 1.0, voice.rate, "cannot change its speed"),
        (manner.pitch != 1.0, voice.pitch, "cannot change its pitch"),
        (bool(manner.stressed), voice.stress, "cannot stress single words; a pico voice can"),
        (bool(manner.emotion), voice.emotion, "has no emotions; a server's voice may"),
    ):
        if wanted and not able:
            raise UsageError(f"voice '{voice.name}' {what}")
    if not 0.5 <= manner.rate <= 2.0 or not 0.5 <= manner.pitch <= 2.0:
        raise UsageError(f"rate {manner.rate} and pitch {manner.pitch} must lie between 0.5 and 2")
    if not text.strip():
        raise DataError("there is nothing to say")
    if set("<>&\0") & set(text):
        raise DataError(f"'<', '>', '&' and NUL cannot be spoken, some engines read them as markup: {text}")


def engine_of(voice: Voice) -> Engine:
    """Return the engine of a voice.

    Raises:
        UsageError: there is no such engine.
    """
    if voice.engine not in ENGINES:
        raise UsageError(f"voice '{voice.name}': no engine '{voice.engine}'; there are: {', '.join(ENGINES)}")
    return ENGINES[voice.engine]


def missing(voice: Voice) -> str | None:
    """Return why a voice cannot speak on this machine ("flite is not installed (...)"), or None if it can."""
    return engine_of(voice).missing(voice)


class SpeechCache:
    """A folder of what voices said, found again by text, voice, manner and the engine's version."""

    def __init__(self, folder: Path) -> None:
        """Keep speech in a folder, which is made when needed."""
        self._folder = folder

    def speak(self, text: str, voice: Voice, manner: Manner = PLAIN) -> Speech:
        """Say a text (see `speak`), or return what was said when this was asked before.

        Raises:
            UsageError: see `speak`.
            DataError: see `speak`; or the folder cannot be written.
        """
        path = self._folder / f"{key(text, voice, manner)}.flac"
        # A file torn by a kill cannot be, since files are renamed into place; one that is broken is made anew.
        with suppress(OSError, sf.LibsndfileError):
            samples, rate = sf.read(io.BytesIO(path.read_bytes()), dtype="float32")
            return Speech(samples, int(rate))
        speech = speak(text, voice, manner)
        buffer = io.BytesIO()
        sf.write(buffer, np.rint(speech.samples * 32768).astype(np.int16), speech.rate, format="FLAC")
        put(path, buffer.getvalue())
        return speech


def key(text: str, voice: Voice, manner: Manner) -> str:
    """Return a hash of all that decides on the sound."""
    who = [voice.engine, voice.setting, voice.base_url, voice.command, engine_of(voice).version(voice)]
    asked = [text, who, asdict(manner)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def put(path: Path, content: bytes) -> None:
    """Write a file in one step, so that a kill leaves none in half.

    Raises:
        DataError: it cannot be written.
    """
    with jsonl.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
