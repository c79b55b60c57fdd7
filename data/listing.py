"""Which data sets are here, how large they are, and where: `python -m data list`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data import hub
from data.audio import seconds_of
from data.dataset import SAMPLE, AudioFinder, AudioNotFound, dataset_files, has_files
from data.errors import DataError, ToolkitError, printable


@dataclass(frozen=True, slots=True)
class Listed:
    """One data set.

    Attributes:
        name: what `inference.py --dataset` takes: a benchmark's name, or the folder.
        where: the folder or file.
        items: number of lines, by subset.
        seconds: length of all recordings, as their headers tell, each once.
        missing: number of lines whose recording is not there.
        bytes: size of JSONL files and recordings.
        about: revision, licence, or what is wrong with it.
    """

    name: str
    where: str
    items: dict[str, int]
    seconds: float
    missing: int
    bytes: int
    about: str


def listed(folders: Sequence[str]) -> Iterator[Listed]:
    """Yield the bundled sample, what was fetched or lies in the hub's cache, and the given folders."""
    yield _measured("sample", SAMPLE, "bundled; for trying out")
    for name in hub.BENCHMARKS:
        try:
            noted = hub.read(name)
        except DataError as error:
            yield Listed(name, "", {}, 0.0, 0, 0, str(error))
            noted = {}
        for root in dict.fromkeys(one.root for one in noted.values()):
            yield _measured(name, Path(root), hub.about([one for one in noted.values() if one.root == root]))
        roots = {Path(one.root) for one in noted.values()}
        for snapshot in hub.snapshots(name):
            if snapshot not in roots and has_files(snapshot):
                yield _measured(str(snapshot), snapshot, f"of {name}, not brought by python -m data fetch")
    for folder in folders:
        yield _measured(folder, Path(folder), "")


def as_lines(rows: Sequence[Listed]) -> Iterator[str]:
    """Yield a table for a terminal."""
    cells = [("name", "items", "hours", "size", "where and what")]
    for row in rows:
        items = ", ".join(f"{number} {part}" for part, number in row.items.items()) or "0"
        about = f" ({row.about})" if row.about else ""
        lost = f", {row.missing} without their recording" if row.missing else ""
        where = printable(f"{row.where}{about}{lost}")
        cells.append((printable(row.name), items, f"{row.seconds / 3600:.2f}", _size(row.bytes), where))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    for line in cells:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]])


def as_fields(rows: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the rows as JSON objects."""
    return [asdict(row) for row in rows]


def _measured(name: str, path: Path, about: str) -> Listed:
    """Return one data set's numbers; what keeps it from being read goes into `about`."""
    items: dict[str, int] = {}
    recordings: dict[Path, None] = {}
    missing = size = 0
    try:
        files = dataset_files(path)
        finder = AudioFinder(files[0].root)
        for file in files:
            size += file.path.stat().st_size
            part = file.kind.suite.name if file.kind else "other"
            for item in file.items():
                items[part] = items.get(part, 0) + 1
                try:
                    recordings[finder.find(item.id.audio or "", file.path)] = None
                except AudioNotFound:
                    missing += 1
    except ToolkitError as error:
        about = f"{about}; {error}" if about else str(error)
    with ThreadPoolExecutor() as pool:
        seconds = sum(pool.map(lambda recording: seconds_of(recording) or 0.0, recordings))
    size += sum(recording.stat().st_size for recording in recordings)
    return Listed(name, str(path), items, seconds, missing, size, about)


def _size(number: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:.2f} {unit}"
    return f"{number / 1e3:.1f} kB"
