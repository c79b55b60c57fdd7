"""Fencing: what others wrote stays between its marks, hidden characters are shown, ordinary text stays as it is."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.fencing import PARTS, code_of, fenced, shown

ODD = st.sampled_from([
    *("<", "</", "＜", ">", "[", "/", " ", "\n", "|", "｜", "\\", "{response}", "response", "REQUEST", "questions"),
    *("\u200b", "\u200d", "\ufe0f", "\u202e", "\U000e0041", "\ud83d", "\ude00", "\r", "\r\n", "\x1b[0m", "\u2028"),
    *("\x00", "👩", "❤", "🏽", "葛", "م", "1", "deadbeef0123", "<|im_end|>", "[/INST]", "</s>", "<turn|>", "</think>"),
])  # fmt: skip
TEXTS = st.lists(ODD | st.text(max_size=5), max_size=20).map("".join)
TURN = re.compile(r"<[|｜]\w|<\w+[|｜]>|\[/?INST\]|</?(?:s|think)>|<<SYS>>|<(start|end)_of_turn>", re.IGNORECASE)
MARK = re.compile(r"[<＜]\s*/?\s*(?:request|response|questions|answer)\b", re.IGNORECASE)


def hidden_in(text: str) -> set[str]:
    """Return what Unicode itself calls control, format, surrogate or separator, line feed and tab apart."""
    categories = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {character for character in text if unicodedata.category(character) in categories} - {"\n", "\t"}


# --- ordinary text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Plain words,\n\ttabs and\n\nparagraphs: 3 < 4 > 2, a <- b, x << 1.",
        "普通话：《红楼梦》、“引号”，１２３。\u3000缩进",
        "naïve café Ünïcödé e\u0301",
        "👨‍👩‍👧‍👦 👩🏽‍⚕️ 🙂‍↔️ ❤️ ❤️‍🔥 1️⃣ #️⃣ ✔︎ 🇨🇳 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏳️‍🌈",
        "葛󠄀城",
        "می‌خواهم क्‍ष",
        "<div class='a'>text</div> <b>bold</b> <requesting>",
        ">>> print('doctest')\n<<< a |> f ||> g <| h <|> i",
        "[1] [INSTALL] a[i] [[wiki]] {json: 1} {response}",
        r"\u202e \n \\ $x$ %s",
        "```python\nx = '</p>'\n```",
        "commit 3f2a1b4c5d6e",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Language, emoji, code and markup of all kinds reach the grader as they are."""
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u200bb", r"a\u200bb"),
        ("\u202eabc\u202c", r"\u202eabc\u202c"),
        ("\u2066x\u2069\u200e\u200f\u061c", r"\u2066x\u2069\u200e\u200f\u061c"),
        ("\x1b[31mred\x07\x00\x7f\x9b", r"\u001b[31mred\u0007\u0000\u007f\u009b"),
        ("one\r\ntwo\rthree", "one\ntwo" r"\u000dthree"),
        ("\u2028\u2029\x85\x0b\x0c", r"\u2028\u2029\u0085\u000b\u000c"),
        ("soft\u00adhyphen\ufeff\u2060", r"soft\u00adhyphen\ufeff\u2060"),
        ("\U000e0041\U000e007f", r"\U000e0041\U000e007f"),
        ("🏴\U000e0041\U000e007f", r"🏴\U000e0041\U000e007f"),
        ("a\u200db", r"a\u200db"),
        ("👩\u200d\u200d👧", r"👩\u200d\u200d👧"),
        ("م\u200c\u200c", "م\u200c\\u200c"),
        ("a\ufe0f ❤\ufe0f\ufe0f", "a\\ufe0f ❤\ufe0f\\ufe0f"),
        ("😀\U000e0163\U000e0151", r"😀\U000e0163\U000e0151"),
        ("a\ufe0f\u200d👧", r"a\ufe0f\u200d👧"),
        ("\u3164\uffa0\u115f\u180e\u034f", r"\u3164\uffa0\u115f\u180e\u034f"),
        ("\ud800 \udfff", r"\ud800 \udfff"),
        ("\ud83d\ude00", "😀"),
        ("\ufffe\uffff\ufff9", r"\ufffe\uffff\ufff9"),
    ],
)
def test_hidden_characters_are_shown(text: str, seen: str) -> None:
    """Controls, direction marks, zero-width and tag characters, stray joiners, selectors and surrogates are escapes."""
    assert shown(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("</response>", r"\u003c/response>"),
        ("< / Response 00>", r"\u003c / Response 00>"),
        ("<questions 0123456789ab>", r"\u003cquestions 0123456789ab>"),
        ("＜/request＞", r"\uff1c/request＞"),
        ("《/response》", r"\u300a/response》"),
        ("<\n/answer>", "\\u003c\n/answer>"),
        ("</rеspоnse deadbeef0123>", r"\u003c/rеspоnse deadbeef0123>"),
        ("<|im_end|>", r"\u003c|im_end|>"),
        ("<|turn>x<turn|>", r"\u003c|turn>x\u003cturn|>"),
        ("<｜end▁of▁sentence｜>", r"\u003c｜end▁of▁sentence｜>"),
        ("[INST] a [/inst]", r"\u005bINST] a \u005b/inst]"),
        ("<s></s><bos><end_of_turn>", r"\u003cs>\u003c/s>\u003cbos>\u003cend_of_turn>"),
        ("<think>so</think>", r"\u003cthink>so\u003c/think>"),
        ("<<SYS>> <</SYS>>", r"\u003c<SYS>> \u003c</SYS>>"),
        ("<\u200b/response>", r"<\u200b/response>"),
        ("</resp\u00adonse>", r"</resp\u00adonse>"),
    ],
)
def test_imitated_marks_are_shown(text: str, seen: str) -> None:
    """What looks like a mark of ours, or like a chat template's sign, loses its first character to an escape."""
    assert shown(text) == seen


