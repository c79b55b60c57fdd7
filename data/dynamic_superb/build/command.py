"""`python -m data build --as dynamic-superb`: builds tasks, one folder each, or finishes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data import jsonl
from data.dynamic_superb import rows
from data.dynamic_superb.build.card import TEXT_LICENCE, card, description
from data.dynamic_superb.build.planning import TABLE, Order, plan
from data.dynamic_superb.build.takes import Stage
from data.dynamic_superb.build.tasks import TASKS, Task
from data.dynamic_superb.contribution import MOST_SECONDS
from data.dynamic_superb.description import NAME as INSTANCE
from data.errors import DataError, UsageError
from data.variants import manifest
from data.variants.build import README, Built, carry_out, tools
from data.variants.jobs import Plan


def build(
    names: Sequence[str],
    order: Order,
    out: Path,
    *,
    cache: Path,
    workers: int,
    overwrite: bool = False,
    say: Callable[[str], None],
) -> list[Built]:
    """Build tasks, or finish them.

    Args:
        names: of tasks or of their instances; none: all whose voices are here.
        order: how many examples, and the seed.
        out: folder of the instances' folders.
        cache: folder of speech and impulse responses, shared by all builds.
        workers: number of processes.
        overwrite: replace instances that were built otherwise.
        say: writes one line to the user.

    Raises:
        UsageError: no such task, or what it needs is missing; a folder holds something else.
        DataError: an engine failed, or a task came to more than an hour.
    """
    wanted = {task.name: task for task in map(_task, names)} or TASKS
    plans: dict[str, Plan] = {}
    for task in wanted.values():
        try:
            plans[task.name] = plan(task, order)
        except UsageError as error:
            if names:
                raise UsageError(f"{task.name}: {error}") from None
            say(f"left out: {task.name}: {error}")
    if not plans:
        raise UsageError("no task is left to build")
    made = []
    for name, planned in plans.items():
        made.append(_built(TASKS[name], planned, out, cache, workers, overwrite, say))
        say(f"{TASKS[name].instance}: {made[-1].recordings} recordings, {made[-1].seconds / 60:.1f} minutes")
    return made


def check(out: Path) -> list[str]:
    """Compare built instances with their manifests: one line for each mismatch.

    Raises:
        DataError: there is none.
    """
    folders = [path.parent for path in sorted(out.glob(f"*/{manifest.MANIFEST}"))]
    if not folders:
        raise DataError("holds no instance that was built; name the folder in which theirs lie", path=out)
    return [f"{folder.name}/{line}" for folder in folders for line in manifest.check(folder)]


def _task(name: str) -> Task:
    for task in TASKS.values():
        if name.lower() in (task.name.lower(), task.instance.lower()):
            return task
    raise UsageError(f"no task '{name}' can be built; there are: {', '.join(TASKS)}")


def _built(
    task: Task,
    planned: Plan,
    out: Path,
    cache: Path,
    workers: int,
    overwrite: bool,
    say: Callable[[str], None],
) -> Built:
    folder = out / task.instance

    def finish(entries: dict[str, dict[str, Any]], _: jsonl.Appender) -> dict[str, Any]:
        return _write(task, planned, folder, entries)

    return carry_out(planned, Stage(folder, cache), finish, workers=workers, overwrite=overwrite, say=say)


def _write(task: Task, planned: Plan, folder: Path, entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write rows, instance.json, README and, last, the manifest; return what the manifest holds."""
    seconds = sum(entries[job.path]["seconds"] for job in planned.jobs())
    if seconds > MOST_SECONDS:
        raise DataError(f"{seconds / 60:.0f} minutes of audio; an instance may have 60: ask for fewer --examples")
    content = {TABLE: rows.dumps((item.job.path, item.fields) for item in planned.files[TABLE] if item.fields)}
    # What the rows say and how the recordings sound, whatever machine they were made on.
    pinned = hashlib.sha256(content[TABLE])
    for job in planned.jobs():
        pinned.update(entries[job.path]["samples_sha256"].encode())
    version = pinned.hexdigest()[:40]
    content[INSTANCE] = manifest.dumped(description(task, version))
    whole = {
        "recipe": planned.recipe_id,
        "settings": planned.settings,
        "licences": {"prompts": TEXT_LICENCE},  # the voices' stand in the settings
        "tools": tools(planned),
        "encoding": {"format": "wav", "rate_hz": manifest.RATE, "channels": 1},
        "samples_sha256": manifest.SAMPLES_HASH,
        "seconds": round(seconds, 3),
        "files": {
            name: {"sha256": hashlib.sha256(text).hexdigest(), "lines": text.count(b"\n")}
            for name, text in content.items()
        },
        "audio": {job.path: entries[job.path] for job in planned.jobs()},
    }
    for name, text in content.items():
        jsonl.rewrite(folder / name, [text])
    jsonl.rewrite(folder / README, [card(task, planned, whole).encode()])
    jsonl.rewrite(folder / manifest.MANIFEST, [manifest.dumped(whole)])
    return whole
