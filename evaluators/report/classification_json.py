"""Dynamic-SUPERB as JSON: what each run's instances, groups and wordings come to; their tiers stand under "files"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evaluators.classification import groups, wordings
from evaluators.classification.groups import Group, Row
from evaluators.count import FileResult
from evaluators.report import classification
from evaluators.robustness import VariantResult


def for_json(results: Sequence[FileResult], variants: Sequence[VariantResult]) -> dict[str, Any]:
    """Return `{"classification": [...]}`, one object a run; nothing where there are no classification files."""
    found = []
    for folder in dict.fromkeys(result.path.parent for result in classification.own(results)):
        of_run = [result for result in classification.own(results) if result.path.parent == folder]
        rows = groups.rows(of_run)
        found.append(
            {
                "instances": [_row_json(row) for row in rows],
                "groups": [_group_json(group) for group in groups.groups(rows)],
                "published": {
                    "source": classification.published()["source"],
                    "systems": classification.published()["systems"],
                },
                "wordings": [_wordings_json(one) for one in wordings.instances(of_run, variants)],
            }
        )
    return {"classification": found} if found else {}


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "instance": row.instance.name,
        "file": row.result.path.name,
        "dimension": row.instance.dimension,
        "seen": row.instance.seen,
        "n_items": row.result.tally.n_items,
        "not_answered": {tier: {"n": n, "of": of} for tier, (n, of) in row.not_answered.items()},
        "wrong_format": row.wrong_format,
        "wrong_answer": row.wrong_answer,
        "told": row.told,
        "chance": row.chance,
        "majority": row.majority,
        "kappa": asdict(row.kappa),
        "rows_without_options": row.no_options,
        "rows_that_do_not_offer_their_label": row.no_label,
    }


def _group_json(group: Group) -> dict[str, Any]:
    means = classification.published()["means"].get(group.name)
    return {
        "group": group.name,
        "instances": [row.instance.name for row in group.rows],
        "of_published": group.published,
        "partial": group.partial,
        "macro": {
            tier: {**asdict(found), "instances": group.covered[tier], "bounds": list(group.bounds[tier])}
            for tier, found in group.macro.items()
        },
        "micro": {tier: asdict(found) for tier, found in group.micro.items()},
        "kappa": asdict(group.kappa),
        "chance": group.chance,
        "published_percent": None
        if means is None
        else dict(zip(classification.published()["systems"], means["values"], strict=True)),
    }


def _wordings_json(one: wordings.Reworded) -> dict[str, Any]:
    return {
        "instance": one.name,
        "tier": one.tier,
        "spread": one.spread,
        "wordings": [
            {
                "wording": wording.name,
                "file": wording.result.path.name,
                "moved": asdict(wording.moved),
            }
            for wording in one.wordings
        ],
    }
