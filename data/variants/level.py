"""Speech activity, level and sampling rate of mono float32 samples.

Levels are in dBFS: decibels of the mean square relative to 1.0. A level or a signal-to-noise ratio "over active speech"
leaves the pauses out, as ITU-T P.56 does; the gate here is a simpler one than P.56's and is stated in `active`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.errors import DataError

Samples = NDArray[np.float32]

FRAME_SECONDS = 0.02
"""Length of one frame of the activity gate."""

GATE_DB = 30.0
"""A frame is active if it lies at most this far below the loud frames."""

PEAK = 0.95
"""Largest sample value that is written; the rest is room for the overshoot of a lossy codec."""


def active(samples: Samples, rate: int) -> NDArray[np.bool_]:
    """Tell which samples are speech.

    The gate: frames of 20 ms without overlap; a frame is active if its mean square is at most 30 dB below the 95th
    percentile of all frames. Samples behind the last whole frame count as inactive.

    Args:
        samples: speech, shape (n,).
        rate: sampling rate in Hz.

    Returns:
        Mask of shape (n,), true where speech is active.

    Raises:
        DataError: the speech is shorter than one frame, or silent.
    """
    frame = max(1, round(FRAME_SECONDS * rate))
    count = len(samples) // frame
    power = np.square(samples[: count * frame].astype(np.float64)).reshape(count, frame).mean(axis=1)
    if count == 0 or not power.any():
        raise DataError("speech is silent or shorter than 20 ms: there is no active frame to measure")
    frames = power >= np.percentile(power, 95) * 10 ** (-GATE_DB / 10)
    mask = np.zeros(len(samples), dtype=np.bool_)
    mask[: count * frame] = np.repeat(frames, frame)
    return mask


def decibels(samples: Samples, mask: NDArray[np.bool_] | None = None) -> float:
    """Return the level in dBFS.

    Args:
        samples: sound, shape (n,).
        mask: which samples to measure, shape (n,); all of them where it is None.

    Raises:
        DataError: what is measured is digital silence.
    """
    measured = (samples if mask is None else samples[mask]).astype(np.float64)
    power = float(np.mean(np.square(measured))) if len(measured) else 0.0
    if power <= 0.0:
        raise DataError("digital silence has no level")
    return 10.0 * float(np.log10(power))


def levelled(samples: Samples, rate: int, dbfs: float) -> Samples:
    """Scale speech so that its active part has the given level.

    Where that would lift a sample above `PEAK`, the signal is scaled to that peak instead: quieter, never clipped.

    Args:
        samples: speech, shape (n,).
        rate: sampling rate in Hz.
        dbfs: wanted level over active speech, in dBFS.

    Returns:
        The scaled speech, shape (n,).

    Raises:
        DataError: the speech is silent.
    """
    gain = 10 ** ((dbfs - decibels(samples, active(samples, rate))) / 20)
    gain = min(gain, PEAK / float(np.abs(samples).max()))
    return (samples * gain).astype(np.float32)


def padded(samples: Samples, rate: int, seconds: float) -> Samples:
    """Return the samples, shape (n,), with silence of the given length in seconds before and after."""
    return np.pad(samples, round(seconds * rate)).astype(np.float32)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the samples, shape (n,), brought from one rate to another (both in Hz); unchanged where they agree."""
    if rate == wanted:
        return samples
    # Imported here: checking the sample needs numpy and soundfile only.
    import soxr

    return np.asarray(soxr.resample(samples, rate, wanted), dtype=np.float32)
