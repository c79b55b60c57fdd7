"""The one client for OpenAI-compatible servers: parameters, retries, limits. Whoever asks a server shares it.

tenacity is the only retry: the openai package's own ones are off. What passes (connection lost, 408, 409, 429, 5xx, a
torn or foreign body) is tried again, with the server's Retry-After where it gives one, and holds no place in flight
while it waits; what cannot pass ends the item (400, 422) or the run (no access, no such model, server gone).
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2 as httpx  # the fork that the openai package rides on
import tenacity

from data.errors import ModelError, ToolkitError, UsageError, printable
from inference.support import Support
from inference.throttle import Throttle

ATTEMPTS = 6
MORE_WHEN_LIMITED = 4  # times the attempts: a 429 says that the request is good and only early
PATIENCE = 300.0  # seconds of waiting for a server that has answered and is gone
LONGEST_WAIT_WHEN_GONE = 10.0  # seconds between two looks whether it is back
LONGEST_WAIT = 120.0  # seconds; a server that asks for more is asked again earlier
PASSING_STATUS = frozenset({408, 409, 425, 429})
NOT_IMPLEMENTED = 501  # what llama.cpp's server says of a recording for a model that hears nothing
# Key, account, model or address are wrong; after a first success some of these concern the single request only.
NO_ACCESS_STATUS = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405})
ALWAYS_NO_ACCESS_STATUS = frozenset({401, 402})
# A proxy named in the environment cannot reach the loopback interface of this machine.
WITHOUT_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model draws its tokens; part of every manifest, because it moves scores.

    Attributes:
        temperature: 0 is greedy.
        top_p: nucleus mass, 0…1.
        max_tokens: longest reply in tokens.
        seed: for servers that take one; None sends none.
    """

    temperature: float
    top_p: float
    max_tokens: int
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a server returned for one request.

    Attributes:
        texts: one text a choice; None where a choice has no content.
        finish_reasons: why each choice ended (`stop`, `length`, ...).
        model: the model that the server says answered.
        fingerprint: the server's `system_fingerprint`, where it gives one.
        prompt_tokens: tokens of the request, 0 where the server does not count.
        completion_tokens: tokens of all choices together.
        reasoning: what was thought aloud before each choice, where the server keeps it apart; empty where no choice
            has any.
        cached_tokens: the part of prompt_tokens that the server had in its cache.
    """

    texts: tuple[str | None, ...]
    finish_reasons: tuple[str | None, ...]
    model: str
    fingerprint: str | None
    prompt_tokens: int
    completion_tokens: int
    reasoning: tuple[str | None, ...] = ()
    cached_tokens: int = 0


class ChatError(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """One request failed for good; `permanent` says whether asking again later is pointless."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


