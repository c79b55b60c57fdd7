"""Any server with OpenAI's `/v1/audio/transcriptions`, hosted or one's own: clips are uploaded as WAV files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from data.audio import Clip
from inference.asr import TranscriptionFailed, language_of
from inference.backends.openai_server import encoded, pool_of
from inference.chat import ChatError

AUDIO_FORMAT = "wav"  # 16-bit PCM: what every such server reads


class TranscriptionServer:
    """Asks a recogniser behind one or more servers, as many clips at once as the run has in flight."""

    revision: str | None = None  # no server tells

    def __init__(
        self, model: str, settings: Mapping[str, Any], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Read the settings; nothing is sent yet.

        Args:
            model: what the server calls the recogniser.
            settings: `asr_base_url`, a list of addresses up to and including `/v1` (default: OpenAI's own);
                `asr_api_key_env`, the variable that holds the key; `timeout_seconds` of one request (default: 600);
                `concurrency`; `asr_language` and `languages`.
            sleep: waits between attempts; tests hand in their own.

        Raises:
            UsageError: a setting cannot work, or the key that the hosted service needs is missing.
        """
        self._language = language_of(settings)
        ours = {name: settings[name] for name in ("timeout_seconds", "concurrency") if name in settings}
        ours |= {name: settings[f"asr_{name}"] for name in ("base_url", "api_key_env") if f"asr_{name}" in settings}
        self._pool = pool_of({"id": model, **ours}, flag="--asr_base_url", sleep=sleep)

    async def transcribe(self, clip: Clip) -> str:
        """Upload the clip at its own rate, and wait for its transcript."""
        audio = await asyncio.to_thread(encoded, clip, AUDIO_FORMAT)
        try:
            text = await self._pool.transcribe(audio, AUDIO_FORMAT, language=self._language)
        except ChatError as error:
            raise TranscriptionFailed(str(error), permanent=error.permanent) from None
        return text.strip()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()
