"""Ways to reach a speech model: one file each, imported only when chosen."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from inference.chat import Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """One spoken request, ready to be sent.

    Attributes:
        audio: the file with the speech.
        system: the system line, or None.
        sampling: how tokens are drawn.
    """

    audio: Path
    system: str | None
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Attributes:
        text: the answer; None when the model gave none, then `error` says why.
        error: reason of the failure, or None.
        permanent: whether asking again cannot help.
        extra: further fields for the item's line (a cascade's `asr_transcript`, say).
    """

    text: str | None
    error: str | None = None
    permanent: bool = False
    extra: Mapping[str, Any] | None = None


class Backend(Protocol):
    """A loaded model. One item's failure is an Answer with an error; what ends the run is a ModelError."""

    async def answer(self, request: Request) -> Answer:
        """Answer one spoken request."""
        ...

    async def close(self) -> None:
        """Free what the model holds."""
        ...


# Backend name -> module:factory. A factory takes the model's row of models.toml and returns a Backend.
BACKENDS = {
    "embedded": "inference.backends.embedded:EmbeddedCascade",
}


def load_backend(model: Mapping[str, Any]) -> Backend:
    """Return the loaded back end that a row of models.toml names.

    Raises:
        ModelError: the model cannot be loaded.
    """
    module, _, factory = BACKENDS[model["backend"]].partition(":")
    return cast(Backend, getattr(importlib.import_module(module), factory)(model))