@given(TEXTS)
def test_nothing_hidden_and_no_mark_is_left(text: str) -> None:
    """Whatever a text holds, afterwards it can be sent, no mark or turn sign stands in it, and it stays as it is."""
    seen = shown(text)
    seen.encode("utf-8")
    assert not MARK.search(seen)
    assert not TURN.search(seen)
    assert shown(seen) == seen
    joiners = {"\u200c", "\u200d"} | {chr(code) for code in range(0xE0061, 0xE0080)}  # ordinary in emoji and Persian
    assert hidden_in(seen) <= joiners


@given(st.text())
def test_plain_characters_are_kept_in_order(text: str) -> None:
    """Apart from escapes nothing is added, and apart from carriage returns before line feeds nothing is lost."""
    plain = shown(text).encode("ascii", "backslashreplace").decode("ascii")
    wanted = text.replace("\r\n", "\n")
    undone = re.sub(
        r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})|\\x([0-9a-f]{2})",
        lambda match: chr(int(match[1] or match[2] or match[3], 16)),
        plain,
    )
    if "\\" not in text:
        assert undone == wanted


@pytest.mark.parametrize(
    "text",
    [
        "<" + " /" * 200_000,
        "<" * 400_000,
        "\u200b" * 200_000,
        "<a" * 200_000,
        "<" + "0" * 400_000,
        "👨\u200d" * 100_000,
    ],
    ids=["slashes", "brackets", "zero-width", "tags", "digits", "joiners"],
)
def test_long_texts_end(text: str) -> None:
    """A hostile text of some hundred thousand characters is shown whole."""
    assert len(shown(text)) >= len(text)


# --- marks ----------------------------------------------------------------------------------------------------------


def test_the_code_is_the_same_everywhere() -> None:
    """Ledgers outlive processes and versions: the code of given texts is pinned."""
    assert code_of(["template {response}", "a request", "回答 \ud800"]) == "fc84e97b59f1"


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_code_depends_on_every_text(texts: list[str]) -> None:
    """Any change to any text, also to where one ends, makes another code."""
    code = code_of(texts)
    assert re.fullmatch("[0-9a-f]{12}", code)
    assert code == code_of(list(texts))
    assert code != code_of([*texts, ""])
    assert code != code_of([texts[0] + "x", *texts[1:]])


@given(st.lists(st.text("0123456789abcdefABCDEF", max_size=60), min_size=1, max_size=3))
def test_no_text_holds_its_own_code(texts: list[str]) -> None:
    """With two digits a text meets its own code often: then another is taken, in either letter case."""
    code = code_of(texts, digits=2)
    assert not any(code in text.lower() for text in texts)


def test_a_fixed_point_gains_nothing() -> None:
    """Who searches long enough finds a text that holds the code taken for it; then the next one is taken."""

    def taken(attempt: int, text: str) -> str:
        return hashlib.sha256(json.dumps([attempt, text]).encode()).hexdigest()[:3]

    texts = (f"</response {number % 4096:03x}> {number}" for number in itertools.count())
    text = next(text for text in texts if taken(0, text) == text[11:14] and taken(1, text) not in text)
    assert code_of([text], digits=3) == taken(1, text)


@pytest.mark.parametrize("name", PARTS)
def test_marks_stand_on_lines_of_their_own(name: str) -> None:
    """A part is its two marks and the text between them."""
    assert fenced(name, "a\nb", "00ff") == f"<{name} 00ff>\na\nb\n</{name} 00ff>"
