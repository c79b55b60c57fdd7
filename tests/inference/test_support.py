"""What servers refuse, in their own words, and what is sent instead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference.chat import ChatClient, ChatError, Sampling
from inference.support import AS_OBJECT, LEFT_OUT, Support

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grade."}],
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 10,
    "n": 4,
    "seed": 1,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}},
}


def learned(parameter: str | None, message: str) -> dict[str, str]:
    """Return what is learned from one refusal of the whole body."""
    support = Support()
    changed = support.learn(BODY, BODY, parameter, message)
    assert changed == bool(support.learned)
    return support.learned


@pytest.mark.parametrize(
    ("parameter", "message", "expected"),
    [
        (
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use max_completion_tokens.",
            {"max_tokens": "max_completion_tokens"},
        ),
        (None, "max_tokens is unknown, use max_completion_tokens", {"max_tokens": "max_completion_tokens"}),
        ("max_tokens", "max_tokens is too large: 4096", {}),
        (None, "This model's maximum context length is 8192 tokens, max_tokens included", {}),
        (
            "temperature",
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) is.",
            {"temperature": LEFT_OUT},
        ),
        (None, "`temperature` isn't supported", {"temperature": LEFT_OUT}),
        ("temperature", "temperature must be between 0 and 0.4", {}),
        (None, "[{'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]", {"seed": LEFT_OUT}),
        ("n", "'n' : number must be at most 1", {"n": LEFT_OUT}),
        (None, "Unknown field: 'n'", {"n": LEFT_OUT}),
        (None, "not supported: an 'n' that nobody quoted is no parameter", {"n": LEFT_OUT}),
        (None, "no choice but to be unsupported in general", {}),
        (
            "response_format",
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            {"response_format": "json_object"},
        ),
        (None, "This response_format type is unavailable now", {"response_format": "json_object"}),
        ("text.format", "structured outputs are off", {"response_format": "json_object"}),
        (None, "failed to parse grammar", {"response_format": "json_object"}),
        ("messages", "messages: unsupported role", {}),
        ("model", "unknown model", {}),
        (None, "the prompt is too long", {}),
        (None, "", {}),
    ],
)
def test_a_refusal_says_what_to_change(parameter: str | None, message: str, expected: dict[str, str]) -> None:
    """A refused parameter is renamed, weakened or left out; a refused value, or anything else, changes nothing."""
    assert learned(parameter, message) == expected


def test_a_form_is_given_up_step_by_step() -> None:
    """From a schema to any object, whose schema is then told in words, to plain text."""
    support = Support()
    assert support.learn(BODY, support.fitted(BODY), "response_format", "not supported")
    first = support.fitted(BODY)
    assert first["response_format"] == {"type": "json_object"}
    assert first["messages"][0]["content"].startswith("Be brief.")
    assert AS_OBJECT in first["messages"][0]["content"]
    assert '"properties"' in first["messages"][0]["content"]
    assert first["messages"][1:] == BODY["messages"][1:]
    assert support.learn(BODY, first, "response_format", "not supported")
    last = support.fitted(BODY)
    assert "response_format" not in last
    assert last["messages"] == BODY["messages"]
    assert not support.learn(BODY, last, "response_format", "not supported")


def test_what_another_request_has_learned_is_tried_before_giving_up() -> None:
    """Of many in flight, the first refusal teaches; the others are sent again in the new form, whatever was said."""
    support = Support()
    assert support.learn(BODY, BODY, "seed", "unsupported")
    assert support.learn(BODY, BODY, None, "unsupported 'seed'")
    assert support.learned == {"seed": LEFT_OUT}
    assert not support.learn(BODY, support.fitted(BODY), None, "bad words in the prompt")


def test_the_wanted_request_is_left_as_it_is() -> None:
    """Fitting returns a request of its own."""
    before = {**BODY, "messages": list(BODY["messages"])}
    support = Support()
    for name in ("temperature", "seed", "response_format", "n"):
        support.learn(BODY, support.fitted(BODY), name, "unsupported")
    assert set(support.fitted(BODY)) == {"model", "messages", "top_p", "max_tokens", "response_format"}
    assert before == BODY


def test_a_strict_server_is_asked_in_its_own_form(scripted_server: Any) -> None:
    """A server that refuses one parameter after the other costs one refusal each, once for all requests."""

    def react(call: Any) -> Any:
        for name, words in (
            ("max_tokens", "unsupported, use max_completion_tokens"),
            ("temperature", "unsupported"),
            ("seed", "unsupported"),
        ):
            if name in call.body:
                error = {"message": f"'{name}': {words}", "param": name, "code": "unsupported_parameter"}
                return scripted_server.Reaction(status=400, body={"error": error})
        return scripted_server.Reaction(body=scripted_server.completion("fine"))

    scripted_server.react = react
    support = Support()

    async def main() -> None:
        client = ChatClient(scripted_server.base_url, "m", support=support)
        for _ in range(3):
            reply = await client.complete(BODY["messages"], Sampling(0.5, 0.9, 10, 1))
            assert reply.texts == ("fine",)
        await client.close()

    asyncio.run(main())
    assert len(scripted_server.calls) == 3 + 3
    assert scripted_server.calls[-1].body["max_completion_tokens"] == 10
    assert support.learned == {"max_tokens": "max_completion_tokens", "temperature": LEFT_OUT, "seed": LEFT_OUT}


def test_without_support_a_refusal_is_the_item_s(scripted_server: Any) -> None:
    """A client that is to send what it was told never leaves a parameter out."""
    error = {"message": "'seed' is unsupported", "param": "seed"}
    scripted_server.react = lambda _: scripted_server.Reaction(status=400, body={"error": error})

    async def main() -> None:
        client = ChatClient(scripted_server.base_url, "m")
        with pytest.raises(ChatError, match="'seed' is unsupported"):
            await client.complete(BODY["messages"], Sampling(0.5, 0.9, 10, 1))
        await client.close()

    asyncio.run(main())
    assert len(scripted_server.calls) == 1
