"""Benchmarks on the hub: which there are, where their fetched files lie, and on what terms.

What `python -m data fetch` brought is noted in one file for each benchmark, beside the hub's own cache of snapshots
(`HF_HOME`/assets), so that a name stands for the same files until they are fetched anew:

    {"open": {"root": ".../snapshots/<commit>", "repository": ..., "revision": "<commit>", "form": "folder", ...}, ...}

Nothing here asks the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data import dataset, jsonl, parquet
from data.dynamic_superb import tables
from data.dynamic_superb.instances import INSTANCES, ORGANISATION
from data.errors import DataError, UsageError
from data.suites import Suite, suites_of

LIBRARY = "speech-instruction-judge"
NO_LICENCE = "not for redistribution: the hub names no licence"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark on the hub.

    Attributes:
        repository: its id there; with `<instance>` in it, where every part has one of its own.
        parts: what can be fetched by itself, in the order of tables: its subsets, or its instances.
        gigabytes: about how large it is (10^9 bytes); None where that is not known.
        items: how many items a file should have, by file name, where that is known or inferred.
        source: where these facts were read, and when.
    """

    repository: str
    parts: tuple[str, ...]
    gigabytes: float | None
    items: Mapping[str, int]
    source: str


BENCHMARKS: dict[str, Benchmark] = {
    "speechinstructbench": Benchmark(
        repository="ddwang2000/SpeechInstructBench",
        parts=tuple(suite.name for suite in suites_of("speechinstructbench")),
        gigabytes=9.61,
        items={
            **{f"open_ended_{lang}.jsonl": 433 for lang in ("en", "cn")},
            **{f"adjustment_{lang}.jsonl": 251 for lang in ("en", "cn")},
            "closed_standard_en.jsonl": 454,
            "closed_standard_cn.jsonl": 434,
        },
        source="size: the hub's page; items: inferred from the published percentages (2026-11-20)",
    ),
    "dynamic-superb": Benchmark(
        repository=f"{ORGANISATION}/<instance>",
        parts=tuple(INSTANCES),
        gigabytes=None,
        items={},
        source="data/dynamic_superb/instances.py",
    ),
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """One part of a benchmark, a subset or an instance, as it was fetched.

    Attributes:
        root: the folder that holds it, in the hub's layout.
        repository: the hub's id.
        revision: the commit, 40 hexadecimal digits.
        requested: the branch, tag or commit that was asked for; None for the hub's own default.
        form: `folder` (JSONL and audio files) or `parquet` (unpacked into such a folder).
        bytes: size of what was fetched.
        items: number of lines of each file.
        licence: what the hub says; None where it says nothing.
        fetched: the day.
    """

    root: str
    repository: str
    revision: str
    requested: str | None
    form: str
    bytes: int
    items: Mapping[str, int]
    licence: str | None
    fetched: str

    @property
    def redistribution(self) -> str:
        """Return, in words for a report, whether the audio may be passed on."""
        return _terms(self.licence)


def located(name: str, suite: Suite | None = None) -> Path:
    """Return where a data set lies.

    Args:
        name: a path, or the name of a benchmark that was fetched. A folder of parquet files is unpacked beside the
            hub's cache, once.
        suite: the subset that is wanted, for a benchmark whose subsets were fetched into several places.

    Raises:
        UsageError: a benchmark that was not fetched, or whose subsets lie at several places.
        DataError: a folder of parquet files holds something else.
    """
    path = Path(name)
    if path.exists() or name not in BENCHMARKS:
        return _unpacked(path) if path.is_dir() and _only_parquet(path) else path
    fetched = read(name)
    if not fetched:
        raise UsageError(f"{name} is not here yet; fetch it: python -m data fetch {name}")
    chosen = [suite.name] if suite is not None and suite.name in BENCHMARKS[name].parts else fetched
    roots = {one.root for part, one in fetched.items() if part in chosen}
    if not roots:
        raise UsageError(f"of {name} only {', '.join(fetched)} is here; python -m data fetch {name} brings the rest")
    if len(roots) > 1:
        places = ", ".join(f"{part} in {one.root}" for part, one in fetched.items())
        raise UsageError(f"{name} lies at several places: {places}; choose one with --subset, or give the folder")
    (root,) = roots
    if not Path(root).is_dir():
        raise UsageError(f"{name} was fetched into {root}, which is gone; fetch it again: python -m data fetch {name}")
    return Path(root)


def provenance(root: Path) -> dict[str, Any] | None:
    """Return what a run notes about fetched files: repository, revision, form, licence; None for other folders."""
    for name, benchmark in BENCHMARKS.items():
        try:
            noted = read(name)
        except DataError:  # it is told where the benchmark is asked for by its name; other data sets need no note
            continue
        here = {part: one for part, one in noted.items() if Path(one.root).resolve() == root.resolve()}
        if not here:
            continue
        licence = _licence(list(here.values()))
        first = next(iter(here.values()))
        pinned: dict[str, Any] = {"revision": first.revision}
        if first.repository != benchmark.repository:
            pinned = {"parts": {part: _pinned(one) for part, one in here.items()}}
        return {
            "benchmark": name,
            "repository": benchmark.repository,
            **pinned,
            "form": first.form,
            "licence": licence,
            "redistribution": _terms(licence),
        }
    return None


def about(fetched: Sequence[Fetched]) -> str:
    """Return in words what is pinned in one folder, and on what terms: one repository's parts, or many repositories."""
    first = fetched[0]
    repositories = {one.repository for one in fetched}
    pinned = f"commit {first.revision[:12]}" if len(repositories) == 1 else f"{len(repositories)} repositories"
    return f"{pinned}, {first.form}; {_terms(_licence(fetched))}"


def read(name: str) -> dict[str, Fetched]:
    """Return what was fetched of a benchmark, by part, in the order of tables.

    Raises:
        DataError: the note about it is broken.
    """
    path = _note(name)
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_bytes())
        return {part: Fetched(**fields[part]) for part in BENCHMARKS[name].parts if part in fields}
    except (OSError, ValueError, TypeError, RecursionError):
        raise DataError(
            f"is no note of what was fetched; remove it and run python -m data fetch {name}", path=path
        ) from None


