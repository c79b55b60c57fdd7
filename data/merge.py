"""Join the shards of a job array into one run.

`inference.py --shard I/N` answers every N-th item of each file: item k (0-based) goes to shard k % N + 1. It writes to

    results/<run>/shards/<I>-of-<N>/run.json, closed_standard_en.jsonl, ...

Here these become `results/<run>/closed_standard_en.jsonl`, ... in the data set's order, with one run.json. Lines are
copied as they stand. Of each item only its place is held in memory.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import VERDICT_FIELDS, identity_digest, item_of
from data.errors import DataError, UsageError
from data.manifest import read as read_manifest

SHARD_FOLDER = re.compile(r"(?P<number>[1-9]\d*)-of-(?P<count>[1-9]\d*)")
# What a manifest says about how a run went; all else are settings, which have to be the same in every shard.
COURSE = frozenset(
    {"started", "duration_seconds", "asked", "counts", "engine", "first_prompt", "status", "shard", "shards"}
)
LINES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge came to.

    Attributes:
        files: the joined files.
        unchanged: those of them that held these answers already.
        items: how many items have a line.
        answered: how many of these have a response.
        missing: what is not, or not wholly, in them; empty unless the merge is partial.
    """

    files: list[Path]
    unchanged: list[Path]
    items: int
    answered: int
    missing: list[str]


def merge(folder: Path, *, partial: bool = False, overwrite: bool = False) -> Merged:
    """Join the shards of a run; killed half-way, the same call finishes it.

    Args:
        folder: the run's folder, which holds `shards`.
        partial: join what is there. An unfinished shard's items come in the order in which it keeps them.
        overwrite: replace joined files that hold other answers.

    Raises:
        UsageError: there are no shards, they are not finished, or they do not belong together; or a file is in the way.
        DataError: a file is broken or cannot be written.
    """
    shards, count = _shards(folder)
    missing = _missing(shards, count)
    if missing and not partial:
        raise UsageError(f"{folder}: {', '.join(missing)}; finish them first, or join what is there with --partial")
    started = [shard for shard in shards if shard.manifest]
    if not started:
        raise UsageError(f"{folder / 'shards'}: no shard has begun yet (none has a run.json)")
    _check_settings(started)
    names = sorted({path.name for shard in started for path in shard.folder.glob("*.jsonl")})
    if not names:
        raise UsageError(f"{folder / 'shards'}: no shard has answered anything yet")
    with ExitStack() as locks:
        for name in ("run", *names):
            locks.enter_context(jsonl.only_process(folder / name))
        files = [_File(name, started) for name in names]
        if not missing:
            for file in files:
                file.check_split(count)
        unchanged = [file.name for file in files if _same_answers(folder / file.name, file.lines())]
        if not overwrite:
            _check_nothing_in_the_way(folder, started[0], [name for name in names if name not in unchanged])
        for file in files:
            if file.name not in unchanged:
                jsonl.rewrite(folder / file.name, file.lines())
        _write_manifest(folder, started, files, count, missing)
    return Merged(
        [folder / name for name in names],
        [folder / name for name in unchanged],
        sum(file.items for file in files),
        sum(file.answered for file in files),
        missing,
    )


@dataclass(frozen=True, slots=True)
class _Shard:
    """One folder of a job array; `manifest` is empty where its run has not begun."""

    number: int
    folder: Path
    manifest: Mapping[str, Any]


