"""Bring a benchmark from the hub into its cache, whole and checked: `python -m data fetch NAME` (docs/data.md).

The hub's own client downloads, resumes and keeps; here it is decided what is fetched, whether it fits, and whether what
lies there is what the hub says. `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean to it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from data import hub, parquet
from data.dataset import AudioFinder, AudioNotFound, DatasetFile, dataset_files
from data.dynamic_superb.instances import ORGANISATION
from data.errors import FetchError, UsageError, printable
from data.hub import BENCHMARKS, Benchmark, Fetched
from data.suites import Suite, file_kind, suites_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi, RepoFile

SPARE = 1.02
"""Room that is asked for, relative to what is to be written: files end in partly used blocks."""

_ALWAYS = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the hub shows of a repository.

    Attributes:
        repository: its id.
        commit: 40 hexadecimal digits.
        licence: what the hub names; None where it names none.
        files: all of them.
    """

    repository: str
    commit: str
    licence: str | None
    files: tuple[RepoFile, ...]


@dataclass(slots=True)
class _Part:
    """What is to be fetched of one subset, and in which form it is there."""

    suite: Suite
    form: str
    files: list[RepoFile] = field(default_factory=list)


def fetch(name: str, suites: Sequence[Suite], revision: str | None, say: Callable[[str], None]) -> dict[str, Fetched]:
    """Fetch a benchmark, check it, and note where it lies; what is there already is not fetched again.

    Args:
        name: a key of `data.hub.BENCHMARKS`.
        suites: only these subsets; all of them where it is empty.
        revision: branch, tag or commit; the hub's default where it is None.
        say: writes a line of talk.

    Returns:
        What was fetched, by subset.

    Raises:
        FetchError: the hub cannot be reached or refuses, or what came is not what it says.
        UsageError: it does not fit, or the repository has none of these subsets.
        DataError: a file cannot be read or written.
    """
    from huggingface_hub import HfApi, constants

    benchmark = BENCHMARKS[name]
    if constants.is_offline_mode():
        return offline(name, [suite.name for suite in suites], revision, say)
    with told(benchmark, revision):
        api = HfApi(library_name=hub.LIBRARY)
        shown = look(api, benchmark.repository, revision)
    commit, licence = shown.commit, shown.licence
    parts = _parts(shown.files, suites or suites_of(name), benchmark)
    say(f"{benchmark.repository} at {commit[:12]}: {_plan(parts)}; licence: {licence or 'none named'}")
    check_space(
        missing_bytes(shown, [entry for part in parts for entry in part.files]) + _unpacked_bytes(parts, commit),
        "take a part of it with --subset",
    )
    with told(benchmark, revision):
        folders = [f"{part.suite.folder}/*" for part in parts if part.form == "folder"]
        root = download(api, shown, {entry.path for part in parts for entry in part.files}, folders, say)
    day = datetime.now(UTC).date().isoformat()
    fetched = {}
    for part in parts:
        place = root
        if part.form == "parquet":
            place = hub.assets() / "unpacked" / commit
            parquet.unpack([root / entry.path for entry in part.files if entry.path.endswith(".parquet")], place)
        size = sum(entry.size for entry in part.files)
        items = counted(place, part.suite, benchmark, say)
        fetched[part.suite.name] = Fetched(
            str(place), benchmark.repository, commit, revision, part.form, size, items, licence, day
        )
    hub.note(name, fetched)
    return fetched


def look(api: HfApi, repository: str, revision: str | None) -> Shown:
    """Ask the hub what a repository holds."""
    from huggingface_hub import RepoFile

    info = api.dataset_info(repository, revision=revision)
    commit = str(info.sha)
    listing = api.list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset")
    files = tuple(entry for entry in listing if isinstance(entry, RepoFile))
    return Shown(repository, commit, _licence(info), files)


def _parts(files: Sequence[RepoFile], suites: Sequence[Suite], benchmark: Benchmark) -> list[_Part]:
    """Return what is to be fetched: of each subset its folder with JSONL and audio, or else its parquet files."""
    parts = []
    for suite in suites:
        inside = [entry for entry in files if entry.path.startswith(f"{suite.folder}/")]
        tables = [entry for entry in files if entry.path.endswith(".parquet") and parquet.suite_of(entry.path) == suite]
        if any((kind := file_kind(entry.path)) and kind.suite == suite for entry in inside):
            parts.append(_Part(suite, "folder", [entry for entry in inside if entry not in tables]))
        elif tables:
            parts.append(_Part(suite, "parquet", tables))
    if not parts:
        wanted = ", ".join(suite.name for suite in suites)
        raise UsageError(f"{benchmark.repository} holds nothing of {wanted} at this revision")
    return parts


