"""Noise made from a seed, and its mixing into speech at a signal-to-noise ratio.

The ratio is that of mean powers over the active samples of the speech (the gate of `data.variants.level.active`); the
noise is measured over these same samples, so pauses do not flatter it. Noise sounds in the pauses too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import DataError, UsageError
from data.variants.level import PEAK, Samples, active, decibels

LOWEST_HZ = 30.0
"""Noise below this is left out: it costs level and nobody hears it."""

TALKERS = 6

COLOURS = {"pink": 0.5, "brown": 1.0}
"""Exponent a of the amplitude spectrum 1 / f**a: pink falls by 3 dB an octave, brown by 6 dB."""

KINDS = (*COLOURS, "hum", "babble")


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
        kind: `pink`, `brown`, `hum` (50 Hz mains and its harmonics over a pink floor) or `babble`.
        length: number of samples.
        rate: sampling rate in Hz.
        seed: the same seed gives the same noise.
        talkers: for babble: speech of several utterances at this rate, each of shape (m,); six at a time are heard.

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
        DataError: the speech is silent, or the noise is too short or silent where the speech is active.
    """
    if len(sound) < len(speech):
        raise DataError(f"noise of {len(sound)} samples is too short for speech of {len(speech)}")
    mask = active(speech, rate)
    cut = sound[: len(speech)]
    gain = 10 ** ((decibels(speech, mask) - decibels(cut, mask) - snr_db) / 20)
    scaled = cut.astype(np.float64) * gain
    total = speech + scaled
    down = min(1.0, PEAK / float(np.abs(total).max()))
    kept, added = (speech * down).astype(np.float32), (scaled * down).astype(np.float32)
    return Mixture((total * down).astype(np.float32), kept, added, decibels(kept, mask) - decibels(added, mask))


def _unit(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(samples / np.sqrt(np.mean(np.square(samples))), dtype=np.float64)


def _coloured(length: int, rate: int, exponent: float, random: np.random.RandomState) -> NDArray[np.float64]:
    """Shape white noise with 1 / f**exponent in the spectrum."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    shape = np.where(frequency < LOWEST_HZ, 0.0, np.maximum(frequency, LOWEST_HZ) ** -exponent)
    return np.asarray(np.fft.irfft(np.fft.rfft(random.standard_normal(length)) * shape, length), dtype=np.float64)


def _mains(length: int, rate: int, random: np.random.RandomState) -> NDArray[np.float64]:
    """Return 50 Hz and its first harmonics with falling strength and random phase."""
    time = np.arange(length) / rate
    parts = [np.sin(2 * np.pi * (50 * k * time + random.uniform())) / k for k in range(1, 13)]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def _babble(length: int, talkers: Sequence[Samples], random: np.random.RandomState) -> NDArray[np.float64]:
    """Let several talkers speak at once, each from a random place of an endless loop of its utterance."""
    if not talkers:
        raise UsageError("babble needs the speech of some talkers")
    chosen = random.permutation(len(talkers))[:TALKERS]
    total = np.zeros(length)
    for index in chosen:
        talker = _unit(talkers[index].astype(np.float64))
        start = random.randint(len(talker))
        total += np.resize(np.roll(talker, -start), length)
    return total
