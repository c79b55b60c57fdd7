"""How far a judge can be trusted: its verdicts beside gold verdicts on the same answers.

From a judged file and a file of gold verdicts (evaluators.gold) come the judge's error rates, its agreement with the
gold verdicts and with itself, and the benchmark's score with the judge's errors taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

import numpy as np

from data import jsonl
from data.dataset import identity_digest, item_of
from data.errors import DataError, UsageError
from data.records import Item
from data.suites import Suite
from evaluators import correction, stats, votes
from evaluators import gold as gold_file
from evaluators.agreement import Agreement
from evaluators.count import cluster_of, judges_of
from evaluators.stats import Array, Estimate
from evaluators.tally import EVALUATORS, Evaluator
from prompts.questions import question_list

ALL = "all"
PANEL = "vote of the panel"


@dataclass(frozen=True, slots=True)
class Rates:
    """A judge beside the gold verdicts, on questions of one kind.

    Attributes:
        accuracy: share of the questions on which both agree.
        kappa: Cohen's kappa of the two.
        false_yes: share of the gold NO that the judge calls YES.
        false_no: share of the gold YES that the judge calls NO.
    """

    accuracy: Estimate
    kappa: Estimate
    false_yes: Estimate
    false_no: Estimate


@dataclass(frozen=True, slots=True)
class Scores:
    """One metric, before and after correction.

    Attributes:
        judged: by the judge's verdicts on every item of the benchmark.
        gold: by the gold verdicts on the labelled items.
        corrected: the benchmark's score with the judge's errors taken out.
    """

    judged: Estimate
    gold: Estimate
    corrected: Estimate


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """How far one judge, or a panel's vote, can be trusted.

    Attributes:
        name: the judge as it is shown.
        items: labelled items that it gave usable verdicts on.
        unusable: labelled items that it gave none on, or (`reference`) on another number of questions than there are.
        kinds: its rates by question kind; `all` comes first.
        samples: Krippendorff's alpha among its replies to the same question; None for a panel's vote.
        scores: by metric.
    """

    name: str
    items: int
    unusable: int
    kinds: dict[str, Rates]
    samples: Estimate | None
    scores: dict[str, Scores]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What `python -m evaluators calibrate` shows.

    Attributes:
        gold: the file of gold verdicts.
        judged: the judged file that they are about.
        benchmark: another file, whose score is corrected; None where that is `judged` itself.
        suite: the subset.
        profile: `reference` or `fixed`.
        labelled: items with gold verdicts.
        items: items of `judged`.
        judges: the panel's vote first, then each judge; one entry where there is no panel.
        agreement: Krippendorff's alpha among the judges of a panel; None without one.
    """

    gold: Path
    judged: Path
    benchmark: Path | None
    suite: Suite
    profile: str
    labelled: int
    items: int
    judges: tuple[JudgeResult, ...]
    agreement: Estimate | None


def calibrate(gold: Path, judged: Path, suite: Suite, profile: str, *, benchmark: Path | None = None) -> Calibration:
    """Compare a judged file with gold verdicts.

    Args:
        gold: the gold verdicts.
        judged: the judged file; it may hold more items than are labelled.
        suite: the subset of the judged file, one that judges grade.
        profile: `reference` or `fixed`.
        benchmark: another file by the same judges whose score is to be corrected; None means `judged`.

    Raises:
        DataError: a file is broken, the two do not join, or the benchmark has other judges.
        UsageError: no judge grades this subset.
    """
    evaluator = EVALUATORS[suite.evaluator]
    if evaluator.judge is None or evaluator.events is None:
        raise UsageError(f"{suite.name} items are counted by rule; there is no judge to calibrate")
    labels = gold_file.read(gold, evaluator.name)
    joined = gold_file.Joined(gold, labels)
    sheets, items, agreement = _sheets(judged, evaluator, profile, joined)
    joined.check_complete(judged)
    others: Mapping[str, _Sheet] | None = None
    if benchmark is not None:
        others, _, _ = _sheets(benchmark, evaluator, profile, None)
        if set(others) != set(sheets):
            raise DataError(
                f"is judged by {_names(others)}, not by {_names(sheets)}; another judge makes other errors",
                path=benchmark,
            )
    return Calibration(
        gold,
        judged,
        benchmark,
        suite,
        profile,
        len(labels),
        items,
        tuple(sheet.result(evaluator, None if others is None else others[name]) for name, sheet in sheets.items()),
        agreement.alpha() if len(sheets) > 1 else None,
    )


