"""Vote arithmetic that the open and the adjustment evaluator share.

Two majorities exist, one per profile, and are never mixed: `fixed_majority` counts YES against NO and calls a tie a
tie, `reference_majority` takes the most frequent value of any kind. Rules: docs/open-adjust.md sections 4 and 5.

A panel votes in two steps: each judge's replies give that judge's verdicts, then these are counted like the replies of
one judge. Rules: docs/calibration.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from evaluators import PROFILES

NO_RESPONSE = "no response"
NO_READABLE_VOTE = "no readable vote"
PRED_SCORE_MISSING = "pred_score missing"
PRED_SCORE_NULL = "pred_score is null"
PRED_SCORE_NO_LIST = "pred_score is not a list"

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Majority:
    """What the votes on one yes/no question come to.

    Attributes:
        met: whether the outcome is YES.
        tied: whether another outcome has as many votes.
        found: the votes in words, "3 of 4 YES".
        yes: how many votes were YES.
        votes: how many there were.
    """

    met: bool
    tied: bool
    found: str
    yes: int
    votes: int

    @property
    def flag(self) -> str | None:
        """The flag of a mark that rests on this majority alone."""
        return "tie" if self.tied else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge, or a panel, decided about one item.

    Attributes:
        outcomes: one majority a question; none where the item is unscored.
        unscored: why nothing was decided, or None.
        invalid: replies that could not be read.
    """

    outcomes: tuple[Majority, ...]
    unscored: str | None = None
    invalid: int = 0


Judge = Callable[[Mapping[str, object], str], Judgement]
"""From an item's line (its `pred_score`) and a profile to what that judge decided."""

Ballots = Callable[[Mapping[str, object], str], list[Sequence[object] | None]]
"""From an item's line and a profile to how each of its replies was read; None for one that does not count."""


def fixed_majority(votes: Sequence[bool]) -> Majority:
    """Return the outcome of valid votes: YES needs more than half, a tie is NO.

    Args:
        votes: True for YES; at least one.

    Source: docs/open-adjust.md section 4, profile `fixed`.
    """
    yes = sum(votes)
    no = len(votes) - yes
    return Majority(yes > no, yes == no, f"{yes} of {len(votes)} YES", yes, len(votes))


def reference_majority(values: Sequence[object]) -> Majority:
    """Return the outcome as the published scorer finds it: the most frequent value, the first seen among equals.

    Values are compared as Python objects, so `"Yes"` and `True` are no YES, and `True` and `1` are one value.

    Args:
        values: whatever the replies held; at least one.

    Raises:
        TypeError: a value cannot be counted (a list, say); the published scorer raises there too.

    Source: docs/open-adjust.md sections 4 and 5, profile `reference`.
    """
    counts = Counter(values)
    ranked = counts.most_common()
    winner, most = ranked[0]
    found = f"{counts['YES']} of {len(values)} YES"
    if winner not in ("YES", "NO"):
        found += f", most frequent: {_shown(winner)}"
    tied = len(ranked) > 1 and ranked[1][1] == most
    return Majority(winner == "YES", tied, found, counts["YES"], len(values))


def majority(values: Sequence[object], profile: str) -> Majority:
    """Return the outcome of the verdicts that replies hold, by the profile's arithmetic.

    Raises:
        TypeError: see `reference_majority`.
    """
    return reference_majority(values) if profile == "reference" else fixed_majority([one is True for one in values])


def shared_length(lists: Sequence[Sequence[object]]) -> int | None:
    """Return the length that more than half of the lists have, or None."""
    for length, times in Counter(map(len, lists)).items():
        if 2 * times > len(lists):
            return length
    return None


def panel_of(fields: Mapping[str, object]) -> dict[str, object] | None:
    """Return a line's replies by judge; None where a single judge was asked."""
    panel = fields.get("pred_scores")
    return panel if isinstance(panel, dict) and panel else None


