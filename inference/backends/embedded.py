"""The embedded text model: SmolLM2-135M-Instruct behind llama.cpp's own server, in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference import embedded
from inference.backends import Answer, Request
from inference.chat import ChatClient, ChatError, messages_of


class EmbeddedLlm:
    """Answers text; speech is for a cascade to turn into text."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the weights and start the server.

        Args:
            settings: `threads`, how many processor threads to use (default: all cores).

        Raises:
            ModelError: weights or the runtime are missing.
        """
        self._server = embedded.LlamaServer(embedded.llm_file(), threads=settings.get("threads", embedded.cores()))
        self._client = ChatClient(self._server.base_url, embedded.LLM_NAME)

    async def answer(self, request: Request) -> Answer:
        """Answer the request's text."""
        if request.text is None:
            return Answer(None, "the embedded text model takes no audio", permanent=True)
        messages = messages_of(request.system, request.text)
        try:
            reply = await self._client.complete(messages, request.sampling, extra=embedded.REQUEST_FIELDS)
        except ChatError as error:
            return Answer(None, str(error), error.permanent)
        return Answer(
            reply.texts[0],
            None if reply.texts[0] is not None else "the model returned no text",
            finish_reason=reply.finish_reasons[0],
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )

    def rendered(self, request: Request) -> str:
        """Return the messages; the server's chat template does the rest."""
        return json.dumps(messages_of(request.system, request.text or ""), ensure_ascii=False, indent=2)

    async def close(self) -> None:
        """Close the connections; the server ends with the process."""
        await self._client.close()
