"""Recognisers in this process through transformers' own pipeline: Whisper and its like, CTC models such as wav2vec2.

Nothing of a clip is left out. Whisper hears more than its 30 s one window after another, each beginning where the last
whole phrase ended; CTC models hear pieces of 30 s whose edges overlap; what else transformers loads gets its clips
whole, and fails those that its features do not hold. How a transcript is searched for is the checkpoint's affair, and
the pipeline's where it says nothing (5 beams); none is drawn, so that the same clip gives the same words.

Batches are for a GPU: there, Whisper hears several clips of one window at a time. Clips of other models would have to
be padded to one length, which changes what some of them hear.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from data.audio import Clip
from data.errors import ModelError
from inference.asr import SAMPLING_RATE, TranscriptionFailed, language_of
from inference.backends.checkpoints import check_rate, described, is_out_of_memory, load_failure, place_of, revision_of

BATCH_SIZE = 16
PIECE_SECONDS = 30.0  # what CTC models hear at once: their attention grows with the square of it
TOKENS_PER_SECOND = 25  # far more than anybody speaks: only what goes round in circles is cut there


@dataclass(frozen=True, slots=True, eq=False)  # two equal clips are still two
class _Waiting:
    """A clip and where its transcript goes."""

    clip: Clip
    future: asyncio.Future[str]


class TransformersRecogniser:
    """A checkpoint of the hub, or of a folder, that this process runs itself."""

    def __init__(self, model: str, settings: Mapping[str, Any]) -> None:
        """Load the checkpoint, on a GPU where there is one.

        Args:
            model: a hub id or a folder.
            settings: `asr_language` and `languages`, for models that take a language; `trust_remote_code` (default
                false); `sampling_rate` of the clips in Hz.

        Raises:
            UsageError: the clips are of another rate than the model's features.
            ModelError: torch, transformers or the checkpoint is missing, or the checkpoint is no recogniser.
        """
        self._pipeline = _load(model, trusted=bool(settings.get("trust_remote_code", False)))
        self._kind: str = self._pipeline.type
        extractor = self._pipeline.feature_extractor
        check_rate(extractor, settings.get("sampling_rate", SAMPLING_RATE))
        self._window: int | None = getattr(extractor, "n_samples", None)  # samples that its features hold
        self.revision = revision_of(place_of(model))
        self._language = language_of(settings)
        self._batch_size = BATCH_SIZE if self._on_gpu and self._kind == "seq2seq_whisper" else 1
        self._waiting: list[_Waiting] = []
        self._serving: asyncio.Task[None] | None = None
        self._worker = ThreadPoolExecutor(1, "hear")

    async def transcribe(self, clip: Clip) -> str:
        """Return what is said, heard together with other clips that wait."""
        waiting = _Waiting(clip, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await waiting.future

    async def close(self) -> None:
        """Hear no further clip, and give the memory back."""
        for waiting in self._waiting:
            waiting.future.cancel()
        self._waiting.clear()
        if self._serving is not None:
            await asyncio.wait([self._serving])
        self._worker.shutdown()
        on_gpu = self._on_gpu
        del self._pipeline
        if on_gpu:
            importlib.import_module("torch").cuda.empty_cache()

    @property
    def _on_gpu(self) -> bool:
        return bool(self._pipeline.device.type == "cuda")

    async def _serve(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            heard = await asyncio.get_running_loop().run_in_executor(
                self._worker, self._heard, [waiting.clip for waiting in batch]
            )
            for waiting, transcript in zip(batch, heard, strict=True):
                if waiting.future.done():
                    continue
                if isinstance(transcript, TranscriptionFailed):
                    waiting.future.set_exception(transcript)
                else:
                    waiting.future.set_result(transcript)

    def _next_batch(self) -> list[_Waiting]:
        """Take the clip that has waited longest, and those that can be heard together with it."""
        first = self._waiting[0]
        alike = [waiting for waiting in self._waiting if not self._is_long(waiting.clip)]
        batch = [first] if self._is_long(first.clip) else alike[: self._batch_size]
        self._waiting = [waiting for waiting in self._waiting if waiting not in batch]
        return batch

    def _is_long(self, clip: Clip) -> bool:
        return self._window is not None and len(clip.samples) > self._window

    # In the thread: tensors.

    def _heard(self, clips: Sequence[Clip]) -> list[str | TranscriptionFailed]:
        """Return each clip's transcript; where a batch fails, its clips one by one, so that a bad one fails alone."""
        if self._is_long(clips[0]) and self._kind != "seq2seq_whisper":
            held = (self._window or 0) / clips[0].rate
            reason = f"audio of {clips[0].seconds_used:.1f} s; the recogniser's features hold {held:g} s"
            return [TranscriptionFailed(reason, permanent=True)]
        inputs = [{"raw": clip.samples, "sampling_rate": clip.rate} for clip in clips]
        try:
            heard = self._pipeline(inputs, batch_size=len(clips), **self._options(clips[0]))
            return [str(result["text"]).strip() for _, result in zip(clips, heard, strict=True)]
        except Exception as error:  # transformers, torch and code of the checkpoint raise anything
            # Only words are kept: the error's traceback holds the tensors that did not fit.
            failed = TranscriptionFailed(described(error), permanent=isinstance(error, ValueError))
            exhausted = is_out_of_memory(error)
        if len(clips) == 1:
            return [failed]
        if exhausted:
            self._batch_size = max(1, len(clips) // 2)
        return [transcript for clip in clips for transcript in self._heard([clip])]

    def _options(self, clip: Clip) -> dict[str, Any]:
        """Return how a clip, and those heard together with it, are to be heard."""
        config = self._pipeline.model.config
        if self._kind in ("ctc", "ctc_with_lm"):
            in_pieces = clip.seconds_used > PIECE_SECONDS and hasattr(config, "inputs_to_logits_ratio")
            return {"chunk_length_s": PIECE_SECONDS} if in_pieces else {}
        if self._kind == "seq2seq":
            room = round(TOKENS_PER_SECOND * (clip.seconds_used + 1))
            return {"generate_kwargs": {"max_new_tokens": room}}
        if self._kind != "seq2seq_whisper":
            return {}
        generating = {}
        if getattr(self._pipeline.generation_config, "is_multilingual", False):
            generating["task"] = "transcribe"
            if self._language is not None:
                generating["language"] = self._language
        return {"generate_kwargs": generating, **({"return_timestamps": True} if self._is_long(clip) else {})}


def _load(name: str, *, trusted: bool) -> Any:
    """Return transformers' pipeline over the checkpoint of that name.

    Raises:
        ModelError: it cannot be loaded; the message says what to do.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ModelError(
            f"this recogniser needs torch and transformers ({error}): pip install -e '.[transformers]'"
        ) from None
    on_gpu = torch.cuda.is_available()
    try:
        pipeline = transformers.pipeline(
            "automatic-speech-recognition",
            model=place_of(name),
            device="cuda" if on_gpu else "cpu",
            dtype="auto" if on_gpu else "float32",
            trust_remote_code=trusted,
        )
    except ModelError:
        raise
    except Exception as error:  # transformers, the hub's client and a checkpoint's own code raise anything
        raise ModelError(load_failure(name, error)) from error
    if pipeline.type.startswith("seq2seq"):
        pipeline.generation_config.do_sample = False
    if pipeline.type == "seq2seq_whisper":
        # As many tokens as its decoder has places for: Chinese of 30 s may need more than the usual 256.
        pipeline.generation_config.max_new_tokens = None
        pipeline.generation_config.max_length = pipeline.model.config.max_target_positions
    return pipeline
