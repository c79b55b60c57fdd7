"""The golden vectors of the closed-ended rules, in both profiles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evaluators.rules import PROFILES, RULES, check, prepare

GOLDEN = Path(__file__).parents[2] / "golden"

# Strict prompts, strict instructions, loose prompts, loose instructions; the published numbers of tests/golden.
TOTALS = {"reference": (415, 696, 429, 712), "fixed": (423, 704, 437, 720)}
CHANGED_KEYS = {202, 1843, 1954, 2028, 2341, 2571, 2811, 3456}


def _rows(name: str) -> list[dict[str, Any]]:
    with (GOLDEN / name).open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


AUTHORED = _rows("closed_authored.jsonl")
REAL = _rows("ifeval_gpt4.jsonl")


def _verdicts(row: dict[str, Any], profile: str) -> tuple[list[bool], list[bool]]:
    text = prepare(row["response"], profile)
    marks = [
        check(rule, arguments, text, profile)
        for rule, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True)
    ]
    return [strict.met for strict, _ in marks], [loose.met for _, loose in marks]


def test_files_are_whole() -> None:
    """The files hold as many cases as their description says, for every rule."""
    assert (len(AUTHORED), len(REAL)) == (1056, 541)
    assert {row["instruction_id"] for row in AUTHORED} == set(RULES)
    assert len(RULES) == 25


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("rule", RULES)
def test_authored_verdicts(rule: str, profile: str) -> None:
    """Every determinate verdict of the authored cases is reproduced."""
    wrong = []
    for row in AUTHORED:
        expected = (row[profile]["strict"], row[profile]["loose"])
        if row["instruction_id"] != rule or None in expected:
            continue
        strict, loose = check(rule, row["kwargs"], prepare(row["response"], profile), profile)
        if (strict.met, loose.met) != expected or strict.flag in ("random", "error"):
            wrong.append((row["id"], expected, strict, loose))
    assert wrong == []


RANDOM = re.compile(r"p\(strict\)=([\d.]+) p\(loose\)=([\d.]+), so (true|false)/(true|false) by the deterministic rule")


@pytest.mark.parametrize(
    "row", [row for row in AUTHORED if "[reference: random" in row["note"]], ids=lambda row: str(row["id"])
)
def test_random_verdicts(row: dict[str, Any]) -> None:
    """Where the reference draws, the stand-in has the probability and the verdict of the note."""
    found = RANDOM.search(row["note"])
    assert found is not None
    strict, loose = check(row["instruction_id"], row["kwargs"], prepare(row["response"], "reference"), "reference")
    assert strict.flag == loose.flag == "random"
    assert [strict.probability, loose.probability] == [pytest.approx(float(found[n]), abs=6e-5) for n in (1, 2)]
    assert [strict.met, loose.met] == [found[n] == "true" for n in (3, 4)]


@pytest.mark.parametrize(
    "row", [row for row in AUTHORED if "[reference: raises]" in row["note"]], ids=lambda row: str(row["id"])
)
def test_raising_verdicts(row: dict[str, Any]) -> None:
    """Where the reference raises, the instruction is false and flagged."""
    strict, loose = check(row["instruction_id"], row["kwargs"], prepare(row["response"], "reference"), "reference")
    assert (strict.met, loose.met, strict.flag, loose.flag) == (False, False, "error", "error")
    assert strict.found.startswith("the reference raises: ")


def test_real_verdicts() -> None:
    """Every determinate reference verdict on GPT-4's responses is reproduced."""
    wrong = []
    for row in REAL:
        found = _verdicts(row, "reference")
        for kind, verdicts in zip(("reference_strict", "reference_loose"), found, strict=True):
            if any(want is not None and want != got for want, got in zip(row[kind], verdicts, strict=True)):
                wrong.append((row["key"], kind, verdicts))
    assert wrong == []


@pytest.mark.parametrize("profile", PROFILES)
def test_real_totals(profile: str) -> None:
    """The totals on GPT-4's responses are the published ones, the two random letters by the stand-in."""
    verdicts = [_verdicts(row, profile) for row in REAL]
    totals = tuple(
        count for kind in (0, 1) for count in (sum(all(v[kind]) for v in verdicts), sum(sum(v[kind]) for v in verdicts))
    )
    assert totals == TOTALS[profile]


def test_changed_keys() -> None:
    """On GPT-4's responses `fixed` differs from the determinate reference verdicts for eight known keys."""
    changed = set()
    for row in REAL:
        wanted = row["reference_strict"] + row["reference_loose"]
        strict, loose = _verdicts(row, "fixed")
        found = strict + loose
        if any(want is not None and want != got for want, got in zip(wanted, found, strict=True)):
            changed.add(row["key"])
    assert changed == CHANGED_KEYS
