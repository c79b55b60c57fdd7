"""Engines on this machine: `pico` in this process, programs in processes of their own.

To a program the text goes on standard input or as one argument, never through a shell.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import math
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile as sf

from data.errors import DataError
from data.variants.level import Samples
from data.variants.voices import Voice

PICO_RATE = 16000
PICO_VOLUME = 50
"""In percent. At 100 the engine clips its loudest samples; levels are set afterwards anyway."""

ESPEAK_WORDS_PER_MINUTE = 150
ESPEAK_PITCH_STEPS = 97
"""Steps of `-p` (0 to 99, 50 is the usual one) for e times the median pitch, measured on 1.51 with four languages."""

LONGEST_SECONDS = 300
"""A program that speaks for longer than this is stopped."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What a voice is asked for beside the words.

    Attributes:
        rate: speaking rate relative to the voice's own (1.3 is faster).
        pitch: pitch relative to the voice's own.
        stressed: words or phrases of the text to say slower, higher and louder; the first occurrence each.
        emotion: a key of `data.variants.paralinguistics.EMOTIONS`, or empty.
    """

    rate: float = 1.0
    pitch: float = 1.0
    stressed: tuple[str, ...] = ()
    emotion: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a voice said.

    Attributes:
        samples: mono, shape (n,), float32 between -1 and 1, in steps of 16 bits.
        rate: sampling rate in Hz, the engine's own.
    """

    samples: Samples
    rate: int


class Engine(Protocol):
    """A way to turn text into speech."""

    def missing(self, voice: Voice) -> str | None:
        """Return why a voice cannot speak on this machine ("flite is not installed (...)"), or None if it can."""
        ...

    def version(self, voice: Voice) -> str | None:
        """Return what else than the voice decides on the sound: the version of engine or model, where it is known."""
        ...

    def speak(self, text: str, voice: Voice, manner: Manner) -> Speech:
        """Say a text that `data.variants.tts.refuse` let through.

        Raises:
            DataError: the engine failed on it.
            UsageError: the engine cannot be used at all.
        """
        ...


class Pico:
    """SVOX Pico, a library inside the package ttspico."""

    def missing(self, voice: Voice) -> str | None:
        """Return why it cannot speak, or None."""
        return None if importlib.util.find_spec("ttspico") else f"ttspico is not installed ({voice.package})"

    def version(self, voice: Voice) -> str | None:  # noqa: ARG002
        """Return the package's version."""
        return _package_version("ttspico")

    def speak(self, text: str, voice: Voice, manner: Manner) -> Speech:
        """Say a text; stress is markup that this engine reads."""
        for phrase in manner.stressed:
            if phrase not in text:
                raise DataError(f"'{phrase}' is to be stressed, but does not occur in: {text}")
            marked = f'<volume level="80"><speed level="75"><pitch level="115">{phrase}</pitch></speed></volume>'
            text = text.replace(phrase, marked, 1)
        # A new engine for every text: one engine's state lasts from text to text, and the same words would differ.
        engine = importlib.import_module("ttspico").TtsEngine(voice.setting)
        engine.volume = PICO_VOLUME
        engine.rate = round(100 * manner.rate)
        engine.pitch = round(100 * manner.pitch)
        pcm = engine.speak(text)
        if not pcm:
            raise DataError(f"pico said nothing to: {text}")
        return Speech((np.frombuffer(pcm, dtype="<i2") / 32768).astype(np.float32), PICO_RATE)


class _Program:
    """What the engines that are programs have in common."""

    program = ""
    version_of = ""

    def missing(self, voice: Voice) -> str | None:
        """Return why it cannot speak, or None."""
        return None if shutil.which(self.program) else f"{self.program} is not installed ({voice.package})"

    def version(self, voice: Voice) -> str | None:  # noqa: ARG002
        """Return the program's version."""
        return _version(self.version_of or self.program)

    def speak(self, text: str, voice: Voice, manner: Manner) -> Speech:
        """Run the program, which writes a WAV file."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "speech.wav"
            arguments, said = self._command(text, voice, manner, target)
            run([self.program, *arguments], said)
            return decoded(target.read_bytes() if target.exists() else b"", self.program)

    def _command(self, text: str, voice: Voice, manner: Manner, target: Path) -> tuple[list[str], str | None]:
        """Return the program's arguments, and what it gets on standard input."""
        raise NotImplementedError