def note(name: str, fetched: Mapping[str, Fetched]) -> None:
    """Write down what was fetched of a benchmark, beside what is noted of its other subsets.

    Raises:
        DataError: it cannot be written.
    """
    parts = {**read(name), **fetched}
    fields = {part: asdict(parts[part]) for part in BENCHMARKS[name].parts if part in parts}
    jsonl.rewrite(_note(name), [json.dumps(fields, indent=2).encode("ascii"), b"\n"])


def assets() -> Path:
    """Return the folder for what is made from snapshots: `HF_ASSETS_CACHE`, or assets under `HF_HOME`."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / LIBRARY


def snapshots(name: str) -> list[Path]:
    """Return the snapshots of a benchmark in the hub's cache, whoever fetched them."""
    from huggingface_hub import constants

    repository = "--".join(("datasets", *BENCHMARKS[name].repository.split("/")))
    return sorted((Path(constants.HF_HUB_CACHE) / repository / "snapshots").glob("*"))


def _pinned(one: Fetched) -> dict[str, str | None]:
    return {"repository": one.repository, "revision": one.revision, "licence": one.licence}


def _licence(fetched: Sequence[Fetched]) -> str | None:
    """Return the licences of what was fetched; None where one part has none."""
    named = sorted({one.licence for one in fetched if one.licence is not None})
    return ", ".join(named) if all(one.licence is not None for one in fetched) else None


def _terms(licence: str | None) -> str:
    return NO_LICENCE if licence is None else f"under the terms of its licence: {licence}"


def _note(name: str) -> Path:
    return assets() / f"{name}.json"


def _only_parquet(folder: Path) -> bool:
    return bool(parquet.files(folder)) and not dataset.has_files(folder)


def _unpacked(folder: Path) -> Path:
    """Return where a folder of parquet files is unpacked, doing it if need be."""
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in parquet.files(folder.resolve())]
    root = assets() / "unpacked" / hashlib.sha256(repr(state).encode()).hexdigest()[:16]
    sources = parquet.files(folder)
    if tables.is_instance(sources[0]):
        tables.unpack_folder(folder, root)
    else:
        parquet.unpack(sources, root)
    return root
