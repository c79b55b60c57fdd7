"""Speech recognition for cascades and for the transcript control."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from data.audio import Clip
from data.errors import ModelError, UsageError
from inference import embedded

SAMPLING_RATE = 16_000  # Hz; what Whisper was trained on, and what a cascade's clips come at


class TranscriptionFailed(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """One clip could not be transcribed; the message is the reason."""


class Transcriber(Protocol):
    """A loaded recogniser."""

    def transcribe(self, clip: Clip) -> str:
        """Return what is said in a clip at `SAMPLING_RATE`, of any length; called from worker threads.

        Raises:
            TranscriptionFailed: this clip cannot be transcribed.
        """
        ...


def load_transcriber(name: str, settings: Mapping[str, Any]) -> Transcriber:
    """Return a loaded recogniser.

    Args:
        name: `embedded`, or `faster-whisper:SIZE_OR_FOLDER`.
        settings: the model's settings; `threads` is the number of processor threads (default: all cores), `languages`
            names the one that is spoken.

    Raises:
        UsageError: there is no such recogniser.
        ModelError: it cannot be loaded.
    """
    threads = settings.get("threads", embedded.cores())
    if name == "embedded":
        return FasterWhisper(str(embedded.asr_folder()), language="en", threads=threads)
    kind, _, model = name.partition(":")
    if kind == "faster-whisper" and model:
        languages = settings.get("languages") or [None]
        return FasterWhisper(model, language=languages[0] if len(languages) == 1 else None, threads=threads)
    raise UsageError(f"unknown recogniser '{name}'; known: embedded, faster-whisper:SIZE_OR_FOLDER")


class FasterWhisper:
    """A Whisper model under CTranslate2 that hears one clip at a time; further callers wait."""

    def __init__(self, model: str, *, language: str | None, threads: int) -> None:
        """Load a model, quantised to 8 bits.

        Args:
            model: a CTranslate2 folder, or a size that faster-whisper knows and fetches from the hub.
            language: what is spoken; None lets the model tell.
            threads: processor threads.

        Raises:
            ModelError: the runtime is missing, or there is no such model.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ModelError(f"the package {error.name} is not installed; {embedded.HOW_TO_INSTALL}") from None
        try:
            self._model = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=threads)
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"recogniser {Path(model).name} cannot be loaded: {error}") from None
        self._language = language
        self._one_at_a_time = threading.Lock()

    def transcribe(self, clip: Clip) -> str:
        """Return what is said, by beam search at temperature 0.

        Without the usual fall-back to sampling, the same clip gives the same words.
        """
        if clip.rate != SAMPLING_RATE:  # it would hear every word at another pitch and speed
            raise TranscriptionFailed(f"the clip has {clip.rate} Hz, the recogniser takes {SAMPLING_RATE}")
        try:
            with self._one_at_a_time:
                segments, _ = self._model.transcribe(
                    clip.samples,
                    language=self._language,
                    beam_size=5,
                    temperature=0.0,
                    condition_on_previous_text=False,
                )
                return " ".join(segment.text.strip() for segment in segments).strip()
        except (RuntimeError, ValueError) as error:
            raise TranscriptionFailed(str(error)) from None
