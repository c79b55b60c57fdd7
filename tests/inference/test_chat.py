"""The chat client against a server that does everything wrong that servers do."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import JudgeUnavailable, ModelError, ToolkitError, UsageError
from inference.chat import (
    LONGEST_WAIT,
    LONGEST_WAIT_WHEN_GONE,
    PATIENCE,
    ChatClient,
    ChatError,
    ChatReply,
    Sampling,
    retry_after,
    without_credentials,
)

SAMPLING = Sampling(temperature=0.25, top_p=0.5, max_tokens=17, seed=3)
MESSAGES = [{"role": "user", "content": "Say it."}]
KEY = "sk-very-secret-0123456789"


class Waits(list[float]):
    """Stands in for sleeping: keeps what was asked for and returns at once."""

    async def __call__(self, seconds: float) -> None:
        """Keep the wait."""
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    """The waits between attempts, none of which takes time."""
    return Waits()


@pytest.fixture
def ask(scripted_server: Any, waits: Waits) -> Callable[..., list[ChatReply | BaseException]]:
    """A function that sends requests one after another through one client; returns each one's reply or error."""

    def send(times: int = 1, *, base_url: str = "", n: int = 1, extra: Any = None, **options: Any) -> list[Any]:
        async def all_of_them() -> list[Any]:
            client = ChatClient(
                base_url or scripted_server.base_url, "some-model", **{"sleep": waits, "attempts": 3, **options}
            )
            came: list[Any] = []
            for _ in range(times):
                try:
                    came.append(await client.complete(MESSAGES, SAMPLING, n=n, extra=extra))
                except (ChatError, ToolkitError) as error:
                    came.append(error)
            await client.close()
            return came

        return asyncio.run(all_of_them())

    return send


def in_turn(server: Any, reactions: Sequence[Any]) -> None:
    """Let a server react in turn; the last reaction stays."""
    server.react = lambda _: reactions[min(len(server.calls), len(reactions)) - 1]


