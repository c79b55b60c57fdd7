"""Fetch large files of the hub so that a process that was killed loses nothing of them.

The hub's client writes every download to a file with a name of its own and removes it, or leaves it behind where the
process was killed: the next one begins anew (huggingface-hub from 1.18, read in 2.4 on 2026-11-20). Here what has come
stays in the cache as `blobs/<hash>.incomplete`, a name that `hf cache prune` knows, and only the rest is asked for, by
the client's own plain request with its retries. What is whole and has the hub's hash becomes the blob that the client
looks for. Xet, the hub's faster protocol, continues no file either, and is not used for these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from data import hub
from data.errors import printable

if TYPE_CHECKING:
    from huggingface_hub import RepoFile

LARGE = 16 * 2**20
"""Bytes from which a file is fetched here; smaller ones come several at a time, and soon again."""


def cache_folder(repository: str) -> Path:
    """Return the folder in which the hub's cache keeps a data set."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, "--".join(("datasets", *repository.split("/"))))


def missing_bytes(folder: Path, entry: RepoFile) -> int:
    """Return how much of a file is still to be fetched into the cache's folder of its repository."""
    blob = folder / "blobs" / etag(entry)
    if blob.exists():
        return 0
    part = _part(blob)
    return max(0, entry.size - part.stat().st_size) if part.exists() else entry.size


def etag(entry: RepoFile) -> str:
    """Return the name under which the cache keeps a file: what the hub gives as its ETag."""
    return entry.lfs.sha256 if entry.lfs is not None else entry.blob_id


def fetch(repository: str, commit: str, entries: Iterable[RepoFile], say: Callable[[str], None]) -> None:
    """Fetch what is missing of the large files among these into the hub's cache.

    What comes with another hash is removed, and left to the client to fetch anew.

    Raises:
        HfHubHTTPError, httpx2.TransportError, OSError: what the client raises; what has come stays.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # lazily there

    headers = {**build_hf_headers(library_name=hub.LIBRARY), "Accept-Encoding": "identity"}
    folder = cache_folder(repository)
    for entry in entries:
        if entry.lfs is None or not LARGE <= entry.size <= constants.MAX_HTTP_DOWNLOAD_SIZE:
            continue
        if not re.fullmatch("[0-9a-f]{64}", entry.lfs.sha256):  # it becomes a file's name
            continue
        blob = folder / "blobs" / etag(entry)
        lock = folder.parent / ".locks" / folder.name / f"{blob.name}.lock"  # which the client takes for this file
        for needed in (blob.parent, lock.parent):
            needed.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if blob.exists():
                continue
            part, name = _part(blob), printable(entry.path)
            with part.open("ab") as file:
                if (come := file.tell()) > entry.size:
                    file.truncate(come := 0)
                if come:
                    say(f"{name}: {come / 1e6:.0f} of {entry.size / 1e6:.0f} MB are here")
                url = hf_hub_url(repository, entry.path, repo_type="dataset", revision=commit)
                http_get(
                    url, file, resume_size=come, headers=headers, expected_size=entry.size, displayed_filename=name
                )
            with part.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == entry.lfs.sha256
            if whole:
                part.replace(blob)
            else:
                part.unlink()
                say(f"{name} is not what the hub says; it is fetched again")


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")
