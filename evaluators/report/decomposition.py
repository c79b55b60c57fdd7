"""Hearing or obeying, as a table and as JSON."""

from __future__ import annotations

import json
from typing import Any

from evaluators.decompose import PLACES, Decomposition, FilePlaces
from evaluators.report import as_json, numbers, rows
from evaluators.report.forms import Sheet
from evaluators.report.rows import Table
from evaluators.stats import Estimate

HEADS = {"lost in the audio path": "audio path"}


def for_json(found: Decomposition) -> str:
    """Return the shares of every file, with a final line feed."""
    shown = {
        "model": found.model,
        "profile": found.profile,
        "runs": {"audio": found.audio.name, "text": found.text.name, "transcript": found.transcript.name},
        "repeat": None if found.repeat is None else found.repeat.name,
        "files": [_file(places) for places in found.files],
    }
    return json.dumps(shown, indent=2) + "\n"


def sheet(found: Decomposition) -> Sheet:
    """Return tables and notes."""
    tables = [_shares(found), *([_noise(found)] if found.repeat is not None else [])]
    return Sheet(f"{found.model} · where requests are lost · profile {found.profile}", tables, _notes(found))


def _shares(found: Decomposition) -> Table:
    lines = [
        [
            *rows.names_of(places.result),
            f"{places.failed}/{places.scored}",
            *(numbers.percent_with_interval(places.shares[place]) for place in PLACES.values()),
        ]
        for places in found.files
    ]
    return Table(
        ["subset", "variant", "lang", "failed", *(HEADS.get(place, place) for place in PLACES.values())], lines, 3
    )


def _noise(found: Decomposition) -> Table:
    lines = [
        [
            *rows.names_of(places.result),
            *("–" if share is None else numbers.percent_with_interval(share) for share in _again(places)),
        ]
        for places in found.files
    ]
    return Table(
        ["subset", "variant", "lang", "failed, now right", "audio path, now right", "right, now failed"], lines, 3
    )


def _notes(found: Decomposition) -> list[str]:
    notes = [
        "Of the failed items, percent with 95 % intervals. Not obeyed: fails as text and as transcript; hard to hear: "
        "right as text, fails as transcript; audio path: right as text and as transcript; inconsistent: fails as text, "
        "right as transcript. An item fails where a requirement (read strictly), a question or IAR is not met.",
        f"Speech {found.audio}; text {found.text}; transcript {found.transcript}.",
    ]
    if found.repeat is None:
        notes.append("A second run on speech would show how much of this is chance.")
    else:
        notes.append(
            f"Asked again ({found.repeat}): what changes without any cause is the noise floor of the shares above."
        )
    unplaced = sum(places.unplaced for places in found.files)
    if unplaced:
        notes.append(f"{unplaced} failed items are in no share: their text or transcript has no scored answer.")
    if found.differing:
        notes.append(f"The runs differ in more than their modality: {', '.join(found.differing)}.")
    shares = [
        share for places in found.files for share in (*places.shares.values(), *_again(places)) if share is not None
    ]
    notes.append(numbers.methods_note(shares))
    return notes


def _again(places: FilePlaces) -> tuple[Estimate | None, ...]:
    return places.again, places.again_lost, places.flips


def _file(places: FilePlaces) -> dict[str, Any]:
    kind = places.result.kind
    return {
        "file": places.result.path.name,
        "variant": kind.variant if kind else None,
        "lang": kind.lang if kind else None,
        "n_scored": places.scored,
        "n_failed": places.failed,
        "unplaced": places.unplaced,
        "shares": {place: as_json.estimate(share) for place, share in places.shares.items()},
        "repeat": {
            name: None if share is None else as_json.estimate(share)
            for name, share in zip(
                ("failed_now_right", "audio_path_now_right", "right_now_failed"), _again(places), strict=True
            )
        },
    }
