"""Building a set: make what is missing, then write its lines, its README and its manifest.

What is finished goes into a journal beside the set as it comes, so that a build that was stopped, by whatever means,
goes on where it was. JSONL files are written when all recordings are there: a folder that has them is whole.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import soundfile as sf

from data import jsonl
from data.errors import ToolkitError, UsageError, children_without_interrupts
from data.variants import intelligibility, manifest, rooms, tts
from data.variants.card import card, recorded_sounds
from data.variants.intelligibility import Hear
from data.variants.jobs import Job, Plan
from data.variants.plan import plan
from data.variants.recipe import Recipe
from data.variants.render import Studio
from data.variants.voices import Voice

JOURNAL = ".build.jsonl"
README = "README.md"

_OURS = {*manifest.FORMATS, "json", "jsonl"}

LISTENED = 200
"""Recordings of each file that the recogniser hears at most: the first ones."""

SECONDS_BETWEEN_REPORTS = 10.0


@dataclass(frozen=True, slots=True)
class Recogniser:
    """What measures how well a set is understood.

    Attributes:
        name: as it stands in the README.
        hear: hears a recording; it raises a ToolkitError where it cannot hear any.
    """

    name: str
    hear: Hear


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did.

    Attributes:
        files: the JSONL files.
        recordings: number of recordings in the set.
        made: how many of them were made now; the others were there.
        seconds: length of the whole set in seconds.
        seconds_made: length of what was made now, in seconds.
        took: wall time of making it, in seconds.
        notes: what was left out, and why.
    """

    files: tuple[Path, ...]
    recordings: int
    made: int
    seconds: float
    seconds_made: float
    took: float
    notes: tuple[str, ...]


def build(
    recipe: Recipe,
    out: Path,
    *,
    voices: Mapping[str, Voice],
    cache: Path,
    workers: int,
    overwrite: bool = False,
    recogniser: Recogniser | None = None,
    say: Callable[[str], None],
) -> Built:
    """Build a set, or finish one.

    Args:
        recipe: what is wanted.
        out: the set's folder.
        voices: the user's own voices, by name.
        cache: folder of speech and impulse responses, shared by all builds.
        workers: number of processes.
        overwrite: replace a set that was built otherwise; what stays the same in it is kept.
        recogniser: measures how well the set is understood; None: nothing does.
        say: writes one line to the user.

    Raises:
        DataError: a prompt, a noise or the folder cannot be used.
        UsageError: something asked for is not there, or the folder holds another set.
        ToolkitError: a worker process died.
    """
    planned = plan(recipe, voices)
    notes = [*planned.notes]
    for note in notes:
        say(f"left out: {note}")

    def finish(entries: dict[str, dict[str, Any]], journal: jsonl.Appender) -> dict[str, Any]:
        if recogniser is not None:
            notes.extend(_listen(planned, out, entries, journal, recogniser, say))
        return _write(recipe, planned, out, entries, notes)

    studio = Studio(out, cache)
    built = carry_out(planned, studio, finish, workers=workers, overwrite=overwrite, say=say)
    return replace(built, notes=tuple(notes))


def carry_out(
    planned: Plan,
    studio: Studio,
    finish: Callable[[dict[str, dict[str, Any]], jsonl.Appender], dict[str, Any]],
    *,
    workers: int,
    overwrite: bool,
    say: Callable[[str], None],
) -> Built:
    """Make a set's recordings, as far as they are missing, and let its files be written.

    Args:
        planned: what has to be made.
        studio: makes a recording, and says where.
        finish: writes the set's files, the manifest last, from the recordings' entries; returns the manifest.
        workers: number of processes.
        overwrite: replace a set that was built otherwise; what stays the same in it is kept.
        say: writes one line to the user.

    Raises:
        DataError: a recording or the folder cannot be used.
        UsageError: something asked for is not there, or the folder holds another set.
        ToolkitError: a worker process died.
    """
    out = studio.out
    with jsonl.only_process(out):
        before = _before(out, planned, overwrite)
        with jsonl.Appender(out / JOURNAL) as journal:
            if not (out / JOURNAL).stat().st_size:
                journal.append({"recipe": planned.recipe_id})
            entries, missing = _kept(out, planned, before)
            started = time.monotonic()
            if missing and entries:
                say(f"{len(entries)} recordings are there already; {len(missing)} to make")
            for job, entry in _made(
                studio, missing, workers, _reporting(lambda done: say(f"{done} of {len(missing)} recordings made"))
            ):
                entries[job.path] = entry
                journal.append({"path": job.path, **entry})
            took = time.monotonic() - started
            whole = finish(entries, journal)
        _remove(out, before.keys() - whole["audio"].keys())
        (out / JOURNAL).unlink()
    lengths = {path: entry["seconds"] for path, entry in entries.items()}
    return Built(
        files=tuple(out / path for path in planned.files),
        recordings=len(lengths),
        made=len(missing),
        seconds=sum(lengths.values()),
        seconds_made=sum(lengths[job.path] for job in missing),
        took=took,
        notes=tuple(planned.notes),
    )


