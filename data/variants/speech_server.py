"""An OpenAI-compatible server as a voice: POST {base_url}/audio/speech gives an audio file.

Source: OpenAI's API reference, "Create speech" (fields model, input, voice, response_format, speed, instructions; read
2026-11-20). `instructions` carries an emotion; servers that do not know the field ignore it or refuse it.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from data.errors import DataError, UsageError
from data.variants.engines import Manner, Speech, decoded
from data.variants.voices import Voice

if TYPE_CHECKING:
    import httpx2

ATTEMPTS = 5
SECONDS = 120.0


class Server:
    """A server that speaks; the key comes from the environment and goes nowhere else."""

    def missing(self, voice: Voice) -> str | None:
        """Return why it cannot speak, or None."""
        well = voice.base_url.startswith(("http://", "https://"))
        return None if well else f"base_url '{voice.base_url}' is no address such as http://localhost:8000/v1"

    def version(self, voice: Voice) -> str | None:
        """Return the model, which decides on the sound."""
        return voice.model

    def speak(self, text: str, voice: Voice, manner: Manner) -> Speech:
        """Ask the server for a WAV file; busy and failing servers are asked again, up to five times.

        Raises:
            DataError: the server refuses this text, or what it sends is no audio.
            UsageError: the server cannot be reached, or does not let us in.
        """
        import httpx2
        import tenacity

        from data.variants.paralinguistics import EMOTIONS

        body: dict[str, Any] = {"model": voice.model, "input": text, "voice": voice.setting, "response_format": "wav"}
        if manner.rate != 1.0:
            body["speed"] = manner.rate
        if manner.emotion:
            body["instructions"] = EMOTIONS[manner.emotion]
        key = os.environ.get(voice.api_key_env, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}

        def ask() -> httpx2.Response:
            return _client().post(f"{voice.base_url.rstrip('/')}/audio/speech", json=body, headers=headers)

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(httpx2.TransportError)
            | tenacity.retry_if_result(lambda answer: answer.status_code == 429 or answer.status_code >= 500),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=20),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            answer = again(ask)
        except httpx2.HTTPError as error:
            raise UsageError(f"voice '{voice.name}': {voice.base_url} cannot be reached: {error}") from None
        if answer.status_code in (401, 403, 404):
            raise UsageError(
                f"voice '{voice.name}': {voice.base_url} answered {answer.status_code}; check base_url, model and the "
                f"key in {voice.api_key_env}"
            )
        if answer.status_code != 200:
            said = answer.text[:200].replace(key, "***") if key else answer.text[:200]
            raise DataError(f"voice '{voice.name}': the server answered {answer.status_code}: {said}")
        return decoded(answer.content, voice.base_url)


@cache
def _client() -> httpx2.Client:
    """Return this process's connections."""
    import httpx2

    return httpx2.Client(timeout=SECONDS)
