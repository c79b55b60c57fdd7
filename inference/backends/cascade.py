"""A cascade: a recogniser hears, a text model answers what was heard; the transcript is kept on the item's line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from data.errors import UsageError
from inference import asr, embedded
from inference.asr import Transcriber
from inference.backends import Answer, Backend, Request, load_backend


def load(settings: Mapping[str, Any]) -> Cascade:
    """Return the cascade of a recogniser (`asr`) and a text model (`llm`, the settings of another model).

    Raises:
        UsageError: one of the two is not given.
        ModelError: one of the two cannot be loaded.
    """
    if not settings.get("asr") or not settings.get("llm"):
        raise UsageError("a cascade needs both --asr and --llm")
    llm = {"concurrency": settings.get("concurrency", 1), **settings["llm"]}
    threads = embedded.cores()
    if settings["asr"] == "embedded" and llm["backend"] == "embedded":
        # One item is heard while another is answered: half the cores each, or they would wait for each other.
        threads = max(1, threads // 2)
        llm = {**llm, "threads": threads}
    return Cascade(asr.load_transcriber(settings["asr"], {**settings, "threads": threads}), load_backend(llm))


class Cascade:
    """A speech model made of two others. A turn that is text already goes straight to the second."""

    def __init__(self, transcriber: Transcriber, backend: Backend) -> None:
        """Join two loaded models."""
        self._transcriber = transcriber
        self._backend = backend
        self.revisions: dict[str, str] = {**getattr(backend, "revisions", {})}
        if transcriber.revision is not None:
            self.revisions["asr"] = transcriber.revision

    async def answer(self, request: Request) -> Answer:
        """Transcribe the speech and answer the transcript."""
        if request.clip is None:
            return await self._backend.answer(request)
        try:
            transcript = await self._transcriber.transcribe(request.clip)
        except asr.TranscriptionFailed as error:
            return Answer(None, f"transcription failed: {error}", error.permanent)
        answer = await self._backend.answer(replace(request, clip=None, text=transcript))
        return replace(answer, transcript=transcript)

    def rendered(self, request: Request) -> str:
        """Return the text model's prompt with a placeholder for what is heard."""
        if request.clip is None:
            return self._backend.rendered(request)
        return self._backend.rendered(replace(request, clip=None, text="<transcript of the audio>"))

    async def close(self) -> None:
        """Free both models."""
        await self._transcriber.close()
        await self._backend.close()
