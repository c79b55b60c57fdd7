"""Closed items: from a response to one strict and one loose mark per instruction.

Rules: docs/closed-rules.md. Totals over items are counted in `evaluators.tally`, from `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.records import ItemId, Mark, Score
from evaluators import rules

METRICS = ("strict-prompt", "strict-instruction", "loose-prompt", "loose-instruction")


def score(item_id: ItemId, fields: Mapping[str, Any], profile: str) -> Score:
    """Check one closed item against its instructions.

    Args:
        item_id: the item's identity.
        fields: the item's line: `key`, `instruction_id_list`, `kwargs` and `response`. Under `reference` the caller
            puts in the response that this profile looks up by prompt text.
        profile: `reference` or `fixed`.

    Returns:
        A score with `strict` and `loose` marks along `instruction_id_list`, or, without a response, an unscored one
        whose `expected` is the number of instructions.

    Raises:
        UsageError: a rule needs NLTK's data, which is missing or not the pinned one.

    Source: docs/closed-rules.md sections 1 to 3.
    """
    instructions = fields["instruction_id_list"]
    response = fields.get("response")
    if response is None:
        return Score(item_id, {}, unscored="no response", expected=len(instructions))
    text = rules.prepare(response, profile)
    kwargs = fields["kwargs"]
    strict: list[Mark] = []
    loose: list[Mark] = []
    for place, instruction in enumerate(instructions):
        arguments = kwargs[place] if place < len(kwargs) else rules.MISSING
        if item_id.key is None:
            flag = "error" if profile == "reference" else "invalid"
            pair = (Mark(False, "a line with a key", "no key", flag),) * 2
        else:
            pair = rules.check(instruction, arguments, text, profile)
        strict.append(pair[0])
        loose.append(pair[1])
    return Score(item_id, {"strict": tuple(strict), "loose": tuple(loose)})


def counts(score: Score) -> dict[str, tuple[int, int]] | None:
    """Return (met, n) per metric; None for an unscored item."""
    return _counts(score, invalid_is_met=False)


def highest(score: Score) -> dict[str, tuple[int, int]] | None:
    """Return `counts` as they would be, were every invalid instruction met (docs/closed-rules.md section 7)."""
    return _counts(score, invalid_is_met=True)


def _counts(score: Score, *, invalid_is_met: bool) -> dict[str, tuple[int, int]] | None:
    if score.unscored is not None:
        return None
    result = {}
    for way in ("strict", "loose"):
        met = [mark.met or (invalid_is_met and mark.flag == "invalid") for mark in score.marks[way]]
        result[f"{way}-prompt"] = (int(all(met)), 1)
        result[f"{way}-instruction"] = (sum(met), len(met))
    return result
