"""On which terms the speech of a built set may be passed on, as its manifest states them.

{"licences": {"prompts": "Apache-2.0", "recorded sounds": ...}, "settings": {"voices": {NAME: {"licence": ...}, ...}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def provenance(folder: Path, hashes: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a run notes about a built set: its recipe, its licences, and whether its speech may be passed on.

    Args:
        folder: the data set.
        hashes: SHA-256 by name of those of its JSONL files that the run asks.

    Returns:
        None for a folder that was not built, and where a file is not as it was built: it may name other recordings.
    """
    try:
        made = json.loads((folder / MANIFEST).read_bytes())
        built = {Path(path).name: entry["sha256"] for path, entry in made["files"].items()}
        voices = {str(name): str(voice["licence"]) for name, voice in made["settings"]["voices"].items()}
        stated = {"prompts": made["licences"]["prompts"], **made["licences"], "voices": voices}
        recipe = str(made["recipe"])
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return None  # another program's manifest, or none
    if any(built.get(name) != hashed for name, hashed in hashes.items()):
        return None
    return {"built": recipe, "licences": stated, "redistribution": _terms(stated)}


def provenance_of_instances(tables: Mapping[Path, str]) -> dict[str, Any] | None:
    """Return the same for instances of Dynamic-SUPERB that were built, each in a folder of its own.

    Args:
        tables: SHA-256 of each instance's table, by its path.

    Returns:
        None where any of them was not built, or is not as it was built.
    """
    parts = {table.parent.name: provenance(table.parent, {table.name: hashed}) for table, hashed in tables.items()}
    built = {instance: part for instance, part in parts.items() if part is not None}
    if not built or len(built) < len(parts):
        return None
    licences = [part["licences"] for part in built.values()]
    stated: dict[str, Any] = {"voices": {name: terms for one in licences for name, terms in one["voices"].items()}}
    for what in dict.fromkeys(what for one in licences for what in one if what != "voices"):
        terms = [one[what] for one in licences if what in one]
        stated[what] = ", ".join(dict.fromkeys(terms)) if all(isinstance(term, str) for term in terms) else None
    recipes = {instance: part["built"] for instance, part in built.items()}
    return {"built": recipes, "licences": stated, "redistribution": _terms(stated)}


def _terms(licences: Mapping[str, Any]) -> str:
    """Return in words for a report on which terms the recordings may be passed on."""
    voices: Mapping[str, str] = licences["voices"]
    stated = {what: licence for what, licence in licences.items() if what != "voices"}
    unknown = [what for what, licence in stated.items() if not isinstance(licence, str) or not licence]
    unknown += [f"voice {name}" for name, licence in voices.items() if not licence]
    if unknown:
        return f"not for redistribution: no licence is stated of {', '.join(unknown)}"
    for licence in dict.fromkeys(voices.values()):
        stated[f"voices {', '.join(name for name in voices if voices[name] == licence)}"] = licence
    terms = "; ".join(f"{what} {licence}" for what, licence in stated.items())
    return f"under the terms of their licences: {terms}"