def _sheets(
    path: Path, evaluator: Evaluator, profile: str, joined: gold_file.Joined | None
) -> tuple[dict[str, _Sheet], int, Agreement]:
    """Read a judged file: one sheet a judge, the panel's vote first; its number of items; how far the judges agree."""
    judge = evaluator.judge
    if judge is None:
        raise ValueError("only judged subsets have verdicts to read")
    panel: dict[str, None] = {}
    shown: set[str] = set()
    last: dict[bytes, int] = {}
    for item, line in _lines(path):
        panel.update(dict.fromkeys(votes.panel_of(item.fields) or ()))
        shown.update(judges_of(item.fields))
        last[_digest(item, line)] = line.number
    if not shown:
        raise DataError("missing on every line; run python api_judge.py first", path=path, field="pred_score")
    names = [PANEL, *panel] if panel else ["; ".join(sorted(shown))]
    sheets = {name: _Sheet(name, evaluator) for name in names}
    agreement = Agreement()
    for item, line in _lines(path):
        if last[_digest(item, line)] != line.number:
            continue
        labels = None
        if joined is not None:
            labels = joined.of(item.id, item.fields.get("response"), f"{path}:{line.number}")
        if labels is not None:
            _check_length(labels, item, joined)
        kinds = None if labels is None else labels.kinds or _own_kinds(item, path, line.number, len(labels.verdicts))
        cluster = cluster_of(item, line)
        if not panel:
            sheets[names[0]].add(cluster, judge(item.fields, profile), labels, kinds)
            continue
        judgements = {name: judge(votes.of_judge(item.fields, name), profile) for name in panel}
        agreement.add_judges(cluster, judgements.values())
        sheets[PANEL].add(cluster, votes.decided(item.fields, profile, judge), labels, kinds)
        for name, judgement in judgements.items():
            sheets[name].add(cluster, judgement, labels, kinds)
    return sheets, len(last), agreement


def _lines(path: Path) -> Iterator[tuple[Item, jsonl.Line]]:
    for line in jsonl.read(path):
        yield item_of(line.fields, path, line.number), line


def _digest(item: Item, line: jsonl.Line) -> bytes:
    """Return what stands for an item: a later grading of it replaces an earlier one."""
    if item.id.key is None and item.id.audio is None:
        return b"%d" % line.number
    return identity_digest(item.id)


def _check_length(labels: gold_file.Gold, item: Item, joined: gold_file.Joined | None) -> None:
    questions = question_list(item.fields.get("decomposed_questions"))
    if questions is not None and len(questions) != len(labels.verdicts):
        raise DataError(
            f"has {len(labels.verdicts)} entries, {item.id} has {len(questions)} questions; label every question, with "
            "null for one that was left out",
            path=None if joined is None else joined.path,
            line=labels.line,
            field="verdicts",
        )


def _own_kinds(item: Item, path: Path, number: int, questions: int) -> tuple[tuple[str, ...], ...] | None:
    return gold_file.kinds_of(item.fields, path, number, questions)


def _names(sheets: Mapping[str, object]) -> str:
    return "; ".join(name for name in sheets if name != PANEL)


