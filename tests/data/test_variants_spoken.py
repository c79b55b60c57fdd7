"""Written requests become words that can be said, and lose none of their own."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset import SAMPLE
from data.errors import UsageError
from data.variants import numbers
from data.variants.spoken import spoken, unsayable, wordless

pytest.importorskip("num2words", reason="the extra 'speech' is not installed")
pytest.importorskip("cn2an", reason="the extra 'speech' is not installed")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Write 3 tips:\n- drink water\n- sleep well", "Write three tips: drink water. sleep well"),
        ("# Plan\n1. Get up.\n2. Go", "Plan. one, Get up. two, Go"),
        ("Use **bold** ideas and `code`", "Use two asterisks bold two asterisks ideas and backtick code backtick"),
        ("Keep it **short** and *sweet*, with __care__", "Keep it short and sweet, with care"),
        ("highlight it, i.e. *like this*", "highlight it, that is asterisk like this asterisk"),
        ("separate them with *** or ******", "separate them with three asterisks or six asterisks"),
        (
            "a title like <<joy>>, gaps like [name]",
            "a title like joy in double angle brackets, gaps like name in square brackets",
        ),
        ("End with P.S. and e.g. P.P.S.", "End with P S and for example P P S."),
        ("at most 1,500 words", "at most one thousand five hundred words"),
        ("$5, €1 or 2.5%", "five dollars, one euro or two point five percent"),
        (
            "the 3rd of 12, 5-7 at 10:05, 20°C",
            "the third of twelve, five to seven at ten oh five, twenty degrees Celsius",
        ),
        ("1/2 cup & 007, A4, -3, #1", "one half cup and zero zero seven, A four, minus three, number one"),
        ("R&D and/or C++, x >= 3", "R and D and or C plus plus, x closing angle bracket equals sign three"),
        ("write to a.b@c.org", "write to a dot b at c dot org"),
        ("see [the site](https://x.org/y) now", "see the site now"),
        ("in the 1990s", "in the nineteen nineties"),
        ("call 631-481-4867", "call six three one, four eight one, four eight six seven"),
        ("12345678901234", "one two three four five six seven eight nine zero one two three four"),
    ],
)
def test_english(written: str, said: str) -> None:
    """Numbers, symbols, lists and markup become what one says for them."""
    assert spoken(written, "en") == said
    assert unsayable(said, "en") == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("写2条建议，少于50个字", "写两条建议，少于五十个字"),
        ("2026年1月2日10:30", "二零二六年一月二日十点三十分"),
        ("用***隔开，标题写成<<春天>>，留出[姓名]", "用三个星号隔开，标题写成双尖括号里的春天，留出方括号里的姓名"),
        ("50%，3.5元，20~30岁，－5度", "百分之五十，三点五元，二十到三十岁，负五度"),
        ("1. 多喝水\n2. 早睡", "一，多喝水。二，早睡"),
        ("打138-1234-5678", "打一三八，一二三四，五六七八"),
    ],
)
def test_chinese(written: str, said: str) -> None:
    """The same in Chinese."""
    assert spoken(written, "zh") == said
    assert unsayable(said, "zh") == []


def test_asterisks_belong_to_some_rules() -> None:
    """Where a rule is about asterisks they are said, also if the text does not name them."""
    text = "Mark *two words* so."
    assert spoken(text, "en") == "Mark two words so."
    rules = ("detectable_format:number_highlighted_sections",)
    assert spoken(text, "en", rules) == "Mark asterisk two words asterisk so."


@pytest.mark.parametrize("name", ["closed_en", "closed_cn", "open_en", "open_cn", "adjustment_en", "adjustment_cn"])
def test_plain_requests_stay(name: str) -> None:
    """The sample's prompts are in plain words: their spoken form is what was spoken, so its recordings stand."""
    lang = "zh" if name.endswith("cn") else "en"
    for line in (SAMPLE / "prompts" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row.get("say", row["prompt"])
        assert spoken(text, lang, tuple(row.get("instruction_id_list", ()))) == text


@pytest.mark.parametrize(
    ("lang", "said"),
    [("de", "drei Tipps, 5 %"), ("fr", "trois Tipps, 5 %"), ("eu", "3 Tipps, 5 %")],
)
def test_other_languages_count(lang: str, said: str) -> None:
    """Numbers are written out where that is known; else digits, and some symbols, are left to the voice."""
    made = spoken("3 Tipps, 5 %", lang)
    assert made.split(",")[0] == said.split(",")[0]
    assert unsayable(made, lang) == []


@pytest.mark.parametrize(
    ("text", "lang", "left"),
    [
        ("a 😀 b 😀 ☃", "en", ["😀", "☃"]),
        ("x → y", "fr", ["→"]),
        ("{x}", "de", ["{", "}"]),
        ("表情😀", "zh", ["😀"]),
    ],
)
def test_what_nobody_can_say_is_found(text: str, lang: str, left: list[str]) -> None:
    """Each character once, in order."""
    assert unsayable(spoken(text, lang), lang) == left


@pytest.mark.parametrize(("text", "answer"), [("", True), ("?! ...", True), ("3", True), ("a", False), ("写", False)])
def test_text_without_words(text: str, answer: bool) -> None:
    """Punctuation alone is nothing to say."""
    assert wordless(text) is answer


def test_numbers_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is named; texts without numbers need nothing."""

    def missing() -> None:
        raise UsageError("pip install -e '.[speech]'")

    monkeypatch.setattr(numbers, "_others", missing)
    assert spoken("No numbers here.", "en") == "No numbers here."
    with pytest.raises(UsageError, match="pip install"):
        spoken("3 tips", "en")


WORDS = st.lists(
    st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz'"), min_size=2, max_size=8).filter(str.isalpha), max_size=12
)
DRESSING = st.sampled_from(
    ["{}", "*{}*", "**{}**", "`{}`", '"{}"', "({})", "{},", "{}.", "- {}", "[{}]", "<<{}>>", "{}:", "#{}", "{}%"]
)


@given(
    WORDS,
    st.data(),
    st.sampled_from([" ", "\n", "\n\n- ", " & ", "/", " - ", " 7 ", "\t"]),
    st.sampled_from(["en", "zh", "de"]),
)
def test_no_word_is_lost(words: list[str], data: st.DataObject, between: str, lang: str) -> None:
    """Whatever stands around and between them, every word remains, whole and in order, and all of it can be said."""
    text = between.join(data.draw(DRESSING).format(word) for word in words)
    made = spoken(text, lang)
    rest = iter(re.findall(r"[a-z]+", made.lower()))
    assert all(any(word == other for other in rest) for word in words), made
    if lang != "de":
        assert unsayable(made, lang) == []


@given(st.text())
def test_any_text_has_a_spoken_form(text: str) -> None:
    """No text breaks it, and saying the spoken form again changes no word."""
    for lang in ("en", "zh", "de"):
        made = spoken(text, lang)
        assert "\n" not in made
        assert not re.search(r"[0-9]", made) or any(
            character.isdigit() and not character.isascii() for character in text
        )


@given(st.integers(0, 10**12 - 1))
def test_numbers_are_said_without_digits(value: int) -> None:
    """Letters and blanks only."""
    for lang in ("en", "zh", "de", "fr"):
        said = numbers.number(str(value), lang)
        assert said
        assert not re.search(r"[0-9,]", said)
