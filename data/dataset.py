"""A data set on disk: which files it has, their items, and where each item's audio lies.

A data set is a folder in the hub's layout (see `data.suites`) or one JSONL file of it. A line looks like

    {"key": 7, "prompt": "...", "instruction_id_list": [...], "kwargs": [...], "audio_path": "en/standard/7.wav"}

and everything on it is kept. `audio_paths` names all recordings of an item that has several; `"written": true` says
that the model is given the prompt in writing beside them. Or it is a folder of Dynamic-SUPERB's instances, whose rows
are read as such lines (`data.dynamic_superb.rows`).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from data import jsonl
from data.dynamic_superb import rows
from data.errors import DataError, UsageError
from data.records import Item, ItemId
from data.suites import SUITES, FileKind, Suite, file_kind, file_name

SAMPLE = Path(__file__).parent / "sample"
# What a grader adds to an item's line, a panel under the plural names: no part of the answer.
VERDICT_FIELDS = frozenset({"pred_score", "pred_scores", "judge", "judges"})
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aiff", ".au"})


class AudioNotFound(Exception):  # not in the error tree: it never ends a run, it becomes the item's `error`
    """An item's audio cannot be located; the message is the reason that the item's line gets."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One file of items of a data set.

    Attributes:
        path: the JSONL file, or the table of an instance of Dynamic-SUPERB.
        kind: what its name says; None where a single file has a name of its own.
        root: the data set's root folder.
    """

    path: Path
    kind: FileKind | None
    root: Path

    @property
    def name(self) -> str:
        """Return what the file of answers to it is called."""
        if self.kind is None or not rows.is_table(self.path):
            return self.path.name
        return file_name(self.kind.suite, self.kind.variant, self.kind.lang)

    def lines(self) -> Iterator[jsonl.Line]:
        """Yield the file's lines as our layout has them.

        Raises:
            DataError: the file cannot be read, or a line is broken.
        """
        return rows.read(self.path) if rows.is_table(self.path) else jsonl.read(self.path)

    def items(self) -> Iterator[Item]:
        """Yield the file's items in order.

        Raises:
            DataError: a line lacks `prompt` or `audio_path`, or two lines are the same item.
        """
        for item, line in with_identity(self.path, self.lines()):
            if item.id.audio is None:
                raise DataError(
                    "missing; name the item's audio file", path=self.path, line=line.number, field="audio_path"
                )
            yield item if item.id.file == self.name else replace(item, id=replace(item.id, file=self.name))


def with_identity(path: Path, lines: Iterable[jsonl.Line]) -> Iterator[tuple[Item, jsonl.Line]]:
    """Yield each line as an item, refusing what is no item and what is one twice.

    Raises:
        DataError: `prompt`, `key` or `audio_path` is of the wrong type, or two lines share key and audio_path.
    """
    seen: dict[bytes, int] = {}
    for line in lines:
        item = item_of(line.fields, path, line.number)
        if item.id.key is not None or item.id.audio is not None:
            first = seen.setdefault(identity_digest(item.id), line.number)
            if first != line.number:
                raise DataError(
                    f"the same item as line {first} (key and audio_path alike); remove one of them, or, if a run was "
                    "killed here, run the same inference.py command again",
                    path=path,
                    line=line.number,
                )
        yield item, line


def item_of(fields: Mapping[str, Any], path: Path, number: int) -> Item:
    """Return the item that a line holds.

    Raises:
        DataError: `prompt` is missing or no text, `key`, `audio_path`, `audio_paths` or `written` is of the wrong type.
    """
    if "prompt" not in fields:
        raise DataError("missing; every item needs its request as text", path=path, line=number, field="prompt")
    if not isinstance(fields["prompt"], str):
        raise DataError("must be text", path=path, line=number, field="prompt")
    identity = identity_of(fields, path, number)
    audios = fields.get("audio_paths", [identity.audio] if identity.audio is not None else [])
    if not isinstance(audios, list) or not all(isinstance(audio, str) for audio in audios):
        raise DataError("must be a list of file names", path=path, line=number, field="audio_paths")
    if audios[:1] != ([] if identity.audio is None else [identity.audio]):
        raise DataError("must begin with audio_path", path=path, line=number, field="audio_paths")
    if not isinstance(fields.get("written", False), bool):
        raise DataError("must be true or false", path=path, line=number, field="written")
    return Item(identity, fields["prompt"], fields, tuple(audios), fields.get("written", False))


def identity_of(fields: Mapping[str, Any], path: Path, number: int) -> ItemId:
    """Return which item a line is about.

    Raises:
        DataError: `key` or `audio_path` is of the wrong type.
    """
    key = fields.get("key", fields.get("id"))
    audio = fields.get("audio_path")
    for field, value, types, wanted in (
        ("key", key, (int, str, type(None)), "an integer or text"),
        ("audio_path", audio, (str, type(None)), "text"),
    ):
        if not isinstance(value, types) or isinstance(value, bool):
            raise DataError(f"must be {wanted}", path=path, line=number, field=field)
    return ItemId(path.name, key, audio)


def identity_digest(item_id: ItemId) -> bytes:
    """Return 16 bytes that stand for key and audio of an item, so that large files need little memory."""
    return hashlib.blake2b(repr((item_id.key, item_id.audio)).encode("utf-8", "replace"), digest_size=16).digest()


def dataset_files(
    dataset: Path,
    *,
    suite: Suite | None = None,
    variant: str | None = None,
    lang: str | None = None,
) -> list[DatasetFile]:
    """Return the files of a data set, in the order of tables.

    Args:
        dataset: a folder in the hub's layout, or one JSONL file.
        suite: only this subset.
        variant: only this spoken variant.
        lang: only this language (`en`, `zh`, ...).

    Raises:
        DataError: there is no such folder or file.
        UsageError: nothing is left after the choice.
    """
    found = _found_files(dataset)
    if not found:
        raise DataError(
            "no benchmark files; expected closed-ended/closed_<variant>_<lang>.jsonl, "
            "open-ended/open_ended_<lang>.jsonl, adjustment/adjustment_<lang>.jsonl, or Dynamic-SUPERB's "
            "<instance>/metadata.json",
            path=dataset,
        )
    root = min((_root_of(path, dataset) for _, path in found), key=lambda folder: len(folder.parts))
    chosen = [
        (kind, path)
        for kind, path in found
        if kind is None  # a single file with a name of its own tells nothing to choose by
        or (
            (suite is None or kind.suite.name == suite.name)
            and (variant is None or kind.variant == variant)
            and (lang is None or kind.lang == lang)
        )
    ]
    if not chosen:
        names = ", ".join(sorted(DatasetFile(path, kind, root).name for kind, path in found))
        raise UsageError(f"{dataset}: no file is left by --subset, --variant and --lang; there are: {names}")
    chosen.sort(key=lambda pair: () if pair[0] is None else pair[0].order())
    files = [DatasetFile(path, kind, root) for kind, path in chosen]
    names_alike = sorted(name for name, count in Counter(file.name for file in files).items() if count > 1)
    if names_alike:
        raise DataError(
            f"two files are called {names_alike[0]}; their answers would mix, so move one away", path=dataset
        )
    return files


def has_files(folder: Path) -> bool:
    """Return whether a folder holds any file of the layout."""
    return bool(_found_files(folder))


def _found_files(dataset: Path) -> list[tuple[FileKind | None, Path]]:
    """Return the benchmark files of a folder, or the one file that was given.

    Raises:
        DataError: there is no such folder or file.
    """
    try:
        is_file, is_folder = dataset.is_file(), dataset.is_dir()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=dataset) from None
    if is_file:
        return [(_kind_of(dataset), dataset)]
    if not is_folder:
        raise DataError("no such folder or file; give a data set's folder or one JSONL file", path=dataset)
    found: list[tuple[FileKind | None, Path]] = [
        (kind, path)
        for path in sorted(dataset.glob("*/*.jsonl")) + sorted(dataset.glob("*.jsonl"))
        if (kind := file_kind(path)) is not None and (path.parent == dataset or path.parent.name == kind.suite.folder)
    ]
    # Instances lie side by side, or in a folder for each task.
    tables = (
        sorted(dataset.glob(f"{depth}{name}")) for depth in ("", "[!.]*/", "[!.]*/[!.]*/") for name in rows.TABLES
    )
    return found or [(_kind_of(path), path) for path in chain.from_iterable(tables)]


def _kind_of(path: Path) -> FileKind | None:
    """Return what a file's name says, or that of the folder that an instance's table lies in.

    Raises:
        DataError: no instance can be called so.
    """
    if not rows.is_table(path):
        return file_kind(path)
    return FileKind(SUITES["classification"], rows.instance_of(path), "en")


def content_hash(files: Iterable[DatasetFile]) -> dict[str, str]:
    """Return the SHA-256 of every file of items, by its name.

    Raises:
        DataError: a file cannot be read.
    """
    hashes = {}
    for file in files:
        with jsonl.opened(file.path) as handle:
            hashes[file.name] = hashlib.file_digest(handle, "sha256").hexdigest()
    return hashes


class AudioFinder:
    """Finds items' audio under a data set's root.

    A path is tried relative to the JSONL's folder, that folder's parent, and the root. One that is at none of these
    places (an author's absolute path, say) is matched by its longest tail under the root.

    Attributes:
        matched_by_tail: how many paths were found only by their tail.
    """

    def __init__(self, root: Path, *, allow_outside: bool = False) -> None:
        """Look under `root`; with `allow_outside`, paths that lead out of it are followed too."""
        self.root = root
        self.allow_outside = allow_outside
        self.matched_by_tail = 0
        self._by_name: dict[str, list[tuple[str, ...]]] | None = None

    def find(self, audio: str, jsonl_path: Path) -> Path:
        """Return where an item's audio lies.

        Args:
            audio: the line's `audio_path`.
            jsonl_path: the file that the line stands in.

        Raises:
            AudioNotFound: it is nowhere, at two places, or outside the root.
        """
        if "\0" in audio or not audio.strip():
            raise AudioNotFound("audio_path names no file")
        written = audio.replace("\\", "/")
        outside = False
        folder = jsonl_path.absolute().parent  # absolute, since the parent of "." would be "." again
        for base in (folder, folder.parent, self.root):
            path = Path(os.path.normpath(base / written))
            if not _is_file(path):
                continue
            if self.allow_outside or self._inside(path):
                return path
            outside = True
        # A relative path must match with its folder too: en/standard/7.wav is not en/accent/7.wav.
        relative = PurePosixPath(written)
        least = 1 if relative.is_absolute() or len(relative.parts) == 1 else 2
        path_by_tail = self._by_tail(relative.parts, least)
        if path_by_tail is not None:
            self.matched_by_tail += 1
            return path_by_tail
        if outside:
            raise AudioNotFound(f"audio outside the data set's folder: {audio} (--allow_outside_audio permits it)")
        raise AudioNotFound(f"audio not found: {audio}")

    def _inside(self, path: Path) -> bool:
        root = Path(os.path.normpath(self.root.absolute()))
        if not Path(os.path.normpath(path.absolute())).is_relative_to(root):
            return False
        real, real_root = path.resolve(), self.root.resolve()
        if real.is_relative_to(real_root):
            return True
        # The hub's cache keeps snapshots of links to ../../blobs, and these may be links to the blobs of all
        # repositories: inside for us, although not inside the snapshot.
        repository = real_root.parent.parent
        blobs = (repository / "blobs", repository.parent / "blobs")
        return real_root.parent.name == "snapshots" and any(real.is_relative_to(folder) for folder in blobs)

    def _by_tail(self, parts: tuple[str, ...], least: int) -> Path | None:
        if not parts:  # "." and "./" name a folder
            return None
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for folder, _, names in os.walk(self.root):
                for name in names:
                    if Path(name).suffix.lower() in AUDIO_SUFFIXES:
                        relative = Path(folder, name).relative_to(self.root)
                        self._by_name[name].append(relative.parts)
        candidates = self._by_name.get(parts[-1], [])
        if not candidates:
            return None
        longest = max(_common_tail(parts, candidate) for candidate in candidates)
        if longest < least:
            return None
        best = [candidate for candidate in candidates if _common_tail(parts, candidate) == longest]
        if len(best) > 1:
            two = " and ".join("/".join(candidate) for candidate in sorted(best)[:2])
            raise AudioNotFound(f"audio not found, and two files match its end equally well: {two}")
        path = self.root.joinpath(*best[0])
        return path if _is_file(path) and (self.allow_outside or self._inside(path)) else None  # no dangling link


def _root_of(path: Path, dataset: Path) -> Path:
    """Return the root of the data set that a single file of items belongs to."""
    kind = file_kind(path)
    folder = path.absolute().parent  # absolute, since the parent of "." would be "." again
    if rows.is_table(path):  # a reworded instance uses the recordings of the one beside it
        return dataset if dataset.absolute() not in (folder, path.absolute()) else folder.parent
    in_layout = kind is not None and folder.name == kind.suite.folder
    return folder.parent if in_layout else folder


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _common_tail(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    length = 0
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if one != other:
            break
        length += 1
    return length
