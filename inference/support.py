"""What a server takes of the chat-completions form: learned from what it refuses, never from extra calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What a refusal of a parameter, as opposed to one of its value, says.
_REFUSED = re.compile(
    r"unsupported|not (?:yet )?support|n't support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|"
    r"extra inputs|unavailable|not available|only the default|must be 1\b|at most 1\b|only 1\b|only one",
    re.IGNORECASE,
)
_FORM = re.compile(r"response_format|json_schema|json_object|structured output|schema|grammar", re.IGNORECASE)
_NEVER_DROPPED = frozenset({"model", "messages", "max_tokens", "max_completion_tokens"})
RENAMED = {"max_tokens": "max_completion_tokens"}
LEFT_OUT = "left out"
AS_OBJECT = "Reply with one JSON object that fits this JSON schema, and with nothing beside it: "


class Support:
    """What one server refused so far, and how requests are changed because of it.

    Attributes:
        learned: parameter -> its new name, the weaker form that is sent instead, or `left out`.
    """

    def __init__(self) -> None:
        """Take everything as supported."""
        self.learned: dict[str, str] = {}

    def fitted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request as the server takes it."""
        fitted = dict(body)
        for name, instead in self.learned.items():
            if name not in fitted:
                continue
            value = fitted.pop(name)
            if name in RENAMED:
                fitted[instead] = value
            elif name == "response_format" and instead == "json_object":
                fitted = _as_object(fitted, value)
        return fitted

    def learn(self, body: Mapping[str, Any], sent: Mapping[str, Any], parameter: str | None, message: str) -> bool:
        """Take note of a refusal (400 or 422); return whether the request has a form that was not refused yet.

        Args:
            body: the request as it was wanted.
            sent: the request as it was sent.
            parameter: what the server names as the culprit, if it does.
            message: what it says.
        """
        if self.fitted(body) != sent:
            return True  # another request in flight has met the same refusal before
        name = (parameter or "").partition(".")[0]
        if name not in sent:
            name = _named(sent, message)
        if name == "max_tokens" and RENAMED[name] in message:
            self.learned[name] = RENAMED[name]
        elif name == "response_format":
            strict = sent[name].get("type") == "json_schema"
            self.learned[name] = "json_object" if strict else LEFT_OUT
        elif name and name not in _NEVER_DROPPED and _REFUSED.search(message):
            self.learned[name] = LEFT_OUT
        return self.fitted(body) != sent


def _named(sent: Mapping[str, Any], message: str) -> str:
    """Return the parameter that a message is about; empty where it names none that was sent."""
    for name in sorted(sent, key=len, reverse=True):
        # A name as short as `n` is one only in quotes.
        before, behind = (r"(?<!\w)", r"(?!\w)") if len(name) > 2 else ("['\"`]", "['\"`]")
        if re.search(before + re.escape(name) + behind, message):
            return name
    return "response_format" if "response_format" in sent and _FORM.search(message) else ""


def _as_object(body: dict[str, Any], strict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request for any JSON object; the schema, which the server does not keep to, is told in words."""
    system, *rest = body["messages"]
    schema = json.dumps(strict["json_schema"]["schema"], ensure_ascii=False)
    told = {**system, "content": f"{system['content']}\n\n{AS_OBJECT}{schema}"}
    return {**body, "messages": [told, *rest], "response_format": {"type": "json_object"}}
