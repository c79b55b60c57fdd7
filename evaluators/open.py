"""Open items: from a grader's replies to one mark per yes/no question.

Rules: docs/open-adjust.md section 4. Totals over items are counted elsewhere, from `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data.records import ItemId, Mark, Score
from evaluators import votes
from prompts.questions import question_list
from prompts.replies import literal_list, read_open_reply

METRICS = ("prompt", "instruction")

_RAISES = (votes.PRED_SCORE_MISSING, votes.PRED_SCORE_NULL)


def score(item_id: ItemId, fields: Mapping[str, object], profile: str) -> Score:
    """Count the votes of one open item.

    Args:
        item_id: the item's identity.
        fields: the item's line: `response`, `pred_score` (or, of a panel, `pred_scores`) and, where known,
            `decomposed_questions`.
        profile: `reference` or `fixed`.

    Returns:
        A score whose `questions` hold one mark per position, or an unscored one whose `expected` is the number of
        questions; `ties` are 0-based positions. Under `reference` a reply pushed out by a longer one counts as invalid.

    Raises:
        ValueError: there is no such profile.

    Source: docs/open-adjust.md section 4.
    """
    questions = question_list(fields.get("decomposed_questions"))
    decided = votes.decided(fields, profile, judgement)
    if decided.unscored is not None:
        expected = None if questions is None else len(questions)
        return Score(item_id, {}, unscored=decided.unscored, expected=expected, invalid_votes=decided.invalid)
    return Score(
        id=item_id,
        marks={"questions": _marks(decided.outcomes, questions)},
        invalid_votes=decided.invalid,
        ties=tuple(position for position, outcome in enumerate(decided.outcomes) if outcome.tied),
    )


def judgement(fields: Mapping[str, object], profile: str) -> votes.Judgement:
    """Return what the judge behind a line's `pred_score` decided, one outcome a question.

    Raises:
        ValueError: there is no such profile.
    """
    reason = votes.unusable(fields, profile, raises=_RAISES)
    if reason is not None:
        return votes.Judgement((), reason)
    read = ballots(fields, profile)
    counted = [ballot for ballot in read if ballot is not None]
    invalid = len(read) - len(counted)
    if not counted:
        return votes.Judgement((), votes.NO_READABLE_VOTE, invalid)
    try:
        outcomes = tuple(votes.majority(position, profile) for position in zip(*counted, strict=True))
    except TypeError as error:
        return votes.Judgement((), votes.raised(str(error)), invalid)
    return votes.Judgement(outcomes, invalid=invalid)


def ballots(fields: Mapping[str, object], profile: str) -> list[Sequence[object] | None]:
    """Return the verdicts of each reply of a line, as they were read; None for a reply that does not count.

    Under `reference` replies count that are Python lists of the greatest length; under `fixed` readable ones with one
    verdict per question or, where the questions are not known, of the length that more than half of them have.
    """
    replies = votes.replies_of(fields)
    read: list[Sequence[object] | None]
    if profile == "reference":
        read = [entries or None for entries in map(literal_list, replies)]
        length = max((len(entries) for entries in read if entries is not None), default=None)
    else:
        read = [*map(read_open_reply, replies)]
        questions = question_list(fields.get("decomposed_questions"))
        readable = [entries for entries in read if entries is not None]
        length = votes.shared_length(readable) if questions is None else len(questions)
    return [entries if entries is not None and len(entries) == length else None for entries in read]


def counts(score: Score) -> dict[str, tuple[int, int]] | None:
    """Return (met, n) per metric: the item as a whole, and its questions; None for an unscored item."""
    if score.unscored is not None:
        return None
    verdicts = [mark.met for mark in score.marks["questions"]]
    return {metric: (sum(found), len(found)) for metric, found in events(verdicts).items()}


def events(verdicts: Sequence[bool]) -> dict[str, tuple[bool, ...]]:
    """Return what each metric counts of one item: the item as a whole, and its questions."""
    return {"prompt": (all(verdicts),), "instruction": tuple(verdicts)}


def _marks(majorities: Sequence[votes.Majority], questions: list[str] | None) -> tuple[Mark, ...]:
    """Return one mark per position, each with its question's text as far as it is known."""
    texts = dict(enumerate(questions or ()))
    return tuple(
        Mark(
            met=outcome.met,
            expected=texts.get(position) or f"question {position + 1} answered YES",
            found=outcome.found,
            flag=outcome.flag,
        )
        for position, outcome in enumerate(majorities)
    )
