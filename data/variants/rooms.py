"""Rooms: impulse responses, given or simulated, and speech as it sounds in them.

Simulated rooms are empty boxes with walls that absorb alike at all frequencies, by image sources (J. Allen and
D. Berkley, Journal of the Acoustical Society of America 65, 1979) as pyroomacoustics computes them. A build draws a
pool of at most 20 from its seed; each is computed once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data import audio
from data.errors import DataError, UsageError
from data.variants.level import Samples, active, decibels
from data.variants.tts import put

MOST_ROOMS = 20

_METRES = ((3.0, 9.0), (3.0, 7.0), (2.4, 3.6))
_RT60_SECONDS = (0.2, 0.7)
_DISTANCE_METRES = (0.8, 2.5)
_WALL_METRES = 0.4
_DECAY_DB = 60.0


@dataclass(frozen=True, slots=True)
class Room:
    """A simulated room.

    Attributes:
        size: length, width and height in metres.
        rt60: time in seconds in which sound decays by 60 dB, by Sabine's formula.
        speaker: where the speaker's mouth is, in metres.
        microphone: where the microphone is, in metres.
    """

    size: tuple[float, float, float]
    rt60: float
    speaker: tuple[float, float, float]
    microphone: tuple[float, float, float]

    def told(self) -> dict[str, Any]:
        """Return what an item's line says about it."""
        away = float(np.linalg.norm(np.subtract(self.speaker, self.microphone)))
        return {"simulated_room": {"size_m": list(self.size), "rt60_s": self.rt60, "distance_m": round(away, 2)}}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A given impulse response.

    Attributes:
        path: its file.
        sha256: hash of the file's bytes.
    """

    path: str
    sha256: str

    def told(self) -> dict[str, Any]:
        """Return what an item's line says about it."""
        return {"impulse_response": Path(self.path).name, "impulse_response_sha256": self.sha256}


def pool(count: int, seed: int) -> list[Room]:
    """Draw rooms.

    Args:
        count: how many, at most `MOST_ROOMS`.
        seed: the same seed gives the same rooms.

    Raises:
        UsageError: too many, or pyroomacoustics is not installed.
    """
    if not 1 <= count <= MOST_ROOMS:
        raise UsageError(f"{count} rooms; there can be 1 to {MOST_ROOMS}")
    _simulator()
    random = np.random.RandomState(seed)
    return [_drawn(random) for _ in range(count)]


def response(room: Room | Recorded, rate: int, cache: Path) -> Samples:
    """Return an impulse response that begins with the direct sound.

    Args:
        room: where.
        rate: sampling rate in Hz.
        cache: folder in which simulated ones are kept.

    Returns:
        Shape (m,), cut where the energy that is left lies 60 dB below the whole.

    Raises:
        DataError: a given one cannot be read, or is silent.
        UsageError: pyroomacoustics is not installed.
    """
    if isinstance(room, Recorded):
        try:
            return _trimmed(audio.load(Path(room.path), rate), rate, room.path)
        except audio.AudioUnreadable as error:
            raise DataError(str(error), path=room.path) from None
    version = importlib.metadata.version("pyroomacoustics") if _simulator() else ""
    name = hashlib.sha256(json.dumps([asdict(room), rate, version]).encode()).hexdigest()
    path = cache / f"{name}.npy"
    with suppress(OSError, ValueError):
        kept: Samples = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        return kept
    made = _trimmed(_simulated(room, rate), rate, "a simulated room")
    buffer = io.BytesIO()
    np.save(buffer, made)
    put(path, buffer.getvalue())
    return made


def reverberant(speech: Samples, impulse: Samples, rate: int) -> Samples:
    """Return speech as it sounds in a room, at the level that it had before.

    Args:
        speech: shape (n,).
        impulse: the impulse response, shape (m,), beginning with the direct sound.
        rate: sampling rate in Hz.

    Returns:
        Shape (n + m - 1,) and at most a twentieth more: the room's decay goes on behind the speech, up to a length
        that is quick to transform, also for the noise that is made for it. The level over active speech is that of
        `speech`, unless that would clip: the mixing sees to that.

    Raises:
        DataError: the speech is silent.
    """
    length = _quick(len(speech) + len(impulse) - 1)
    wet = np.fft.irfft(np.fft.rfft(speech, length) * np.fft.rfft(impulse, length), length).astype(np.float32)
    gain = decibels(speech, active(speech, rate)) - decibels(wet, active(wet, rate))
    return np.asarray(wet * 10 ** (gain / 20), dtype=np.float32)


def _quick(length: int) -> int:
    """Return the next length without a prime factor above 5; a transform of prime length takes thirty times as long."""
    odd = (int(3**threes * 5**fives) for threes in range(14) for fives in range(10))
    return min(factor << (-(-length // factor) - 1).bit_length() for factor in odd)


def _drawn(random: np.random.RandomState) -> Room:
    size = tuple(round(random.uniform(*bounds), 2) for bounds in _METRES)
    rt60 = round(random.uniform(*_RT60_SECONDS), 2)
    for _ in range(1000):
        speaker, microphone = (
            tuple(round(random.uniform(_WALL_METRES, side - _WALL_METRES), 2) for side in size) for _ in range(2)
        )
        apart = float(np.linalg.norm(np.subtract(speaker, microphone)))
        if _DISTANCE_METRES[0] <= apart <= _DISTANCE_METRES[1]:
            return Room(_three(size), rt60, _three(speaker), _three(microphone))
    raise AssertionError("no place for speaker and microphone in a room of at least 3 by 3 by 2.4 metres")


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    return (values[0], values[1], values[2])


def _simulated(room: Room, rate: int) -> Samples:
    acoustics = _simulator()
    absorption, order = acoustics.inverse_sabine(room.rt60, room.size)
    box = acoustics.ShoeBox(room.size, fs=rate, materials=acoustics.Material(absorption), max_order=order)
    box.add_source(room.speaker)
    box.add_microphone(room.microphone)
    box.compute_rir()
    return np.asarray(box.rir[0][0], dtype=np.float32)


def _trimmed(impulse: Samples, rate: int, name: str) -> Samples:
    """Let an impulse response begin 1 ms before its highest peak, the direct sound, and end where it has decayed."""
    energy = np.square(impulse.astype(np.float64))
    if not energy.any():
        raise DataError("a silent impulse response", path=name)
    kept = impulse[max(0, int(np.argmax(energy)) - rate // 1000) :]
    left = np.cumsum(np.square(kept.astype(np.float64))[::-1])[::-1]
    end = int(np.count_nonzero(left > left[0] * 10 ** (-_DECAY_DB / 10)))
    return np.ascontiguousarray(kept[:end], dtype=np.float32)


def _simulator() -> Any:
    try:
        import pyroomacoustics
    except ImportError:
        raise UsageError("simulated rooms need pyroomacoustics: pip install -e '.[speech]'") from None
    return pyroomacoustics
