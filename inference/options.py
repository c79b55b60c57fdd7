"""What a run of inference is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.suites import Suite
from inference.chat import Sampling
from prompts.templates import Template


@dataclass(frozen=True, slots=True)
class RayOptions:
    """How a model is spread over a Ray cluster.

    Attributes:
        address: of an existing cluster, `auto` for that of this machine, `local` for a new one; None for `auto` where
            there is one, else `local`.
        replicas: how many; None for one a GPU, or one a node where the model runs on the CPU.
        resources: what each of them needs, by Ray's names (CPU, GPU, ...), where the usual does not fit.
    """

    address: str | None = None
    replicas: int | None = None
    resources: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of inference is asked to do.

    Attributes:
        dataset: a folder in the hub's layout, or one JSONL file.
        suite: only this subset.
        variant: only this spoken variant.
        lang: only this language (`en`, `zh`, ...).
        limit: at most so many items of each file.
        model_name: the model's name, as typed.
        model: its settings: the row of models.toml with what the command line changes in it.
        output_dir: folder of all runs.
        run_name: folder of this run in it.
        sampling: how the model draws its tokens.
        system: the system line, or None.
        concurrency: how many items are in flight at once; on Ray, for each replica.
        modality: `audio`; `text` gives each prompt as text (a control); `transcript` what a recogniser heard.
        score: `likelihood` has each item's options scored, instead of an answer written; None has it written.
        long_audio: `truncate` or `error`, for recordings beyond the model's `max_audio_seconds`.
        max_failures: so many failed items in a row end the run.
        ray: run the model in replicas on a Ray cluster; None in this process.
        preflight: ask known recordings before the first real item.
        shard: (I, N): only every N-th item, starting with the I-th (1-based), into a folder of its own.
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
    modality: str = "audio"
    score: str | None = None
    long_audio: str = "truncate"
    max_failures: int = 20
    ray: RayOptions | None = None
    preflight: bool = False
    shard: tuple[int, int] | None = None
    overwrite: bool = False
    dry_run: bool = False
    allow_outside_audio: bool = False

    @property
    def folder(self) -> Path:
        """Return the run's folder, or the shard's in it."""
        folder = self.output_dir / self.run_name
        return folder if self.shard is None else folder / "shards" / "{}-of-{}".format(*self.shard)
