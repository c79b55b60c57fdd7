"""Speech recognition for cascades: Whisper under CTranslate2, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import ModelError
from inference.embedded import HOW_TO_INSTALL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLING_RATE = 16_000  # Hz; what Whisper was trained on


class Transcriber:
    """A Whisper model that hears one clip at a time; further callers wait."""

    def __init__(self, folder: Path, *, language: str, threads: int) -> None:
        """Load a CTranslate2 model folder, quantised to 8 bits.

        Raises:
            ModelError: the runtime is missing.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ModelError(f"the package {error.name} is not installed; {HOW_TO_INSTALL}") from None

        self._language = language
        self._one_at_a_time = threading.Lock()
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        """Return what is said in mono samples at 16 kHz, shape (n,), of any length.

        Beam search at temperature 0 without the usual fall-back to sampling: the same clip gives the same words.
        """
        with self._one_at_a_time:
            segments, _ = self._model.transcribe(
                samples,
                language=self._language,
                beam_size=5,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=False,
            )
            return " ".join(segment.text.strip() for segment in segments).strip()
