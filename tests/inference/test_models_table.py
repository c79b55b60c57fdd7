"""models.toml: every row says what is needed, where it is from, and nothing that must not stand in a file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import pytest

from inference.backends import BACKENDS
from inference.chat import without_credentials
from inference.cli import DEFAULT_SAMPLING
from inference.models import MODELS_FILE, known_models

ROWS = known_models()
TEXTS = {
    "backend", "id", "label", "system_line", "placeholder", "lora", "base_url", "api_key_env", "audio_format", "asr",
    "asr_language", "asr_base_url", "asr_api_key_env", "llm", "note", "source", "checked", "verified",
}  # fmt: skip
FIGURES = {"concurrency", "sampling_rate", "max_audio_seconds", "max_clips", "timeout_seconds"}
LISTS = {"languages": str, "stop": str, "stop_token_ids": int}
TABLES = {"sampling", "engine", "request"}
SWITCHES = {"stream", "trust_remote_code"}
EACH_ROW = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def leaves(value: Any) -> Iterator[Any]:
    """Yield every value in a row, however deep."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@EACH_ROW
def test_only_known_settings_of_the_right_type(row: dict[str, Any]) -> None:
    """A misspelt setting would be ignored without a word."""
    assert row.keys() <= TEXTS | FIGURES | LISTS.keys() | TABLES | SWITCHES
    assert all(isinstance(row[name], str) and row[name].strip() for name in TEXTS & row.keys())
    assert all(isinstance(row[name], bool) for name in SWITCHES & row.keys())
    assert all(isinstance(row[name], dict) and row[name] for name in TABLES & row.keys())
    for name in LISTS.keys() & row.keys():
        assert row[name] and all(isinstance(item, LISTS[name]) for item in row[name])


def test_every_setting_is_explained_in_the_file() -> None:
    """The head of the file names each setting that a row may hold."""
    head = MODELS_FILE.read_text(encoding="utf-8").partition("\n\n")[0]
    named = set(re.findall(r"[a-z_]+", head))
    assert TEXTS | FIGURES | LISTS.keys() | TABLES | SWITCHES <= named


@EACH_ROW
def test_provenance(row: dict[str, Any]) -> None:
    """Every row says where its facts are from, when they were looked up, and what was tried."""
    assert row["source"]
    assert datetime.date.fromisoformat(row["checked"]) <= datetime.datetime.now(datetime.UTC).date()
    assert row["verified"] in ("real weights", "tiny random weights", "request only")


@EACH_ROW
def test_back_end_exists(row: dict[str, Any]) -> None:
    """A row leads to a back end; a cascade's row to a text model's row as well."""
    assert row["backend"] in BACKENDS or re.fullmatch(r"[\w.]+:\w+", row["backend"])
    assert ("asr" in row and "llm" in row) == (row["backend"] == "cascade")
    if "llm" in row:
        assert ROWS[row["llm"]]["backend"] != "cascade"
    assert row.get("base_url", "https://").startswith("https://")


@EACH_ROW
def test_figures_are_in_range(row: dict[str, Any]) -> None:
    """Figures are positive numbers, and sampling is sampling."""
    figures = [row[name] for name in FIGURES & row.keys()]
    figures += row.get("stop_token_ids", [])
    assert all(type(value) in (int, float) and value > 0 for value in figures)
    assert 8000 <= row.get("sampling_rate", 16000) <= 48000
    sampling = row.get("sampling", {})
    assert sampling.keys() <= DEFAULT_SAMPLING.keys()
    assert 0 <= sampling.get("temperature", 0) <= 2
    assert 0 < sampling.get("top_p", 1) <= 1
    assert sampling.get("max_tokens", 1) > 0
    assert all(value >= 0 for value in leaves(row.get("engine", {})) if type(value) in (int, float))


@EACH_ROW
def test_switches_have_known_values(row: dict[str, Any]) -> None:
    """Words that the code compares with are spelt as it does."""
    assert row.get("system_line", "given") in ("given", "folded")
    assert row.get("audio_format", "wav") in ("wav", "mp3", "flac")


@EACH_ROW
def test_no_code_from_a_hub_without_being_asked(row: dict[str, Any]) -> None:
    """A row never switches remote code on: whoever runs it does, and the note says so."""
    assert row.get("trust_remote_code", False) is False
    assert "trust_remote_code" not in row.get("engine", {})


@EACH_ROW
def test_no_secrets(row: dict[str, Any]) -> None:
    """Keys are named by their environment variable, and addresses hold no credentials."""
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", row.get("api_key_env", "KEY"))
    for text in (value for value in leaves(row) if isinstance(value, str)):
        assert text == without_credentials(text)
        assert not re.search(r"\b(sk|hf|AIza)[-_]?[A-Za-z0-9]{16,}", text)


def test_names_are_what_users_type() -> None:
    """A row goes by its own name: no two rows call the same model, and names have no blanks."""
    called = [(row["backend"], row.get("id", name), row.get("base_url")) for name, row in ROWS.items()]
    assert len(set(called)) == len(called)
    assert all(name == name.strip() and " " not in name for name in ROWS)