def _plan(parts: Sequence[_Part]) -> str:
    return ", ".join(
        f"{part.suite.name} ({part.form}, {len(part.files)} files, {gigabytes(sum(e.size for e in part.files))})"
        for part in parts
    )


def missing_bytes(shown: Shown, files: Sequence[RepoFile]) -> int:
    """Return the size of those files that the hub's cache does not hold yet."""
    from huggingface_hub import constants

    blobs = Path(constants.HF_HUB_CACHE) / "--".join(("datasets", *shown.repository.split("/"))) / "blobs"
    return sum({entry.blob_id: entry.size for entry in files if not (blobs / _etag(entry)).exists()}.values())


def _unpacked_bytes(parts: Sequence[_Part], commit: str) -> int:
    """Return about how much will be written for what is not unpacked yet."""
    return sum(
        entry.size
        for part in parts
        if part.form == "parquet" and not (hub.assets() / "unpacked" / commit / part.suite.folder).is_dir()
        for entry in part.files
    )


def check_space(size: int, advice: str) -> None:
    """Refuse what would fill the disk half-way.

    Args:
        size: how many bytes are to be written.
        advice: how less can be asked for.

    Raises:
        UsageError: there is less room than is needed.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    needed = round(SPARE * size)
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if needed > free:
        raise UsageError(
            f"{gigabytes(needed)} are needed in {cache}, and {gigabytes(free)} are free; let HF_HOME "
            f"name a folder on a larger disk, or {advice}"
        )


def download(api: HfApi, shown: Shown, wanted: set[str], folders: Sequence[str], say: Callable[[str], None]) -> Path:
    """Let the hub's client fetch what is missing, and compare everything with the hub's hashes.

    Args:
        api: the hub's client.
        shown: the repository.
        wanted: the paths that have to come.
        folders: patterns of whole folders that come; their parquet files only where they are wanted.
        say: writes a line of talk.

    Returns:
        The snapshot's folder.

    Raises:
        FetchError: a file differs from what the hub says, also when it is fetched again.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    _quiet()
    repository, commit = shown.repository, shown.commit
    tables = {entry.path for entry in shown.files if entry.path.endswith(".parquet")}
    root = snapshot_download(
        repository,
        repo_type="dataset",
        revision=commit,
        allow_patterns=[*folders, *map(_literal, sorted(tables & wanted)), *_ALWAYS],
        ignore_patterns=list(map(_literal, sorted(tables - wanted))),
        library_name=hub.LIBRARY,
    )
    for last in (False, True):
        result = api.verify_repo_checksums(repository, repo_type="dataset", revision=commit)
        wrong = [one["path"] for one in result.mismatches] + sorted(wanted.intersection(result.missing_paths))
        if not wrong:
            break
        if last:
            raise FetchError(
                f"{len(wrong)} files are not what the hub says, though they were fetched twice; the first is "
                f"{printable(wrong[0])}. They may be damaged on their way: try again later, or over another network"
            )
        say(f"{len(wrong)} files are not what the hub says; they are fetched again")
        for path in wrong:
            hf_hub_download(
                repository,
                path,
                repo_type="dataset",
                revision=commit,
                force_download=True,
                library_name=hub.LIBRARY,
            )
    say(f"{result.checked_count} files have the hub's hashes")
    return Path(root)


def counted(root: Path, suite: Suite, benchmark: Benchmark, say: Callable[[str], None]) -> dict[str, int]:
    """Return the number of lines of each file; say where it is not as expected, or where recordings are missing."""
    counts, lost = {}, 0
    finder = AudioFinder(root)
    for file in dataset_files(root, suite=suite):
        items = list(file.items())
        counts[file.name] = len(items)
        lost += sum(not _has_audio(finder, file, audio) for item in items for audio in item.audios)
        expected = benchmark.items.get(file.name, len(items))
        if expected != len(items):
            say(f"{file.name}: {len(items)} items, where {expected} were expected ({benchmark.source})")
    if lost:
        say(f"{suite.name}: {lost} recordings that lines name are not there; python -m data validate {root} names them")
    return counts


def _has_audio(finder: AudioFinder, file: DatasetFile, audio: str) -> bool:
    try:
        finder.find(audio, file.path)
    except AudioNotFound:
        return False
    return True