def _before(out: Path, planned: Plan, overwrite: bool) -> dict[str, dict[str, Any]]:
    """Return what an earlier build left here: its recordings' entries, finished or not.

    Raises:
        UsageError: the folder holds something else, or a set built otherwise, which is not to be replaced.
    """
    known: dict[str, Any] = manifest.read(out) if (out / manifest.MANIFEST).exists() else {}
    lines = [line.fields for line in jsonl.read(out / JOURNAL, torn=True)] if (out / JOURNAL).exists() else []
    if not known and not lines and out.is_dir() and any(path.name != JOURNAL for path in out.iterdir()):
        raise UsageError(f"{out} is not empty, and holds no set that was built; choose another --out")
    entries = dict(known.get("audio", {}))
    for line in lines:
        if isinstance(path := line.get("path"), str):
            entries[path] = {**entries.get(path, {}), **{name: line[name] for name in line if name != "path"}}
    recipes = {line["recipe"] for line in lines if "recipe" in line} or {known.get("recipe")}
    if (known or lines) and recipes != {planned.recipe_id}:
        if not overwrite:
            raise UsageError(
                f"{out} holds a set built from other prompts or with other settings; choose another --out, or replace "
                "it with --overwrite"
            )
        kept = [{"recipe": planned.recipe_id}, *({"path": path, **entry} for path, entry in entries.items())]
        jsonl.rewrite(out / JOURNAL, map(jsonl.dumps, kept))
        # From here on the folder is no whole set until it is the new one.
        _remove(out, [*known.get("files", {}), manifest.MANIFEST])
    for leftover in out.rglob(".*.tmp"):  # of a process that was killed while writing
        leftover.unlink(missing_ok=True)
    return entries


def _remove(out: Path, names: Iterable[str]) -> None:
    """Remove files of a set; a name that leads out of its folder is left alone, whoever wrote it."""
    for name in names:
        path = Path(os.path.normpath(out / name))
        if path.is_relative_to(os.path.normpath(out)) and path.suffix[1:] in _OURS:
            with jsonl.writing(path):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # a folder that holds more stays
                path.parent.rmdir()


def _kept(
    out: Path, planned: Plan, before: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[Job]]:
    """Return the entries of recordings that are there as they should be, and the jobs of the others."""
    entries: dict[str, dict[str, Any]] = {}
    missing: list[Job] = []
    for job in planned.jobs():
        entry = before.get(job.path, {})
        if entry.get("job") == job.digest() and _bytes_sha256(out / job.path) == entry.get("bytes_sha256"):
            entries[job.path] = entry
        else:
            missing.append(job)
    return entries, missing


