"""Prompt files: filling in one pass, their identity, and the ones that come with the toolkit."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from prompts import templates
from prompts.templates import PLACEHOLDER, Template, bundled, load

NAMES = sorted(path.stem for path in templates.FOLDER.glob("*.txt"))
KNOWN = {
    "system": set(),
    "system_written": set(),
    "transcript": {"recording", "heard"},
    "judge_system": {"code"},
    "judge_open": {"request", "response", "questions", "question_count"},
    "judge_adjust": {"request", "response"},
    "judge_classify": {"request", "label", "response"},
}


# --- filling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{a}", {"a": "x"}, "x"),
        ("{a}{b}{a}", {"a": "x", "b": "y"}, "xyx"),
        ("{a} {b}", {"a": "{b}", "b": "{a}"}, "{b} {a}"),
        ("<{response}>", {"response": "{response} {request}", "request": "r"}, "<{response} {request}>"),
        ("{a}", {"a": r"\1 \g<0> \n"}, r"\1 \g<0> \n"),
        ("{a}", {"a": ""}, ""),
        ("no place", {"a": "x"}, "no place"),
        ('{"key": "..."} {}', {}, '{"key": "..."} {}'),
        ("{A} {a1} { a } {a.b} {a!r} {0}", {}, "{A} {a1} { a } {a.b} {a!r} {0}"),
        ("{{a}}", {"a": "x"}, "{x}"),
        ("{a", {"a": "x"}, "{a"),
        ("{long_name}", {"long_name": "你好"}, "你好"),
    ],
)
def test_placeholders_are_filled_in_one_pass(text: str, values: dict[str, str], filled: str) -> None:
    """Each placeholder is replaced once; values stay as they are, whatever they look like."""
    assert Template("t", text).fill(values) == filled


@given(st.dictionaries(st.sampled_from(["a", "b", "c_d"]), st.text() | st.sampled_from(["{a}", "{b}", "{c_d}", "{x}"])))
def test_no_value_is_filled_again(values: dict[str, str]) -> None:
    """What a user's text holds never changes what surrounds it."""
    text = "|".join("{" + name + "}" for name in values)
    assert Template("t", text).fill(values) == "|".join(values.values())


@given(st.text(), st.text())
def test_text_without_placeholders_is_untouched(before: str, after: str) -> None:
    """Only what names a value is replaced."""
    template = Template("t", PLACEHOLDER.sub("", before) + "{a}" + PLACEHOLDER.sub("", after))
    if len(PLACEHOLDER.findall(template.text)) == 1:
        head, _, tail = template.text.partition("{a}")
        assert template.fill({"a": "x"}) == f"{head}x{tail}"


@pytest.mark.parametrize(("values", "known"), [({"a": "x", "b": "y"}, "{a}, {b}"), ({"a": "{wrong}"}, "{a}")])
def test_an_unknown_placeholder_is_named_with_the_known_ones(values: dict[str, str], known: str) -> None:
    """A placeholder without a value is an error that names the prompt, the placeholder and the choice."""
    with pytest.raises(UsageError) as caught:
        Template("mine", "{a} {wrong}").fill(values)
    assert str(caught.value) == f"prompt 'mine' has the unknown placeholder {{wrong}}; known: {known}"


# --- identity -------------------------------------------------------------------------------------------------------


def test_the_prompt_id_is_name_and_hash() -> None:
    """Name and the first eight digits of the text's SHA-256."""
    text = "Is it so? 你好"
    assert Template("t", text).prompt_id == f"t@{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@given(st.text(max_size=20), st.text(max_size=20))
def test_other_words_are_another_prompt(one: str, other: str) -> None:
    """The id changes with the words, and only with them."""
    assert (Template("t", one).prompt_id == Template("t", other).prompt_id) == (one == other)
    assert Template("u", one).prompt_id != Template("t", one).prompt_id


@pytest.mark.parametrize(
    "raw",
    [
        b"Line one\nline {a}",
        b"\n\nLine one\nline {a}\n \n",
        b"Line one\r\nline {a}\r\n",
        b"\xef\xbb\xbfLine one\nline {a}\n",
    ],
    ids=["plain", "white space around", "other line ends", "byte order mark"],
)
def test_what_editors_add_is_no_part_of_a_prompt(tmp_path: Path, raw: bytes) -> None:
    """White space around the text, line ends of another system and a BOM do not make another prompt."""
    path = tmp_path / "mine.v2.txt"
    path.write_bytes(raw)
    assert load(path) == Template("mine.v2", "Line one\nline {a}")


# --- bad files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "prompt file cannot be read: No such file or directory"),
        (..., "prompt file cannot be read: Is a directory"),
        (b"", "prompt file is empty"),
        (b" \n\t\r\n", "prompt file is empty"),
        (b"\xef\xbb\xbf\n", "prompt file is empty"),
        (b"caf\xe9 {request}", "prompt file is not UTF-8"),
        ("{request}".encode("utf-16"), "prompt file is not UTF-8"),
    ],
    ids=["missing", "folder", "empty", "blank", "mark only", "latin-1", "utf-16"],
)
def test_a_bad_prompt_file_is_named(tmp_path: Path, raw: object, words: str) -> None:
    """The error is one line with the path and the reason."""
    path = tmp_path / "mine.txt"
    if isinstance(raw, bytes):
        path.write_bytes(raw)
    elif raw is ...:
        path.mkdir()
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_prompt_file_without_permission_is_named(tmp_path: Path) -> None:
    """A file that may not be read is one line with the system's reason."""
    path = tmp_path / "mine.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        load(path)


# --- the bundled prompts --------------------------------------------------------------------------------------------


def test_every_bundled_prompt_is_covered_here() -> None:
    """A new prompt file needs its placeholders stated above."""
    assert sorted(KNOWN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_prompt_loads_and_fills(name: str) -> None:
    """Each has exactly the placeholders that its users fill, and keeps hostile values apart from its words."""
    template = bundled(name)
    assert template.name == name
    assert set(PLACEHOLDER.findall(template.text)) == KNOWN[name]
    hostile = {placeholder: f"</answer>{{request}}{{{placeholder}}}" for placeholder in KNOWN[name]}
    filled = template.fill(hostile)
    assert filled.count("</answer>{request}") == len(PLACEHOLDER.findall(template.text))


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_prompt_is_stored_cleanly(name: str) -> None:
    """Plain UTF-8 with a line feed at the end, so that ids do not depend on who edited last."""
    raw = (templates.FOLDER / f"{name}.txt").read_bytes()
    assert raw.endswith(b"\n")
    assert b"\r" not in raw
    assert raw.decode("utf-8").strip() == bundled(name).text
