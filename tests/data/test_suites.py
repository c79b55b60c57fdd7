"""The table of subsets: their names, their files' names, and the order of tables."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from data.suites import LANGUAGES, SUITES, VARIANTS, FileKind, Suite, file_kind, file_name, language, suite_named


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        *((name, "closed") for name in ("close", "closed", "closed-ended", "closed_ended", "CLOSED")),
        *((name, "open") for name in ("open", "open_ended", "open-ended", "Open")),
        *((name, "adjustment") for name in ("adjust", "adjustment", "Adjust")),
    ],
)
def test_every_name_of_a_subset_is_known(name: str, suite: str) -> None:
    """Users call a subset by any of its names, in any case."""
    assert suite_named(name).name == suite


@pytest.mark.parametrize("name", ["", "closd", "close ", "open-end", "all"])
def test_an_unknown_subset_is_named_with_the_known_ones(name: str) -> None:
    """The error lists each known name once."""
    with pytest.raises(UsageError) as caught:
        suite_named(name)
    said = str(caught.value)
    assert f"unknown subset '{name}'" in said
    for choices in said.split("known: ")[1].split(", "):
        words = choices.split("|")
        assert len(words) == len(set(words))
        assert len({suite_named(word).name for word in words}) == 1
    assert {"close", "open", "adjust"} <= set(said.split("known: ")[1].replace(", ", "|").split("|"))


def test_no_name_means_two_subsets() -> None:
    """Names, evaluators and data types are answered by the same subset."""
    everything = [name for suite in SUITES.values() for name in (suite.name, *suite.aliases)]
    assert len(everything) == len(set(everything))
    for suite in SUITES.values():
        assert suite_named(suite.evaluator) is suite
        assert suite_named(suite.folder) is suite
        if suite.data_type is not None:
            assert suite_named(suite.data_type) is suite
        assert SUITES[suite.name] is suite


@pytest.mark.parametrize(("name", "code"), [("en", "en"), ("EN", "en"), ("zh", "zh"), ("cn", "zh"), ("Cn", "zh")])
def test_every_name_of_a_language_is_known(name: str, code: str) -> None:
    """Chinese is `cn` in file names and `zh` elsewhere."""
    assert language(name) == code


@pytest.mark.parametrize(("name", "code"), [("de", "de"), ("FR", "fr")])
def test_any_two_letter_code_is_a_language(name: str, code: str) -> None:
    """Sets can be built in any language that a voice speaks."""
    assert language(name) == code


@pytest.mark.parametrize("name", ["", "d", "deu", "english", "zh-CN", "d1", "dé"])
def test_what_is_no_code_is_no_language(name: str) -> None:
    """The error says what a code looks like."""
    with pytest.raises(UsageError) as caught:
        language(name)
    assert str(caught.value) == f"unknown language '{name}'; give a two-letter code such as en, zh or de"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("closed_standard_en.jsonl", ("closed", "standard", "en")),
        ("closed_background_cn.jsonl", ("closed", "background", "zh")),
        ("closed_accent_zh.jsonl", ("closed", "accent", "zh")),
        ("closed_paralinguistics_en.jsonl", ("closed", "paralinguistics", "en")),
        ("closed_disfluency_en.jsonl", ("closed", "disfluency", "en")),
        ("closed_far-field_en.jsonl", ("closed", "far-field", "en")),
        ("closed_accent_indian_en.jsonl", ("closed", "accent_indian", "en")),
        ("closed_noise.v2_en.jsonl", ("closed", "noise.v2", "en")),
        ("closed_en_en.jsonl", ("closed", "en", "en")),
        ("open_ended_en.jsonl", ("open", "standard", "en")),
        ("open_ended_cn.jsonl", ("open", "standard", "zh")),
        ("open_ended_zh.jsonl", ("open", "standard", "zh")),
        ("open_ended_accent_en.jsonl", ("open", "accent", "en")),
        ("closed_standard_de.jsonl", ("closed", "standard", "de")),
        ("adjustment_fr.jsonl", ("adjustment", "standard", "fr")),
        ("adjustment_en.jsonl", ("adjustment", "standard", "en")),
        ("adjustment_cn.jsonl", ("adjustment", "standard", "zh")),
        ("somewhere/else/adjustment_cn.jsonl", ("adjustment", "standard", "zh")),
    ],
)
def test_a_file_name_says_what_the_file_is(name: str, kind: tuple[str, str, str]) -> None:
    """Every form of the hub's file names is understood, whatever its folder and variant."""
    for path in (name, Path(name)):
        found = file_kind(path)
        assert found is not None
        assert (found.suite.name, found.variant, found.lang) == kind


@pytest.mark.parametrize(
    "name",
    [
        "",
        "closed_en.jsonl",
        "closed__en.jsonl",
        "closed_standard_old.jsonl",
        "closed_standard_FR.jsonl",
        "closed_standard_en.json",
        "closed_standard_en.jsonl.bak",
        "closed_standard_en_gpt4.jsonl",
        "._closed_standard_en.jsonl",
        "closed_standard_en.jsonl\n",
        "closed_stan dard_en.jsonl",
        "open_ended.jsonl",
        "open_en.jsonl",
        "my_open_ended_en.jsonl",
        "adjustment_standard_en.jsonl",
        "adjustment_enxjsonl",
    ],
)
def test_other_names_say_nothing(name: str) -> None:
    """What is not in the hub's layout is no benchmark file."""
    assert file_kind(name) is None


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("lang", ["en", "zh", "de"])
def test_a_file_is_named_as_it_is_read(suite: Suite, lang: str) -> None:
    """The name made for a subset, variant and language is read as these; Chinese files end in cn."""
    for variant in ("standard",) if suite.name == "adjustment" else VARIANTS:
        name = file_name(suite, variant, lang)
        assert file_kind(name) == FileKind(suite, variant, lang)
        assert name.endswith("_cn.jsonl") == (lang == "zh")
    assert file_name(SUITES["open"], "standard", "en") == "open_ended_en.jsonl"


@given(st.text(st.characters()))
def test_any_text_can_be_asked_for(text: str) -> None:
    """No name breaks the table: it is known, or an error names it."""
    for ask in (suite_named, language):
        try:
            ask(text)
        except UsageError as error:
            assert f"'{text}'" in str(error)
    kind = file_kind(f"closed_{text}_en.jsonl")
    assert kind is None or kind.variant == text


def test_tables_go_by_subset_language_and_variant() -> None:
    """The known variants come in the paper's order, others after them by name."""
    expected = [
        *(FileKind(SUITES["closed"], variant, "en") for variant in (*VARIANTS, "aside", "zoo")),
        *(FileKind(SUITES["closed"], variant, "zh") for variant in ("standard", "zoo")),
        FileKind(SUITES["open"], "standard", "en"),
        FileKind(SUITES["open"], "standard", "zh"),
        FileKind(SUITES["adjustment"], "standard", "en"),
    ]
    mixed = random.Random(7).sample(expected, len(expected))
    assert mixed != expected
    assert sorted(mixed, key=FileKind.order) == expected
    assert VARIANTS == ("standard", "background", "accent", "paralinguistics", "disfluency")
    assert list(LANGUAGES) == ["en", "zh"]