def _bytes_sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _made(
    studio: Studio, jobs: list[Job], workers: int, report: Callable[[], None]
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Make recordings, and yield each with its entry as it is finished.

    Raises:
        UsageError: an engine cannot be used.
        DataError: a recording cannot be made.
        ToolkitError: a worker process died.
    """
    for room in dict.fromkeys(job.surroundings.room for job in jobs if job.surroundings):
        if isinstance(room, rooms.Room):  # here, so that no two processes compute the same one
            rooms.response(room, manifest.RATE, studio.cache / "rooms")
    if workers == 1 or len(jobs) < 2 * workers:
        for job in jobs:
            yield job, studio.make(job)
            report()
        return
    # Not plainly forked, which would copy locks that another thread may hold; one server imports for all.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([studio.__module__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_work)
    running: dict[Future[Any], Job] = {}
    try:
        with children_without_interrupts():
            forkserver.ensure_running()
            running |= {pool.submit(studio.make, job): job for job in jobs[:workers]}  # each starts a process
        running |= {pool.submit(studio.make, job): job for job in jobs[workers:]}
        for future in as_completed(running):
            yield running.pop(future), future.result()
            report()
    except KeyboardInterrupt:
        pool.shutdown(wait=True, cancel_futures=True)
        for future, job in running.items():  # what was finished meanwhile is kept
            if future.done() and not future.cancelled() and future.exception() is None:
                yield job, future.result()
        raise
    except BrokenProcessPool:
        raise ToolkitError(
            "a worker process died, perhaps for want of memory; the same command goes on where this one stopped"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_work() -> None:
    """Let Ctrl-C be the parent's affair, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            multiprocessing.connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _reporting(say: Callable[[int], None]) -> Callable[[], None]:
    """Return what is called once a recording, and tells every ten seconds how many there are."""
    done = 0
    last = time.monotonic()

    def report() -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            say(done)

    return report


def _listen(
    planned: Plan,
    out: Path,
    entries: dict[str, dict[str, Any]],
    journal: jsonl.Appender,
    recogniser: Recogniser,
    say: Callable[[str], None],
) -> list[str]:
    """Let the recogniser hear what it has not heard yet; return what could not be measured, and why."""
    fresh = [
        item
        for items in planned.files.values()
        for item in items[:LISTENED]
        if entries[item.job.path].get("recogniser") != recogniser.name
    ]
    unknown: set[str] = set()
    report = _reporting(lambda done: say(f"{done} of {len(fresh)} recordings heard"))
    try:
        for item in fresh:
            path, lang = item.job.path, item.fields["language"]
            report()
            text = None if lang in unknown else recogniser.hear(out / path, lang)
            if text is None:
                unknown.add(lang)
                continue
            heard = {"recogniser": recogniser.name, "heard": text}
            entries[path] |= heard
            journal.append({"path": path, **heard})
    except ToolkitError as error:
        say(f"error rates were not measured: {error}")
        return [f"error rates were not measured: {error}"]
    return [f"error rates in '{lang}': {recogniser.name} does not know the language" for lang in sorted(unknown)]


def _write(
    recipe: Recipe,
    planned: Plan,
    out: Path,
    entries: Mapping[str, dict[str, Any]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Write lines, README and, last, the manifest; return what the manifest holds."""
    files: dict[str, Any] = {}
    heard: list[tuple[str, Mapping[str, Any], str]] = []
    for path, items in planned.files.items():
        lines = []
        for item in items:
            entry = entries[item.job.path]
            row = dict(item.fields) | {name: entry[name] for name in ("snr_db", "noise_start") if name in entry}
            lines.append(jsonl.dumps(row | {"recipe": planned.recipe_id}))
            if "heard" in entry:
                heard.append((Path(path).stem, row, entry["heard"]))
        jsonl.rewrite(out / path, lines)
        files[path] = {"sha256": hashlib.sha256(b"".join(lines)).hexdigest(), "lines": len(lines)}
    paths = [job.path for job in planned.jobs()]
    whole = {
        "recipe": planned.recipe_id,
        "settings": planned.settings,
        "licences": {  # the voices' stand in the settings
            "prompts": recipe.licence or None,
            **({"recorded sounds": recipe.noise_licence or None} if recorded_sounds(planned) else {}),
        },
        "tools": tools(planned),
        "encoding": {"format": recipe.format, "rate_hz": manifest.RATE, "channels": 1},
        "samples_sha256": manifest.SAMPLES_HASH,
        "seconds": round(sum(entries[path]["seconds"] for path in paths), 3),
        "files": files,
        "audio": {path: entries[path] for path in paths},
    }
    if recipe.format == "ogg":
        whole["encoding"]["compression"] = manifest.COMPRESSION
    text = card(recipe, planned, whole, notes, intelligibility.rates(heard))
    jsonl.rewrite(out / README, [text.encode()])
    jsonl.rewrite(out / manifest.MANIFEST, [manifest.dumped(whole)])
    return whole


def tools(planned: Plan) -> dict[str, str | None]:
    """Return the versions of whatever has a part in the sound."""
    found: dict[str, str | None] = {}
    for voice in sorted(planned.voices.values(), key=lambda voice: voice.engine):
        found[voice.engine] = tts.engine_of(voice).version(voice)
    found["libsndfile"] = str(sf.__libsndfile_version__)
    fields = [item.fields for items in planned.files.values() for item in items]
    packages = ["soundfile", "numpy", "soxr"]
    packages += ["pyworld"] if any("vocoder" in line for line in fields) else []
    simulated = any(isinstance(job.surroundings and job.surroundings.room, rooms.Room) for job in planned.jobs())
    packages += ["pyroomacoustics"] if simulated else []
    for package in packages:
        found[package] = importlib.metadata.version(package)
    return found
