"""Adjustment items: from a grader's replies to the marks IAR and ECR.

IAR: the corrected request was followed with the right content. ECR: the superseded request was still followed, so its
mark is better when not met. The two are independent. Rules: docs/open-adjust.md section 5. Totals over items are
counted elsewhere, from `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data.records import ItemId, Mark, Score
from evaluators import votes
from prompts.replies import read_adjust_reply, stored_values

METRICS = ("iar", "ecr")

NAMES = ("after", "before", "content")
_RAISES = (votes.PRED_SCORE_NULL,)


def score(item_id: ItemId, fields: Mapping[str, object], profile: str) -> Score:
    """Count the votes of one adjustment item.

    Args:
        item_id: the item's identity.
        fields: the item's line: `response` and `pred_score` (or, of a panel, `pred_scores`).
        profile: `reference` or `fixed`.

    Returns:
        A score with one mark each in `iar` and `ecr`, or an unscored one; `ties` are among `after`, `before` and
        `content`. Under `reference` only a reply that contributes nothing counts as invalid.

    Raises:
        ValueError: there is no such profile.

    Source: docs/open-adjust.md section 5.
    """
    decided = votes.decided(fields, profile, judgement)
    if decided.unscored is not None:
        return Score(item_id, {}, unscored=decided.unscored, expected=1, invalid_votes=decided.invalid)
    return Score(
        id=item_id,
        marks=_marks(*decided.outcomes),
        invalid_votes=decided.invalid,
        ties=tuple(name for name, outcome in zip(NAMES, decided.outcomes, strict=True) if outcome.tied),
    )


def judgement(fields: Mapping[str, object], profile: str) -> votes.Judgement:
    """Return what the judge behind a line's `pred_score` decided: outcomes for `NAMES`, in their order.

    Raises:
        ValueError: there is no such profile.
    """
    reason = votes.unusable(fields, profile, raises=_RAISES)
    if reason is not None:
        return votes.Judgement((), reason)
    read = ballots(fields, profile)
    invalid = sum(ballot is None for ballot in read)
    # A ballot may end early: its first values count all the same.
    columns = [[ballot[place] for ballot in read if ballot and len(ballot) > place] for place in range(len(NAMES))]
    if not all(columns):
        return votes.Judgement((), votes.NO_READABLE_VOTE, invalid)
    try:
        return votes.Judgement(tuple(votes.majority(column, profile) for column in columns), invalid=invalid)
    except TypeError as error:
        return votes.Judgement((), votes.raised(str(error)), invalid)


def ballots(fields: Mapping[str, object], profile: str) -> list[Sequence[object] | None]:
    """Return the verdicts of each reply of a line on `NAMES`, as they were read; None for a reply without any."""
    read = stored_values if profile == "reference" else _fixed_ballot
    return [read(reply) or None for reply in votes.replies_of(fields)]


def counts(score: Score) -> dict[str, tuple[int, int]] | None:
    """Return (met, n) per metric; None for an unscored item. For `ecr`, met is the unwanted case."""
    if score.unscored is not None:
        return None
    return {metric: (int(score.marks[metric][0].met), 1) for metric in METRICS}


def events(verdicts: Sequence[bool]) -> dict[str, tuple[bool, ...]]:
    """Return what each metric counts of one item, from the verdicts on `NAMES`."""
    after, before, content = verdicts
    return {"iar": (after and content,), "ecr": (before,)}


def _fixed_ballot(reply: object) -> tuple[object, ...]:
    """Return the three verdicts of a readable reply, else nothing."""
    vote = read_adjust_reply(reply)
    return () if vote is None else (vote.after, vote.before, vote.content)


def _marks(after: votes.Majority, before: votes.Majority, content: votes.Majority) -> dict[str, tuple[Mark, ...]]:
    """Return the two marks; IAR rests on two majorities, ECR on one."""
    followed = Mark(
        met=after.met and content.met,
        expected="the corrected request is followed, with the right content",
        found=f"followed: {after.found}; content right: {content.found}",
        flag=after.flag or content.flag,
    )
    superseded = Mark(
        met=before.met,
        expected="the superseded request is still followed (better when not)",
        found=f"superseded request followed: {before.found}",
        flag=before.flag,
    )
    return {"iar": (followed,), "ecr": (superseded,)}