def failing(server: Any, status: int, message: str = "no", **more: Any) -> Any:
    """Return a reaction with an error object in OpenAI's form."""
    headers = more.pop("headers", {})
    return server.Reaction(status=status, body={"error": {"message": message, **more}}, headers=headers)


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_request_carries_every_parameter(scripted_server: Any, ask: Any) -> None:
    """Sampling, seed, n, the messages and further fields stand in the request's body; the key in its header."""
    ask(n=2, extra={"repeat_penalty": 1.5}, api_key=KEY)
    (call,) = scripted_server.calls
    assert call.path == "/v1/chat/completions"
    assert call.body == {
        "model": "some-model",
        "messages": MESSAGES,
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 17,
        "seed": 3,
        "n": 2,
        "repeat_penalty": 1.5,
    }
    headers = {name.lower(): value for name, value in call.headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"


def test_what_was_not_asked_for_is_not_sent(scripted_server: Any) -> None:
    """Without a seed and with one choice, neither `seed` nor `n` is sent: some servers refuse what they do not know."""

    async def once() -> None:
        client = ChatClient(scripted_server.base_url, "some-model")
        await client.complete(MESSAGES, Sampling(0.0, 1.0, 5))
        await client.close()

    asyncio.run(once())
    assert scripted_server.calls[0].body.keys() == {"model", "messages", "temperature", "top_p", "max_tokens"}


def test_a_reply_is_read_whole(scripted_server: Any, ask: Any) -> None:
    """Texts, reasons, model, fingerprint and token counts come back."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion("one", None))
    assert ask(n=2) == [ChatReply(("one", None), ("stop", "stop"), "scripted-1", "fp_scripted", 7, 6)]


def test_choices_are_ordered_by_index(scripted_server: Any, ask: Any) -> None:
    """A server may list its choices in any order; their index counts."""
    body = scripted_server.completion("zero", "one", "two")
    body["choices"].reverse()
    scripted_server.react = lambda _: scripted_server.Reaction(body=body)
    assert ask(n=3)[0].texts == ("zero", "one", "two")


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_a_server_that_does_not_count_tokens_is_fine(usage: Any, scripted_server: Any, ask: Any) -> None:
    """Token counts are 0 where the server gives none."""
    scripted_server.react = lambda _: scripted_server.Reaction(
        body={**scripted_server.completion("fine"), "usage": usage}
    )
    (reply,) = ask()
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)


@pytest.mark.parametrize("field", ["model", "system_fingerprint"])
@pytest.mark.parametrize("value", [{"a": 1}, 3, None, "\ud800\n"])
def test_odd_names_become_plain_text_or_nothing(field: str, value: Any, scripted_server: Any, ask: Any) -> None:
    """What a server says about itself is later stored and shown, so only printable text is taken."""
    scripted_server.react = lambda _: scripted_server.Reaction(
        body={**scripted_server.completion("fine"), field: value}
    )
    (reply,) = ask()
    for name in (reply.model, reply.fingerprint):
        assert not name or name.isprintable()


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_passes_is_tried_again(status: int, scripted_server: Any, ask: Any, waits: Waits) -> None:
    """Two failures and a success are a success after three calls with growing waits."""
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    bad = failing(scripted_server, status)
    in_turn(scripted_server, [bad, bad, fine])
    (reply,) = ask()
    assert reply.texts == ("fine",)
    assert len(scripted_server.calls) == 3
    assert 1 <= waits[0] <= 2 <= waits[1] <= 3


@pytest.mark.parametrize(("status", "tries"), [(408, 3), (409, 3), (429, 12), (500, 3), (503, 3)])
def test_what_does_not_pass_ends_the_item(status: int, tries: int, scripted_server: Any, ask: Any) -> None:
    """After the last attempt the item has a passing error; exactly `attempts` calls prove openai's retries off.

    A 429 says that the request is good and only too early: it gets four times as many.
    """
    scripted_server.react = lambda _: failing(scripted_server, status, "busy today")
    (error,) = ask()
    assert isinstance(error, ChatError)
    assert not error.permanent
    assert str(error) == f"HTTP {status}: busy today (tried {tries} times)"
    assert len(scripted_server.calls) == tries


def test_six_attempts_are_the_default(scripted_server: Any, waits: Waits) -> None:
    """Nobody who names no number of attempts gets more or fewer than six."""
    scripted_server.react = lambda _: failing(scripted_server, 500)

    async def once() -> None:
        client = ChatClient(scripted_server.base_url, "some-model", sleep=waits)
        with pytest.raises(ChatError, match="tried 6 times"):
            await client.complete(MESSAGES, SAMPLING)
        await client.close()

    asyncio.run(once())
    assert len(scripted_server.calls) == 6
    assert len(waits) == 5


@pytest.mark.parametrize(
    ("header", "lowest", "highest"),
    [
        (lambda: "7", 7, 7),
        (lambda: "0.25", 0.25, 0.25),
        (lambda: "0", 0, 0),
        (lambda: "-5", 0, 0),
        (lambda: "86400", LONGEST_WAIT, LONGEST_WAIT),
        (lambda: email.utils.formatdate(time.time() + 20, usegmt=True), 15, 20),
        (lambda: email.utils.formatdate(time.time() - 60, usegmt=True), 0, 0),
        (lambda: "soon", 1, 2),  # unreadable: our own wait
    ],
    ids=["seconds", "part of one", "at once", "negative", "a day", "date", "past date", "unreadable"],
)
def test_retry_after_is_honoured(
    header: Callable[[], str], lowest: float, highest: float, scripted_server: Any, ask: Any, waits: Waits
) -> None:
    """The wait is the server's, as seconds or as an HTTP date, within bounds."""
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    in_turn(scripted_server, [failing(scripted_server, 429, headers={"retry-after": header()}), fine])
    ask()
    assert len(waits) == 1
    assert lowest <= waits[0] <= highest


@given(st.text())
def test_no_retry_after_header_raises(value: str) -> None:
    """Whatever the header holds, the wait is a number within bounds or None."""
    seconds = retry_after({"retry-after": value})
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_bad_request_ends_the_item_for_good(status: int, scripted_server: Any, ask: Any) -> None:
    """What the server will never take is not sent twice."""
    scripted_server.react = lambda _: failing(scripted_server, status, "too long")
    (error,) = ask()
    assert isinstance(error, ChatError)
    assert error.permanent
    assert str(error) == f"HTTP {status}: too long"
    assert len(scripted_server.calls) == 1


def test_half_a_character_ends_the_item_for_good(scripted_server: Any, ask: Any) -> None:
    """What cannot be sent at all is our text's fault: no server is blamed, and nothing is tried again."""
    (error,) = ask(extra={"note": "\ud800"})
    assert isinstance(error, ChatError)
    assert error.permanent
    assert str(error) == "the request holds half a surrogate pair, which is no text"
    assert not scripted_server.calls


@pytest.mark.parametrize("unavailable", [ModelError, JudgeUnavailable])
@pytest.mark.parametrize("status", [307, 401, 402, 403, 404, 405])
def test_no_access_ends_the_run(status: int, unavailable: Any, scripted_server: Any, ask: Any) -> None:
    """Before any success, a refusal or a wrong address ends the run at once, with the caller's error class."""
    scripted_server.react = lambda _: failing(scripted_server, status, "not you", headers={"location": "/else"})
    (error,) = ask(unavailable=unavailable)
    assert type(error) is unavailable
    assert "refuses model 'some-model'" in str(error)
    assert f"HTTP {status}" in str(error)
    assert len(scripted_server.calls) == 1


@pytest.mark.parametrize(
    ("status", "ends_the_run"), [(401, True), (402, True), (403, False), (404, False), (405, False)]
)
def test_after_a_success_a_refusal_may_be_the_item_s(
    status: int, ends_the_run: bool, scripted_server: Any, ask: Any
) -> None:
    """403 and 404 after a success concern the item (a content filter, say); a lost key or account still ends all."""
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    in_turn(scripted_server, [fine, failing(scripted_server, status)])
    _, error = ask(2)
    assert isinstance(error, ModelError if ends_the_run else ChatError)
    assert ends_the_run or error.permanent


@pytest.mark.parametrize("after_a_success", [False, True])
def test_a_used_up_quota_ends_the_run(after_a_success: bool, scripted_server: Any, ask: Any) -> None:
    """429 with insufficient_quota does not pass, whatever was answered before."""
    fine = scripted_server.Reaction(body=scripted_server.completion("fine"))
    poor = failing(scripted_server, 429, "You exceeded your current quota", code="insufficient_quota")
    in_turn(scripted_server, [fine, poor] if after_a_success else [poor])
    *_, error = ask(2 if after_a_success else 1)
    assert isinstance(error, ModelError)
    assert "quota is used up" in str(error)
    assert len(scripted_server.calls) == 1 + after_a_success


NO_COMPLETIONS: dict[str, Any] = {
    "HTML": b"<html><body>Welcome to the hotel's network</body></html>",
    "nothing": b"",
    "not UTF-8": b"\xff\xfe{}",
    "cut JSON": b'{"choices": [{"mess',
    "a list": b"[]",
    "null": b"null",
    "other JSON": {"status": "ok"},
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "a choice without message": {"choices": [{"index": 0}]},
    "choices as text": {"choices": "abc"},
    "content as list": {"choices": [{"index": 0, "message": {"content": ["a"]}}]},
    "mixed indices": {"choices": [{"index": i, "message": {"content": "a"}} for i in (0, "1")]},
    "infinite tokens": b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": Infinity}}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", NO_COMPLETIONS)
def test_a_body_that_is_no_completion_is_tried_again(kind: str, scripted_server: Any, ask: Any) -> None:
    """A proxy's page or a cut body may pass; it never crashes, and in the end it is the item's passing error."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=NO_COMPLETIONS[kind])
    (error,) = ask()
    assert isinstance(error, ChatError)
    assert not error.permanent
    assert str(error).startswith("the body is no chat completion")
    assert len(scripted_server.calls) == 3


def test_content_null_is_a_reply(scripted_server: Any, ask: Any) -> None:
    """A choice without content is what the model said: nothing. It is not asked again."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion(None))
    assert ask()[0].texts == (None,)
    assert len(scripted_server.calls) == 1


def test_a_torn_body_is_the_item_s_error(scripted_server: Any, ask: Any) -> None:
    """A server that hangs up in the middle is there, so the run goes on."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion("fine"), torn=True)
    (error,) = ask()
    assert isinstance(error, ChatError)
    assert not error.permanent
    assert "connection failed" in str(error)
    assert len(scripted_server.calls) == 3


def test_a_torn_body_may_pass(scripted_server: Any, ask: Any) -> None:
    """After a torn body the whole one counts."""
    torn = scripted_server.Reaction(body=scripted_server.completion("half"), torn=True)
    in_turn(scripted_server, [torn, scripted_server.Reaction(body=scripted_server.completion("whole"))])
    assert ask()[0].texts == ("whole",)


def test_a_hanging_server_meets_the_time_limit(scripted_server: Any, ask: Any) -> None:
    """A request that takes longer than the limit is given up and tried again, then it is the item's error."""
    scripted_server.react = lambda _: scripted_server.Reaction(wait=60, body=scripted_server.completion("late"))
    (error,) = ask(timeout=0.1, attempts=2)
    assert isinstance(error, ChatError)
    assert "did not answer in time" in str(error)


@pytest.mark.parametrize("unavailable", [ModelError, JudgeUnavailable])
def test_nobody_listening_ends_the_run(unavailable: Any, unused_port: int, ask: Any, waits: Waits) -> None:
    """A server that is not there is tried for a while (it may be starting), then it ends the run."""
    (error,) = ask(base_url=f"http://127.0.0.1:{unused_port}/v1", unavailable=unavailable)
    assert type(error) is unavailable
    assert "does not answer" in str(error)
    assert "is the server running?" in str(error)
    assert len(waits) == 2


def test_a_server_that_goes_away_ends_the_run(scripted_server: Any, waits: Waits) -> None:
    """A server that answered and then stays away is waited for, then the run ends, instead of failing every item."""
    scripted_server.react = lambda _: scripted_server.Reaction(
        body=scripted_server.completion("fine"), headers={"connection": "close"}
    )

    async def both() -> None:
        client = ChatClient(scripted_server.base_url, "some-model", attempts=2, sleep=waits)
        await client.complete(MESSAGES, SAMPLING)
        scripted_server.close()
        with pytest.raises(ModelError, match="does not answer"):
            await client.complete(MESSAGES, SAMPLING)
        assert PATIENCE <= sum(waits) <= PATIENCE + LONGEST_WAIT_WHEN_GONE
        assert max(waits) <= LONGEST_WAIT_WHEN_GONE
        await client.close()

    asyncio.run(both())


def test_a_server_that_comes_back_is_asked_on(scripted_server: Any) -> None:
    """A server that is gone for a minute costs a wait, and nothing else."""
    port = int(scripted_server.base_url.rpartition(":")[2].removesuffix("/v1"))
    scripted_server.react = lambda _: scripted_server.Reaction(
        body=scripted_server.completion("fine"), headers={"connection": "close"}
    )
    waited: list[float] = []
    returned: list[Any] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) > 60 and not returned:
            returned.append(type(scripted_server)(port))

    async def both() -> None:
        client = ChatClient(scripted_server.base_url, "some-model", sleep=sleep)
        await client.complete(MESSAGES, SAMPLING)
        scripted_server.close()
        assert (await client.complete(MESSAGES, SAMPLING)).texts == ("fine",)
        await client.close()

    asyncio.run(both())
    assert sum(waited) > 60
    assert len(returned[0].calls) == 1
    returned[0].close()


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_the_key_never_shows(status: int, scripted_server: Any, ask: Any) -> None:
    """A server that repeats the key in its message does not get it into ours."""
    scripted_server.react = lambda _: failing(scripted_server, status, f"Incorrect API key: {KEY}.")
    (error,) = ask(api_key=KEY)
    assert KEY not in str(error)
    assert "***" in str(error)