class _File:
    """One file of answers, as the shards hold it in parts.

    Attributes:
        name: the file's name.
        items: how many items have a line.
        answered: how many of these have a response.
    """

    def __init__(self, name: str, shards: Iterable[_Shard]) -> None:
        """Note where each item's last line stands.

        Raises:
            DataError: a line is broken, or two shards hold the same item.
        """
        self.name = name
        self.items = 0
        self.answered = 0
        self._parts: list[tuple[Path, list[int]]] = []
        seen: set[bytes] = set()
        for shard in shards:
            path = shard.folder / name
            places = _places(path) if path.exists() else {}  # a shard without items of this file need not have it
            twice = seen.intersection(places)
            if twice:
                raise DataError(f"{len(twice)} of its items are in another shard too; run that shard anew", path=path)
            seen.update(places)
            self.items += len(places)
            self.answered += sum(answered for _, answered in places.values())
            self._parts.append((path, [offset for offset, _ in places.values()]))

    def check_split(self, count: int) -> None:
        """Refuse parts whose lengths no division of one list into `count` shards gives.

        Raises:
            UsageError: the shards are of different data, or were run with different limits.
        """
        lengths = [len(offsets) for _, offsets in self._parts]
        if lengths != [len(range(first, self.items, count)) for first in range(count)]:
            found = ", ".join(map(str, lengths))
            raise UsageError(
                f"{self.name}: the shards hold {found} items, which are no {count} shards of one file; "
                "was one of them run with another --limit, --subset or --lang?"
            )

    def lines(self) -> Iterator[bytes]:
        """Yield the lines in the data set's order: one of each shard in turn."""
        rows = max((len(offsets) for _, offsets in self._parts), default=0)
        step = max(1, LINES_AT_ONCE // max(1, len(self._parts)))  # opens one file at a time, however many shards
        for row in range(0, rows, step):
            block = [list(jsonl.raw_lines(path, offsets[row : row + step])) for path, offsets in self._parts]
            for turn in zip_longest(*block):
                yield from (line for line in turn if line is not None)


def _shards(folder: Path) -> tuple[list[_Shard], int]:
    """Return the shards that have a folder, in order, and how many there should be."""
    found = [
        (int(match["number"]), int(match["count"]), path)
        for path in (folder / "shards").glob("*")
        if (match := SHARD_FOLDER.fullmatch(path.name)) and path.is_dir()
    ]
    if not found:
        raise UsageError(f"{folder}: no shards; expected {folder / 'shards'}/1-of-N and so on (inference.py --shard)")
    counts = sorted({count for _, count, _ in found})
    if len(counts) > 1:
        several = " and ".join(f"of {count}" for count in counts)
        raise UsageError(f"{folder / 'shards'}: shards {several} lie side by side; move those away that do not belong")
    beyond = [path.name for number, count, path in found if number > count]
    if beyond:
        raise UsageError(f"{folder / 'shards'}: there can be no shard {beyond[0]}; move it away")
    return [_Shard(number, path, read_manifest(path)) for number, _, path in sorted(found)], counts[0]


def _missing(shards: Sequence[_Shard], count: int) -> list[str]:
    """Return what keeps the array from being complete, in words."""
    states = {shard.number: shard.manifest.get("status", "not begun") for shard in shards}
    absent = [str(number) for number in range(1, count + 1) if number not in states]
    words = [f"shard {', '.join(absent)} of {count} missing"] if absent else []
    words += [f"shard {number} of {count} {state}" for number, state in states.items() if state != "complete"]
    return words


def _check_settings(shards: Sequence[_Shard]) -> None:
    first = shards[0]
    for shard in shards[1:]:
        names = _differences(first.manifest, shard.manifest)
        if names:
            raise UsageError(f"{shard.folder} was run with another {', '.join(names)} than {first.folder.name}")


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Return the settings in which two manifests differ, as dotted names."""
    ours, theirs = dict(_settings(left)), dict(_settings(right))
    names = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    # A shard that had nothing to ask has loaded nothing: it knows no revisions.
    unknown = {name for name in names if name.startswith("revisions.") and not (name in ours and name in theirs)}
    return sorted(names - unknown)


def _settings(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if not prefix and name in COURSE:
            continue
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _places(path: Path) -> dict[bytes, tuple[int, bool]]:
    """Return for each item where its last line starts, and whether that holds a response."""
    places: dict[bytes, tuple[int, bool]] = {}
    for line in jsonl.read(path, torn=True):
        digest = identity_digest(item_of(line.fields, path, line.number).id)
        places[digest] = (line.offset, line.fields.get("response") is not None)
    return places


def _same_answers(path: Path, lines: Iterable[bytes]) -> bool:
    """Return whether a file holds these answers already; verdicts that a grader added to them do not count."""
    if not path.exists():
        return False
    there = (_answer(line.fields) for line in jsonl.read(path, torn=True))
    wanted = (_answer(jsonl.parse(line, path, number)) for number, line in enumerate(lines, start=1))
    try:
        return all(ours == theirs for ours, theirs in zip_longest(there, wanted))
    except DataError:  # a broken file holds other things at any rate
        return False


def _answer(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in VERDICT_FIELDS}


def _check_nothing_in_the_way(folder: Path, first: _Shard, to_write: Iterable[str]) -> None:
    in_the_way = [name for name in to_write if (folder / name).exists()]
    if in_the_way:
        raise UsageError(f"{folder / in_the_way[0]} holds other answers; --overwrite replaces it")
    earlier = read_manifest(folder)
    names = _differences(earlier, first.manifest) if earlier else []
    if names:
        raise UsageError(f"{folder / 'run.json'} is of a run with another {', '.join(names)}; --overwrite replaces it")


def _write_manifest(
    folder: Path, shards: Sequence[_Shard], files: Sequence[_File], count: int, missing: Sequence[str]
) -> None:
    """Write the joined run.json, last of all: where it stands, every file is joined."""
    manifests = [shard.manifest for shard in shards]
    seconds = [float(manifest.get("duration_seconds", 0.0)) for manifest in manifests]
    items, answered = sum(file.items for file in files), sum(file.answered for file in files)
    fields = {
        **{name: value for name, value in manifests[0].items() if name not in COURSE},
        "started": min(str(manifest.get("started", "")) for manifest in manifests),
        "status": "partial" if missing else "complete",
        "duration_seconds": round(sum(seconds), 1),
        "shards": {"count": count, "joined": [shard.number for shard in shards], "duration_seconds": seconds},
        "asked": _asked(manifests),
        "counts": {"items": items, "answered": answered, "failed": items - answered},
    }
    prompts = [manifest["first_prompt"] for manifest in manifests if manifest.get("first_prompt")]
    if prompts:
        fields["first_prompt"] = prompts[0]
    jsonl.rewrite(folder / "run.json", [json.dumps(fields, indent=2, ensure_ascii=True).encode("ascii"), b"\n"])


def _asked(manifests: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many items of each file the shards are about together."""
    asked: Counter[str] = Counter()
    for manifest in manifests:
        asked.update(manifest.get("asked", {}))
    return dict(asked)
