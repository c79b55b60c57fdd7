"""Audio files: decode to mono float32 at a rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AudioUnreadable(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """A file holds no usable audio; the message is the reason that the item's line gets."""


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
    import soundfile

    try:
        samples, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's own errors are RuntimeErrors
        reason = str(error).replace(str(path), path.name)
        raise AudioUnreadable(f"audio unreadable: {reason}") from None
    if not len(samples):
        raise AudioUnreadable("audio empty: no samples")
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioUnreadable("audio unreadable: samples that are no numbers")
    if own_rate != rate:
        import soxr

        mono = soxr.resample(mono, own_rate, rate)
    return np.ascontiguousarray(mono, dtype=np.float32)
