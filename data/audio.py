"""Audio files: decode to mono float32 at a rate, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 1 << 16  # frames; as much as the processor's cache holds


class AudioUnreadable(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """A file holds no usable audio; the message is the reason that the item's line gets."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Decoded speech, ready for a model.

    Attributes:
        samples: mono, shape (n,), float32 in -1…1.
        rate: sampling rate in Hz.
        seconds: length of the recording; more than `samples` hold where it was cut.
    """

    samples: NDArray[np.float32]
    rate: int
    seconds: float

    @property
    def seconds_used(self) -> float:
        """Return the length of `samples` in seconds."""
        return len(self.samples) / self.rate

    def cut(self, seconds: float) -> Clip:
        """Return the clip's first so many seconds."""
        return Clip(self.samples[: round(seconds * self.rate)], self.rate, self.seconds)


def joined(clips: Sequence[Clip], gap_seconds: float) -> Clip:
    """Return clips of one rate as one, with that much silence (zeros) between each two."""
    import numpy as np

    rate = clips[0].rate
    gap = np.zeros(round(gap_seconds * rate), dtype=np.float32)
    pieces = [piece for clip in clips for piece in (gap, clip.samples)][1:]
    return Clip(np.concatenate(pieces), rate, sum(clip.seconds for clip in clips) + gap_seconds * (len(clips) - 1))


def clip(path: Path, rate: int) -> Clip:
    """Decode a file (see `load`) into a clip."""
    samples = load(path, rate)
    return Clip(samples, rate, len(samples) / rate)


def seconds_of(path: Path) -> float | None:
    """Return a recording's length in seconds as its header tells; None where that cannot be read."""
    import soundfile

    try:
        return float(soundfile.info(str(path)).duration)
    except (OSError, RuntimeError, TypeError):
        return None


def blocks(path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield a file's own sampling rate in Hz with its samples, piece by piece.

    Args:
        path: any format that libsndfile reads (WAV, FLAC, OGG Vorbis and Opus, MP3).

    Yields:
        The rate, and samples of shape (n, channels), 0 < n <= BLOCK; nothing where the file holds none.

    Raises:
        AudioUnreadable: the file cannot be decoded.
    """
    import numpy as np
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            # Straight through: the header of a FLAC that was written to a pipe names no length, so that neither room
            # for the whole can be made nor the seek work that soundfile adds to every read.
            file.seekable = lambda: False
            # One more than there should be, so that the first read is the last. Few files are longer than a block.
            wanted = min(BLOCK, file.frames + 1) if file.frames > 0 else BLOCK
            length = wanted
            while length == wanted:
                block = file.read(wanted, dtype="float32", always_2d=True)
                length = len(block)
                if not np.isfinite(block).all():
                    raise AudioUnreadable("audio unreadable: samples that are no numbers")
                if length:
                    yield int(file.samplerate), block
    except (OSError, RuntimeError, TypeError) as error:  # RuntimeError: soundfile's own; TypeError: for .raw files
        reason = str(error).replace(str(path), path.name)
        raise AudioUnreadable(f"audio unreadable: {reason}") from None


def load(path: Path, rate: int) -> NDArray[np.float32]:
    """Decode a file, mix its channels down by their mean, and resample it once.

    Args:
        path: any format that libsndfile reads (WAV, FLAC, OGG Vorbis and Opus, MP3).
        rate: wanted sampling rate in Hz.

    Returns:
        Samples in -1…1, shape (n,), n > 0.

    Raises:
        AudioUnreadable: the file cannot be decoded, or holds no samples.
    """
    import numpy as np

    own_rate, mixed = rate, []
    for found_rate, block in blocks(path):
        own_rate = found_rate
        mixed.append(sum(block.T) / block.shape[1])  # block.mean(axis=1) takes 16 times as long for two
    if not mixed:
        raise AudioUnreadable("audio empty: no samples")
    mono = np.concatenate(mixed)
    if own_rate != rate:
        import soxr

        mono = soxr.resample(mono, own_rate, rate)
        if not len(mono):
            raise AudioUnreadable("audio empty: too short for a single sample")
    return np.ascontiguousarray(mono, dtype=np.float32)
