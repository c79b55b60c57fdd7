"""What of a manifest others may see."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.manifest import for_others, without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/data", "data"),
        ("/home/me/my models/Qwen2-Audio/", "Qwen2-Audio"),
        ("//home/me/data", "data"),
        ("/", "/"),
        ("transformers:/home/me/whisper", "transformers:whisper"),
        ("cascade-transformers:/home/me/whisper-/home/me/llm", "cascade-transformers:llm"),
        ("file:///home/me/data", "data"),
    ],
)
def test_folders_of_this_machine_are_left_out(text: str, shown: str) -> None:
    """Of an absolute path the last part stays, wherever in a setting it begins."""
    assert without_folders(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Qwen/Qwen2-Audio",
        "http://host:8000/v1",
        "http://[::1]/v1",
        "8 bits w/ AWQ",
        "one / two",
        "<b>x</b>",
        "embedded",
        "",
    ],
)
def test_other_texts_stay(text: str) -> None:
    """Ids, addresses and prose are no paths of this machine."""
    assert without_folders(text) == text


@given(st.text(alphabet="/a.:- ]\n"))
def test_what_was_shortened_stays(text: str) -> None:
    """A second look changes nothing: a bundle's manifest reads as the run's."""
    shown = without_folders(text)
    assert without_folders(shown) == shown


def test_only_folders_are_left_out() -> None:
    """Prompts go out word for word, whatever they hold; so do numbers, lists and the terms of recordings."""
    fields: dict[str, Any] = {
        "model": {"name": "m", "engine": {"length": 4, "tokenizer": "/home/me/tokens"}, "servers": ["/a/b", None]},
        "system_prompt": "/no_think",
        "first_prompt": {"rendered": "/etc/passwd, what is it?"},
        "data": {"root": "/home/me/data", "source": {"redistribution": "see /licence/text"}},
    }
    expected = json.loads(json.dumps(fields).replace("/home/me/", "").replace("/a/b", "b"))
    assert for_others(fields) == expected
