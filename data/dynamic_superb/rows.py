"""An instance of Dynamic-SUPERB on disk: a folder that bears its name, with recordings and one table of rows.

The table is `metadata.json`, an object with one entry for each recording,

    {"a1.wav": {"file": "a1", "instruction": "... The answer could be yes or no.", "label": "yes"}, ...}

or `metadata.csv` with the recording in the column `file_name`. Further recordings of a row lie beside the first, as
`a1_pair2.wav`, `a1_pair3.wav`; or the row names them (`audio2`, `audio3`). Every row becomes a line of our own layout,
with the row's fields as they are and, beside them,

    {"key": "a1", "audio_path": "a1.wav", "audio_paths": ["a1.wav", "a1_pair2.wav"], "prompt": "...", "written": true}

where `key` is the row's `file` (else the recording), `prompt` the instruction with the row's text inputs (`text`,
`text2`, ...) under it, and `audio_paths` is there for rows of several recordings only.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.jsonl import Line

TABLES = ("metadata.json", "metadata.csv")
INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TEXT_FIELD = re.compile(r"text[0-9]{0,3}")
_AUDIO_FIELD = re.compile(r"audio([2-9]|[1-9][0-9]{1,2})")
_MOST_RECORDINGS = 100
_OURS = ("key", "audio_path", "audio_paths", "prompt", "written")
_BLANKS = re.compile(r"\s*")


class _NamedTwice(ValueError):
    """An object of JSON has two fields of one name."""


def is_table(path: Path) -> bool:
    """Return whether a file is an instance's table of rows, by its name."""
    return path.name in TABLES


def instance_of(path: Path) -> str:
    """Return the instance's name: that of the folder that holds its table.

    Raises:
        DataError: the folder's name cannot be one.
    """
    name = path.absolute().parent.name
    if not INSTANCE_NAME.fullmatch(name):
        raise DataError(
            f"the folder's name '{name}' cannot be an instance's; rename it (letters, digits, _ . -)",
            path=path,
        )
    return name


def read(path: Path) -> Iterator[Line]:
    """Yield the rows of an instance as lines of our own layout.

    Args:
        path: `metadata.json` or `metadata.csv`.

    Yields:
        Each row with the number of the line on which it begins, and its offset in characters.

    Raises:
        DataError: the file cannot be read, is no such table, or a row lacks its instruction, label or recording.
    """
    count = 0
    for number, offset, audio, row in raw_rows(path):
        count += 1
        yield Line(number, offset, _line(path, number, audio, row))
    if not count:
        raise DataError("holds no rows", path=path)


