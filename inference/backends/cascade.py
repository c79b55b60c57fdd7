"""A cascade: a recogniser hears, a text model answers what was heard; the transcript is kept on the item's line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from data.errors import UsageError
from inference import asr, embedded
from inference.asr import Transcriber
from inference.backends import Answer, Backend, Request, load_backend
from prompts import templates


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
        self._words = templates.bundled("transcript")
        self.revisions: dict[str, str] = {**getattr(backend, "revisions", {})}
        if transcriber.revision is not None:
            self.revisions["asr"] = transcriber.revision

    async def answer(self, request: Request) -> Answer:
        """Transcribe the speech and answer the transcript."""
        if not request.clips:
            return await self._backend.answer(request)
        try:
            heard = await asyncio.gather(*map(self._transcriber.transcribe, request.clips))
        except asr.TranscriptionFailed as error:
            return Answer(None, f"transcription failed: {error}", error.permanent)
        answer = await self._backend.answer(self._in_writing(request, heard))
        return replace(answer, transcript="\n".join(heard) if any(heard) else "")

    def rendered(self, request: Request) -> str:
        """Return the text model's prompt with a placeholder for what is heard."""
        if not request.clips:
            return self._backend.rendered(request)
        return self._backend.rendered(self._in_writing(request, ["<transcript of the audio>"] * len(request.clips)))

    async def close(self) -> None:
        """Free both models."""
        await self._transcriber.close()
        await self._backend.close()

    def _in_writing(self, request: Request, heard: Sequence[str]) -> Request:
        """Return the turn for the text model: a single recording that says it all is its transcript and nothing else.

        Else every recording's transcript is called one, and what is asked in writing follows.
        """
        if request.text is None and len(heard) == 1:
            return replace(request, clips=(), text=heard[0])
        names = ["the recording"] if len(heard) == 1 else [f"recording {number + 1}" for number in range(len(heard))]
        parts = [self._words.fill({"recording": name, "heard": text}) for name, text in zip(names, heard, strict=True)]
        return replace(request, clips=(), text="\n\n".join([*parts, *filter(None, [request.text])]))