class _Passing(Exception):
    """A failure worth another attempt."""

    def __init__(
        self, reason: str, *, wait: float | None = None, unreachable: bool = False, limited: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait = wait
        self.unreachable = unreachable
        self.limited = limited


class ChatClient:
    """Asks one model of one server; safe for many requests at once."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 600.0,
        connections: int = 64,
        attempts: int = ATTEMPTS,
        unavailable: type[ToolkitError] = ModelError,
        unreachable: type[ToolkitError] | None = None,
        patience: float = PATIENCE,
        throttle: Throttle | None = None,
        support: Support | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Connect lazily: nothing is sent before the first request.

        Args:
            base_url: the server's address up to and including `/v1`.
            model: the id that the server knows the model by.
            api_key: sent as bearer token, kept out of every message; None for servers that need none.
            timeout: limit of one request in seconds.
            connections: connections held open at once.
            attempts: how often a passing failure is tried in all.
            unavailable: the error that ends the run when the server cannot be used.
            unreachable: the error when no connection comes about (default: the same).
            patience: seconds of waiting, for one request, for a server that has answered before and is gone.
            throttle: gives out places in flight; None leaves their number to the caller.
            support: what the server is known not to take; it learns more from refusals. None takes none as final.
            sleep: waits between attempts; tests hand in their own.

        Raises:
            UsageError: the address or the key cannot be one.
        """
        import openai

        _check_address(base_url)
        _check_key(api_key)

        self.base_url = base_url
        self.model = model
        self._api_key = api_key
        self._attempts = attempts
        self._timeout = timeout
        self._unavailable = unavailable
        self._unreachable = unreachable or unavailable
        self._patience = patience
        self._throttle = throttle
        self._support = support
        self._sleep = sleep
        self._has_answered = False
        self._openai = openai
        transport = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=10.0, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            mounts=dict.fromkeys(WITHOUT_PROXY),
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none-needed",
            max_retries=0,
            http_client=transport,
        )

    async def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: Sampling,
        *,
        n: int = 1,
        extra: Mapping[str, Any] | None = None,
        stream: bool = False,
        tokens: int = 0,
    ) -> ChatReply:
        """Ask once, trying again while the failure is a passing one.

        Args:
            messages: the conversation in the chat-completions form.
            sampling: how tokens are drawn.
            n: wanted number of choices.
            extra: further fields of the request body (`response_format`, `repeat_penalty`, ...).
            stream: let the answer come in pieces, for servers that answer only so; it is returned whole all the same.
            tokens: about how many tokens the request and its reply have together, for a limit of tokens a minute.

        Raises:
            ChatError: this request cannot be answered.
            ToolkitError: (of the classes given as `unavailable` and `unreachable`) the server cannot be used at all.
        """
        body = self.body(messages, sampling, n=n, extra=extra)
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return await self.patiently(lambda: self._completed(body), "chat completion", tokens)

    def body(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: Sampling,
        *,
        n: int = 1,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a request's body as it is wanted, before anything that the server refuses is taken out."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if n != 1:
            body["n"] = n
        return {**body, **(extra or {})}

    async def transcribe(self, audio: bytes, audio_format: str, *, language: str | None = None) -> str:
        """Return what is said in a recording, trying again while the failure is a passing one.

        Args:
            audio: an audio file's content.
            audio_format: its format, as files of it end (`wav`, `flac`).
            language: what is spoken, by its ISO 639-1 code; None lets the server tell.

        Raises:
            ChatError: this recording cannot be transcribed.
            ToolkitError: (of the classes given as `unavailable` and `unreachable`) the server cannot be used at all.
        """
        form: dict[str, Any] = {
            "file": (f"clip.{audio_format}", audio, f"audio/{audio_format}"),
            "model": self.model,
            "response_format": "json",  # the only one that every model of OpenAI's has
            "temperature": 0.0,
        }
        if language is not None:
            form["language"] = language
        return await self.patiently(lambda: self._transcribed(form), "transcription")

    @property
    def sdk(self) -> Any:
        """Return the openai package's client, for what is no chat; ask it within `patiently`."""
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _completed(self, wanted: dict[str, Any]) -> ChatReply:
        while True:
            support = self._support
            body = support.fitted(wanted) if support else wanted
            # What the package need not know stands beside its own arguments: it would refuse other servers' fields.
            named = {name: body[name] for name in ("model", "messages", "stream") if name in body}
            others = {name: value for name, value in body.items() if name not in named}
            try:
                raw = await self._client.chat.completions.with_raw_response.create(**named, extra_body=others)
            except self._openai.APIStatusError as error:
                may_differ = error.status_code in (400, 422)
                if (
                    support is not None
                    and may_differ
                    and support.learn(wanted, body, error.param, _said(error.response))
                ):
                    continue
                raise
            self._note(raw.headers, refused=False)
            return reply_of(await self._streamed(raw.http_response) if "stream" in body else json.loads(raw.content))

    async def _transcribed(self, form: dict[str, Any]) -> str:
        raw = await self._client.audio.transcriptions.with_raw_response.create(**form)
        return _transcript(raw.headers.get("content-type", ""), raw.content)

    async def patiently(self, ask: Callable[[], Awaitable[Reply]], wanted: str, tokens: int = 0) -> Reply:
        """Ask until there is a reply, a failure that does not pass, or no attempt left.

        Args:
            ask: one attempt; it may raise what the openai package raises.
            wanted: what the reply should be, in words.
            tokens: about how many tokens that costs, for a limit of tokens a minute.

        Raises:
            ChatError: this request cannot be answered.
            ToolkitError: (of the classes given as `unavailable` and `unreachable`) the server cannot be used at all.
        """
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(_Passing),
                stop=self._gives_up,
                wait=_wait,
                sleep=self._sleep,
                reraise=True,
            ):
                with attempt:
                    if self._throttle is None:
                        return await self._once(ask, wanted)
                    async with self._throttle.place(tokens):
                        return await self._once(ask, wanted)
        except _Passing as failure:
            if failure.unreachable:
                raise self._unreachable(
                    f"{self._clean(self.base_url)} does not answer ({failure}); is the server running?"
                ) from None
            tried = attempt.retry_state.attempt_number
            raise ChatError(f"{failure} (tried {tried} times)", permanent=False) from None
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, _Passing) and failure.unreachable and self._has_answered:
            return state.idle_for >= self._patience
        limited = isinstance(failure, _Passing) and failure.limited
        return state.attempt_number >= self._attempts * (MORE_WHEN_LIMITED if limited else 1)

    async def _once(self, ask: Callable[[], Awaitable[Reply]], wanted: str) -> Reply:
        try:
            reply = await ask()
        except self._openai.APITimeoutError as error:
            unreachable = isinstance(error.__cause__, httpx.ConnectTimeout)
            # Whoever has waited that long need not wait longer before the next attempt.
            wait = None if unreachable else 0.0
            raise _Passing("the server did not answer in time", wait=wait, unreachable=unreachable) from None
        except self._openai.APIConnectionError as error:
            # Whoever hangs up in the middle of an answer is there: that is the item's failure, not the run's.
            unreachable = isinstance(error.__cause__, httpx.ConnectError)
            reason = self._clean(f"connection failed: {error.__cause__ or error}")
            raise _Passing(reason, unreachable=unreachable) from None
        except self._openai.APIStatusError as error:
            headers = error.response.headers
            self._note(headers, refused=error.status_code == 429)
            raise self._failed(error.status_code, _said(error.response), headers, error.code) from None
        except UnicodeEncodeError:
            raise ChatError("the request holds half a surrogate pair, which is no text", permanent=True) from None
        except (*NO_COMPLETION, httpx.HTTPError) as error:
            raise _Passing(self._clean(f"the body is no {wanted} ({type(error).__name__})")) from None
        self._has_answered = True
        return reply

    def _note(self, headers: Mapping[str, str], *, refused: bool) -> None:
        if self._throttle is not None:
            self._throttle.answered(headers, refused=refused)

    async def _streamed(self, response: httpx.Response) -> dict[str, Any]:
        """Read a stream to its end; return the completion that it would have been in one piece."""
        try:
            # The transport's limit is one between two pieces, which comments that keep a stream alive never meet.
            async with asyncio.timeout(self._timeout):
                events, done = _events(await response.aread())
        except (TimeoutError, httpx.TimeoutException):
            raise _Passing("the server did not answer in time") from None
        except httpx.HTTPError as error:
            raise _Passing(self._clean(f"connection failed: {error}")) from None
        for event in events:
            if event.get("error"):
                raise self._failed_midway(event["error"])
        completion = _joined(events)
        if not (done or all(choice["finish_reason"] for choice in completion["choices"])):
            raise _Passing("the stream ended half-way")
        return completion

    def _failed_midway(self, error: Any) -> Exception:
        fields = error if isinstance(error, dict) else {"message": error}
        code = fields.get("code")
        # The status line said 200 before it went wrong; some servers name the status that it would have been now.
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        return self._failed(status, str(fields.get("message")), {}, code if isinstance(code, str) else None)

    def _failed(self, status: int, message: str, headers: Mapping[str, str], code: str | None) -> Exception:
        reason = self._clean(f"HTTP {status}: {message}")
        if code == "insufficient_quota":
            return self._unavailable(f"{self._clean(self.base_url)}: the account's quota is used up ({reason})")
        if status in PASSING_STATUS or (status >= 500 and status != NOT_IMPLEMENTED):
            return _Passing(reason, wait=retry_after(headers), limited=status == 429)
        if status in ALWAYS_NO_ACCESS_STATUS or (status in NO_ACCESS_STATUS and not self._has_answered):
            return self._unavailable(
                f"{self._clean(self.base_url)} refuses model '{self.model}' ({reason}); check the model's name, the "
                "address and the key"
            )
        return ChatError(reason, permanent=True)

    def _clean(self, text: str) -> str:
        """Shorten a message for one line, without the key and without credentials in an address."""
        if self._api_key:
            text = text.replace(self._api_key, "***")
        return printable(without_credentials(text))[:300]