def raw_rows(path: Path) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    """Yield of each row its line number, its offset in characters, its recording's name, and its own fields.

    Raises:
        DataError: the file cannot be read, or is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("not UTF-8; convert the file to UTF-8", path=path) from None
    yield from (_json_rows if path.suffix == ".json" else _csv_rows)(path, text)


def dumps(entries: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """Return the content of `metadata.json`, an entry a line: what `raw_rows` reads.

    Args:
        entries: each row's recording, and its own fields.
    """
    lines = ",\n".join(f"{_json(audio)}: {_json(dict(row))}" for audio, row in entries)
    return f"{{\n{lines}\n}}\n".encode(errors="backslashreplace")  # half a surrogate pair has no UTF-8, only an escape


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    number, counted = 1, 0
    seen: dict[str, int] = {}

    def refuse(problem: str, place: int) -> DataError:
        return DataError(problem, path=path, line=text.count("\n", 0, place) + 1)

    def after(place: int, expected: str) -> int:
        place = _skip(text, place)
        if text[place : place + 1] not in tuple(expected):
            raise refuse(f"expected {' or '.join(expected)}; the table is one JSON object, a recording an entry", place)
        return place

    def value(place: int) -> tuple[Any, int]:
        try:
            return decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise refuse(f"not JSON ({error.msg})", error.pos) from None
        except _NamedTwice as error:
            raise refuse(f"the entry has two fields {str(error)!r}; remove one of them", place) from None
        except (ValueError, RecursionError):
            raise refuse("not usable JSON (nested too deeply, or a number too long)", place) from None

    place = _skip(text, after(0, "{") + 1)
    ended = text[place : place + 1] == "}"
    place += ended
    while not ended:
        start = after(place, '"')
        audio, place = value(start)
        row, place = value(_skip(text, after(place, ":") + 1))
        number, counted = number + text.count("\n", counted, start), start
        if not isinstance(row, dict):
            raise refuse(f"the entry of {audio!r} must be an object with file, instruction and label", start)
        if audio in seen:
            raise refuse(f"{audio!r} has an entry in line {seen[audio]} already; remove one of them", start)
        seen[audio] = number
        yield number, start, audio, row
        place = after(place, ",}")
        ended, place = text[place] == "}", place + 1
    place = _skip(text, place)
    if place < len(text):
        raise refuse("text after the end of the object", place)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 1
    try:
        columns = reader.fieldnames or ()
        if "file_name" not in columns:
            raise DataError("missing; the first line names the columns", path=path, line=1, field="file_name")
        if len(set(columns)) < len(columns):
            raise DataError("two columns have the same name; rename one of them", path=path, line=1)
        number = reader.line_num + 1
        for place, row in enumerate(reader):
            if None in row or None in row.values():
                raise DataError("not as many cells as the first line has columns", path=path, line=number)
            fields = {name: cell for name, cell in row.items() if name != "file_name"}
            yield number, place, row["file_name"], fields
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", path=path, line=number) from None


def _line(path: Path, number: int, audio: str, row: dict[str, Any]) -> dict[str, Any]:
    for field in ("instruction", "label"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            problem = "must be text" if field in row else "missing; every row needs it"
            raise DataError(problem, path=path, line=number, field=field)
    for field in inputs_not_text(row):
        raise DataError("must be text", path=path, line=number, field=field)
    key = key_of(path, number, audio, row)
    texts = [row[field] for field in text_fields(row)]
    audios = [audio, *further(path.parent, audio, row)]
    return {
        **{name: value for name, value in row.items() if name not in _OURS},
        "key": key,
        "audio_path": audio,
        **({"audio_paths": audios} if len(audios) > 1 else {}),
        "prompt": "\n\n".join([row["instruction"], *filter(str.strip, texts)]),
        "written": True,
    }


def key_of(path: Path, number: int, audio: str, row: dict[str, Any]) -> int | str:
    """Return a row's id: its `file`, or its recording's name where that is empty.

    Raises:
        DataError: it is neither text nor an integer.
    """
    named = row.get("file")
    if isinstance(named, bool) or not isinstance(named, str | int | None):
        raise DataError("must be text or an integer", path=path, line=number, field="file")
    return audio if named is None or named == "" else named


def further(folder: Path, audio: str, row: dict[str, Any]) -> list[str]:
    """Return the names of a row's recordings after the first: those that it names, or else those that lie beside it."""
    named = [row[field] for field in further_fields(row)]
    if named:
        return named
    found = []
    stem, dot, suffix = audio.rpartition(".")
    for place in range(2, _MOST_RECORDINGS):
        beside = f"{stem}_pair{place}{dot}{suffix}"
        if not dot or not _is_file(folder / beside):
            break
        found.append(beside)
    return found


def inputs_not_text(row: Mapping[str, Any]) -> list[str]:
    """Return the fields of a row's text inputs, and of its recordings after the first, that are no text."""
    return [field for field in (*text_fields(row), *_audio_fields(row)) if not isinstance(row[field], str)]


def text_fields(row: Mapping[str, Any]) -> list[str]:
    """Return the fields of a row's text inputs, in order."""
    return sorted((field for field in row if _TEXT_FIELD.fullmatch(field) and row[field] is not None), key=place_of)


def further_fields(row: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a row names its recordings after the first, in order; nothing where it does not."""
    return [field for field in _audio_fields(row) if isinstance(row[field], str)]


def _audio_fields(row: Mapping[str, Any]) -> list[str]:
    """Return the fields meant for further recordings, in order; neither an empty cell nor the hub's form (bytes)."""
    fields = filter(_AUDIO_FIELD.fullmatch, row)
    return sorted(
        (name for name in fields if row[name] not in (None, "") and not isinstance(row[name], dict)), key=place_of
    )


def place_of(field: str) -> int:
    """Return a numbered field's number: 1 for "text", 2 for "text2"."""
    return int(field.lstrip("abcdefghijklmnopqrstuvwxyz") or 1)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _NamedTwice(next(name for name in names if names.count(name) > 1))
    return dict(pairs)


def _skip(text: str, place: int) -> int:
    match = _BLANKS.match(text, place)
    return place if match is None else match.end()
