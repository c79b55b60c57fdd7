"""Disfluency never touches the fluent words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from data.variants import segments
from data.variants.disfluency import KINDS, LEXICONS, Disfluent, disfluent

ENGLISH, CHINESE = LEXICONS["en"], LEXICONS["zh"]

TEXT = "Write a short story about the old lighthouse, and use the words river and stone at least three times in it."

WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "the", "of", "and", "three", "not", "without", "Write,", "story.", "river", "it's", "12"]
        ),
        st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6).filter(
            lambda word: len(word.split()) == 1
        ),
    ),
    max_size=40,
)


@given(WORDS, st.integers(0, 10_000), st.data())
def test_fluent_words_remain_in_order(words: list[str], seed: int, data: st.DataObject) -> None:
    """Taking out what the events name leaves the fluent text, whatever it is."""
    start = data.draw(st.integers(0, len(words)))
    phrase = " ".join(words[start : start + 3])
    made = disfluent(" ".join(words), seed, [phrase] if phrase else [])
    spoken = made.text.split()
    position = {event.before: event.added.split() for event in made.events}
    rest = iter(spoken)
    for index, word in enumerate(words):
        for added in position.get(index, []):
            assert next(rest) == added
        assert next(rest) == word
    assert next(rest, None) is None


@given(WORDS, st.integers(0, 10_000))
def test_added_words_carry_no_meaning(words: list[str], seed: int) -> None:
    """Only fillers, editing terms, copies and small words that are taken back; never a number or a negation."""
    for event in disfluent(" ".join(words), seed).events:
        first, *rest = [piece.strip() for piece in event.added.split(",")[:-1]]
        if event.kind == "filled_pause":
            assert first.lower() in ENGLISH.fillers
            continue
        if event.kind == "self_correction":
            assert first.lower() in ENGLISH.mistaken_for[words[event.before].lower()]
            assert rest[0] in ENGLISH.taking_back
            continue
        copied = first.split()
        assert words[event.before : event.before + len(copied)] == copied
        assert not any(ENGLISH.untouchable.fullmatch(word.lower()) for word in copied)
        assert (event.kind == "restart") == (rest != [])
        assert not rest or rest[0] in ENGLISH.editing_terms


@given(st.integers(0, 10_000))
def test_protected_phrase_stays_whole(seed: int) -> None:
    """A phrase that a checker looks for is said once, in one piece."""
    made = disfluent(TEXT, seed, ["the words river and stone"], least=4)
    assert "the words river and stone" in made.text
    assert made.text.count("river") == made.text.count("stone") == 1
    assert {event.kind for event in made.events} == set(KINDS)


HAN = st.lists(
    st.sampled_from(
        ["请", "写", "一首", "关于", "秋天", "的", "诗", "，", "不要", "用", "在", "三个", "词", "。", "月亮", "河流"]
    ),
    max_size=30,
)


def without_events(made: Disfluent) -> str:
    """Return a Chinese text without what its events added."""
    rest = made.text
    for event in reversed(made.events):
        start = event.before + sum(len(other.added) for other in made.events if other.before < event.before)
        assert rest[start : start + len(event.added)] == event.added
        rest = rest[:start] + rest[start + len(event.added) :]
    return rest


@settings(deadline=None)  # the first call loads a dictionary
@given(HAN, st.integers(0, 10_000))
def test_chinese_keeps_its_characters(pieces: list[str], seed: int) -> None:
    """The same in Chinese, by characters; keywords stay whole and are said once."""
    pytest.importorskip("jieba", reason="the extra 'speech' is not installed")
    text = "".join(pieces)
    made = disfluent(text, seed, ["月亮", "河流"], lang="zh", least=3)
    assert without_events(made) == text
    for keyword in ("月亮", "河流"):
        assert made.text.count(keyword) == text.count(keyword)
    for event in made.events:
        assert not any(character in event.added for character in "三要")
        assert event.added.endswith("，")


def test_chinese_words_are_told_apart() -> None:
    """Punctuation belongs to the word before it, so nothing is put in front of it."""
    pytest.importorskip("jieba", reason="the extra 'speech' is not installed")
    words = segments.words("请介绍一下北京的冬天，谢谢。", "zh")
    assert "".join(words) == "请介绍一下北京的冬天，谢谢。"
    assert "冬天，" in words
    assert list(segments.occurrences(words, "北京的冬天", "zh")) == [
        range(words.index("北京"), words.index("冬天，") + 1)
    ]
    assert segments.starts(words, "zh")[:2] == [0, 1]


@pytest.mark.parametrize("rate", [5.0, 10.0, 20.0])
def test_rate_is_kept_on_average(rate: float) -> None:
    """So many in 100 words, where there is room for them."""
    long = " ".join(["Tell me something about the river and the old stone bridge"] * 20)
    made = disfluent(long, 3, rate=rate)
    assert len(made.events) == pytest.approx(rate * len(long.split()) / 100, abs=1)


def test_few_words_get_few_disfluencies() -> None:
    """Below one for each kind, seeds choose among the kinds; `least` is kept whatever the rate says."""
    kinds = {disfluent(TEXT, seed, rate=5.0).events[0].kind for seed in range(40)}
    assert len(kinds) > 2
    assert {len(disfluent(TEXT, seed, rate=5.0).events) for seed in range(40)} == {1}
    assert len(disfluent(TEXT, 1, rate=5.0, least=3).events) == 3


@pytest.mark.parametrize("text", ["Name two birds.", "Why?", "Never."])
def test_a_short_text_hesitates_too(text: str) -> None:
    """Where what was drawn has no place, another kind is taken, so that a variant lacks no item."""
    for seed in range(20):
        made = disfluent(text, seed)
        assert [event.kind for event in made.events] in (["filled_pause"], ["restart"], ["repetition"])
        assert not disfluent(text, seed, least=0, rate=0.0).events


def test_chosen_kinds_only() -> None:
    """What was not asked for does not occur."""
    for seed in range(20):
        made = disfluent(TEXT, seed, kinds=["repetition"], rate=20.0)
        assert {event.kind for event in made.events} == {"repetition"}


def test_what_is_unknown_is_refused() -> None:
    """Languages and kinds are listed."""
    with pytest.raises(UsageError, match="no disfluency in 'de'; there is: en, zh"):
        disfluent("Hallo", 1, lang="de")
    with pytest.raises(UsageError, match="no disfluency 'stutter'; there are: restart"):
        disfluent("Hello", 1, kinds=["stutter"])


@given(st.integers(0, 10_000))
def test_same_seed_same_text(seed: int) -> None:
    """Nothing but text, seed and protected phrases decides."""
    assert disfluent(TEXT, seed) == disfluent(TEXT, seed)


def test_seeds_differ() -> None:
    """Different seeds hesitate in different places."""
    assert len({disfluent(TEXT, seed).text for seed in range(20)}) > 10


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_to_say(text: str) -> None:
    """Where there is no word there is no place to hesitate."""
    made = disfluent(text, 1)
    assert (made.text, made.events) == ("", ())
