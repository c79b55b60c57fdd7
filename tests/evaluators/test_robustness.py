"""Variants beside the standard rendering: joins, pairs, tests, and how they are shown."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data.suites import SUITES
from evaluators import stats
from evaluators.cli import main
from evaluators.count import FileResult, count_file
from evaluators.outcomes import Group, Outcome, join, pairs
from evaluators.report import robustness as robustness_rows
from evaluators.report import rows, table
from evaluators.robustness import robustness

Write = Callable[[Path, list[dict[str, Any]]], Path]
Rows = list[dict[str, Any]]
VARIANTS = ("background", "accent", "disfluency")


def outcome(key: int | str | None, met: str, *, audio: str = "a", prompt: str = "p") -> Outcome:
    """Return an item with one instruction a letter: Y met both ways, L met loosely only, N not met; empty: unscored."""
    marks = {"strict": tuple(mark == "Y" for mark in met), "loose": tuple(mark in "YL" for mark in met)}
    kinds = tuple(f"kind-{place}" for place in range(len(met)))
    return Outcome(key, audio, prompt.encode(), kinds, marks if met else {})


def by_key(found: Outcome) -> object:
    """Return the key."""
    return found.key


def test_events_of_every_metric() -> None:
    """What a metric counts of an item: the whole, the parts, and for a mean both ways."""
    item = outcome(1, "YLN")
    assert item.events("strict-prompt") == (False,)
    assert item.events("loose-instruction") == (True, True, False)
    assert item.events("mean-instruction") == (True, False, False, True, True, False)
    assert outcome(1, "YL").events("mean-prompt") == (False, True)
    assert item.events_of_kind("kind-1") == (False, True)
    assert (outcome(1, "YY").passed(), item.passed()) == (True, False)
    questions = Outcome(1, None, b"", (), {"questions": (True, False)})
    assert (questions.events("prompt"), questions.events("instruction")) == ((False,), (True, False))
    adjustment = Outcome(1, None, b"", (), {"iar": (True,), "ecr": (False,)})
    assert (adjustment.events("ecr"), adjustment.passed()) == ((False,), True)
    with pytest.raises(ValueError, match="unscored"):
        outcome(1, "").passed()


def test_pairs_of_several_renderings() -> None:
    """Each rendering is held against the mean of the standard ones, and all of a key's pairs are one cluster."""
    groups = [
        Group(1, (outcome(1, "Y"), outcome(1, "N", audio="b")), (outcome(1, "Y"), outcome(1, "Y"), outcome(1, "N"))),
        Group(2, (outcome(2, "YN"),), (outcome(2, "NN"),)),
    ]
    found = pairs(groups, partial(Outcome.events, metric="strict-instruction"))
    assert [found.kept.tolist(), found.broke.tolist(), found.mended.tolist(), found.n.tolist()] == [
        [1.0, 0.0],
        [0.5, 1.0],
        [1.0, 0.0],
        [3, 2],
    ]


def test_lists_of_another_length_are_no_pairs() -> None:
    """A judge that answered another number of questions has no verdicts to hold against these."""
    sides = [Outcome(1, None, b"", (), {"questions": questions}) for questions in ((True,), (True, False))]
    groups = [Group(1, (sides[0],), (sides[1],))]
    assert pairs(groups, partial(Outcome.events, metric="instruction")).n.sum() == 0
    assert pairs(groups, partial(Outcome.events, metric="prompt")).n.sum() == 1


@pytest.mark.parametrize(
    ("first", "second", "joined", "coverage", "unscored", "groups"),
    [
        ([outcome(1, "Y"), outcome(2, "Y")], [outcome(1, "Y"), outcome(2, "N")], 2, 1.0, 0, 2),
        ([outcome(1, "Y"), outcome(2, "Y")], [outcome(1, "Y")], 1, 0.5, 0, 1),
        ([outcome(1, "Y")], [outcome(1, "Y"), outcome(2, "Y"), outcome(3, "Y")], 1, 1 / 3, 0, 1),
        ([outcome(1, "Y")], [outcome(1, "Y", audio="b"), outcome(1, "N", audio="c")], 2, 1.0, 0, 1),
        # The same key with other instructions is another request.
        ([outcome(1, "Y")], [outcome(1, "YY")], 0, 0.0, 0, 0),
        # A later grading of one item replaces the earlier one.
        ([outcome(1, "Y")], [outcome(1, "N"), outcome(1, "Y")], 1, 1.0, 0, 1),
        ([], [], 0, 0.0, 0, 0),
    ],
)
def test_joins(
    first: list[Outcome], second: list[Outcome], joined: int, coverage: float, unscored: int, groups: int
) -> None:
    """Coverage is the smaller share of either file that found a partner."""
    found = join(first, second, by_key, by_key)
    assert (found.joined, found.coverage, found.unscored, len(found.groups)) == (joined, coverage, unscored, groups)
    assert found.only_first == len({one.key for one in first} - {one.key for one in second}) or not joined


