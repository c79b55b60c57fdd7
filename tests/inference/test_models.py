"""From what a user types to a model's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import UsageError
from inference import models
from inference.models import Choice, chosen


def test_the_default_is_the_embedded_cascade() -> None:
    """A bare command gets the embedded model, with its text model's settings inside."""
    name, settings = chosen(Choice())
    assert (name, settings["backend"], settings["asr"]) == ("embedded", "cascade", "embedded")
    assert settings["llm"]["backend"] == "embedded"


def test_an_unknown_model_needs_a_way() -> None:
    """An unknown name is refused with the ways that there are."""
    with pytest.raises(UsageError, match=r"unknown model 'mine': give its server with --base_url"):
        chosen(Choice(model="mine"))


def test_a_server_makes_any_name_known() -> None:
    """With --base_url the name is what the servers call the model."""
    urls = ("http://one:8000/v1", "http://two:8000/v1")
    name, settings = chosen(Choice(model="mine", base_urls=urls, api_key_env="MY_KEY"))
    assert name == "mine"
    assert settings == {"id": "mine", "backend": "openai", "base_url": list(urls), "api_key_env": "MY_KEY"}


@pytest.mark.parametrize(
    ("installed", "backend"), [({"vllm", "transformers"}, "vllm"), ({"transformers"}, "transformers")]
)
def test_a_folder_is_loaded_by_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: set[str], backend: str
) -> None:
    """A checkpoint's folder goes to vLLM where that is installed, else to transformers."""
    monkeypatch.setattr(models, "_installed", installed.__contains__)
    _, settings = chosen(Choice(model=str(tmp_path)))
    assert settings == {"id": str(tmp_path), "backend": backend}


def test_flags_change_the_row(tmp_path: Path) -> None:
    """Engine arguments add to the row's, remote code is off unless asked for, --backend wins."""
    choice = Choice(model=str(tmp_path), backend="transformers", engine={"dtype": "float32"}, trust_remote_code=True)
    _, settings = chosen(choice)
    assert settings["engine"] == {"dtype": "float32"}
    assert settings["trust_remote_code"] is True
    assert "trust_remote_code" not in chosen(Choice(model=str(tmp_path), backend="transformers"))[1]


def test_a_cascade_of_two_models() -> None:
    """A recogniser and a text model make a speech model with a name of its own."""
    name, settings = chosen(
        Choice(backend="cascade", asr="faster-whisper:tiny", llm="mine", base_urls=("http://h/v1",))
    )
    assert name == "cascade-faster-whisper:tiny-mine"
    assert settings["asr"] == "faster-whisper:tiny"
    assert settings["llm"] == {"id": "mine", "backend": "openai", "base_url": ["http://h/v1"]}


def test_a_recogniser_has_servers_of_its_own() -> None:
    """Its address, key and language are apart from the text model's; trusted code is trusted in both."""
    choice = Choice(
        backend="cascade",
        asr="openai:whisper-1",
        asr_language="en",
        asr_base_urls=("http://ears/v1",),
        asr_api_key_env="EARS",
        llm="mine",
        base_urls=("http://mind/v1",),
        trust_remote_code=True,
    )
    assert chosen(choice)[1] == {
        "backend": "cascade",
        "asr": "openai:whisper-1",
        "asr_language": "en",
        "asr_base_url": ["http://ears/v1"],
        "asr_api_key_env": "EARS",
        "trust_remote_code": True,
        "llm": {"id": "mine", "backend": "openai", "base_url": ["http://mind/v1"], "trust_remote_code": True},
    }


@pytest.mark.parametrize("modality", ["audio", "transcript"])
def test_of_a_cascade_only_the_text_model_is_taken(modality: str) -> None:
    """The embedded model behind another recogniser does not load its own one as well."""
    cascade = modality == "audio"
    choice = Choice(
        model=None if cascade else "embedded",
        backend="cascade" if cascade else None,
        llm="embedded" if cascade else None,
        asr="faster-whisper:tiny",
        modality=modality,
    )
    settings = chosen(choice)[1]
    assert (settings["asr"], settings["llm"]["backend"]) == ("faster-whisper:tiny", "embedded")
    assert (settings["label"], settings["languages"]) == ("smoke-test model", ["en"])


def test_the_transcript_control_wraps_any_model() -> None:
    """What a recogniser heard is handed to the model, whose label and languages stay."""
    _, settings = chosen(Choice(model="embedded-llm", modality="transcript", asr="embedded"))
    assert settings["backend"] == "cascade"
    assert settings["llm"]["id"] == "embedded-llm"
    assert settings["label"] == "smoke-test model"
    assert settings["languages"] == ["en"]


@pytest.mark.parametrize(
    "choice", [Choice(base_urls=("http://h/v1",)), Choice(backend="vllm"), Choice(backend="openai")]
)
def test_a_server_or_an_engine_needs_its_model(choice: Choice) -> None:
    """The default model is never asked of a server, where its label would stand beside another model's numbers."""
    with pytest.raises(UsageError, match="needs --model"):
        chosen(choice)
