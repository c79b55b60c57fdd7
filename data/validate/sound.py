"""One recording, decoded once and measured: what can be wrong with it as sound."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.audio import AudioUnreadable, blocks
from data.errors import DataError, children_without_interrupts

FRAME_SECONDS = 0.02
"""The loudest frame of this length is a recording's loudness here: shorter than any syllable."""

FULL_SCALE = 0.999
"""From here on a sample counts as one at full scale; 16-bit codecs end at 0.99997."""

FEWEST_FOR_PROCESSES = 512
"""Below that many files, starting processes takes longer than measuring."""

_FEWEST_RUN = 3  # consecutive samples at full scale: fewer are the peak of a normalised recording
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Sound:
    """What was measured of one file.

    Attributes:
        rate: sampling rate in Hz.
        channels: their number.
        seconds: length.
        loudest_db: level of the loudest 20 ms of the mix, in dBFS (mean square relative to 1); -inf for silence.
        cancelled_db: how much louder the loudest channel is, over the whole file, than the mix of all, in dB.
        offset: mean of the mix.
        clipped: share of samples that are at full scale in runs of at least three.
        torn: whether a RIFF header promises more bytes than the file has.
        digest: hash of the decoded samples; equal for the same sound in another lossless container.
    """

    rate: int
    channels: int
    seconds: float
    loudest_db: float
    cancelled_db: float
    offset: float
    clipped: float
    torn: bool
    digest: bytes


def measure(path: Path) -> Sound | str:
    """Return what a file sounds like, or why it cannot be told (`audio empty...`, `audio unreadable...`)."""
    try:
        return _measured(path)
    except AudioUnreadable as error:
        return str(error)


def measure_all(paths: Sequence[Path], processes: int) -> Iterator[Sound | str]:
    """Yield `measure` of every path in order, on several processes where there are many files.

    Raises:
        DataError: one of the processes died.
    """
    if processes < 2 or len(paths) < FEWEST_FOR_PROCESSES:
        yield from map(measure, paths)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_leave_signals) as pool:
        try:
            with children_without_interrupts():
                measured = pool.map(measure, paths, chunksize=_AT_ONCE)
            yield from measured
        except BrokenProcessPool:
            raise DataError(
                "a process that decoded recordings died: no memory, or a file that libsndfile dies of"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _measured(path: Path) -> Sound:
    frames, clipped, channels, own_rate = 0, 0, 0, 0
    total, loudest, mix_energy = 0.0, 0.0, 0.0
    energies: NDArray[np.float64] = np.zeros(1)
    digest = hashlib.blake2b(digest_size=16)
    for rate, block in blocks(path):
        if not frames:
            own_rate, channels = rate, block.shape[1]
            energies = np.zeros(channels)
            digest.update(b"%d" % channels)
        mix = block[:, 0] if channels == 1 else block.mean(axis=1)
        frames += len(block)
        total += float(mix.sum(dtype=np.float64))
        power = _powers(mix, max(1, round(FRAME_SECONDS * rate)))
        loudest = max(loudest, float(power.max()))
        if channels > 1:
            mix_energy += float(np.square(mix).sum(dtype=np.float64))
            energies += np.square(block).sum(axis=0, dtype=np.float64)
        clipped += _clipped(block)
        digest.update(block.tobytes())
    if not frames:
        raise AudioUnreadable("audio empty: no samples")
    return Sound(
        rate=own_rate,
        channels=channels,
        seconds=frames / own_rate,
        loudest_db=_decibels(loudest),
        cancelled_db=0.0 if channels == 1 else _decibels(float(energies.max())) - max(_decibels(mix_energy), -300.0),
        offset=total / frames,
        clipped=clipped / (frames * channels),
        torn=_torn(path),
        digest=digest.digest(),
    )


def _powers(mix: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return the mean square of each whole frame, shape (frames,); of all samples where there is no whole one."""
    count = len(mix) // length
    squares = np.square(mix)
    frames = squares[: count * length].reshape(count, length) if count else squares[np.newaxis]
    return np.asarray(frames.mean(axis=1))


def _clipped(block: NDArray[np.float32]) -> int:
    if max(float(block.max()), -float(block.min())) < FULL_SCALE:
        return 0
    clipped = 0
    for channel in block.T:
        full = np.concatenate(([False], np.abs(channel) >= FULL_SCALE, [False]))
        edges = np.flatnonzero(full[1:] != full[:-1]).reshape(-1, 2)
        lengths = edges[:, 1] - edges[:, 0]
        clipped += int(lengths[lengths >= _FEWEST_RUN].sum())
    return clipped


def _decibels(power: float) -> float:
    return 10.0 * float(np.log10(power)) if power > 0.0 else -float("inf")


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(8)
    promised = int.from_bytes(head[4:], "little") + 8
    # Programs that write to a pipe cannot know the length; they put 0 or the largest number there.
    return head[:4] == b"RIFF" and 8 < promised < 0xFFFFFF00 and promised > path.stat().st_size


def _leave_signals() -> None:
    """Let the parent decide what an interrupt means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