@dataclass(slots=True)
class _Sheet:
    """What one judge decided, item by item, beside the gold verdicts.

    Attributes:
        name: the judge.
        evaluator: the way of counting.
        items: labelled items with usable verdicts.
        unusable: labelled items without.
        cells: by question kind: cluster, and how often both, only the judge, only gold, neither said YES.
        counts: by metric: cluster, judged met, gold met, n, and whether gold is known.
        events: by metric: cluster, YES of both, YES of gold, NO of both, NO of gold.
        agreement: the judge's replies among themselves.
    """

    name: str
    evaluator: Evaluator
    items: int = 0
    unusable: int = 0
    cells: dict[str, list[tuple[object, list[int]]]] = field(default_factory=lambda: {ALL: []})
    counts: dict[str, list[tuple[object, list[int]]]] = field(default_factory=dict)
    events: dict[str, list[tuple[object, list[int]]]] = field(default_factory=dict)
    agreement: Agreement = field(default_factory=Agreement)

    def add(
        self,
        cluster: object,
        judgement: votes.Judgement,
        labels: gold_file.Gold | None,
        kinds: tuple[tuple[str, ...], ...] | None,
    ) -> None:
        """Count one item in."""
        self.agreement.add_samples(cluster, judgement)
        said = [outcome.met for outcome in judgement.outcomes]
        usable = judgement.unscored is None and (labels is None or len(labels.verdicts) == len(said))
        if labels is not None:
            self.items += usable
            self.unusable += not usable
        if not usable or self.evaluator.events is None:
            return
        truth = None
        if labels is not None:
            for place, (judged, label) in enumerate(zip(said, labels.verdicts, strict=True)):
                for kind in (ALL, *(kinds[place] if kinds else ())):
                    if label is not None:
                        self.cells.setdefault(kind, []).append((cluster, _cell(judged, label)))
            known = [label for label in labels.verdicts if label is not None]
            truth = self.evaluator.events(known) if len(known) == len(said) else None
        for metric, judged_events in self.evaluator.events(said).items():
            met, n = sum(judged_events), len(judged_events)
            gold_events = None if truth is None else truth[metric]
            sums = [met, sum(gold_events or ()), n, int(gold_events is not None)]
            self.counts.setdefault(metric, []).append((cluster, sums))
            if gold_events is not None:
                both = sum(one and other for one, other in zip(judged_events, gold_events, strict=True))
                neither = sum(not one and not other for one, other in zip(judged_events, gold_events, strict=True))
                positive = sum(gold_events)
                self.events.setdefault(metric, []).append((cluster, [both, positive, neither, n - positive]))

    def result(self, evaluator: Evaluator, benchmark: _Sheet | None) -> JudgeResult:
        """Return the judge's numbers; with a benchmark, its score is corrected by the error rates found here."""
        kinds = {kind: _rates(_table(self.cells[kind], 4)) for kind in (ALL, *sorted(self.cells.keys() - {ALL}))}
        judged = [metric for metric in evaluator.metrics if metric not in evaluator.by_rule]
        scores = {metric: self._scores(metric, benchmark) for metric in judged}
        samples = None if self.name == PANEL else self.agreement.alpha()
        return JudgeResult(self.name, self.items, self.unusable, kinds, samples, scores)

    def _scores(self, metric: str, benchmark: _Sheet | None) -> Scores:
        counts = self.counts.get(metric, [])
        clusters = [cluster for cluster, _ in counts]
        judged, gold, n, known = _columns([sums for _, sums in counts], 4)
        labelled = known > 0
        by_gold = _proportion(gold[labelled], n[labelled], list(compress(clusters, labelled)))
        if benchmark is None:
            corrected = correction.prediction_powered(judged, gold, n, labelled, clusters)
            return Scores(_proportion(judged, n, clusters), by_gold, corrected)
        seen = _table(benchmark.counts.get(metric, []), 4)
        rates = _table(self.events.get(metric, []), 4)
        corrected = correction.rogan_gladen(
            (seen[:, 0], seen[:, 2]), (rates[:, 0], rates[:, 1]), (rates[:, 2], rates[:, 3])
        )
        return Scores(stats.proportion(seen[:, 0], seen[:, 2]), by_gold, corrected)


def _cell(judged: bool, label: bool) -> list[int]:
    return [int(judged and label), int(judged and not label), int(label and not judged), int(not judged and not label)]


def _rates(table: Array) -> Rates:
    both, judge_only, gold_only, neither = table.T
    return Rates(
        stats.proportion(both + neither, table.sum(axis=1)),
        stats.kappa(table),
        stats.proportion(judge_only, judge_only + neither),
        stats.proportion(gold_only, gold_only + both),
    )


def _columns(rows: Sequence[Sequence[int]], width: int) -> Array:
    return np.array(rows, dtype=np.float64).reshape(-1, width).T


def _table(rows: Sequence[tuple[object, Sequence[int]]], width: int) -> Array:
    """Return sums per cluster."""
    return stats.summed(_columns([sums for _, sums in rows], width).T, [cluster for cluster, _ in rows])


def _proportion(met: Array, n: Array, clusters: Sequence[object]) -> Estimate:
    return stats.proportion(*stats.summed(np.column_stack([met, n]), clusters).T)
