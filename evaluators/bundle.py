"""A run in one file that others can check: manifest, responses and replies, and the numbers that they should give.

bundle.zip/
  bundle.json               what was packed (sha256 by name) and its numbers under either profile
  run.json                  the run's manifest
  closed_standard_en.jsonl  responses, and the replies of judges
  open_ended_en.judge.json  what determined verdicts
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from data import jsonl, manifest
from data.errors import DataError
from data.suites import file_kind
from evaluators import PROFILES
from evaluators.compare import counted
from evaluators.report import as_json
from evaluators.robustness import robustness

INDEX = "bundle.json"
FORM = 1
PACKAGES = ("langdetect", "nltk", "numpy", "scipy")  # what decides verdicts and intervals
MOST_BYTES = 2_000_000_000  # unpacked; a run of the whole benchmark has some ten million


def bundle(run: Path, target: Path) -> dict[str, Any]:
    """Pack a run, and return the index that was put in.

    Raises:
        DataError: the folder holds no responses, a file is broken, or the target cannot be written.
    """
    files = _packed_files(run)
    index = {
        "form": FORM,
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "numbers": _numbers(run),
    }
    with jsonl.replacing(target) as sheet, zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as packed:
        _put(packed, INDEX, json.dumps(index, indent=1).encode("ascii"))
        for name, content in files.items():
            _put(packed, name, content)
    return index


def verify(path: Path) -> list[str]:
    """Count a bundle's files anew, and return what is not as its index says: nothing for a bundle that holds.

    Raises:
        DataError: it is no bundle, or a file in it is broken.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = dict(_contents(path))
        index = _index(contents.pop(INDEX, b""), path)
        found = [f"{name}: is not in the bundle" for name in index["sha256"] if name not in contents]
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != index["sha256"].get(name):
                found.append(f"{name}: is not the file that was packed")
            (folder / name).write_bytes(content)
        try:
            numbers = _numbers(folder)
        except DataError as error:
            raise DataError(str(error).replace(f"{folder}/", f"{path}/")) from None
        return found + list(_differences(index["numbers"], numbers, ""))


def _packed_files(run: Path) -> dict[str, bytes]:
    """Return what is packed, by name: manifests without the folders of this machine, lines as they stand."""
    if not run.is_dir():
        raise DataError("no such folder of results", path=run)
    manifests = [path for path in (run / manifest.NAME, *sorted(run.glob("*.judge.json"))) if path.is_file()]
    files = {path.name: _for_others(path) for path in manifests}
    return files | {path.name: path.read_bytes() for path in _responses(run)}


def _for_others(path: Path) -> bytes:
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise DataError("cannot be read as a manifest; run or judge the files again", path=path) from None
    return json.dumps(manifest.for_others(fields), indent=2).encode("ascii") + b"\n"


def _responses(run: Path) -> list[Path]:
    named = [(kind, path) for path in run.glob("*.jsonl") if (kind := file_kind(path)) and path.stat().st_size]
    if not named:
        raise DataError("no files of responses in this folder", path=run)
    return [path for _, path in sorted(named, key=lambda pair: pair[0].order())]


def _numbers(run: Path) -> dict[str, Any]:
    """Return what `evaluate.py --format json` shows, under either profile."""
    found = {}
    for profile in PROFILES:
        results = [counted(path, profile) for path in _responses(run)]
        found[profile] = json.loads(as_json.for_json(results, robustness(results)))
    return found


def _put(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file without a time, so that the same run gives the same bundle."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    packed.writestr(entry, content)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a bundle; only plain names of the kinds that `bundle` packs, and no more than fits.

    Raises:
        DataError: it is no bundle.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MOST_BYTES:
                raise DataError("is larger, unpacked, than any run", path=path)
            for entry in packed.infolist():
                if not _is_packed_name(entry.filename):
                    raise DataError(f"holds '{entry.filename}', which is no file of a run", path=path)
                yield entry.filename, packed.read(entry)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise DataError(f"is no bundle: {error}", path=path) from None


def _is_packed_name(name: str) -> bool:
    if Path(name).name != name:
        return False
    stem = name.removesuffix(".judge.json")
    return name in (INDEX, manifest.NAME) or file_kind(name) is not None or file_kind(f"{stem}.jsonl") is not None


def _index(content: bytes, path: Path) -> dict[str, Any]:
    try:
        index = json.loads(content)
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict) or index.get("form") != FORM:
        raise DataError(f"holds no {INDEX} of form {FORM}; was it made by python -m evaluators bundle?", path=path)
    for name in ("sha256", "numbers"):
        if not isinstance(index.get(name), dict):
            raise DataError(f"{INDEX} is broken", path=path, field=name)
    return index


def _differences(packed: Any, found: Any, place: str) -> Iterator[str]:
    """Yield each number that is not what was packed."""
    if isinstance(packed, dict) and isinstance(found, dict):
        for name in dict.fromkeys((*packed, *found)):
            yield from _differences(packed.get(name), found.get(name), f"{place} {name}".lstrip())
    elif isinstance(packed, list) and isinstance(found, list) and len(packed) == len(found):
        for number, (one, other) in enumerate(zip(packed, found, strict=True), start=1):
            named = other.get("file") if isinstance(other, dict) else None
            yield from _differences(one, other, f"{place} {named or number}")
    elif isinstance(packed, float) and isinstance(found, float):
        if not math.isclose(packed, found, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{place}: {packed} was packed, {found} is found"
    elif packed != found:
        yield f"{place}: {packed} was packed, {found} is found"
