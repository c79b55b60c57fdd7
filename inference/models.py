"""From what a user types to a model's settings: the rows of models.toml, and what the command line changes in them."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UsageError
from inference import asr

MODELS_FILE = Path(__file__).parent / "models.toml"
DEFAULT_MODEL = "embedded"
Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model a user wants, as typed.

    Attributes:
        model: a name of models.toml, a server's or the hub's id, or a folder; None where another flag names the model.
        backend: a name of `inference.backends`, or module:Class; None lets the model decide.
        base_urls: servers that have the model.
        api_key_env: the variable with their key; None for the usual one.
        asr: a recogniser, for cascades and for the transcript control.
        asr_language: what is spoken, by its ISO 639-1 code; None lets the recogniser tell.
        asr_base_urls: servers that have the recogniser.
        asr_api_key_env: the variable with their key; None for the usual one.
        llm: the text model of a cascade.
        modality: `audio`, `text` or `transcript`.
        max_clips: how many recordings a turn may hold; None leaves that to the model.
        engine: arguments of the engine (vllm, transformers), on top of the row's.
        trust_remote_code: run code that comes with the model.
    """

    model: str | None = None
    backend: str | None = None
    base_urls: tuple[str, ...] = ()
    api_key_env: str | None = None
    asr: str | None = None
    asr_language: str | None = None
    asr_base_urls: tuple[str, ...] = ()
    asr_api_key_env: str | None = None
    llm: str | None = None
    modality: str = "audio"
    max_clips: int | None = None
    engine: Mapping[str, Any] | None = None
    trust_remote_code: bool = False


def known_models() -> dict[str, Settings]:
    """Return the rows of models.toml by model name."""
    return tomllib.loads(MODELS_FILE.read_text(encoding="utf-8"))


def chosen(choice: Choice) -> tuple[str, Settings]:
    """Return the model's name and its settings.

    Raises:
        UsageError: the model is unknown and nothing tells how to reach it, or flags contradict each other.
    """
    if (choice.asr_base_urls or choice.asr_api_key_env) and not (choice.asr or "").startswith("openai:"):
        raise UsageError("--asr_base_url and --asr_api_key_env need --asr openai:MODEL")
    if choice.asr_language and not choice.asr:
        raise UsageError("--asr_language needs --asr")
    if choice.backend == "cascade":
        name, settings = _cascade(choice)
    else:
        if choice.llm:
            raise UsageError("--llm needs --backend cascade")
        name = choice.model or _unnamed(choice)
        settings = _with_flags(_row(name, choice), choice)
    if choice.modality == "transcript":
        if not choice.asr:
            raise UsageError("--modality transcript needs --asr: a recogniser that hears for the model")
        settings = _heard_by(choice.asr, settings, choice)
    elif choice.asr and choice.backend != "cascade":
        raise UsageError("--asr needs --backend cascade or --modality transcript")
    if choice.max_clips:
        settings["max_clips"] = choice.max_clips
    return name, settings


def _unnamed(choice: Choice) -> str:
    """Return what a run is called whose model has no name of its own.

    Raises:
        UsageError: a server or an engine was named, but not its model.
    """
    module, _, class_name = (choice.backend or "").partition(":")
    if class_name:
        return class_name
    if module or choice.base_urls:
        flag = f"--backend {module}" if module else "--base_url"
        raise UsageError(f"{flag} needs --model: what the model is called there, or its folder")
    return DEFAULT_MODEL


def _cascade(choice: Choice) -> tuple[str, Settings]:
    if not choice.asr or not choice.llm:
        raise UsageError("--backend cascade needs both --asr and --llm")
    llm = _with_flags(_row(choice.llm, choice, backend=None), choice)
    return choice.model or f"cascade-{choice.asr}-{choice.llm}", _heard_by(choice.asr, llm, choice)


def _heard_by(name: str, llm: Settings, choice: Choice) -> Settings:
    """Return the settings of a cascade; what concerns the run as a whole is the text model's.

    Raises:
        UsageError: there is no such recogniser.
    """
    asr.kind_and_model(name)
    settings: Settings = {name: llm[name] for name in ("label", "languages", "sampling", "concurrency") if name in llm}
    settings |= {"backend": "cascade", "asr": name}
    if choice.asr_language:
        settings["asr_language"] = choice.asr_language
    if choice.asr_base_urls:
        settings["asr_base_url"] = list(choice.asr_base_urls)
    if choice.asr_api_key_env:
        settings["asr_api_key_env"] = choice.asr_api_key_env
    if choice.trust_remote_code:
        settings["trust_remote_code"] = True
    # Of a model that is a cascade itself, only the half that answers is wanted.
    return {**settings, "llm": llm["llm"] if llm["backend"] == "cascade" else llm}


def _row(name: str, choice: Choice, *, backend: str | None = "") -> Settings:
    """Return the model's row with its back end settled; `backend` replaces the choice's where it is not ''."""
    wanted = choice.backend if backend == "" else backend
    row = known_models().get(name)
    if wanted or choice.base_urls:
        return _on(wanted or "openai", {"id": name, **(row or {})})
    if row is not None:
        settings = {"id": name, **row}
        if isinstance(settings.get("llm"), str):
            settings["llm"] = {"id": settings["llm"], **known_models()[settings["llm"]]}
        if settings["backend"] == "vllm" and not _installed("vllm") and _installed("transformers"):
            return _on("transformers", settings)
        return settings
    if Path(name).is_dir():
        return {"id": name, "backend": "vllm" if _installed("vllm") else "transformers"}
    raise UsageError(
        f"unknown model '{name}': give its server with --base_url, or a folder, or --backend; "
        "--list_models shows what is known"
    )


def _on(backend: str, settings: Settings) -> Settings:
    """Return settings for another back end than the row's: its engine's arguments would mean nothing there."""
    kept = dict(settings)
    if settings.get("backend") != backend:
        for name in ("engine", "lora"):
            kept.pop(name, None)
    return {**kept, "backend": backend}


def _with_flags(settings: Settings, choice: Choice) -> Settings:
    changed = dict(settings)
    if choice.base_urls:
        changed["base_url"] = list(choice.base_urls)
    if choice.api_key_env:
        changed["api_key_env"] = choice.api_key_env
    if choice.engine:
        changed["engine"] = {**changed.get("engine", {}), **choice.engine}
    if choice.trust_remote_code:
        changed["trust_remote_code"] = True
    return changed


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