@pytest.mark.parametrize("password", ["word", "w@rd", "w@r@d"])
def test_credentials_in_the_address_never_show(password: str, scripted_server: Any, unused_port: int, ask: Any) -> None:
    """`user:password@` is kept out of every message, and the server gets it."""
    gone = f"http://someone:{password}@127.0.0.1:{unused_port}/v1"
    address = scripted_server.base_url.replace("://", f"://someone:{password}@")
    scripted_server.react = lambda _: failing(scripted_server, 401, f"no access to {address}")
    for url in (gone, address):
        (error,) = ask(base_url=url)
        assert isinstance(error, ModelError)
        assert not any(part in str(error) for part in ("someone", password, "w@", "@d"))
    headers = {name.lower(): value for name, value in scripted_server.calls[0].headers.items()}
    assert headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "url", ["", "localhost:8000/v1", "ftp://host/v1", "http://", "http://user:pass/word@host/v1", "http://[::1/v1"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    """What cannot be an address is a wrong flag: no attempt, no traceback, and no password repeated."""
    with pytest.raises(UsageError, match="expected http://") as caught:
        ChatClient(url, "some-model")
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("key", [KEY + "\n", KEY + "\r", "sk-s\u00e9cret"])
def test_a_key_that_no_header_can_carry_is_refused_at_once(key: str, scripted_server: Any) -> None:
    """A key with a line break would be repeated by the transport's own message."""
    with pytest.raises(UsageError) as caught:
        ChatClient(scripted_server.base_url, "some-model", api_key=key)
    assert "cret" not in str(caught.value)


def test_loopback_needs_no_proxy(
    scripted_server: Any, ask: Any, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is not asked for a server on this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
    assert ask()[0].texts == ("fine",)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://a:b@host/v1", "http://host/v1"),
        ("http://a:b@c@host/v1", "http://host/v1"),
        ("see http://a@h/x and https://c:d@i/y", "see http://h/x and https://i/y"),
        ("http://host/v1?mail=me@example.org", "http://host/v1?mail=me@example.org"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_only_credentials_are_taken_out(text: str, clean: str) -> None:
    """Addresses lose what stands before their last @; other text stays."""
    assert without_credentials(text) == clean


def test_messages_are_one_short_line(scripted_server: Any, ask: Any) -> None:
    """A server's long message with control characters becomes one printable line."""
    scripted_server.react = lambda _: failing(scripted_server, 400, "bad\n\x1b[31m" + "x" * 5000)
    (error,) = ask()
    assert str(error).isprintable()
    assert len(str(error)) <= 300


@pytest.mark.parametrize("body", [{"detail": "field required"}, {"object": "error", "message": "field required"}])
def test_other_servers_messages_are_understood(body: Any, scripted_server: Any, ask: Any) -> None:
    """Servers that do not use OpenAI's form of errors still say what was wrong."""
    scripted_server.react = lambda _: scripted_server.Reaction(status=422, body=body)
    assert "field required" in str(ask()[0])
