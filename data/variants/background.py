"""Noise, recorded or made from a seed, and its mixing into speech at a signal-to-noise ratio.

The ratio is that of mean powers over the active samples of the speech (the gate of `data.variants.level.active`); the
noise is measured over these same samples, so pauses do not flatter it. Noise sounds in the pauses too. What a mixture
reaches is measured on its two parts, as they are in the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from data.dataset import AUDIO_SUFFIXES
from data.errors import DataError, UsageError
from data.variants.level import PEAK, Samples, active, decibels, resampled

LOWEST_HZ = 30.0
"""Noise below this is left out: it costs level and nobody hears it."""

TALKERS = 6

COLOURS = {"pink": 0.5, "brown": 1.0, "white": 0.0}
"""Exponent a of the amplitude spectrum 1 / f**a: pink falls by 3 dB an octave, brown by 6 dB, white not (Gaussian)."""

KINDS = (*COLOURS, "hum", "babble")

RECORDING = "recording"
"""What a line calls noise out of a folder."""

LOWEST_SNR_DB, HIGHEST_SNR_DB = -20.0, 50.0
"""Outside, 16 bits do not hold both speech and noise."""

TOLERANCE_DB = 0.2
"""A mixture that misses its ratio by more is refused."""

QUIETEST_DBFS = -65.0
"""A stretch of a recording below this is taken for a pause: amplified, it would be hiss."""

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Mixture:
    """Speech with noise; `samples` is the sum of the other two, all of shape (n,), float32.

    Attributes:
        samples: what to write.
        speech: the speech as it is in the sum.
        noise: the noise as it is in the sum.
        snr_db: the ratio, measured on these two, in dB over active speech.
    """

    samples: Samples
    speech: Samples
    noise: Samples
    snr_db: float


def noise(kind: str, length: int, rate: int, seed: int, talkers: Sequence[Samples] = ()) -> Samples:
    """Make noise.

    Args:
        kind: `pink`, `brown`, `white`, `hum` (50 Hz mains and its harmonics over a pink floor) or `babble`.
        length: number of samples.
        rate: sampling rate in Hz.
        seed: the same seed gives the same noise.
        talkers: for babble: speech of several utterances at this rate, each of shape (m,); six at a time are heard,
            and only these (see `heard_talkers`) are taken from the sequence.

    Returns:
        Noise of mean square 1, shape (length,); not yet scaled, so samples exceed 1.

    Raises:
        UsageError: no such kind, or babble without talkers.
    """
    # RandomState rather than default_rng: numpy promises that its stream never changes.
    random = np.random.RandomState(seed)
    if kind in COLOURS:
        made = _coloured(length, rate, COLOURS[kind], random)
    elif kind == "hum":
        made = _unit(_mains(length, rate, random)) + 0.3 * _unit(_coloured(length, rate, COLOURS["pink"], random))
    elif kind == "babble":
        made = _babble(length, talkers, random)
    else:
        raise UsageError(f"no noise '{kind}'; there are: {', '.join(KINDS)}")
    return _unit(made).astype(np.float32)


def mix(speech: Samples, sound: Samples, rate: int, snr_db: float) -> Mixture:
    """Add noise to speech at a signal-to-noise ratio.

    The noise is scaled, the speech keeps its level; only where the sum would exceed `level.PEAK` are both scaled down
    together, which leaves the ratio as it is.

    Args:
        speech: shape (n,).
        sound: noise, at least n samples; the first n are used.
        rate: sampling rate in Hz.
        snr_db: wanted ratio in dB.

    Returns:
        The mixture with its parts and the ratio measured on them.

    Raises:
        UsageError: the ratio is out of reach.
        DataError: the speech is silent, the noise is too short or silent where the speech is active, or the ratio is
            missed.
    """
    check_ratio(snr_db)
    if len(sound) < len(speech):
        raise DataError(f"noise of {len(sound)} samples is too short for speech of {len(speech)}")
    mask = active(speech, rate)
    cut = sound[: len(speech)]
    gain = 10 ** ((decibels(speech, mask) - decibels(cut, mask) - snr_db) / 20)
    scaled = cut.astype(np.float64) * gain
    total = speech + scaled
    down = min(1.0, PEAK / float(np.abs(total).max()))
    kept, added = (speech * down).astype(np.float32), (scaled * down).astype(np.float32)
    reached = decibels(kept, mask) - decibels(added, mask)
    if abs(reached - snr_db) > TOLERANCE_DB:
        raise DataError(f"a signal-to-noise ratio of {snr_db} dB cannot be reached here: it came to {reached:.2f} dB")
    return Mixture((total * down).astype(np.float32), kept, added, reached)


def check_ratio(snr_db: float) -> None:
    """Refuse a signal-to-noise ratio that cannot be reached.

    Raises:
        UsageError: it lies outside `LOWEST_SNR_DB` to `HIGHEST_SNR_DB`.
    """
    if not LOWEST_SNR_DB <= snr_db <= HIGHEST_SNR_DB:
        raise UsageError(
            f"a signal-to-noise ratio of {snr_db} dB cannot be reached; give one from {LOWEST_SNR_DB:g} to "
            f"{HIGHEST_SNR_DB:g} dB"
        )


def heard_talkers(count: int, seed: int) -> list[int]:
    """Return which of so many talkers are heard in the babble of this seed, in the order in which they are added."""
    return [int(index) for index in np.random.RandomState(seed).permutation(count)[:TALKERS]]


def recordings(folder: Path) -> list[Path]:
    """Return the audio files below a folder, in the order of their names.

    Raises:
        DataError: there is no such folder, or no audio in it.
    """
    if not folder.is_dir():
        raise DataError("no such folder; give a folder of recordings", path=folder)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise DataError("holds no audio; give a folder of recordings (WAV, FLAC, OGG, MP3)", path=folder)
    return found


def recorded(path: Path, speech: Samples, rate: int, seed: int) -> tuple[Samples, float]:
    """Return a stretch of a recording as noise for some speech, from a random place; what is too short is looped.

    Args:
        path: the recording.
        speech: what it goes under, shape (n,).
        rate: sampling rate in Hz.
        seed: the same seed gives the same place.

    Returns:
        Noise of shape (n,), and where it begins in the recording, in seconds.

    Raises:
        DataError: the recording cannot be read, or is silent wherever it was tried.
    """
    random, mask = np.random.RandomState(seed), active(speech, rate)
    for _ in range(_TRIES):
        stretch, start = _stretch(path, len(speech), rate, random)
        if stretch[mask].any() and decibels(stretch, mask) > QUIETEST_DBFS:
            return stretch, start
    raise DataError(f"silent wherever noise was looked for ({_TRIES} places); take it out of the folder", path=path)


def _stretch(path: Path, length: int, rate: int, random: np.random.RandomState) -> tuple[Samples, float]:
    """Return so many samples from a random place of a recording, mixed down, and where that is, in seconds.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with soundfile.SoundFile(path) as file:  # only what is needed is decoded: recordings can be hours long
            wanted = math.ceil(length / rate * file.samplerate) + 1
            start = int(random.randint(max(1, file.frames - wanted + 1)))
            file.seek(start)
            found = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
            own_rate = int(file.samplerate)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"audio unreadable: {error}", path=path) from None
    samples = resampled(found, own_rate, rate)
    if not len(samples) or not np.isfinite(samples).all():
        raise DataError("audio unreadable: no samples, or samples that are no numbers", path=path)
    return np.resize(samples, length), start / own_rate


