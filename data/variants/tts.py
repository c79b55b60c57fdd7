"""Text to speech: a literal table of voices and one function, `speak`.

Engines: `pico` runs in this process (package ttspico); `flite` and `espeak-ng` are programs, to which the text goes as
an argument or on standard input, never through a shell. Only voices whose licence lets their speech be passed on are in
the table; data/sample/README.md says where each licence was read.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from data.errors import DataError, UsageError
from data.variants.level import Samples

PICO_RATE = 16000
PICO_VOLUME = 50
"""In percent. At 100 the engine clips its loudest samples; levels are set afterwards anyway."""

ESPEAK_WORDS_PER_MINUTE = 150
ESPEAK_PITCH = 50


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        engine: `pico`, `flite` or `espeak-ng`.
        setting: the engine's own name of the voice.
        tag: BCP 47 tag of the language and accent.
        licence: licence of engine and voice.
        package: where it comes from: a pip package, or a Debian package.
        pitch: whether `speak` can change the pitch.
    """

    engine: str
    setting: str
    tag: str
    licence: str
    package: str
    pitch: bool = True


@dataclass(frozen=True, slots=True)
class Speech:
    """What a voice said.

    Attributes:
        samples: mono, shape (n,), float32 between -1 and 1.
        rate: sampling rate in Hz, the engine's own.
    """

    samples: Samples
    rate: int


_CMU = "CMU Flite licence (BSD-style)"
_GPL = "GPL-3.0-or-later (engine; the licence does not extend to what the program puts out)"

VOICES: dict[str, Voice] = {
    "pico-en-us": Voice("pico", "en-US", "en-US", "Apache-2.0", "pip: ttspico"),
    "pico-en-gb": Voice("pico", "en-GB", "en-GB", "Apache-2.0", "pip: ttspico"),
    "flite-slt": Voice("flite", "slt", "en-US", _CMU, "Debian: flite"),
    # This voice ignores every pitch feature of flite.
    "flite-rms": Voice("flite", "rms", "en-US", _CMU, "Debian: flite", pitch=False),
    "flite-awb": Voice("flite", "awb", "en-GB-scotland", _CMU, "Debian: flite"),
    "espeak-en-029": Voice("espeak-ng", "en-029", "en-029", _GPL, "Debian: espeak-ng"),
    # Not `cmn`: in espeak-ng 1.51 that voice reads the pinyin of many characters as if it were English.
    "espeak-cmn": Voice("espeak-ng", "cmn-latn-pinyin", "cmn-CN", _GPL, "Debian: espeak-ng"),
}


def speak(text: str, voice: str, *, rate: float = 1.0, pitch: float = 1.0, stressed: Sequence[str] = ()) -> Speech:
    """Say a text.

    Args:
        text: what to say; plain text, no markup.
        voice: a name in `VOICES`.
        rate: speaking rate relative to the voice's own (1.3 is faster).
        pitch: pitch relative to the voice's own.
        stressed: words or phrases of the text to say slower, higher and louder (pico only); the first occurrence each.

    Returns:
        The speech at the engine's own sampling rate.

    Raises:
        UsageError: no such voice, its engine is not installed, or it cannot do what is asked.
        DataError: the text is blank or holds markup, or the engine failed on it.
    """
    row = _voice(voice)
    _refuse(row, voice, text, rate, pitch, stressed)
    if row.engine == "pico":
        return _pico(row, text, rate, pitch, stressed)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        if row.engine == "flite":
            _run(_flite_command(row, text, rate, pitch, target), None)
        else:
            _run(_espeak_command(row, rate, pitch, target), text)
        samples, sampled_at = sf.read(io.BytesIO(target.read_bytes()), dtype="float32")
    return Speech(np.asarray(samples, dtype=np.float32), int(sampled_at))


def missing(voice: str) -> str | None:
    """Return why a voice cannot speak on this machine ("flite is not installed (...)"), or None if it can.

    Raises:
        UsageError: no such voice.
    """
    row = _voice(voice)
    found = importlib.util.find_spec("ttspico") if row.engine == "pico" else shutil.which(row.engine)
    return None if found else f"{row.engine} is not installed ({row.package})"


def engine_version(engine: str) -> str | None:
    """Return the version of an installed engine (`pico`, `flite`, `espeak-ng`), or None where it is missing."""
    if engine == "pico":
        try:
            return importlib.metadata.version("ttspico")
        except importlib.metadata.PackageNotFoundError:
            return None
    if shutil.which(engine) is None:
        return None
    shown = subprocess.run([engine, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\S*", shown.stdout + shown.stderr)
    return found.group() if found else None


def _voice(name: str) -> Voice:
    if name not in VOICES:
        raise UsageError(f"no voice '{name}'; there are: {', '.join(VOICES)}")
    return VOICES[name]


def _refuse(row: Voice, name: str, text: str, rate: float, pitch: float, stressed: Sequence[str]) -> None:
    """Raise for what cannot be said."""
    if reason := missing(name):
        raise UsageError(f"voice '{name}': {reason}")
    if pitch != 1.0 and not row.pitch:
        raise UsageError(f"voice '{name}' cannot change its pitch")
    if stressed and row.engine != "pico":
        raise UsageError(f"voice '{name}' cannot stress single words; a pico voice can")
    if not 0.5 <= rate <= 2.0 or not 0.5 <= pitch <= 2.0:
        raise UsageError(f"rate {rate} and pitch {pitch} must lie between 0.5 and 2")
    if not text.strip():
        raise DataError("there is nothing to say")
    if set("<>&\0") & set(text):
        raise DataError(f"'<', '>', '&' and NUL cannot be spoken, some engines read them as markup: {text}")


def _pico(row: Voice, text: str, rate: float, pitch: float, stressed: Sequence[str]) -> Speech:
    for phrase in stressed:
        if phrase not in text:
            raise DataError(f"'{phrase}' is to be stressed, but does not occur in: {text}")
        marked = f'<volume level="80"><speed level="75"><pitch level="115">{phrase}</pitch></speed></volume>'
        text = text.replace(phrase, marked, 1)
    # A new engine for every text: one engine's state lasts from text to text, and the same words would differ.
    engine = importlib.import_module("ttspico").TtsEngine(row.setting)
    engine.volume = PICO_VOLUME
    engine.rate = round(100 * rate)
    engine.pitch = round(100 * pitch)
    pcm = engine.speak(text)
    if not pcm:
        raise DataError(f"pico said nothing to: {text}")
    return Speech((np.frombuffer(pcm, dtype="<i2") / 32768).astype(np.float32), PICO_RATE)


def _flite_command(row: Voice, text: str, rate: float, pitch: float, target: Path) -> list[str]:
    command = ["flite", "-voice", row.setting, "--setf", f"duration_stretch={1 / rate:.4f}"]
    if pitch != 1.0:
        command += ["--setf", f"f0_shift={pitch:.4f}"]
    return [*command, "-o", str(target), "-t", text]


def _espeak_command(row: Voice, rate: float, pitch: float, target: Path) -> list[str]:
    # -b 1: standard input is UTF-8, whatever the locale says.
    speed, height = round(ESPEAK_WORDS_PER_MINUTE * rate), min(99, round(ESPEAK_PITCH * pitch))
    manner = ["-v", row.setting, "-s", str(speed), "-p", str(height)]
    return ["espeak-ng", *manner, "-b", "1", "-w", str(target), "--stdin"]


def _run(command: list[str], text: str | None) -> None:
    data = None if text is None else text.encode()
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise DataError(f"{command[0]} failed: {said}")
