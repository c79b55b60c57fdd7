"""Classification items: from an answer to one mark a tier, all of them against the same label.

    {"key": "a1", "prompt": "Is there noise? The answer could be yes or no.", "instruction": "...", "label": "yes",
     "response": "The answer is yes.", "pred_score": ["YES"]}

gives `strict` not met, `stripped`, `option` and `judge` met: the wrong format, not the wrong answer. A line of a run
with `--score likelihood` has `option_scores` ({option: log-probability}) and nothing else is marked there, since the
model generated nothing. Rules: docs/dynamic-superb.md, section "Scoring".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from data.dynamic_superb import options as option_reader
from data.records import Item, ItemId, Mark, Score
from evaluators import votes
from evaluators.classification import naming
from prompts.replies import read_classify_reply

METRICS = ("strict", "stripped", "option", "judge", "likelihood")
BY_RULE = ("strict", "stripped", "option", "likelihood")
NOT_ANSWERED = "N/A"
"""The flag of a mark that is not met since no answer could be told: no option or several, or by the judge's word."""
WRONG_FORMAT, WRONG_ANSWER = "wrong format", "wrong answer"
NO_LABEL = "the label is none of the options"

_PROFILE = "fixed"  # no published arithmetic exists for our votes; both profiles count them alike
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Choice:
    """What one item's answer chose, as tables need it.

    Attributes:
        key: the item's key.
        recording: the file name of its recording, which tells rows of one key apart under every wording.
        label: the label's words, joined.
        options: the row's options as written, in its order; none where they cannot be read.
        expected: which option the label is; None where it is none of them.
        chosen: which option the answer chose; None where it chose none, or there is no answer.
        answered: whether there is an answer.
        marks: whether each tier is met; a tier that does not apply is missing.
        not_answered: tiers whose mark is N/A.
    """

    key: int | str | None
    recording: str | None
    label: str
    options: tuple[str, ...]
    expected: int | None
    chosen: int | None
    answered: bool
    marks: Mapping[str, bool]
    not_answered: tuple[str, ...]

    @property
    def failure(self) -> str | None:
        """Why a generated answer is not right strictly, `wrong format` or `wrong answer`; None where nothing tells."""
        if self.marks.get("strict", True):
            return None
        if any(self.marks.values()):
            return WRONG_FORMAT
        return WRONG_ANSWER if self.marks.keys() & {"option", "judge"} else None


def check(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which field of a line cannot be counted and why, or None."""
    for field in ("instruction", "label"):
        if not isinstance(fields.get(field), str) or not fields[field].strip():
            problem = "must be text" if field in fields else "missing; is --evaluator classify right?"
            return field, problem
    scores = fields.get("option_scores")
    if scores is None:
        return None
    numbers = scores.values() if isinstance(scores, dict) else ()
    if not numbers or not all(map(is_number, numbers)):
        return "option_scores", "must be an object with one number an option"
    return None


def score(item_id: ItemId, fields: Mapping[str, Any], profile: str) -> Score:
    """Mark one classification item.

    Args:
        item_id: the item's identity.
        fields: the item's line: `instruction`, `label`, `response`, and where they are there `pred_score` (or, of a
            panel, `pred_scores`) and `option_scores`.
        profile: `reference` or `fixed`; they count alike.

    Returns:
        A score with one mark in each tier that applies: `option` needs options that hold the label, `judge` a readable
        reply; `likelihood` stands alone. Without a response, and where likelihood has no such option, an unscored one.

    Source: arXiv 2309.09510 (strict); docs/dynamic-superb.md (the others).
    """
    del profile
    response = fields.get("response")
    if response is None:
        return Score(item_id, {}, unscored=votes.NO_RESPONSE, expected=1)
    label = fields["label"]
    if fields.get("option_scores") is not None:
        mark = _likelihood(fields["option_scores"], label)
        return Score(item_id, {}, NO_LABEL, 1) if mark is None else Score(item_id, {"likelihood": (mark,)})
    found = _cut(response)
    marks = {
        "strict": Mark(response.lower() == label.lower(), label, found),
        "stripped": Mark(
            naming.bare(response) == naming.bare(label),
            " ".join(naming.bare(label)),
            _cut(" ".join(naming.bare(response))),
        ),
    }
    row = _options(fields["instruction"])
    expected = naming.place_of(label, row)
    if expected is not None:
        marks["option"] = _option(naming.named(response, row), row, expected)
    judged = votes.decided(fields, _PROFILE, judgement)
    if judged.unscored is None:
        (outcome,) = judged.outcomes
        flag = NOT_ANSWERED if _judged_not_answered(fields) else outcome.flag
        marks["judge"] = Mark(outcome.met, "the judge says YES", outcome.found, flag)
    return Score(item_id, {tier: (mark,) for tier, mark in marks.items()}, invalid_votes=judged.invalid)


def choice(item: Item, found: Score) -> Choice:
    """Return what an item's answer chose, with its marks."""
    fields = item.fields
    response, scores = fields.get("response"), fields.get("option_scores")
    chosen = None
    if scores is not None:
        options = tuple(scores)
        if response is not None:
            chosen = options.index(_best(scores))
    else:
        options = _options(fields["instruction"])
        if response is not None:
            chosen = naming.named(response, options).chosen
    return Choice(
        item.id.key,
        None if item.id.audio is None else PurePosixPath(item.id.audio).name,
        naming.joined(fields["label"]),
        options,
        naming.place_of(fields["label"], options),
        chosen,
        response is not None,
        {tier: mark.met for tier, (mark,) in found.marks.items()},
        tuple(tier for tier, (mark,) in found.marks.items() if mark.flag == NOT_ANSWERED),
    )