def of_judge(fields: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a line as it would be, had only this judge of the panel been asked."""
    rest = {field: value for field, value in fields.items() if field not in ("pred_score", "pred_scores")}
    panel = panel_of(fields) or {}
    return rest | {"pred_score": panel[name]} if name in panel else rest


def decided(fields: Mapping[str, object], profile: str, judge: Judge) -> Judgement:
    """Return what a line's judge decided, or its panel."""
    panel = panel_of(fields)
    if panel is None:
        return judge(fields, profile)
    return panel_vote([judge(of_judge(fields, name), profile) for name in panel], profile)


def panel_vote(judgements: Sequence[Judgement], profile: str) -> Judgement:
    """Return the vote of a panel: each judge's verdicts are one ballot, counted like a reply of a single judge.

    A judge that decided nothing about the item has no ballot, and ballots of another length than the rest do not count:
    the longest sets it under `reference`; under `fixed`, where nobody knows the number of questions, more than half do.
    A tie is NO under `fixed`; under `reference` it goes to the judge that is named first.

    Args:
        judgements: what each judge decided, in the file's order; at least one.
        profile: `reference` or `fixed`.

    Source: docs/calibration.md, from docs/open-adjust.md sections 4 and 5.
    """
    invalid = sum(judgement.invalid for judgement in judgements)
    ballots = [
        ["YES" if outcome.met else "NO" for outcome in judgement.outcomes]
        for judgement in judgements
        if judgement.unscored is None
    ]
    length = max(map(len, ballots), default=None) if profile == "reference" else shared_length(ballots)
    columns = list(zip(*(ballot for ballot in ballots if len(ballot) == length), strict=True))
    if not columns:
        reasons = {judgement.unscored for judgement in judgements}
        return Judgement((), reasons.pop() if len(reasons) == 1 else NO_READABLE_VOTE, invalid)
    if profile == "reference":
        outcomes = [reference_majority(column) for column in columns]
    else:
        outcomes = [fixed_majority([verdict == "YES" for verdict in column]) for column in columns]
    return Judgement(
        tuple(replace(outcome, found=f"{outcome.yes} of {outcome.votes} judges YES") for outcome in outcomes),
        invalid=invalid,
    )


def unusable(fields: Mapping[str, object], profile: str, *, raises: Collection[str]) -> str | None:
    """Return why an item's line holds no replies to count, or None when it does.

    Args:
        fields: the item's line.
        profile: `reference` or `fixed`.
        raises: the reasons at which the published scorer raises; under `reference` they are named as such.

    Raises:
        ValueError: there is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}, choose one of {', '.join(PROFILES)}")
    if fields.get("response") is None:
        # A failed call is not the model's answer; votes on it would be votes on nothing.
        return NO_RESPONSE
    if "pred_score" not in fields:
        reason = PRED_SCORE_MISSING
    elif fields["pred_score"] is None:
        reason = PRED_SCORE_NULL
    elif not isinstance(fields["pred_score"], list | tuple):
        reason = PRED_SCORE_NO_LIST
    else:
        return None
    return raised(reason) if profile == "reference" and reason in raises else reason


def replies_of(fields: Mapping[str, object]) -> list[object]:
    """Return the raw replies of a line that is not `unusable`."""
    replies = fields["pred_score"]
    return list(replies) if isinstance(replies, list | tuple) else []


def raised(reason: str) -> str:
    """Return the reason of an item at which the published scorer raises, so that reports can list it as an error."""
    return f"reference raises: {reason}"


def in_words(value: object, profile: str) -> str:
    """Return one verdict of a ballot, as reports show it; under `reference` it may be a value of any kind."""
    if profile == "fixed":
        return "YES" if value is True else "NO"
    return value if value == "YES" or value == "NO" else _shown(value)


def _shown(value: object) -> str:
    """Return a value for a report: strings shortened, other types by name, since numbers may be too long to write."""
    return repr(value[:_SHOWN]) if isinstance(value, str) else f"a value of type {type(value).__name__}"