class Flite(_Program):
    """CMU Flite."""

    program = "flite"

    def _command(self, text: str, voice: Voice, manner: Manner, target: Path) -> tuple[list[str], str | None]:
        arguments = ["-voice", voice.setting, "--setf", f"duration_stretch={1 / manner.rate:.4f}"]
        if manner.pitch != 1.0:
            arguments += ["--setf", f"f0_shift={manner.pitch:.4f}"]
        return [*arguments, "-o", str(target), "-t", text], None


class Espeak(_Program):
    """eSpeak NG."""

    program = "espeak-ng"

    def _command(self, text: str, voice: Voice, manner: Manner, target: Path) -> tuple[list[str], str | None]:
        # -b 1: standard input is UTF-8, whatever the locale says.
        speed = round(ESPEAK_WORDS_PER_MINUTE * manner.rate)
        height = min(99, max(0, round(50 + ESPEAK_PITCH_STEPS * math.log(manner.pitch))))
        asked = ["-v", voice.setting, "-s", str(speed), "-p", str(height)]
        return [*asked, "-b", "1", "-w", str(target), "--stdin"], text


class Festival(_Program):
    """Festival, by its program text2wave."""

    program = "text2wave"
    version_of = "festival"

    def missing(self, voice: Voice) -> str | None:
        """Return why it cannot speak, or None; its voices are packages of their own."""
        here = shutil.which("festival") and voice.setting in _festival_voices()
        return super().missing(voice) or (None if here else f"voice {voice.setting} is not installed ({voice.package})")

    def _command(self, text: str, voice: Voice, manner: Manner, target: Path) -> tuple[list[str], str | None]:  # noqa: ARG002
        # The setting becomes code of festival's own language: letters, digits and underscores only.
        if not re.fullmatch(r"\w+", voice.setting, re.ASCII):
            raise DataError(f"voice '{voice.name}': '{voice.setting}' is no name of a festival voice")
        return ["-eval", f"(voice_{voice.setting})", "-o", str(target), "-"], text


class Command:
    """A program that the user describes, argument by argument; see `data.variants.voices`."""

    def missing(self, voice: Voice) -> str | None:
        """Return why it cannot speak, or None."""
        program = voice.command[0]
        return None if shutil.which(program) else f"{program} is not installed or not on the path"

    def version(self, voice: Voice) -> str | None:  # noqa: ARG002
        """Return None: the command itself says which program and model it is."""
        return None

    def speak(self, text: str, voice: Voice, manner: Manner) -> Speech:  # noqa: ARG002
        """Run the command."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "speech.wav"
            filled = {"{text}": text if not text.startswith("-") else f" {text}"}
            filled |= {"{out}": str(target), "{setting}": voice.setting}
            pattern = re.compile("|".join(map(re.escape, filled)))
            command = [pattern.sub(lambda found: filled[found.group()], argument) for argument in voice.command]
            stated = "".join(voice.command)
            printed = run(command, None if "{text}" in stated else text)
            heard = target.read_bytes() if target.exists() else b""
            return decoded(heard if "{out}" in stated else printed, voice.command[0])


def run(command: list[str], text: str | None) -> bytes:
    """Run a program without a shell; return what it printed.

    Args:
        command: program and arguments.
        text: what it gets on standard input.

    Raises:
        DataError: it failed, took too long or could not be started.
    """
    data = b"" if text is None else text.encode()
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        raise DataError(f"{command[0]} spoke for more than {LONGEST_SECONDS} seconds") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{command[0]} could not be run: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise DataError(f"{command[0]} failed: {said[-300:]}")
    return done.stdout


def decoded(content: bytes, source: str) -> Speech:
    """Return the speech that an audio file holds, mixed down, in steps of 16 bits.

    Raises:
        DataError: it is no audio, or holds no sample.
    """
    try:
        samples, rate = sf.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise DataError(f"what {source} gave is no audio: {error}") from None
    if not len(samples) or not np.isfinite(samples).all():
        raise DataError(f"what {source} gave holds no sound")
    steps = np.clip(np.rint(samples.mean(axis=1, dtype=np.float64) * 32768), -32768, 32767)
    return Speech((steps / 32768).astype(np.float32), int(rate))


@cache
def _festival_voices() -> str:
    """Return the names of the installed voices, as festival prints them."""
    return subprocess.run(
        ["festival", "-b", "(print (voice.list))"], capture_output=True, text=True, check=False
    ).stdout


@cache
def _package_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _version(program: str) -> str | None:
    if shutil.which(program) is None:
        return None
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\S*", shown.stdout + shown.stderr)
    return found.group() if found else None
