"""What stands beside a built task's rows: its instance.json, and its README with how labels arise and the licences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data.dynamic_superb.build.planning import TABLE
from data.dynamic_superb.build.tasks import Task
from data.variants.jobs import Plan

OWNER = "local"
"""Stands for the hub's organisation in the path of an instance that is on no hub."""

TEXT_LICENCE = "Apache-2.0"


def description(task: Task, version: str) -> dict[str, Any]:
    """Return what instance.json holds.

    Args:
        task: the task.
        version: 40 hex digits that pin rows and samples; the hub's commit takes their place after an upload.
    """
    return {
        "name": task.instance,
        "description": task.description,
        "keywords": ["speech", "synthetic speech", task.name],
        "metrics": ["accuracy"],
        "path": f"{OWNER}/{task.instance}",
        "version": version,
    }


def card(task: Task, planned: Plan, whole: Mapping[str, Any]) -> str:
    """Return the README's text.

    Args:
        task: the task.
        planned: its rows and voices.
        whole: what the manifest holds.
    """
    rows = [item.fields for item in planned.files[TABLE] if item.fields]
    labels = Counter(str(row["label"]) for row in rows)
    counted = ", ".join(f"{label} {labels[label]}" for label in task.labels)
    voices = "\n".join(
        f"| `{name}` | {voice.tag} | {voice.engine} | {voice.licence} | {voice.package} |"
        for name, voice in sorted(planned.voices.items())
    )
    settings = planned.settings
    return f"""# {task.instance}

{task.description} A classification task in the form of Dynamic-SUPERB (arXiv 2309.09510), made of synthetic speech.

{len(rows)} examples, {len(planned.files[TABLE])} recordings, {whole["seconds"] / 60:.1f} minutes, a test split only.
Labels: {counted}. Instructions: {len({row["instruction"] for row in rows})}, each as often as any other.

## How labels arise

{task.made} Labels are spread evenly over voices and sentences. Rows are in an order drawn from the seed.

`metadata.json` has a row an example: `file`, `instruction`, `label`, `text` where something is given in writing, and
for whoever looks into results `spoken_text` and `voice`. Further recordings of a row end in `_pair2.wav`.

## Licences

Sentences, instructions and rows: {TEXT_LICENCE}. The recordings may be passed on; the voices are

| voice | accent | engine | licence | where from |
| --- | --- | --- | --- | --- |
{voices}

## Check and rebuild

    python -m data build --as dynamic-superb --tasks {task.name} --examples {settings["examples"]} \\
        --seed {settings["seed"]} --out DIR
    python -m data build --as dynamic-superb --check --out DIR

`version` in instance.json is the start of the SHA-256 of metadata.json and, after it, of every recording's hash of
decoded samples in the manifest's order. It pins what is here; the hub's commit takes its place after an upload.
"""
