"""run.json, the manifest that stands beside a run's files of answers: how it is read, and what of it others may see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data.errors import DataError

NAME = "run.json"
# Fields that are read again later, and what they have to be.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "model": dict,
    "sampling": dict,
    "data": dict,
    "first_prompt": dict,
    "asked": dict,
    "duration_seconds": (int, float),
}
# Fields whose texts go out as they stand: prompts, and where the data came from.
_VERBATIM = frozenset({"system_prompt", "first_prompt", "source"})
# From the first slash of a path to the end; no slash of an address (http://[::1]/v1), of an id (org/model) or of prose.
_LOCAL = re.compile(r"(?:^/*|\bfile://|(?<=[\s:=,;'\"(-]))/(?![/\s]).*", re.DOTALL)


def read(folder: Path) -> dict[str, Any]:
    """Return what a folder's run.json holds, or nothing where there is none.

    Raises:
        DataError: it is no manifest.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or any(
        name in fields and not isinstance(fields[name], kind) for name, kind in _KINDS.items()
    ):
        raise DataError("is no run manifest; run inference.py again with --overwrite", path=path)
    return fields


def without_folders(text: str) -> str:
    """Return a name or a setting as others may see it: of a path of this machine only its last part."""
    return _LOCAL.sub(lambda found: found[0].rstrip("/").rpartition("/")[2] or "/", text)


def for_others(fields: Any) -> Any:
    """Return a manifest, or a part of one, without the folders of this machine."""
    if isinstance(fields, str):
        return without_folders(fields)
    if isinstance(fields, list):
        return [for_others(part) for part in fields]
    if isinstance(fields, dict):
        return {without_folders(name): part if name in _VERBATIM else for_others(part) for name, part in fields.items()}
    return fields
