"""Bring instances of Dynamic-SUPERB from the hub: `python -m data fetch dynamic-superb` (docs/dynamic-superb.md).

Every instance is a repository of its own. What came is checked as `data.fetch` checks it, unpacked beside the others in
one folder, and noted at once, so that the same command again fetches the missing ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data import hub
from data.dataset import dataset_files
from data.dynamic_superb import labels, rows, tables
from data.dynamic_superb.instances import INSTANCES, Instance
from data.errors import FetchError
from data.fetch import check_space, counted, download, gigabytes, look, missing_bytes, offline, some, told
from data.hub import BENCHMARKS, Benchmark, Fetched
from data.suites import SUITES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from data.fetch import Shown

NAME = "dynamic-superb"


def fetch(instances: Sequence[Instance], revision: str | None, say: Callable[[str], None]) -> dict[str, Fetched]:
    """Fetch instances, check and unpack them, and note where they lie; what is there already is not fetched again.

    Args:
        instances: which; all of them where it is empty.
        revision: branch, tag or commit; the hub's default where it is None.
        say: writes a line of talk.

    Returns:
        What is there now of what was asked for, by instance.

    Raises:
        FetchError: the hub cannot be reached or refuses, lacks one of the instances (when the others are there), or
            what came is not what it says.
        UsageError: it does not fit, or pyarrow is not installed.
        DataError: a file cannot be read or written.
    """
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        return offline(NAME, [instance.name for instance in instances], revision, say)
    api = HfApi(library_name=hub.LIBRARY)
    absent, found = [], []
    wanted = instances or list(INSTANCES.values())
    say(f"asking the hub about {len(wanted)} instances")
    for instance in wanted:
        shown = _look(api, instance, revision)
        if shown is None:
            absent.append(instance.repository)
        else:
            found.append((instance, shown))
    noted = hub.read(NAME)
    new = [pair for pair in found if not _is_here(*pair, noted)]
    size = sum(entry.size for _, shown in new for entry in shown.files)
    say(f"{len(found) - len(new)} instances are here, {len(new)} are fetched: {gigabytes(size)}")
    check_space(
        size + sum(missing_bytes(shown, shown.files) for _, shown in new),
        "take a part of it with --instance or --dimension",
    )
    for instance, shown in new:
        hub.note(NAME, {instance.name: _fetched(api, instance, shown, revision, say)})
    if absent:
        at = f" at revision '{revision}'" if revision else ""
        raise FetchError(
            f"the hub has no {some(absent)}{at}, or shows it to members only (HF_TOKEN); the others are here"
        )
    noted = hub.read(NAME)
    return {instance.name: noted[instance.name] for instance, _ in found}


def root() -> Path:
    """Return the folder of the instances that were fetched."""
    return hub.assets() / NAME


def _look(api: HfApi, instance: Instance, revision: str | None) -> Shown | None:
    """Return what the hub shows of an instance, its table's files alone; None where it has no such repository."""
    from huggingface_hub import errors

    with told(_benchmark(instance), revision):
        try:
            shown = look(api, instance.repository, revision)
        except errors.GatedRepoError:
            raise
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
            return None
    wanted = tables.of_split([entry.path for entry in shown.files if entry.path.endswith(".parquet")])
    if not wanted:
        raise FetchError(
            f"{instance.repository} holds no parquet file at commit {shown.commit[:12]}; try another --revision"
        )
    return replace(shown, files=tuple(entry for entry in shown.files if entry.path in wanted))


def _is_here(instance: Instance, shown: Shown, noted: Mapping[str, Fetched]) -> bool:
    here = (root() / instance.name / rows.TABLES[0]).is_file()
    return here and instance.name in noted and noted[instance.name].revision == shown.commit


def _fetched(api: HfApi, instance: Instance, shown: Shown, revision: str | None, say: Callable[[str], None]) -> Fetched:
    wanted = {entry.path for entry in shown.files}
    say(f"{instance.repository} at {shown.commit[:12]}; licence: {shown.licence or 'none named'}")
    with told(_benchmark(instance), revision):
        snapshot = download(api, shown, wanted, (), say)
    folder = root() / instance.name
    tables.unpack([snapshot / path for path in sorted(wanted)], folder)
    (file,) = dataset_files(folder)
    items = counted(folder, SUITES["classification"], _benchmark(instance), say)
    remark = labels.remark(instance.name, items[file.name], labels.not_offered(file.lines()))
    if remark:
        say(remark)
    size = sum(entry.size for entry in shown.files)
    day = datetime.now(UTC).date().isoformat()
    return Fetched(str(root()), instance.repository, shown.commit, revision, "parquet", size, items, shown.licence, day)


def _benchmark(instance: Instance) -> Benchmark:
    return replace(BENCHMARKS[NAME], repository=instance.repository)
