"""Rows that do not offer their own label are told, whether they are an instance's or a file's of answers."""

from __future__ import annotations

from typing import Any

import pytest

from data.dynamic_superb.labels import not_offered, offered, remark
from data.jsonl import Line


def lines(*rows: dict[str, Any]) -> list[Line]:
    """Return rows as lines."""
    return [Line(number, 0, row) for number, row in enumerate(rows, start=2)]


@pytest.mark.parametrize(
    ("label", "instruction", "problem"),
    [
        ("yes", "The answer could be yes or no.", None),
        ("YES", "The answer could be Yes or no.", None),
        (" yes ", "The answer could be yes or no.", None),
        ("no speech", "The answer could be 'speech' or 'no speech'.", None),
        ("perhaps", "The answer could be yes or no.", "the label 'perhaps' is none of the options: yes, no"),
        ("yes", "Is it so?", "the instruction names no options that can be read"),
        ("yes", None, "the instruction names no options that can be read"),
        (None, "The answer could be yes or no.", "the label '' is none of the options"),
    ],
)
def test_a_label_must_be_among_the_options(label: Any, instruction: Any, problem: str | None) -> None:
    """Compared in lower case."""
    row = {name: value for name, value in (("label", label), ("instruction", instruction)) if value is not None}
    found = not_offered(lines(row))
    assert bool(found) == bool(problem)
    if problem:
        assert problem in str(found[0])
        assert found[0].line == 2
        assert found[0].options == offered(row)


def test_an_instance_gets_one_remark() -> None:
    """With how many rows, and the first of them."""
    good = {"label": "yes", "instruction": "The answer could be yes or no."}
    rows = lines(good, {**good, "label": "x"}, good, {**good, "instruction": "?"})
    found = not_offered(rows)
    assert [one.line for one in found] == [3, 5]
    first = "the first, line 3: the label 'x' is none of the options: yes, no"
    assert remark("Task_Mine", len(rows), found) == f"Task_Mine: 2 of 4 rows do not offer their label; {first}"
    assert remark("Task_Mine", 1, not_offered(lines(good))) is None
