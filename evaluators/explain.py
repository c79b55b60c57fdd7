"""How one item came to its verdict: each rule or question with its reason, each judge reply and how it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.records import Item, Mark, Score
from evaluators import answers, votes
from evaluators.adjust import NAMES
from evaluators.count import outcome_of
from evaluators.tally import Evaluator

MET, NOT_MET, UNSCORED = "met", "not met", "unscored"


@dataclass(frozen=True, slots=True)
class Reason:
    """One mark, and what it is about.

    Attributes:
        name: `strict`, `loose`, `strict and loose` where both say the same, `question`, `IAR` or `ECR`; a tier's name
            (classify).
        about: the instruction id (close); empty elsewhere, where the mark's `expected` tells.
        mark: the verdict with its reason.
    """

    name: str
    about: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Vote:
    """One reply of a judge.

    Attributes:
        judge: the judge's name in a panel; empty for a single judge.
        reply: the raw reply, of whatever type stands on the line.
        read: its verdicts in words; None for a reply that does not count.
    """

    judge: str
    reply: object
    read: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one item came out, and why.

    Attributes:
        verdict: `met`, `not met` or `unscored`; met is every instruction strictly, every question, or IAR; the label,
            strictly or by likelihood (classify).
        unscored: why there is no verdict; None where there is one.
        reasons: mark by mark.
        votes: reply by reply.
        remarks: what is to be said about the answer itself (evaluators.answers), and why it fails (classify).
    """

    verdict: str
    unscored: str | None
    reasons: tuple[Reason, ...]
    votes: tuple[Vote, ...]
    remarks: tuple[str, ...]


def explain(item: Item, score: Score, evaluator: Evaluator, profile: str, lang: str | None) -> Explanation:
    """Return how an item came to its verdict.

    Args:
        item: the item.
        score: its score by its own response.
        evaluator: the way of counting.
        profile: `reference` or `fixed`.
        lang: the request's language, two-letter code; None where it is not known.
    """
    verdict = UNSCORED
    if score.unscored is None:
        verdict = MET if outcome_of(item, score).passed() else NOT_MET
    found = tuple(_votes(item.fields, evaluator, profile))
    remarks = answers.remarks(item.fields, lang)
    if evaluator.choice is not None and (failure := evaluator.choice(item, score).failure) is not None:
        remarks += (failure,)
    return Explanation(verdict, score.unscored, tuple(_reasons(item, score)), found, remarks)


def _reasons(item: Item, score: Score) -> list[Reason]:
    if "loose" not in score.marks:
        names = {"questions": "question", "iar": "IAR", "ecr": "ECR"}
        return [Reason(names.get(name, name), "", mark) for name, marks in score.marks.items() for mark in marks]
    found = []
    pairs = zip(score.marks["strict"], score.marks["loose"], strict=True)
    for kind, (strict, loose) in zip(item.fields["instruction_id_list"], pairs, strict=True):
        if strict == loose:
            found.append(Reason("strict and loose", kind, strict))
        else:
            found += [Reason("strict", kind, strict), Reason("loose", kind, loose)]
    return found


def _votes(fields: Mapping[str, Any], evaluator: Evaluator, profile: str) -> list[Vote]:
    if evaluator.ballots is None:
        return []
    panel = votes.panel_of(fields)
    lines = {"": fields} if panel is None else {name: votes.of_judge(fields, name) for name in panel}
    return [
        Vote(name, reply, None if ballot is None else _in_words(ballot, evaluator, profile))
        for name, line in lines.items()
        if isinstance(line.get("pred_score"), list)
        for reply, ballot in zip(votes.replies_of(line), evaluator.ballots(line, profile), strict=True)
    ]


def _in_words(ballot: Sequence[object], evaluator: Evaluator, profile: str) -> str:
    if evaluator.name == "classify":
        return ", ".join(map(str, ballot))
    words = [votes.in_words(value, profile) for value in ballot]
    if evaluator.name == "adjust":
        words = [f"{name} {word}" for name, word in zip(NAMES, words, strict=False)]
    return ", ".join(words)