def test_unscored_items_are_joined_but_no_pairs() -> None:
    """An item without an answer on either side is counted, not compared."""
    blank = Outcome(1, "a", b"p", ("kind-0",), {})
    for first, second in ((blank, outcome(1, "Y")), (outcome(1, "Y"), blank)):
        found = join([first], [second], by_key, by_key)
        assert (found.joined, found.coverage, found.unscored, found.groups) == (1, 1.0, 1, ())


NO_COMMA = {"instruction_id_list": ["punctuation:no_comma", "startend:quotation"], "kwargs": [{}, {}]}
ANSWERS = {True: '"yes"', False: "no, never"}


def variant_rows(verdicts: list[bool], *, offset: int = 0) -> Rows:
    """Return closed items whose two instructions are both met, or both not."""
    return [
        {"key": key + offset, "prompt": f"P{key}", "audio_path": f"{key}.wav", **NO_COMMA, "response": ANSWERS[met]}
        for key, met in enumerate(verdicts)
    ]


@pytest.fixture
def run_folder(tmp_path: Path, write_jsonl: Write) -> Path:
    """A run whose disfluent variant breaks a quarter of what is met, while the others turn a few items round."""
    generator = random.Random(7)
    standard = [generator.random() < 0.5 for _ in range(200)]
    write_jsonl(tmp_path / "closed_standard_en.jsonl", variant_rows(standard))
    for variant, share in zip(VARIANTS, (0.02, 0.12, 0.25), strict=True):
        moved = [generator.random() < share for _ in standard]
        only_breaks = variant == "disfluency"
        verdicts = [met and not move if only_breaks else met ^ move for met, move in zip(standard, moved, strict=True)]
        write_jsonl(tmp_path / f"closed_{variant}_en.jsonl", variant_rows(verdicts))
    return tmp_path


def counted(folder: Path, profile: str = "fixed") -> list[FileResult]:
    """Return the counted files of a folder with their outcomes."""
    paths = sorted(
        folder.glob("closed_*.jsonl"), key=lambda path: ("standard", *VARIANTS).index(path.stem.split("_")[1])
    )
    return [count_file(path, SUITES["closed"], profile, keep_outcomes=True) for path in paths]


def test_a_variant_is_as_far_away_as_the_two_values_say(run_folder: Path) -> None:
    """Where all items join, the paired difference is the difference of both files' values, and adds up."""
    results = counted(run_folder)
    standard = next(result for result in results if result.path.name == "closed_standard_en.jsonl")
    found = robustness(results)
    assert [variant.result.path.name for variant in found] == [f"closed_{variant}_en.jsonl" for variant in VARIANTS]
    for variant in found:
        assert (variant.items, variant.joined, variant.coverage, variant.refused) == (200, 200, 1.0, False)
        for metric, change in variant.changes.items():
            before, after = (side.tally.cells()[metric].value for side in (standard, variant.result))
            assert before is not None
            assert after is not None
            difference = change.difference
            assert (difference.first, difference.second) == (pytest.approx(before), pytest.approx(after))
            assert (
                difference.value == pytest.approx(after - before) == pytest.approx(difference.mended - difference.broke)
            )
            assert difference.ci95[0] <= difference.value <= difference.ci95[1]
    assert [variant.changes["mean-prompt"].p_family < 0.05 for variant in found] == [False, False, True]


def test_p_values_are_one_family_a_language(run_folder: Path) -> None:
    """Holm's correction runs over the variants of one language and metric."""
    for path in list(run_folder.glob("*_en.jsonl")):
        path.with_name(path.name.replace("_en", "_cn")).write_bytes(path.read_bytes())
    found = robustness(counted(run_folder))
    for lang in ("en", "zh"):
        family = [variant for variant in found if variant.result.kind is not None and variant.result.kind.lang == lang]
        assert len(family) == 3
        for metric in ("strict-prompt", "mean-instruction"):
            changes = [variant.changes[metric] for variant in family]
            expected = stats.holm([change.difference.p for change in changes])
            assert [change.p_family for change in changes] == expected
        tests = [variant.changes["strict-instruction"].difference.test for variant in family]
        assert tests == [stats.SIGN_FLIPS, stats.CLUSTERED_MCNEMAR, stats.CLUSTERED_MCNEMAR]
        assert family[0].changes["strict-prompt"].difference.test == stats.EXACT_MCNEMAR


