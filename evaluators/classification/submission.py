"""A run's scores in the form in which Dynamic-SUPERB takes them: one JSON a model, an entry an instance.

    [{"name": "SpeechDetection_LJSpeech",
      "scores": [{"metric": "accuracy", "value": 0.915, "version": "<the hub's commit>", "seen": false}]}]

The value is the strict tier as a fraction, over every item of the instance. Which data it was measured on is pinned by
the commit; whether the model was trained on the instance only its makers know. Rules: docs/dynamic-superb.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.dynamic_superb.instances import COMMIT, base_name, instance
from data.errors import DataError, UsageError
from data.manifest import read as read_manifest
from data.suites import SUITES, file_kind
from evaluators.classification import tiers
from evaluators.count import FileResult, count_file
from evaluators.report.rows import items_of_data_set

METRIC = "accuracy"
LEAST_TASKS = 2
_FIELDS = ("metric", "value", "version", "seen")


@dataclass(frozen=True, slots=True)
class Submission:
    """What a run has to submit.

    Attributes:
        entries: one object an instance, in the project's form.
        left_out: the files that are in none, each with the reason.
    """

    entries: list[dict[str, Any]]
    left_out: list[str]


def submission(run: Path, *, version: str | None = None, seen: Collection[str] = ()) -> Submission:
    """Return the scores of a run.

    Args:
        run: its folder.
        version: the hub's commit of every instance that run.json pins none of.
        seen: instances, or tasks, that the model was trained on.

    Raises:
        DataError: the folder holds too few instances, one is not answered completely, or nothing pins its version.
        UsageError: `version` is no commit, or `seen` names what is not in the run.
    """
    if version is not None and not COMMIT.fullmatch(version):
        raise UsageError(f"--version {version}: give the commit's 40 hexadecimal digits")
    pinned = _pinned(run)
    entries: list[dict[str, Any]] = []
    left_out: list[str] = []
    named: set[str] = set()
    for name, result in _results(run):
        known = instance(name)
        named |= {name, known.task}
        commit = pinned.get(name, version)
        if base_name(name)[1]:
            left_out.append(f"{name}: a reworded instance is none of the benchmark's")
            continue
        tally = result.tally
        if unanswered := _unanswered(result):
            raise DataError(f"{unanswered}; run inference.py again, over all of them", path=result.path)
        if (value := tally.ratios["strict"].value) is None:
            left_out.append(
                f"{name}: nothing was generated (--score likelihood), and the paper's rule is about answers"
            )
            continue
        if tally.ratios["strict"].n < tally.n_items:
            raise DataError("mixes written answers with likelihoods (option_scores); ask it again", path=result.path)
        if commit is None:
            raise DataError(
                f"run.json pins no version of {name}; give the hub's commit with --version", path=result.path
            )
        is_seen = name in seen or known.task in seen
        scores = [{"metric": METRIC, "value": value, "version": commit, "seen": is_seen}]
        entries.append({"name": name, "scores": scores})
    unknown = sorted(set(seen) - named)
    if unknown:
        raise UsageError(f"--seen {unknown[0]}: the run holds no such instance or task")
    if (tasks := _tasks(entry["name"] for entry in entries)) < LEAST_TASKS:
        raise DataError(f"number of tasks: {tasks}; a submission needs scores of {LEAST_TASKS} at least", path=run)
    return Submission(entries, left_out)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file of scores, checked for their form.

    Raises:
        DataError: the file cannot be read, or is not in the project's form.
    """
    try:
        entries = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, RecursionError):
        raise DataError("is not JSON", path=path) from None
    problem = next(_problems(entries), None)
    if problem is not None:
        raise DataError(problem, path=path)
    return list(entries)