def _unit(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(samples / np.sqrt(np.mean(np.square(samples))), dtype=np.float64)


def _coloured(length: int, rate: int, exponent: float, random: np.random.RandomState) -> NDArray[np.float64]:
    """Shape white noise with 1 / f**exponent in the spectrum."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    shape = np.where(frequency < LOWEST_HZ, 0.0, np.maximum(frequency, LOWEST_HZ) ** -exponent)
    return np.asarray(np.fft.irfft(np.fft.rfft(random.standard_normal(length)) * shape, length), dtype=np.float64)


def _mains(length: int, rate: int, random: np.random.RandomState) -> NDArray[np.float64]:
    """Return 50 Hz and its first harmonics with falling strength and random phase."""
    time = np.arange(rate // math.gcd(rate, 50)) / rate  # the shortest whole number of samples in which all repeat
    parts = [np.sin(2 * np.pi * (50 * k * time + random.uniform())) / k for k in range(1, 13)]
    return np.asarray(np.resize(np.sum(parts, axis=0), length), dtype=np.float64)


def _babble(length: int, talkers: Sequence[Samples], random: np.random.RandomState) -> NDArray[np.float64]:
    """Let several talkers speak at once, each from a random place of an endless loop of its utterance."""
    if not talkers:
        raise UsageError("babble needs the speech of some talkers")
    chosen = random.permutation(len(talkers))[:TALKERS]  # as `heard_talkers` tells
    total = np.zeros(length)
    for index in chosen:
        talker = _unit(talkers[index].astype(np.float64))
        start = random.randint(len(talker))
        total += np.resize(np.roll(talker, -start), length)
    return total
