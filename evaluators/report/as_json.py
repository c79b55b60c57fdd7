"""The numbers as JSON: fractions, each with its n and its bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from data.records import Cell
from evaluators.answers import REMARKS
from evaluators.count import FileResult
from evaluators.report import classification_json, rows
from evaluators.robustness import VariantResult
from evaluators.stats import Difference, Estimate
from evaluators.tally import Ratio, Tally


def for_json(results: Sequence[FileResult], variants: Sequence[VariantResult], *, by: str | None = None) -> str:
    """Return `{"profile", "files"}`, with `"robustness"` where there are variants, and a final line feed.

    Files of Dynamic-SUPERB add `"classification"`, one object a run. Of several runs each file names its own (`"run"`).
    """
    names = rows.run_names(result.path.parent for result in results)

    def run_of(result: FileResult) -> dict[str, str]:
        return {"run": names[result.path.parent]} if len(names) > 1 else {}

    shown: dict[str, Any] = {
        "profile": results[0].profile,
        "files": [{**run_of(result), **_file(result, by)} for result in results],
    }
    if variants:
        shown["robustness"] = [{**run_of(variant.result), **_variant(variant, by)} for variant in variants]
    shown |= classification_json.for_json(results, variants)
    return json.dumps(shown, indent=2) + "\n"


def _file(result: FileResult, by: str | None) -> dict[str, Any]:
    tally = result.tally
    shown: dict[str, Any] = {
        "file": result.path.name,
        "model": rows.model_name(result),
        "evaluator": result.suite.evaluator,
        "lang": result.kind.lang if result.kind else None,
        "variant": result.kind.variant if result.kind else None,
        "n_items": tally.n_items,
        "n_data_set": rows.items_of_data_set(result),
        "n_scored": tally.n_scored if result.judged else 0,
        "metrics": _metrics(tally),
        "unscored": dict(tally.unscored),
        "flags": dict(tally.flags),
        "cut_audio": {"n": result.cut_audio.total(), "at_seconds": sorted(result.cut_audio)},
        "answers": {"n": result.answered, **{remark: result.remarks[remark] for remark in REMARKS}},
    }
    if result.own_responses is not None:
        shown["own_responses"] = {"items_touched": result.touched, "metrics": _metrics(result.own_responses)}
    if result.suite.data_type is not None:
        shown |= {
            "judges": sorted(result.judges),
            "invalid_votes": tally.invalid_votes,
            "ties": tally.ties,
            "replaced": result.replaced,
            "agreement": None
            if result.agreement is None
            else {"among": "judges" if result.panel else "replies", **alpha(result.agreement)},
        }
    if result.panel:
        shown["panel"] = {"judges": {name: _judge(judge) for name, judge in rows.panel(result).items()}}
    if by in rows.KINDS and result.suite.evaluator == "close":
        shown[f"by_{by}"] = {
            kind: {"strict": _ratio(strict), "loose": _ratio(loose)} for kind, (strict, loose) in rows.kinds(tally, by)
        }
    elif by is not None:
        shown["by"] = {
            "field": by,
            "groups": {
                group: {"n_items": found.n_items, "n_scored": found.n_scored, "metrics": _metrics(found)}
                for group, found in rows.groups(result)
            },
        }
    return shown


def estimate(number: Estimate) -> dict[str, Any]:
    """Return a number with its interval, as all commands write it."""
    ci95 = None if number.ci95 is None else list(number.ci95)
    return {"value": number.value, "ci95": ci95, "n": number.n, "method": number.method}


def difference(change: Difference) -> dict[str, Any]:
    """Return a paired difference, as all commands write it."""
    return {
        "first": change.first,
        "second": change.second,
        "difference": change.value,
        "ci95": list(change.ci95),
        "method": change.method,
        "broke": change.broke,
        "mended": change.mended,
        "n": change.n,
        "p": change.p,
        "test": change.test,
        "detectable": change.detectable,
    }


def _variant(variant: VariantResult, by: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "file": variant.result.path.name,
        "variant": variant.result.kind.variant if variant.result.kind else None,
        "lang": variant.result.kind.lang if variant.result.kind else None,
        "joined_by": variant.by,
        "n_items": variant.items,
        "n_joined": variant.joined,
        "coverage": variant.coverage,
        "refused": variant.refused,
        "unscored": variant.unscored,
        "metrics": {
            metric: {**difference(change.difference), "p_holm": change.p_family}
            for metric, change in variant.changes.items()
        },
    }
    if by == "instruction":
        shown["by_instruction"] = {kind: difference(change) for kind, change in variant.kinds.items()}
    return shown


def alpha(number: Estimate) -> dict[str, Any]:
    """Return a coefficient of agreement, as all commands write it."""
    return {"name": "Krippendorff's alpha", **estimate(number)}


def _judge(tally: Tally) -> dict[str, Any]:
    return {
        "n_scored": tally.n_scored,
        "metrics": _metrics(tally),
        "unscored": dict(tally.unscored),
        "invalid_votes": tally.invalid_votes,
        "ties": tally.ties,
    }


def _metrics(tally: Tally) -> dict[str, Any]:
    return {name: _cell(cell) for name, cell in tally.cells().items()}


def _cell(cell: Cell) -> dict[str, Any]:
    ci95 = None if cell.ci95 is None else list(cell.ci95)
    return {"value": cell.value, "n": cell.n, "bounds": list(cell.bounds), "ci95": ci95, "method": cell.method}


def _ratio(ratio: Ratio) -> dict[str, Any]:
    return {**estimate(ratio.estimate()), "bounds": list(ratio.bounds)}
