"""Verdicts that are kept: the same output from them, and none of them for anything else."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import cache
from data.records import Item, ItemId, Mark, Score
from data.suites import suite_named
from evaluators import kept, rules
from evaluators.cli import main
from evaluators.count import count_file

Write = Callable[[Path, list[dict[str, Any]]], Path]
Golden = Callable[[str], list[dict[str, Any]]]
NAME = "closed_standard_en.jsonl"


@pytest.fixture
def file(tmp_path: Path, write_jsonl: Write, golden: Golden) -> Path:
    """A closed file with every kind of instruction, a prompt that stands on two lines, and an item without answer."""
    rows = golden("ifeval_gpt4.jsonl")
    chosen = {key: row for row in reversed(rows) for key in row["instruction_id_list"]}
    lines = [{**row, "key": key} for key, row in enumerate(chosen.values())]
    lines.append({**lines[0], "key": 100, "response": "another answer"})
    lines.append({**lines[1], "key": 101, "response": None})
    return write_jsonl(tmp_path / "run" / NAME, lines)


@pytest.fixture
def outputs(file: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, bytes]]:
    """A function that counts the file and returns table and details."""
    numbers = itertools.count()

    def count(*flags: str) -> tuple[str, bytes]:
        details = file.parent.parent / f"details-{next(numbers)}"
        assert main(["--results", str(file.parent), "--format", "json", "--details", str(details), *flags]) == 0
        return capsys.readouterr().out, details.read_bytes()

    return count


def entries() -> list[Path]:
    """Return what is kept."""
    return sorted((cache.folder() / "verdicts").glob("*"))


def refuse_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every check of a rule fail."""

    def check(*_: object) -> None:
        raise AssertionError("a rule was checked")

    monkeypatch.setattr(rules, "check", check)


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_the_same_bytes_with_and_without(
    profile: str, outputs: Callable[..., tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anew, for the first time, and from what is kept: one output, and the last checks no rule."""
    flags = ("--profile", profile, "--by", "instruction")
    anew = outputs(*flags, "--no_cache")
    assert entries() == []
    assert outputs(*flags) == anew
    assert len(entries()) == 1
    refuse_rules(monkeypatch)
    assert outputs(*flags) == anew
    with pytest.raises(AssertionError, match="a rule was checked"):
        outputs(*flags, "--no_cache")


def test_the_page_from_kept_verdicts(outputs: Callable[..., tuple[str, bytes]], tmp_path: Path) -> None:
    """The page gives the same reasons."""
    pytest.importorskip("jinja2", reason="needs the extra 'report'")
    pytest.importorskip("matplotlib", reason="needs the extra 'report'")
    pages = [tmp_path / f"{name}.html" for name in ("anew", "first", "kept")]
    for page, flags in zip(pages, (["--no_cache"], [], []), strict=True):
        outputs("--report", str(page), *flags)
    assert pages[0].read_bytes() == pages[1].read_bytes() == pages[2].read_bytes()


@pytest.mark.parametrize("change", ["line", "name", "profile", "sources"])
def test_what_changes_is_checked_anew(
    change: str, file: Path, outputs: Callable[..., tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed line, name, profile or rule finds nothing that is kept."""
    outputs()
    flags: tuple[str, ...] = ()
    if change == "line":
        file.write_text(file.read_text().replace("another answer", "another  answer"))
    elif change == "name":
        file.rename(file.with_name("closed_accent_en.jsonl"))
    elif change == "profile":
        flags = ("--profile", "fixed")
    else:
        monkeypatch.setattr(kept, "code", lambda: "other")
    with monkeypatch.context() as patched:
        refuse_rules(patched)
        with pytest.raises(AssertionError, match="a rule was checked"):
            outputs(*flags)
    assert outputs(*flags) == outputs(*flags, "--no_cache")
    assert len(entries()) == 2


def test_every_source_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that is edited, added, renamed or taken away gives another hash; so does another version of NLTK."""
    rule = tmp_path / "evaluators" / "rules" / "keywords.py"
    rule.parent.mkdir(parents=True)
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "evaluators" / "kept.py"))
    found = []

    def note() -> None:
        kept.code.cache_clear()
        found.append(kept.code())

    note()
    rule.write_text("a = 1")
    note()
    rule.write_text("a = 2")
    note()
    rule.rename(rule.with_name("other.py"))
    note()
    monkeypatch.setattr(kept.metadata, "version", lambda _: "0")
    note()
    kept.code.cache_clear()
    assert len(set(found)) == 5


@pytest.mark.parametrize(
    "damaged",
    [
        lambda content: content[:0],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        zlib.compress(b"[1, 2]"),
        zlib.compress(b'[[{"strict": [[true]]}, {}]]'),
        zlib.compress(b"{"),
        zlib.compress(b"[" * 100_000),
    ],
)
def test_a_damaged_entry_is_none(
    damaged: bytes | Callable[[bytes], bytes], outputs: Callable[..., tuple[str, bytes]]
) -> None:
    """Torn, flipped or foreign: the rules are checked anew, and the entry is whole again."""
    anew = outputs()
    (entry,) = entries()
    whole = entry.read_bytes()
    entry.write_bytes(damaged if isinstance(damaged, bytes) else damaged(whole))
    assert outputs() == anew
    assert entry.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_nothing(
    outputs: Callable[..., tuple[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a place for it gets the same numbers."""
    anew = outputs()
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert outputs() == anew
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert outputs() == anew


def test_a_file_that_changes_meanwhile_is_not_kept(file: Path) -> None:
    """What was counted of the old file is never taken for the new one's."""

    def see(item: Item, score: Score) -> None:
        if item.id.key == 101:
            file.write_text(file.read_text().replace("another answer", "a third answer"))

    count_file(file, suite_named("close"), "fixed", see=see, keep_verdicts=True)
    assert entries() == []


def test_large_files_are_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their verdicts would take memory that counting does not."""
    monkeypatch.setattr(kept, "MOST_BYTES", file.stat().st_size - 1)
    count_file(file, suite_named("close"), "fixed", keep_verdicts=True)
    assert entries() == []


def test_judged_files_are_read_each_time(tmp_path: Path, write_jsonl: Write) -> None:
    """Votes cost nothing to count."""
    row = {"key": 1, "prompt": "p", "response": "r", "decomposed_questions": ["q"], "pred_score": ['["YES"]'] * 4}
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [row])
    count_file(path, suite_named("open"), "fixed", keep_verdicts=True)
    assert entries() == []


MARKS = st.builds(Mark, st.booleans(), st.text(), st.text(), st.none() | st.text(), st.none() | st.floats(0, 1))
SCORES = st.builds(
    Score,
    st.just(ItemId("f", 1, None)),
    st.dictionaries(st.text(), st.lists(MARKS).map(tuple)),
    st.none() | st.text(),
    st.none() | st.integers(),
    st.integers(),
    st.lists(st.integers() | st.text()).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=st.lists(SCORES, min_size=1))
def test_scores_come_back_as_they_were(scores: list[Score], tmp_path: Path) -> None:
    """Whatever a score holds."""
    path = tmp_path / "any.jsonl"
    path.write_bytes(json.dumps(repr(scores)).encode())
    given_out = iter(scores)

    def score(item_id: ItemId, line: Mapping[str, Any], profile: str) -> Score:
        return next(given_out)

    for _ in range(2):  # the second time from what is kept: the evaluator has nothing more to say
        counting = kept.KeptScores(path, "any", score, "fixed")
        assert [counting.score(own.id, {}, "fixed") for own in scores] == scores
        counting.keep()
