"""The benchmark's parquet form, unpacked into the folder form, so that everything else reads one layout.

A row has the fields of a line, and `audio`, a struct of `bytes` and `path`; `id` takes the place of `key`:

    {"id": "7", "prompt": "...", "decomposed_questions": [...], "language": "en",
     "audio": {"bytes": b"RIFF...", "path": "7.wav"}}

Which subset a file is of is told by its columns. Needs pyarrow, the extra `parquet`.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import AUDIO_SUFFIXES
from data.errors import DataError, UsageError
from data.suites import SUITES, VARIANTS, Suite, suites_of

ROWS_AT_ONCE = 16
_LANGUAGES = {"en": "en", "english": "en", "zh": "cn", "cn": "cn", "chinese": "cn", "mandarin": "cn"}
_BEGINNINGS = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}


def files(folder: Path) -> list[Path]:
    """Return the parquet files of a folder and its folders."""
    return sorted(folder.glob("**/*.parquet"))


def suite_of(path: Path | str) -> Suite | None:
    """Return the subset that a parquet file's path names, such as `open_ended/test-00000-of-00001.parquet`."""
    for part in reversed(Path(path).with_suffix("").parts):
        for suite in suites_of("speechinstructbench"):
            if any(part == name or part.startswith(f"{name}-") for name in (suite.name, suite.folder, *suite.aliases)):
                return suite
    return None


def unpack(sources: Sequence[Path], root: Path) -> None:
    """Write parquet files as JSONL and audio files in the hub's layout; what is there already is left alone.

    Args:
        sources: the files.
        root: folder that receives one folder for each subset, which appears in one step.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file is broken, or its rows are no items.
    """
    by_suite: dict[str, list[Path]] = defaultdict(list)
    for source in sources:
        by_suite[_suite_by_columns(source).folder].append(source)
    for folder, paths in by_suite.items():
        target, partial = root / folder, root / f".{folder}.part"
        with jsonl.only_process(target):
            if target.is_dir():
                continue
            shutil.rmtree(partial, ignore_errors=True)  # left by a kill
            with jsonl.writing(partial):
                _write(paths, partial)
                partial.rename(target)


def _write(sources: Sequence[Path], folder: Path) -> None:
    lines: dict[str, list[bytes]] = defaultdict(list)
    for source in sources:
        suite = _suite_by_columns(source)
        for number, row in rows(source):
            language = _language(row, source, number)
            variant = str(row.get("variant") or next((name for name in VARIANTS if name in source.parts), "standard"))
            stem = {"closed": f"closed_{variant}", "open": "open_ended", "adjustment": "adjustment"}[suite.name]
            name = f"{stem}_{language}"
            audio = row.pop("audio", None)
            place = f"{language}/{name}_{len(lines[name]) + 1:05}"
            lines[name].append(jsonl.dumps({**row, "audio_path": recording(audio, folder, place)}))
    for name, content in lines.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(content))


def recording(audio: Any, folder: Path, place: str) -> str:
    """Write a row's recording; return its path relative to the folder, which is `place` and an ending of its own."""
    content, path = (audio.get("bytes"), audio.get("path")) if isinstance(audio, Mapping) else (None, None)
    if not isinstance(content, bytes):
        return str(path or place)  # the run will say that it is missing
    own = Path(str(path or "")).suffix.lower()
    guessed = next((suffix for start, suffix in _BEGINNINGS.items() if content.startswith(start)), None)
    suffix = guessed or (own if own in AUDIO_SUFFIXES else ".wav")
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{place}{suffix}").write_bytes(content)
    return f"{place}{suffix}"


def _language(row: Mapping[str, Any], source: Path, number: int) -> str:
    """Return the suffix of the file that a row belongs to."""
    named = str(row.get("language", "")).strip().lower()
    primary = named.replace("_", "-").split("-")[0]
    if primary not in _LANGUAGES:
        known = ", ".join(_LANGUAGES)
        raise DataError(f"row {number}: language '{named}' is not known; known: {known}", path=source, field="language")
    return _LANGUAGES[primary]


def _suite_by_columns(source: Path) -> Suite:
    names = columns(source)
    if not {"prompt", "audio"} <= names:
        raise DataError("no columns 'prompt' and 'audio'; is this a benchmark's file?", path=source)
    if "instruction_id_list" in names:
        return SUITES["closed"]
    return SUITES["open" if "decomposed_questions" in names else "adjustment"]


def columns(source: Path) -> set[str]:
    """Return the names of a file's columns.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: the file is broken.
    """
    return set(_opened(source).schema_arrow.names)


def rows(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every row with its number, a few in memory at a time.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: the file is broken.
    """
    import pyarrow

    number = 0
    try:
        for batch in _opened(source).iter_batches(ROWS_AT_ONCE):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"behind row {number}: {error}", path=source) from None


def _opened(source: Path) -> Any:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(
            f"{source}: parquet files need pyarrow: pip install 'pyarrow>=26' (the extra 'parquet')"
        ) from None
    try:
        return ParquetFile(source)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"no readable parquet file: {error}", path=source) from None
