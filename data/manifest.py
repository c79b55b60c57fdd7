"""run.json, the manifest that stands beside a run's files of answers: how it is read."""

from __future__ import annotations

import json
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