def offline(name: str, asked: Sequence[str], revision: str | None, say: Callable[[str], None]) -> dict[str, Fetched]:
    """Return what is noted as fetched, where the environment forbids to ask the hub.

    Args:
        name: the benchmark.
        asked: its parts that are asked for; empty: whatever is here.
        revision: branch, tag or commit that is asked for; None: any.
        say: writes a line of talk.

    Raises:
        FetchError: some of it is not here.
    """
    noted = hub.read(name)
    wanted = asked or BENCHMARKS[name].parts
    here = {
        part: noted[part]
        for part in wanted
        if part in noted
        and Path(noted[part].root).is_dir()
        and revision in (None, noted[part].revision, noted[part].requested)
    }
    absent = [part for part in wanted if part not in here]
    if absent and (asked or not here):
        raise FetchError(f"HF_HUB_OFFLINE is set, and {some(absent)} is not here. {_by_hand(BENCHMARKS[name])}")
    say("HF_HUB_OFFLINE is set: what was fetched earlier is taken as it is")
    return here


def some(names: Sequence[str]) -> str:
    """Return a list of names for a line of talk, cut where it is long."""
    return ", ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _by_hand(benchmark: Benchmark) -> str:
    own = benchmark.repository.removeprefix(f"{ORGANISATION}/")  # an instance's folder has to bear its name
    folder = "FOLDER" if own == benchmark.repository else f"FOLDER/{own}"
    size = f" (about {benchmark.gigabytes:.1f} GB)" if benchmark.gigabytes else ""
    return (
        f"By hand: where the hub can be reached, run `hf download --repo-type dataset --local-dir {folder} "
        f"{benchmark.repository}`{size}, bring FOLDER here, and name it: inference.py --dataset FOLDER"
    )


@contextmanager
def told(benchmark: Benchmark, revision: str | None) -> Iterator[None]:
    """Turn what the hub's client raises into one line that says what to do.

    Its own messages hold signed addresses and request ids; only statuses and kinds of error are taken over.

    Raises:
        FetchError: in place of any of its errors.
    """
    import httpx2
    from huggingface_hub import constants, errors

    name = benchmark.repository
    host = urlsplit(constants.ENDPOINT).hostname or "the hub"
    try:
        yield
    except errors.GatedRepoError:
        raise FetchError(
            f"{name} asks for an account: accept its terms on its page, and let HF_TOKEN hold a token of that account"
        ) from None
    except errors.RepositoryNotFoundError:
        raise FetchError(f"{host} has no {name}, or shows it to its members only (HF_TOKEN)") from None
    except errors.RevisionNotFoundError:
        raise FetchError(f"{name} has no revision '{revision}'; --revision takes a branch, a tag or a commit") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx2.TransportError) as error:
        cause = error.__cause__ or error
        status = _status(cause)
        reason = f"status {status}" if status else type(cause).__name__
        raise FetchError(f"{host} cannot be reached ({reason}). {_by_hand(benchmark)}") from None
    except errors.HfHubHTTPError as error:
        status = _status(error)
        advice = "is HF_TOKEN right?" if status in (401, 403) else "run the same command again later"
        raise FetchError(f"{host} answered with status {status}; {advice}") from None
    except OSError as error:
        problem = error.strerror or "a file did not come whole"
        raise FetchError(f"{problem}; what was fetched is kept: run the same command again") from None


def _status(error: BaseException) -> Any:
    return getattr(getattr(error, "response", None), "status_code", None)


def _etag(entry: RepoFile) -> str:
    """Return the name under which the cache keeps a file: what the hub gives as its ETag."""
    return entry.lfs.sha256 if entry.lfs is not None else entry.blob_id


def _licence(info: Any) -> str | None:
    """Return the licence that the hub names for a repository, or None."""
    named = getattr(info.card_data, "license", None) or [
        tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")
    ]
    found = ", ".join(named) if isinstance(named, list) else str(named)
    return printable(found) if found and found != "unknown" else None


def _literal(path: str) -> str:
    """Return a pattern that matches this path only."""
    return "".join(f"[{character}]" if character in "[*?" else character for character in path)


def _quiet() -> None:
    """Keep the client's warnings away, which show signed addresses; its progress bars stay."""
    from huggingface_hub.utils.logging import set_verbosity

    if "HF_HUB_VERBOSITY" not in os.environ:
        set_verbosity(logging.ERROR)


def gigabytes(size: int) -> str:
    """Return a size in words."""
    return f"{size / 1e9:.2f} GB"