def counts(found: Score) -> dict[str, tuple[int, int]] | None:
    """Return (met, n) of each tier that is marked; None for an unscored item."""
    if found.unscored is not None:
        return None
    return {tier: (int(mark.met), 1) for tier, (mark,) in found.marks.items()}


# --- the judge ------------------------------------------------------------------------------------------------------


def judgement(fields: Mapping[str, object], profile: str) -> votes.Judgement:
    """Return what the judge behind a line's `pred_score` decided: YES needs more than half of the readable votes."""
    del profile
    if fields.get("option_scores") is not None:
        return votes.Judgement((), "nothing was generated")
    reason = votes.unusable(fields, _PROFILE, raises=())
    if reason is not None:
        return votes.Judgement((), reason)
    replies = votes.replies_of(fields)
    read = [verdict for verdict in map(read_classify_reply, replies) if verdict is not None]
    if not read:
        return votes.Judgement((), votes.NO_READABLE_VOTE, len(replies))
    outcome = votes.fixed_majority([verdict == "YES" for verdict in read])
    absent = read.count(NOT_ANSWERED)
    found = f"{outcome.found}, {absent} N/A" if absent else outcome.found
    # N/A is no NO that could tie with a YES.
    tied = outcome.tied and not absent
    return votes.Judgement((replace(outcome, found=found, tied=tied),), invalid=len(replies) - len(read))


def events(verdicts: Sequence[bool]) -> dict[str, tuple[bool, ...]]:
    """Return what the tier `judge` counts of one item, from the verdict on it; N/A is not met."""
    return {"judge": tuple(verdicts)}


def ballots(fields: Mapping[str, object], profile: str) -> list[Sequence[object] | None]:
    """Return the verdict of each reply of a line; None for one that cannot be read."""
    del profile
    read = map(read_classify_reply, votes.replies_of(fields))
    return [None if verdict is None else (verdict,) for verdict in read]


def _judged_not_answered(fields: Mapping[str, object]) -> bool:
    """Return whether more than half of the readable votes, or of a panel's judges, say that there is no answer."""
    panel = votes.panel_of(fields)
    if panel is None:
        verdicts = [ballot == (NOT_ANSWERED,) for ballot in ballots(fields, _PROFILE) if ballot is not None]
    else:
        judges = [votes.of_judge(fields, name) for name in panel]
        verdicts = [_judged_not_answered(judge) for judge in judges if judgement(judge, _PROFILE).unscored is None]
    return 2 * sum(verdicts) > len(verdicts)


# --- options --------------------------------------------------------------------------------------------------------


_options = lru_cache(maxsize=1024)(option_reader.read)  # an instance has some dozen instructions, for thousands of rows


def _option(found: naming.Named, options: Sequence[str], expected: int) -> Mark:
    if found.chosen is not None:
        said = "names" if found.affirmed else "denies the other than"
        return Mark(found.chosen == expected, f"option {options[expected]}", f"{said} {options[found.chosen]}")
    several = _cut(" and ".join(options[place] for place in (*found.affirmed, *found.denied)))
    text = f"names {several}" if found.affirmed else f"only denies {several}" if several else "names no option"
    return Mark(False, f"option {options[expected]}", text, NOT_ANSWERED)


def _likelihood(scores: Mapping[str, float], label: str) -> Mark | None:
    if naming.place_of(label, tuple(scores)) is None:
        return None
    best = _best(scores)
    tied = sum(value == scores[best] for value in scores.values()) > 1
    found = f"likeliest: {best} ({scores[best]:.3f})"
    return Mark(naming.words(best) == naming.words(label), f"option {label}", found, "tie" if tied else None)


def _best(scores: Mapping[str, float]) -> str:
    """Return the likeliest option, the first of equals."""
    return max(scores, key=lambda option: scores[option])


def is_number(value: object) -> bool:
    """Return whether a value of a file is a finite number, and no truth value; an integer may be too long for one."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
