"""Speech recognition for cascades and for the transcript control."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, cast

from data.audio import Clip
from data.errors import ModelError, UsageError
from inference import embedded

SAMPLING_RATE = 16_000  # Hz; what Whisper was trained on, and what a cascade's clips come at


class TranscriptionFailed(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """One clip could not be transcribed; `permanent` says whether trying again later is pointless."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Transcriber(Protocol):
    """A loaded recogniser.

    Attributes:
        revision: the hub's commit of its weights, where that is known.
    """

    revision: str | None

    async def transcribe(self, clip: Clip) -> str:
        """Return what is said in a clip at `SAMPLING_RATE`, of any length; called concurrently, from one event loop.

        Raises:
            TranscriptionFailed: this clip cannot be transcribed.
            ModelError: the recogniser cannot be used at all.
        """
        ...

    async def close(self) -> None:
        """Free what the recogniser holds."""
        ...


# Kind of recogniser -> module:factory, which takes the model's name and the settings.
RECOGNISERS = {
    "faster-whisper": "inference.asr:FasterWhisper",
    "openai": "inference.backends.transcription_server:TranscriptionServer",
    "transformers": "inference.backends.transformers_asr:TransformersRecogniser",
}
KNOWN = "embedded, faster-whisper:SIZE_OR_FOLDER, transformers:ID_OR_FOLDER, openai:MODEL"


def kind_and_model(name: str) -> tuple[str, str]:
    """Return what kind a recogniser is of, and what its weights are called there.

    Raises:
        UsageError: there is no such recogniser.
    """
    if name == "embedded":
        return name, ""
    kind, _, model = name.partition(":")
    if kind not in RECOGNISERS or not model:
        raise UsageError(f"unknown recogniser '{name}'; known: {KNOWN}")
    return kind, model


def load_transcriber(name: str, settings: Mapping[str, Any]) -> Transcriber:
    """Return a loaded recogniser.

    Args:
        name: `embedded`, or its kind and its model (`KNOWN`).
        settings: the run's settings; `asr_language` is what is spoken (default: the text model's language, if
            `languages` has but one), `threads` the number of processor threads (default: all cores); `asr_base_url`,
            `asr_api_key_env`, `concurrency` and `trust_remote_code` are for the recognisers that have a use for them.

    Raises:
        UsageError: there is no such recogniser, or it misses a setting.
        ModelError: it cannot be loaded.
    """
    kind, model = kind_and_model(name)
    if kind == "embedded":
        return FasterWhisper(str(embedded.asr_folder()), {**settings, "asr_language": "en"})
    module, _, factory = RECOGNISERS[kind].partition(":")
    return cast(Transcriber, getattr(importlib.import_module(module), factory)(model, settings))


def language_of(settings: Mapping[str, Any]) -> str | None:
    """Return the language to expect, named or the only one that the text model speaks; None: the recogniser tells."""
    languages: Sequence[str] = settings.get("languages") or ()
    return settings.get("asr_language") or (languages[0] if len(languages) == 1 else None)


class FasterWhisper:
    """A Whisper model under CTranslate2 that hears one clip at a time; further callers wait."""

    revision: str | None = None

    def __init__(self, model: str, settings: Mapping[str, Any]) -> None:
        """Load a model, quantised to 8 bits.

        Args:
            model: a CTranslate2 folder, or a size that faster-whisper knows and fetches from the hub.
            settings: `asr_language`, `languages` and `threads`, as `load_transcriber` takes them.

        Raises:
            ModelError: the runtime is missing, or there is no such model.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ModelError(f"the package {error.name} is not installed; {embedded.HOW_TO_INSTALL}") from None
        threads = settings.get("threads", embedded.cores())
        try:
            self._model = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=threads)
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"recogniser {Path(model).name} cannot be loaded: {error}") from None
        self._language = language_of(settings)
        self._worker = ThreadPoolExecutor(1, "hear")

    async def transcribe(self, clip: Clip) -> str:
        """Return what is said, by beam search at temperature 0.

        Without the usual fall-back to sampling, the same clip gives the same words.
        """
        if clip.rate != SAMPLING_RATE:  # it would hear every word at another pitch and speed
            raise TranscriptionFailed(f"the clip has {clip.rate} Hz, the recogniser takes {SAMPLING_RATE}")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._heard, clip)
        except (RuntimeError, ValueError) as error:
            raise TranscriptionFailed(str(error)) from None

    async def close(self) -> None:
        """Hear no further clip."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _heard(self, clip: Clip) -> str:
        segments, _ = self._model.transcribe(
            clip.samples,
            language=self._language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments).strip()
