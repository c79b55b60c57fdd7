"""An instance's parquet form, as it is on the hub, unpacked into the folder form (`data.dynamic_superb.rows`).

A row has `file`, `instruction`, `label`, and `audio`, a struct of `bytes` and `path`; some `audio2` and `text` too.
There is one split, `test`. Recordings get numbers for names, never the table's own paths. Needs pyarrow, the extra
`parquet`.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data import jsonl, parquet
from data.dynamic_superb import rows
from data.errors import DataError

SPLIT = "test"
COLUMNS = frozenset({"audio", "instruction", "label"})
_AUDIO = re.compile(r"audio[0-9]{0,3}")
_HUB_FOLDERS = frozenset({"data", "default", SPLIT})


def is_instance(source: Path) -> bool:
    """Return whether a parquet file holds rows of an instance, by its columns."""
    return parquet.columns(source) >= COLUMNS


def of_split(paths: Sequence[str]) -> list[str]:
    """Return the files of the split `test` among the paths of parquet files; all where none is called so."""
    return [path for path in paths if SPLIT in Path(path).name] or list(paths)


def unpack(sources: Sequence[Path], target: Path) -> None:
    """Write one instance as a folder, which appears in one step; one that is there is replaced.

    Args:
        sources: its parquet files.
        target: the folder that bears its name.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file is broken, or its rows are none of an instance.
    """
    partial, old = (target.with_name(f".{target.name}.{name}") for name in ("part", "old"))
    with jsonl.only_process(target), jsonl.writing(partial):
        for left in (partial, old):  # by a kill
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _write(sources, partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def unpack_folder(folder: Path, root: Path) -> None:
    """Unpack the instances whose parquet files lie in a folder or its folders; what is unpacked is left alone.

    An instance is called like the folder that holds its files, or that holds the hub's `data`.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file is broken, or its rows are none of an instance.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for source in parquet.files(folder):
        names = [folder.absolute().name, *source.relative_to(folder).parts[:-1]]
        by_name[next((name for name in reversed(names) if name not in _HUB_FOLDERS), names[0])].append(str(source))
    for name, sources in by_name.items():
        if not (root / name).is_dir():
            unpack(list(map(Path, of_split(sources))), root / name)


def _write(sources: Sequence[Path], folder: Path) -> None:
    entries: list[tuple[str, dict[str, Any]]] = []
    for source in sources:
        if not is_instance(source):
            raise DataError(f"lacks a column of {', '.join(sorted(COLUMNS))}; is this an instance's file?", path=source)
        for _, row in parquet.rows(source):
            number = f"{len(entries) + 1:05}"
            names = sorted((name for name in row if _AUDIO.fullmatch(name)), key=rows.place_of)
            # One that is missing leaves no gap among the names, by which the others are found.
            audios = [audio for audio in map(row.pop, names) if audio is not None]
            places = [number, *(f"{number}_pair{place}" for place in range(2, len(audios) + 1))][: len(audios)]
            written = [parquet.recording(audio, folder, place) for audio, place in zip(audios, places, strict=True)]
            if len({Path(name).suffix for name in written}) > 1:  # else they are found by their names
                row |= {f"audio{place}": name for place, name in enumerate(written[1:], start=2)}
            entries.append((written[0] if written else number, row))
    (folder / rows.TABLES[0]).write_bytes(rows.dumps(entries))