def differences(entries: list[dict[str, Any]], run: Path) -> list[str]:
    """Return what in a file of scores is not as the run counts, in words; nothing where it holds.

    Raises:
        DataError: the run's folder holds no answers, or a file is broken.
    """
    results, pinned = dict(_results(run)), _pinned(run)
    found = []
    for entry in entries:
        name = entry["name"]
        if name not in results:
            found.append(f"{name}: is not in {run}")
            continue
        ratio = results[name].tally.ratios["strict"]
        if unanswered := _unanswered(results[name]):
            found.append(f"{name}: {unanswered}")
        for score in entry["scores"]:
            if score["metric"] != METRIC:
                found.append(f"{name}: {score['metric']} is not counted here")
            elif ratio.value is None or not math.isclose(score["value"], ratio.value, abs_tol=1e-9):
                found.append(f"{name}: {score['value']} was written, {ratio.value} is counted")
            if name in pinned and score["version"] != pinned[name]:
                found.append(f"{name}: version {score['version']} was written, the run used {pinned[name]}")
    return found


def _problems(entries: object) -> Iterator[str]:
    """Yield what is wrong with the form of a file of scores."""
    if not isinstance(entries, list):
        yield "must be a list with one object an instance"
        return
    names: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
            yield f"entry {number} must be an object with a name"
            return
        name = entry["name"]
        if name in names:
            yield f"{name} has two entries"
        names.add(name)
        if entry.keys() != {"name", "scores"} or not isinstance(entry["scores"], list) or not entry["scores"]:
            yield f"{name} must have name and scores, a list with at least one score, and nothing else"
            return
        for score in entry["scores"]:
            yield from (f"{name}: {problem}" for problem in _score_problems(score))
    if (tasks := _tasks(names)) < LEAST_TASKS:
        yield f"number of tasks: {tasks}; a submission needs scores of {LEAST_TASKS} at least"


def _score_problems(score: object) -> Iterator[str]:
    if not isinstance(score, dict) or score.keys() != set(_FIELDS):
        yield f"a score must be an object with {', '.join(_FIELDS)}, and nothing else"
        return
    value = score["value"]
    if not isinstance(score["metric"], str) or not score["metric"]:
        yield "metric must be text"
    if not tiers.is_number(value):
        yield "value must be a number"
    elif score["metric"] == METRIC and not 0 <= value <= 1:
        yield f"value must be a fraction between 0 and 1; it is {value}"
    if not isinstance(score["version"], str) or not COMMIT.fullmatch(score["version"]):
        yield "version must be the hub's commit, 40 hexadecimal digits"
    if not isinstance(score["seen"], bool):
        yield "seen must be true or false"


def _results(run: Path) -> list[tuple[str, FileResult]]:
    """Return the counted classification files of a run, by their instance's name.

    Raises:
        DataError: there are none, or one is broken.
    """
    if not run.is_dir():
        raise DataError("no such folder of results", path=run)
    suite = SUITES["classification"]
    named = [
        (kind.variant, path)
        for path in sorted(run.glob("*.jsonl"))
        if (kind := file_kind(path)) is not None and kind.suite is suite and path.stat().st_size
    ]
    if not named:
        raise DataError("no files of answers to Dynamic-SUPERB in this folder", path=run)
    return [(name, count_file(path, suite, "reference", unjudged_is_an_error=False)) for name, path in named]


def _unanswered(result: FileResult) -> str | None:
    """Return how many of an instance's items have no answer, those that the run never asked (--limit) among them."""
    items = max(result.tally.n_items, items_of_data_set(result) or 0)
    missing = items - result.tally.n_scored
    return f"{missing} of {items} items are not answered" if missing else None


def _pinned(run: Path) -> Mapping[str, str]:
    """Return the commit of each instance that run.json tells.

    Raises:
        DataError: it is no manifest.
    """
    source = read_manifest(run).get("data", {}).get("source")
    parts = source.get("parts") if isinstance(source, dict) else None
    found = parts.items() if isinstance(parts, dict) else ()
    commits = {name: part.get("revision") for name, part in found if isinstance(part, dict)}
    return {name: commit for name, commit in commits.items() if isinstance(commit, str) and COMMIT.fullmatch(commit)}


def _tasks(names: Iterable[str]) -> int:
    return len({instance(name).task for name in names})
