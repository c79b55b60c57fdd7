"""From spoken items to response files: what `inference.py` does once its flags are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from data import dataset, jsonl
from data.errors import UsageError, printable
from data.manifest import without_folders
from data.records import Item, Response
from inference import loop
from inference.asking import Asking, options_of, several
from inference.backends import SCORING, Backend, answering, load_backend, max_clips
from inference.backends.ray_cluster import RayCluster
from inference.chat import messages_of, text_part
from inference.manifest import Manifest
from inference.options import Options
from inference.responses import ResponseFile


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
        permanent: how many of the failed are not asked again.
    """

    files: list[Path]
    items: int
    answered: int
    failed: int
    permanent: int = 0


def default_run_name(model: str, data: Path, modality: str = "audio", score: str | None = None) -> str:
    """Return the model's id, safe as a folder name, with what sets the run apart: control, score, and data set."""
    data = data.resolve()
    data_name = data.stem if data.is_file() else data.name
    parts = [without_folders(model), *([] if modality == "audio" else [modality]), *filter(None, [score])]
    name = "-".join(parts)
    if data != dataset.SAMPLE.resolve():
        name = f"{name}-{data_name}"
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
    for source in sources:
        if source.path.resolve() == (options.folder / source.name).resolve():
            raise UsageError(f"{options.folder} is where the data set lies; choose another --run_name or --output_dir")
    most_clips = _checked(options, sources)  # read whole before anything is written
    clips = several(options.model, most_clips)
    if options.dry_run:
        _dry_run(options, sources, clips, show)
        return Outcome([], 0, 0, 0)
    with ExitStack() as locks:
        # The files' own locks keep a grader out, which would replace a file that still grows.
        for path in (options.folder / "run", *(options.folder / source.name for source in sources)):
            locks.enter_context(jsonl.only_process(path))
        manifest = Manifest(options, sources, clips)
        files = [
            ResponseFile(source, options.folder, limit=options.limit, shard=options.shard, overwrite=options.overwrite)
            for source in sources
        ]
        manifest.note_items({file.path.name: (file.total, file.size) for file in files})
        total = sum(file.total for file in files)
        before = sum(file.answered for file in files)
        settings = {**options.model, "concurrency": options.concurrency}
        if clips is not None:
            settings["clips_per_turn"] = min(most_clips, max_clips(options.model) or most_clips)
        if options.ray is not None:
            settings = {**asdict(options.ray), "backend": "ray", "model": settings}
        backend = load(settings) if before < total else None  # a model that is not there costs no earlier answer
        manifest.note_revisions(getattr(backend, "revisions", {}))
        if isinstance(backend, RayCluster):
            manifest.note_engine(backend.engine, backend.packages)
        if backend is not None:
            for file in files:
                file.open()
        manifest.write("running")  # not before --overwrite has dropped what was answered under other settings
        status = "interrupted"
        try:
            if backend is not None:
                _ask(options, files, say, lambda: progress(total, before), backend, manifest)
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
            *(sum(count) for count in zip(*counts, strict=True)),
        )
        manifest.write(status, {"items": total, "answered": outcome.answered, "failed": outcome.failed})
    return outcome


def _ask(
    options: Options,
    files: list[ResponseFile],
    say: Callable[[str], None],
    progress: Callable[[], AbstractContextManager[Progress]],
    backend: Backend,
    manifest: Manifest,
) -> None:
    asking = Asking(options, files, backend, manifest, say)
    replicas = backend.replicas if isinstance(backend, RayCluster) else 1

    async def main() -> None:
        try:
            if options.preflight:
                await asking.check()
            with progress() as display:

                def done(result: tuple[ResponseFile, Item, Response]) -> None:
                    asking.keep(*result)
                    display.advance(failed=result[2].text is None)

                await loop.ask_all(asking.ahead(), asking.ask, done, options.concurrency * replicas)
        finally:
            await backend.close()

    loop.run(main())
    asking.tell()


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


def _checked(options: Options, sources: list[dataset.DatasetFile]) -> int:
    """Read every item; return the most recordings that a turn is about.

    Raises:
        UsageError: the model cannot tell how likely options are, or no item has any.
        DataError: a file is broken.
    """
    backend = answering(options.model).get("backend")
    if options.score and backend not in SCORING:
        raise UsageError(
            f"--score {options.score} needs a model whose probabilities can be seen: --backend "
            f"{' or '.join(SCORING)}; '{options.model_name}' is reached through {backend}"
        )
    most, scored = 0, False
    for source in sources:
        for item in source.items():
            most = max(most, 0 if options.modality == "text" else len(item.audios))
            scored = scored or bool(options.score and options_of(item))
    if options.score and not scored:
        raise UsageError(
            f"--score {options.score} needs instructions that name their options; {options.dataset} has none"
        )
    return most


def _dry_run(
    options: Options,
    sources: list[dataset.DatasetFile],
    clips: Mapping[str, Any] | None,
    show: Callable[[str], None],
) -> None:
    Manifest(options, sources, clips)  # refuses what the run would refuse
    total = 0
    for source in sources:
        file = ResponseFile(
            source, options.folder, limit=options.limit, shard=options.shard, overwrite=options.overwrite
        )
        show(f"{file.path}: {file.total} items, {file.total - file.answered} to ask")
        total += file.total - file.answered
    heard = f", heard by {options.model['asr']}" if "asr" in options.model else ""
    show(f"in all {total} to ask of model '{options.model_name}'{heard}, sampling {asdict(options.sampling)}")
    first = next(sources[0].items())
    if clips is not None:
        how = (
            f"joined, {clips['gap_seconds']:g} s of silence between two"
            if clips["joined"]
            else "in one turn, each apart"
        )
        show(f"several recordings of an item: {how}")
    if options.score:
        offered = printable(json.dumps(options_of(first), ensure_ascii=False))
        show(f"scored, not written: the options {offered} of the first item")
    finder = dataset.AudioFinder(sources[0].root, allow_outside=options.allow_outside_audio)
    parts: list[dict[str, Any]] = []
    for audio in first.audios if options.modality != "text" else ():
        try:
            parts.append({"type": "audio", "audio": str(finder.find(audio, sources[0].path))})
        except dataset.AudioNotFound as error:
            parts.append({"type": "audio", "audio": str(error)})
    if first.written and parts:
        parts.append(text_part(first.prompt))
    turn = parts or first.prompt
    show(f"prompt of the first item, {first.id}:")
    shown = json.dumps(messages_of(options.system.text if options.system else None, turn), ensure_ascii=False, indent=2)
    show("\n".join(map(printable, shown.split("\n"))))
