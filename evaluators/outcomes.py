"""How single items came out, and pairs of them: what comparing two files rests on.

Every outcome is by the item's own response, also under `reference`, whose totals look responses up by prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluators import stats


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one item came out.

    Attributes:
        key: the item's key; None where its line has none.
        audio: its audio_path; None where the line has none.
        prompt: digest of its request as text.
        kinds: its instruction ids (close); empty elsewhere.
        marks: whether each requirement is met, by the names of `Score.marks`; empty for an unscored item.
    """

    key: int | str | None
    audio: str | None
    prompt: bytes
    kinds: tuple[str, ...]
    marks: Mapping[str, tuple[bool, ...]]

    @property
    def identity(self) -> tuple[int | str | None, str | None]:
        """Return what makes it the same item in another file."""
        return self.key, self.audio

    def events(self, metric: str) -> tuple[bool, ...]:
        """Return the verdicts that a metric counts of this item; of a mean of strict and loose, both."""
        way, _, level = metric.rpartition("-")
        if level not in ("prompt", "instruction"):
            return self.marks.get(level, ())
        names = {"mean": ("strict", "loose"), "": ("questions",)}.get(way, (way,))
        return tuple(
            met for name in names for met in ((all(self.marks[name]),) if level == "prompt" else self.marks[name])
        )

    def events_of_kind(self, kind: str) -> tuple[bool, ...]:
        """Return the verdicts on one kind of instruction, strict and loose (close)."""
        return tuple(
            met
            for name in ("strict", "loose")
            for met, own in zip(self.marks[name], self.kinds, strict=True)
            if own == kind
        )

    def passed(self) -> bool:
        """Return whether the item as a whole is right: every instruction (label) strictly, every question, or IAR."""
        for name in ("strict", "questions", "iar", "likelihood"):
            if name in self.marks:
                return all(self.marks[name])
        raise ValueError("an unscored item neither passes nor fails")


@dataclass(frozen=True, slots=True)
class Group:
    """Outcomes of one request in two files, all of them scored.

    Attributes:
        cluster: the request.
        firsts: its outcomes in the first file; one each where renderings are not repeated.
        seconds: its outcomes in the second file.
    """

    cluster: Hashable
    firsts: tuple[Outcome, ...]
    seconds: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Two files, joined.

    Attributes:
        groups: what has scored outcomes on both sides.
        joined: items of the second file that have a partner, scored or not.
        items: items of the second file.
        coverage: the smaller of the shares of either file that found a partner.
        unscored: joined items of the second file that are in no pair, since one side is unscored.
        only_first: items of the first file without a partner.
    """

    groups: tuple[Group, ...]
    joined: int
    items: int
    coverage: float
    unscored: int
    only_first: int


def join(
    first: Iterable[Outcome],
    second: Iterable[Outcome],
    by: Callable[[Outcome], Hashable],
    cluster: Callable[[Outcome], Hashable],
) -> Join:
    """Pair the outcomes of two files.

    Items pair where `by` gives the same for both and both were asked for the same instructions: a key that stands for
    another request in the other file joins nothing, nor does an item for which it gives None. Of two gradings of one
    item the later counts.
    """
    (here, others), (there, items) = (_by_request(outcomes, by) for outcomes in (first, second))
    groups: dict[Hashable, Group] = {}
    joined = unscored = paired_first = 0
    for request, seconds in there.items():
        firsts = here.get(request)
        if firsts is None:
            continue
        joined += len(seconds)
        paired_first += len(firsts)
        firsts, scored = (tuple(outcome for outcome in side if outcome.marks) for side in (firsts, seconds))
        unscored += len(seconds) - (len(scored) if firsts else 0)
        if firsts and scored:
            groups[request] = Group(cluster(firsts[0]), firsts, scored)
    coverage = min(joined / items if items else 0.0, paired_first / others if others else 0.0)
    return Join(tuple(groups.values()), joined, items, coverage, unscored, others - paired_first)


def _by_request(
    outcomes: Iterable[Outcome], by: Callable[[Outcome], Hashable]
) -> tuple[dict[Hashable, tuple[Outcome, ...]], int]:
    """Return the items of each request, and how many items there are."""
    latest = {(outcome.identity if outcome.identity != (None, None) else id(outcome)): outcome for outcome in outcomes}
    found: dict[Hashable, list[Outcome]] = {}
    for outcome in latest.values():
        request = by(outcome)
        if request is not None:
            found.setdefault((request, outcome.kinds), []).append(outcome)
    return {request: tuple(group) for request, group in found.items()}, len(latest)


def pairs(groups: Iterable[Group], events: Callable[[Outcome], Sequence[bool]]) -> stats.Pairs:
    """Return the pairs of verdicts of joined items, added up per cluster.

    Each verdict of the second file is held against the same verdict of the first, or against the mean of several
    renderings there. Items whose two lists of verdicts differ in length are left out (a judge that answered another
    number of questions, under `reference`).
    """
    rows: list[tuple[float, float, float, int]] = []
    clusters: list[Hashable] = []
    for group in groups:
        firsts = [events(outcome) for outcome in group.firsts]
        for second in map(events, group.seconds):
            alike = [first for first in firsts if len(first) == len(second)]
            if not alike or not second:
                continue
            before = [sum(column) / len(alike) for column in zip(*alike, strict=True)]
            kept = sum(share for share, met in zip(before, second, strict=True) if met)
            rows.append((kept, sum(before) - kept, sum(second) - kept, len(second)))
            clusters.append(group.cluster)
    return stats.Pairs(*stats.summed(np.array(rows, dtype=np.float64).reshape(-1, 4), clusters).T)
