"""Vote arithmetic that the open and the adjustment evaluator share.

Two majorities exist, one per profile, and are never mixed: `fixed_majority` counts YES against NO and calls a tie a
tie, `reference_majority` takes the most frequent value of any kind. Rules: docs/open-adjust.md sections 4 and 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

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
    """

    met: bool
    tied: bool
    found: str

    @property
    def flag(self) -> str | None:
        """The flag of a mark that rests on this majority alone."""
        return "tie" if self.tied else None


def fixed_majority(votes: Sequence[bool]) -> Majority:
    """Return the outcome of valid votes: YES needs more than half, a tie is NO.

    Args:
        votes: True for YES; at least one.

    Source: docs/open-adjust.md section 4, profile `fixed`.
    """
    yes = sum(votes)
    no = len(votes) - yes
    return Majority(met=yes > no, tied=yes == no, found=f"{yes} of {len(votes)} YES")


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
    return Majority(met=winner == "YES", tied=len(ranked) > 1 and ranked[1][1] == most, found=found)


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


def _shown(value: object) -> str:
    """Return a value for a report: strings shortened, other types by name, since numbers may be too long to write."""
    return repr(value[:_SHOWN]) if isinstance(value, str) else f"a value of type {type(value).__name__}"
