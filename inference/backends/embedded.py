"""The embedded cascade: Whisper tiny.en hears, SmolLM2-135M-Instruct answers what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from data import audio
from inference import asr, embedded
from inference.backends import Answer, Request
from inference.chat import ChatClient, ChatError


class EmbeddedCascade:
    """A speech model made of two small ones; the transcript is kept on the item's line."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        """Load both models; `model` is their row of models.toml.

        Raises:
            ModelError: weights or a runtime are missing.
        """
        # One item is heard while another is answered: half the cores each, or they would wait for each other.
        threads = max(1, embedded.cores() // 2)
        self._transcriber = asr.Transcriber(embedded.asr_folder(), language=model["languages"][0], threads=threads)
        self._server = embedded.LlamaServer(embedded.llm_file(), threads=threads)
        self._client = ChatClient(self._server.base_url, embedded.LLM_NAME)

    async def answer(self, request: Request) -> Answer:
        """Transcribe the speech and answer the transcript."""
        try:
            transcript = await asyncio.to_thread(self._hear, request)
        except audio.AudioUnreadable as error:
            return Answer(None, str(error))
        messages = [{"role": "user", "content": transcript}]
        if request.system is not None:
            messages.insert(0, {"role": "system", "content": request.system})
        extra = {"asr_transcript": transcript}
        try:
            reply = await self._client.complete(messages, request.sampling, extra=embedded.REQUEST_FIELDS)
        except ChatError as error:
            return Answer(None, str(error), error.permanent, extra)
        if reply.texts[0] is None:
            return Answer(None, "the model returned no text", extra=extra)
        return Answer(reply.texts[0], extra=extra)

    async def close(self) -> None:
        """Close the connections; the server ends with the process."""
        await self._client.close()

    def _hear(self, request: Request) -> str:
        return self._transcriber.transcribe(audio.load(request.audio, asr.SAMPLING_RATE))
