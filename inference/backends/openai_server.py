"""Any OpenAI-compatible chat server, hosted or one's own: speech is sent as `input_audio`, the answer comes as text."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from data.audio import Clip
from data.errors import UsageError
from inference.backends import Answer, Request
from inference.backends.pool import ServerPool
from inference.chat import ChatError, ChatReply, messages_of, text_part

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
DEFAULT_CONCURRENCY = 64
# Name in a request -> the format and the encoding that libsndfile knows it by.
AUDIO_FORMATS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III")}
SYSTEM_LINES = ("given", "folded")


class OpenAIServer:
    """Asks a model behind one or more servers that speak OpenAI's chat completions."""

    def __init__(
        self, settings: Mapping[str, Any], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Read the settings; nothing is sent yet.

        Args:
            settings: `id`, what the server calls the model; `base_url`, a list of addresses up to and including `/v1`
                (default: OpenAI's own); `api_key_env`, the variable that holds the key; `timeout_seconds` of one
                request (default: 600); `concurrency`; `audio_format` (wav, flac or mp3; default: wav); `request`,
                further fields of the body; `stream`, for servers that answer only so; `system_line` (given or folded).
            sleep: waits between attempts; tests hand in their own.

        Raises:
            UsageError: a setting cannot work, or the key that the hosted service needs is missing.
        """
        self._audio_format = _one_of(AUDIO_FORMATS, settings, "audio_format", "wav")
        self._folded = _one_of(SYSTEM_LINES, settings, "system_line", "given") == "folded"
        self._extra = settings.get("request")
        self._stream = bool(settings.get("stream", False))
        self._pool = pool_of(settings, flag="--base_url", sleep=sleep)

    async def answer(self, request: Request) -> Answer:
        """Send the turn and wait for its answer."""
        import soundfile

        try:
            audios = [await asyncio.to_thread(_base64, clip, self._audio_format) for clip in request.clips]
        except soundfile.LibsndfileError as error:
            return Answer(None, f"audio cannot be sent as {self._audio_format}: {error.error_string}", permanent=True)
        try:
            reply = await self._pool.complete(
                self._messages(request, audios), request.sampling, extra=self._extra, stream=self._stream
            )
        except ChatError as error:
            return Answer(None, str(error), error.permanent)
        return _answer(reply)

    def rendered(self, request: Request) -> str:
        """Return the messages with a placeholder for the audio; the server's chat template does the rest."""
        audios = [f"<{clip.seconds_used:.1f} s of {self._audio_format}, {clip.rate} Hz>" for clip in request.clips]
        return json.dumps(self._messages(request, audios), ensure_ascii=False, indent=2)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    def _messages(self, request: Request, audios: Sequence[str]) -> list[dict[str, Any]]:
        folded = self._folded and request.system is not None
        if not audios and not folded:
            return messages_of(request.system, request.text or "")
        parts = [text_part(request.system or "")] if folded else []
        parts += [
            {"type": "input_audio", "input_audio": {"data": audio, "format": self._audio_format}} for audio in audios
        ]
        if request.text is not None:
            parts.append(text_part(request.text))
        return messages_of(None if folded else request.system, parts)


def pool_of(settings: Mapping[str, Any], *, flag: str, sleep: Callable[[float], Awaitable[None]]) -> ServerPool:
    """Return the servers that a model's settings name; nothing is sent yet.

    Args:
        settings: `id`, `base_url`, `api_key_env`, `timeout_seconds` and `concurrency`, as `OpenAIServer` takes them.
        flag: what a user names other servers with.
        sleep: waits between attempts.

    Raises:
        UsageError: an address cannot be one, or the key that the hosted service needs is missing.
    """
    urls = settings.get("base_url") or [DEFAULT_BASE_URL]
    variable = settings.get("api_key_env", DEFAULT_KEY_VARIABLE)
    key = os.environ.get(variable)
    if not (key or settings.get("base_url")):
        raise UsageError(f"{DEFAULT_BASE_URL} needs a key: set {variable}, or name another server with {flag}")
    return ServerPool(
        [urls] if isinstance(urls, str) else list(urls),
        settings["id"],
        api_key=key,
        timeout=settings.get("timeout_seconds", 600.0),
        connections=settings.get("concurrency", DEFAULT_CONCURRENCY),
        sleep=sleep,
    )


def encoded(clip: Clip, audio_format: str) -> bytes:
    """Return a clip's samples as an audio file.

    Args:
        clip: speech; samples beyond -1…1 are clipped, those of a 16-bit recording come back bit for bit.
        audio_format: `wav` or `flac` (both 16-bit PCM), or `mp3` in libsndfile's usual quality.

    Raises:
        soundfile.LibsndfileError: the format does not take this rate (mp3: only 8 to 48 kHz).
    """
    import numpy as np
    import soundfile

    # 16-bit recordings are decoded by a division by 2**15. A value of exactly 1 has no 16-bit counterpart.
    pcm = np.clip(np.rint(clip.samples * 32768.0), -32768, 32767).astype(np.int16)
    container, encoding = AUDIO_FORMATS[audio_format]
    file = io.BytesIO()
    soundfile.write(file, pcm, clip.rate, format=container, subtype=encoding)
    return file.getvalue()


def _base64(clip: Clip, audio_format: str) -> str:
    return base64.b64encode(encoded(clip, audio_format)).decode("ascii")


def _answer(reply: ChatReply) -> Answer:
    """Return the first choice. An empty text is an answer; none at all, or one held back by a filter, is not."""
    text, finish_reason = reply.texts[0], reply.finish_reasons[0]
    reasoning = reply.reasoning[0] if reply.reasoning else None
    error = None
    if text is None and reasoning and finish_reason == "length":
        text = ""  # it thought until max_tokens: asked again it would do the same
    if not text and finish_reason == "content_filter":
        text, error = None, "content filter"
    elif text is None:
        error = "the server returned no text"
    return Answer(
        text,
        error,
        permanent=error == "content filter",
        finish_reason=finish_reason,
        prompt_tokens=reply.prompt_tokens or None,
        completion_tokens=reply.completion_tokens or None,
        reasoning=reasoning,
    )


def _one_of(known: Mapping[str, Any] | tuple[str, ...], settings: Mapping[str, Any], name: str, default: str) -> str:
    value = settings.get(name, default)
    if value not in known:
        raise UsageError(f"{name} '{value}' is unknown; known: {', '.join(known)}")
    return str(value)