def messages_of(system: str | None, turn: str | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a conversation of one user turn, text or content parts, behind the system line where there is one."""
    user = {"role": "user", "content": turn if isinstance(turn, str) else list(turn)}
    return [{"role": "system", "content": system}, user] if system is not None else [user]


def text_part(text: str) -> dict[str, Any]:
    """Return text as a content part of a turn."""
    return {"type": "text", "text": text}


def without_credentials(text: str) -> str:
    """Return text with `user:password@` taken out of every address in it."""
    return re.sub(r"(\w://)[^/?#\s]*@", r"\1", text)


def _check_address(base_url: str) -> None:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        # The address is not repeated: what cannot be taken apart may hold a password anywhere.
        raise UsageError("the server's address cannot be one; expected http://HOST:PORT/v1 or https://HOST/v1")


def _check_key(api_key: str | None) -> None:
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise UsageError("the API key holds a line break or another character that no key has; set it anew")


def _said(response: httpx.Response) -> str:
    """Return what the body of a failed request says, in the forms that servers use; else the body itself."""
    if response.is_redirect:
        return f"moved to {response.headers.get('location')}"
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    for fields in (body.get("error"), body) if isinstance(body, dict) else ():
        if isinstance(fields, dict) and isinstance(fields.get("message"), str):
            return str(fields["message"])
    return str(response.text.strip() or response.reason_phrase)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), at most LONGEST_WAIT."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None


_growing_wait = tenacity.wait_exponential_jitter(initial=1, max=30, jitter=1)


def _wait(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, _Passing) or failure.wait is None:
        growing = _growing_wait(state)
        gone = isinstance(failure, _Passing) and failure.unreachable
        return min(growing, LONGEST_WAIT_WHEN_GONE) if gone else growing
    return failure.wait


# What reading a body raises that is not what was asked for.
NO_COMPLETION = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def _name(value: object) -> str | None:
    return printable(value) if isinstance(value, str) else None


def reply_of(body: Mapping[str, Any]) -> ChatReply:
    """Read a chat completion; anything else raises one of NO_COMPLETION."""
    choices = sorted(body["choices"], key=lambda choice: choice.get("index", 0))
    if not choices:
        raise ValueError("no choices")
    texts = tuple(choice["message"].get("content") for choice in choices)
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("content is no text")
    usage = body.get("usage") or {}
    reasoning = tuple(_reasoning(choice["message"]) for choice in choices)
    return ChatReply(
        texts=texts,
        finish_reasons=tuple(_name(choice.get("finish_reason")) for choice in choices),
        model=_name(body.get("model")) or "",
        fingerprint=_name(body.get("system_fingerprint")),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        reasoning=reasoning if any(reasoning) else (),
        cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
    )


def _transcript(content_type: str, content: bytes) -> str:
    """Read a transcription, JSON or plain text; anything else raises one of NO_COMPLETION."""
    if content_type.startswith("text/plain"):
        return content.decode()
    text = json.loads(content)["text"]
    if not isinstance(text, str):
        raise TypeError("the transcript is no text")
    return text


def _reasoning(message: Mapping[str, Any]) -> str | None:
    """Return what a message, or a piece of one, holds of reasoning; servers use either of two names for it."""
    text = message.get("reasoning_content") or message.get("reasoning")
    return text if isinstance(text, str) and text else None


DONE = b"[DONE]"


def _events(content: bytes) -> tuple[list[dict[str, Any]], bool]:
    """Return a stream's events and whether it says that it is done; anything else raises one of NO_COMPLETION."""
    # Lines of bytes end only where the format says; lines of text would also end at the U+2028 in an answer.
    lines = [line[5:].strip() for line in content.splitlines() if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != DONE], DONE in lines


def _joined(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the completion that a stream's events are the pieces of; each choice's texts are put together."""
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        whole |= {name: event[name] for name in ("model", "system_fingerprint", "usage") if event.get(name)}
        for piece in event.get("choices") or ():
            place = piece.get("index", 0)
            choice = choices.setdefault(place, {"index": place, "message": {}})
            _extend(choice["message"], piece.get("delta") or {})
            choice["finish_reason"] = piece.get("finish_reason") or choice.get("finish_reason")
    return {**whole, "choices": list(choices.values())}


def _extend(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, piece in (("content", delta.get("content")), ("reasoning_content", _reasoning(delta))):
        if piece is not None:
            message[name] = message.get(name, "") + piece
