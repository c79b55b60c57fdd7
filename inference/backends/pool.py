"""Several servers of one model: the least busy is asked, one that is gone is set aside for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from data.errors import ModelError
from inference.chat import ATTEMPTS, PATIENCE, ChatClient, ChatError, ChatReply, Sampling

ASIDE = 30.0  # seconds without a request for a server that could not be reached
Reply = TypeVar("Reply")


class ServerUnreachable(ModelError):  # outside this file a ModelError like any other
    """One server of the pool takes no connection."""


@dataclass(slots=True, eq=False)
class _Server:
    """One server and how it fares.

    Attributes:
        client: asks it.
        in_flight: requests that it works on.
        asked: requests that it was given in all.
        aside_until: when it may be tried again, on the pool's clock; None while nothing speaks against it.
    """

    client: ChatClient
    in_flight: int = 0
    asked: int = 0
    aside_until: float | None = None


class ServerPool:
    """Asks whichever server has least to do; safe for many requests at once."""

    def __init__(
        self,
        base_urls: Sequence[str],
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 600.0,
        connections: int = 64,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect lazily: nothing is sent before the first request.

        Args:
            base_urls: one or more addresses up to and including `/v1`.
            model: the id that every one of them knows the model by.
            api_key: sent to all of them as bearer token; None for servers that need none.
            timeout: limit of one request in seconds.
            connections: connections held open at once to each server, which may have to stand in for all others.
            sleep: waits between attempts; tests hand in their own.
            clock: tells seconds; tests hand in their own.

        Raises:
            UsageError: an address or the key cannot be one.
        """
        # The attempts of one server alone are shared out, so that an item soon moves on from one that is gone.
        attempts = max(2, ATTEMPTS // len(base_urls)) if len(base_urls) > 1 else ATTEMPTS
        self._clock = clock
        self._servers = [
            _Server(
                ChatClient(
                    base_url,
                    model,
                    api_key=api_key,
                    timeout=timeout,
                    connections=connections,
                    attempts=attempts,
                    unreachable=ServerUnreachable,
                    patience=0.0 if len(base_urls) > 1 else PATIENCE,
                    sleep=sleep,
                )
            )
            for base_url in base_urls
        ]

    async def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: Sampling,
        *,
        extra: Mapping[str, Any] | None = None,
        stream: bool = False,
    ) -> ChatReply:
        """Ask the least busy server; while the failure is a passing one, ask each of the others too.

        Args:
            messages: the conversation in the chat-completions form.
            sampling: how tokens are drawn.
            extra: further fields of the request body.
            stream: let the answer come in pieces.

        Raises:
            ChatError: this request cannot be answered.
            ModelError: no server can be reached, or one refuses the key or the model.
        """
        return await self._answered(lambda client: client.complete(messages, sampling, extra=extra, stream=stream))

    async def transcribe(self, audio: bytes, audio_format: str, *, language: str | None = None) -> str:
        """Have the least busy server transcribe a recording; while the failure is a passing one, the others too.

        Args:
            audio: an audio file's content.
            audio_format: its format, as files of it end.
            language: what is spoken, by its ISO 639-1 code; None lets the server tell.

        Raises:
            ChatError: this recording cannot be transcribed.
            ModelError: no server can be reached, or one refuses the key or the model.
        """
        return await self._answered(lambda client: client.transcribe(audio, audio_format, language=language))

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            await server.client.close()

    async def _answered(self, send: Callable[[ChatClient], Awaitable[Reply]]) -> Reply:
        tried: list[_Server] = []
        failed: ChatError | None = None
        gone: ServerUnreachable | None = None
        while server := self._next(tried):
            tried.append(server)
            try:
                return await self._ask(server, send)
            except ServerUnreachable as error:
                gone = error
            except ChatError as error:
                if error.permanent:
                    raise
                failed = error
        # Where one server at least did say something, the failure is the item's and not the run's.
        raise failed or gone or AssertionError("unreachable: one server at least is tried")

    def _next(self, tried: Sequence[_Server]) -> _Server | None:
        """Return the server to ask now, or None when all that may be asked were tried."""
        now = self._clock()
        usable = [server for server in self._servers if server.aside_until is None or server.aside_until <= now]
        if not (usable or tried):
            usable = self._servers
        left = [server for server in usable if server not in tried]
        return min(left, key=lambda server: (server.in_flight, server.asked), default=None)

    async def _ask(self, server: _Server, send: Callable[[ChatClient], Awaitable[Reply]]) -> Reply:
        if server.aside_until is not None:
            self._set_aside(server)  # this request alone finds out whether it is back: no others behind it
        server.in_flight += 1
        server.asked += 1
        try:
            reply = await send(server.client)
        except ServerUnreachable:
            self._set_aside(server)
            raise
        except ChatError as error:
            if error.permanent:
                server.aside_until = None
            raise
        finally:
            server.in_flight -= 1
        server.aside_until = None
        return reply

    def _set_aside(self, server: _Server) -> None:
        server.aside_until = self._clock() + ASIDE
