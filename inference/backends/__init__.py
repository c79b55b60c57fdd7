"""Ways to reach a speech model: one file each, imported only when chosen.

A back end is a class with `answer`, `rendered` and `close`; its factory takes the model's settings: the row of
models.toml with what the command line changes in it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from data.audio import Clip
from data.errors import UsageError
from data.records import ItemId
from inference.chat import Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """One user turn, ready to be sent: recordings, and behind them what is asked in writing.

    Attributes:
        clips: the recordings, at the model's sampling rate, in order; none where the turn is text.
        text: what is asked in writing: beside recordings, or alone (the controls, and what a cascade heard); None where
            the recordings say it all.
        system: the system line, or None.
        sampling: how tokens are drawn.
        id: the item that is asked; None in the preflight.
        options: answers whose likelihood is asked for; none where the model is to write one.
    """

    clips: tuple[Clip, ...]
    text: str | None
    system: str | None
    sampling: Sampling
    id: ItemId | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Attributes:
        text: the answer; None when the model gave none, then `error` says why.
        error: reason of the failure, or None.
        permanent: whether asking again cannot help.
        finish_reason: `stop`, `length` (cut at max_tokens), ...; None where the back end does not tell.
        prompt_tokens: tokens of the whole prompt, audio included; None where the back end does not count.
        completion_tokens: tokens of the answer; None likewise.
        reasoning: what the model thought aloud before its answer, where the server keeps it apart.
        transcript: what a cascade's recogniser heard.
        option_scores: the score of each option that the request names (see `likelihood`); `text` is the best of them.
    """

    text: str | None
    error: str | None = None
    permanent: bool = False
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning: str | None = None
    transcript: str | None = None
    option_scores: Mapping[str, float] | None = None


class Backend(Protocol):
    """A loaded model. One item's failure is an Answer with an error; what ends the run is a ModelError.

    It may have an attribute `revisions`: the hub's commits of the weights that it loaded, by what they are (`model`,
    `asr`). They go into run.json.
    """

    async def answer(self, request: Request) -> Answer:
        """Answer one request; called concurrently, from one event loop."""
        ...

    def rendered(self, request: Request) -> str:
        """Return the exact prompt of a request as text, with a placeholder where the audio stands."""
        ...

    async def close(self) -> None:
        """Free what the model holds."""
        ...


# Back end name -> module:factory.
BACKENDS = {
    "cascade": "inference.backends.cascade:load",
    "embedded": "inference.backends.embedded:EmbeddedLlm",
    "openai": "inference.backends.openai_server:OpenAIServer",
    "ray": "inference.backends.ray_cluster:RayCluster",  # --engine ray: any of the others, in replicas
    "transformers": "inference.backends.transformers_model:TransformersModel",
    "vllm": "inference.backends.vllm_engine:VllmEngine",
}
# Those that can tell how likely given answers are.
SCORING = ("transformers", "vllm")


def answering(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the model that answers: in a cascade, the text model's."""
    llm = settings.get("llm")
    return answering(llm) if settings.get("backend") == "cascade" and isinstance(llm, Mapping) else settings


def max_clips(settings: Mapping[str, Any]) -> int | None:
    """Return how many recordings a turn of a model may hold; None for any number. A class of one's own gets one."""
    own: int | None = settings.get("max_clips", 1 if ":" in settings.get("backend", "") else None)
    return own


def load_backend(settings: Mapping[str, Any]) -> Backend:
    """Return the loaded back end that a model's settings name.

    Raises:
        UsageError: there is no such back end, or it misses a setting.
        ModelError: the model cannot be loaded.
    """
    name = settings["backend"]
    if ":" in name:
        from inference.backends.custom import CustomModel

        return CustomModel(name, settings)
    if name not in BACKENDS:
        raise UsageError(f"unknown back end '{name}'; known: {', '.join(BACKENDS)}, or module:Class of your own")
    module, _, factory = BACKENDS[name].partition(":")
    return cast(Backend, getattr(importlib.import_module(module), factory)(settings))
