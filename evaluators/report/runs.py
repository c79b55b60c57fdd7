"""What a report says of the runs themselves: how they were made, how fast they were, what judging cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from data.manifest import for_others
from evaluators.report import rows
from evaluators.report.items import Speed


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as the report shows it.

    Attributes:
        name: its folder's name.
        model: the model's name, with its remark.
        facts: what there is to know at a glance, as pairs of texts.
        manifests: file name and content of run.json and of every *.judge.json.
    """

    name: str
    model: str
    facts: Sequence[tuple[str, str]]
    manifests: Sequence[tuple[str, str]]


def run_of(folder: Path, speed: Speed) -> Run:
    """Return what the report says of one run."""
    run = rows.manifest_of(folder)
    manifests = [(path.name, for_others(fields)) for path in _manifests(folder) if (fields := _object(path))]
    facts = [*_facts(run), *_speed(run, speed)]
    for name, fields in manifests:
        if name != "run.json":
            facts += _judging(name, fields)
    texts = [(name, json.dumps(fields, indent=2, ensure_ascii=False)) for name, fields in manifests]
    return Run(folder.name, rows.model_of(folder), facts, texts)


def _manifests(folder: Path) -> list[Path]:
    return [folder / "run.json", *sorted(folder.glob("*.judge.json"))]


def _object(path: Path) -> dict[str, Any]:
    """Return what a manifest holds; nothing where it is missing or broken: that costs a remark, no number."""
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("status", "modality", "system_prompt_id", "started")
    facts = [(name.replace("_", " "), str(run[name])) for name in names if run.get(name) is not None]
    counts = run.get("counts")
    if isinstance(counts, dict):
        facts.append(("items", ", ".join(f"{value} {name}" for name, value in counts.items())))
    return facts


def _speed(run: Mapping[str, Any], speed: Speed) -> list[tuple[str, str]]:
    facts = []
    seconds = run.get("duration_seconds")
    if isinstance(seconds, int | float) and seconds > 0:
        counts = run.get("counts")
        answered = counts.get("answered") if isinstance(counts, dict) else None
        rate = f", {60 * answered / seconds:.1f} answers a minute" if isinstance(answered, int) and answered else ""
        facts.append(("duration", f"{seconds:.0f} s{rate}"))
    if speed.latencies:
        facts.append(("latency", f"{median(speed.latencies):.2f} s an answer (median of {len(speed.latencies)})"))
    if speed.prompt_tokens or speed.completion_tokens:
        facts.append(("tokens", f"{speed.prompt_tokens:,} in, {speed.completion_tokens:,} out"))
    return facts


def _judging(name: str, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    judges = fields.get("judges")
    for judge in judges if isinstance(judges, list) else ():
        if not isinstance(judge, dict):
            continue
        label = f" ({judge['label']})" if judge.get("label") else ""
        tokens = judge.get("tokens")
        parts = [part for part in tokens.values() if isinstance(part, dict)] if isinstance(tokens, dict) else []
        used = {way: sum(_number(part.get(way)) for part in parts) for way in ("prompt", "completion")}
        dollars = judge.get("dollars")
        price = f"{dollars:.4f} US dollars" if isinstance(dollars, int | float) else "price not known"
        text = f"{judge.get('name')}{label}: {used['prompt']:,} tokens in, {used['completion']:,} out, {price}"
        facts.append((f"judging {name.removesuffix('.judge.json')}", text))
    return facts


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
