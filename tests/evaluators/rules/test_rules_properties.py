"""What holds for every rule on any text and any arguments."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluators.rules import MISSING, PROFILES, RULES, check, closest, prepare
from evaluators.rules.texts import Texts, texts_of

PIECES = st.sampled_from(
    [
        *("*", "**", "***", "******", "- ", "* ", "# ", "\n", "\n\n", " ", "\t", "\u3000", "\r\n", "\r", "\ufeff"),
        *("word", "Word", "WORD", "don't", "U.S.A.", "NASA's", "1.", "2", "½", "Section 1", "SECTION 2", "第一章"),
        *("《春天》", "《", "》", "<<a>>", "<<", ">>", "[x]", "【", "】", "［y］", '"', "“", "”", "‘", "’", "＂"),
        *("P.S.", "p.p.s", "PS:", "附言：", "。", "！", "？", "...", ".", "!", ",", "，", "、", "﹐"),
        *("你好", "苹果", "ねこ", "カ", "한국어", "हिन्दी", "e\u0301", "İ", "ı", "ﬀ", "ß", "K", "❤️", "😀", "👍🏽"),
        *("```json", "```", "{", "}", "[1]", "NaN", '{"a": 1}', "\ud800", "\udfff", "\x00", "\x85", "\u200b"),
        *("My answer is yes.", "我的答案是是的。", "<1>", "<4>", "http://example.org", "a@b.cd"),
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=14).map("".join),
    st.text(st.characters(codec=None), max_size=60),
)
SMALL = st.one_of(st.integers(-2, 6), st.sampled_from([0.0, 1.0, 2.5, float("nan"), float("inf"), True, False]))
RELATIONS = st.sampled_from(["less than", "at least", "at most", "", None, 3])
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), SMALL, st.integers(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=3,
)


# Patterns from the data are made from harmless parts: those that run away have tests of their own.
KEYWORDS = st.one_of(
    PIECES, st.sampled_from(["a.b", "(a", "[z", "?", "a|b", r"\d", "x{99999999999}", "", " ", "(?i)a"])
)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name.startswith(("num_", "nth_")) or name.endswith("frequency"):
        return st.one_of(SMALL, SMALL, JUNK)
    if name.endswith("relation"):
        return RELATIONS
    if name in ("keywords", "forbidden_words"):
        return st.one_of(st.lists(KEYWORDS, max_size=3), JUNK)
    if name == "language":
        return st.one_of(st.sampled_from(["en", "zh", "zh-cn", "fr", "nl", "EN", "en-US", "xx"]), JUNK)
    return st.one_of(KEYWORDS, KEYWORDS, JUNK)


def _arguments(rule: str) -> st.SearchStrategy[object]:
    known: dict[str, st.SearchStrategy[Any]] = {name: _values(name) for name in RULES[rule].names}
    return st.one_of(
        st.fixed_dictionaries(known),
        st.fixed_dictionaries({}, optional=known),
        st.fixed_dictionaries(known, optional={"other": JUNK}),
        JUNK,
        st.just(MISSING),
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("rule", RULES)
def test_any_input_has_marks(rule: str, profile: str) -> None:
    """No input raises; loose holds whenever strict does; flags, probabilities and repetition are as promised."""

    @settings(max_examples=60, deadline=None)
    @given(TEXTS, _arguments(rule))
    @example("\ud800\x00 \udfff", {})
    @example("", {})
    @example("*\n*\n*", MISSING)
    def holds(response: str, arguments: object) -> None:
        text = prepare(response, profile)
        strict, loose = check(rule, arguments, text, profile)
        assert isinstance(strict.met, bool)
        assert isinstance(loose.met, bool)
        assert loose.met or not strict.met
        assert strict.flag == loose.flag
        assert strict.flag in ((None, "random", "error") if profile == "reference" else (None, "invalid"))
        assert (strict.flag == "random") == (strict.probability is not None)
        if strict.probability is not None and loose.probability is not None:
            assert 0 <= strict.probability <= loose.probability <= 1
            assert strict.met == (strict.probability > 0.5)
        if strict.flag in ("error", "invalid") or not text.strip():
            assert not loose.met
        assert strict.expected
        assert strict.found
        texts_of.cache_clear()
        assert check(rule, arguments, text, profile) == (strict, loose)

    holds()


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_preparing(response: str) -> None:
    """The reference changes nothing but a tag; the fixed text is NFC without carriage returns."""
    plain = prepare(response, "reference")
    assert plain == (response[3:].strip() if response[:3] in ("<1>", "<2>", "<3>") else response)
    cleaned = prepare(response, "fixed")
    assert "\r" not in cleaned
    assert unicodedata.is_normalized("NFC", cleaned)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_eight_texts(text: str) -> None:
    """The other texts are those of section 2, without blank ones and repetitions, in their order."""
    lines = text.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    wanted = [text.replace("*", ""), *cut, *(part.replace("*", "") for part in cut)]
    unique = [part for part in dict.fromkeys([text, *wanted]) if part.strip() and part != text]
    assert [other for _, other in Texts(text).others()] == unique


@pytest.mark.parametrize(
    ("rule", "arguments", "flag"),
    [
        ("keywords:existnce", {}, ("error", "invalid")),
        ("punctuation:no_comma", None, ("error", "invalid")),
        ("punctuation:no_comma", MISSING, ("error", "invalid")),
        ("punctuation:no_comma", [], ("error", "invalid")),
        ("punctuation:no_comma", {"other": 1}, ("error", None)),
        ("punctuation:no_comma", {"other": 0}, (None, None)),
    ],
)
def test_unusable_instructions(rule: str, arguments: object, flag: tuple[str | None, str | None]) -> None:
    """Unknown rules and arguments are flagged, never raised."""
    for profile, wanted in zip(PROFILES, flag, strict=True):
        strict, loose = check(rule, arguments, "fine", profile)
        assert (strict.flag, strict.met, loose.met) == (wanted, wanted is None, wanted is None)


def test_unknown_profile() -> None:
    """A profile that does not exist is the caller's mistake."""
    with pytest.raises(ValueError, match="unknown profile"):
        check("punctuation:no_comma", {}, "fine", "strict")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("rule", RULES)
def test_blank_response(rule: str, profile: str) -> None:
    """Nothing but white space meets no instruction."""
    strict, loose = check(rule, {}, prepare("<1> \u3000\n\u00a0", profile), profile)
    assert not strict.met
    assert not loose.met


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("puntuation:no_comma", "punctuation:no_comma"),
        ("detectable_format:number_bullets", "detectable_format:number_bullet_lists"),
        ("zzz", None),
    ],
)
def test_closest(wrong: str, right: str | None) -> None:
    """An unknown id is met with the known one that is most like it."""
    assert closest(wrong) == right