def test_every_item_counts_by_its_own_response(tmp_path: Path, write_jsonl: Write) -> None:
    """The reference's lookup by prompt text moves its totals, not the comparison."""
    alike = [{**row, "prompt": "P"} for row in variant_rows([True, False] * 30)]
    write_jsonl(tmp_path / "closed_standard_en.jsonl", alike)
    write_jsonl(tmp_path / "closed_accent_en.jsonl", alike)
    for profile in ("reference", "fixed"):
        (variant,) = robustness(counted(tmp_path, profile))
        difference = variant.changes["strict-prompt"].difference
        assert (difference.first, difference.second, difference.broke) == (0.5, 0.5, 0.0)


def test_files_whose_keys_do_not_correspond(run_folder: Path, write_jsonl: Write) -> None:
    """Less than 95 % of the join is refused by key; by prompt text it is compared, and the coverage shown."""
    path = run_folder / "closed_accent_en.jsonl"
    other = [json.loads(line) for line in path.read_text().splitlines()]
    write_jsonl(path, [{**row, "key": row["key"] + 190} for row in other])
    by_name = {variant.result.path.name: variant for variant in robustness(counted(run_folder))}
    refused = by_name[path.name]
    assert (refused.refused, refused.joined, refused.coverage, refused.changes) == (True, 10, 0.05, {})
    assert not by_name["closed_background_en.jsonl"].refused
    joined = robustness(counted(run_folder), "prompt")[0]
    assert (joined.refused, joined.joined, joined.coverage) == (False, 200, 1.0)
    assert joined.changes["strict-prompt"].difference.n == 200


def output(capsys: pytest.CaptureFixture[str], *flags: object) -> str:
    """Run the command, expect success, and return what it printed."""
    assert main([str(flag) for flag in flags]) == 0
    return capsys.readouterr().out


def test_the_second_table(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run with variants shows them beside the standard rendering, starred where significant; one file does not."""
    text = output(capsys, "--results", run_folder)
    lines = [line for line in text.splitlines() if line.strip().startswith(VARIANTS)]
    assert [line.split()[0] for line in lines] == list(VARIANTS)
    assert ["*" in line for line in lines] == [False, False, True]
    assert all("200 (100 %)" in line for line in lines)
    assert "Holm's correction over the variants of a language" in text
    alone = output(capsys, "--src_file", run_folder / "closed_standard_en.jsonl")
    assert "broke" not in alone
    refused = output(capsys, "--results", run_folder, "--by", "instruction")
    assert refused.count("startend:quotation") == 4 + 3


def test_json_holds_the_variants(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every metric of every variant, with its test, its interval and what it could have found."""
    shown = json.loads(output(capsys, "--results", run_folder, "--format", "json", "--by", "instruction"))
    assert [variant["variant"] for variant in shown["robustness"]] == list(VARIANTS)
    metric = shown["robustness"][2]["metrics"]["strict-prompt"]
    assert metric["test"] == stats.EXACT_MCNEMAR
    assert metric["p"] <= metric["p_holm"] < 0.05
    assert metric["ci95"][0] < metric["difference"] < metric["ci95"][1] < 0
    assert 0 < metric["detectable"] < 0.2
    kind = shown["robustness"][2]["by_instruction"]["startend:quotation"]
    assert (kind["n"], "p_holm" in kind) == (400, False)


def test_refused_joins_are_said(run_folder: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A variant that does not join has dashes in its row, and a note that says what to do."""
    write_jsonl(run_folder / "closed_accent_en.jsonl", variant_rows([True] * 200, offset=500))
    text = output(capsys, "--results", run_folder)
    assert "closed_accent_en.jsonl: joined by key, 0 of 200 items (0 % of both files)" in text
    assert "--join prompt" in text
    assert "too few to compare" not in output(capsys, "--results", run_folder, "--join", "prompt")


def test_tables_fit_80_columns(run_folder: Path) -> None:
    """In a terminal of 80 columns no line is longer, and no number is cut."""
    results = counted(run_folder)
    found = robustness(results, kinds=True)
    tables = [rows.result_table(results), robustness_rows.result_table(found), robustness_rows.instruction_table(found)]
    text = table.for_terminal("t", tables, rows.notes(results) + robustness_rows.notes(found), width=80)
    assert "…" not in text
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())) <= 80
