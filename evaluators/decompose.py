"""Hearing or obeying: why spoken requests fail, from the same model's runs on speech, text and transcripts.

An item that fails as speech was also asked as text (the control without hearing) and as what a recogniser heard (the
control with another's hearing). How those two came out tells where it was lost:

    text fails,  transcript fails     not obeyed
    text passes, transcript fails     hard to hear
    text passes, transcript passes    lost in the audio path
    text fails,  transcript passes    inconsistent
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import DataError, UsageError
from data.manifest import read as read_manifest
from data.manifest import without_folders
from data.suites import file_kind
from evaluators import stats
from evaluators.compare import check_same_data, counted
from evaluators.count import FileResult
from evaluators.outcomes import Outcome
from evaluators.robustness import STANDARD

# (text passes, transcript passes) -> where the item was lost.
PLACES = {
    (False, False): "not obeyed",
    (True, False): "hard to hear",
    (True, True): "lost in the audio path",
    (False, True): "inconsistent",
}


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """Where the failures of one file were lost.

    Attributes:
        result: the audio run's file.
        scored: items with an answer that counts.
        failed: of these, the ones that are not right as a whole.
        unplaced: failed items whose text or transcript is missing or unscored.
        shares: of the failed items that could be placed, the share lost at each place.
        again: of the failed items, the share that passes when the audio is asked again; None without such a run.
        again_lost: the same of the items that seem lost in the audio path.
        flips: of the items that passed, the share that fails when the audio is asked again.
    """

    result: FileResult
    scored: int
    failed: int
    unplaced: int
    shares: dict[str, stats.Estimate]
    again: stats.Estimate | None
    again_lost: stats.Estimate | None
    flips: stats.Estimate | None


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What `python -m evaluators decompose` shows.

    Attributes:
        model: the model's name.
        audio: folder of the run on speech.
        text: folder of the run on text.
        transcript: folder of the run on transcripts.
        repeat: folder of a second run on speech, or None.
        profile: `reference` or `fixed`.
        files: file by file.
        differing: settings other than the modality that are not the same in all runs.
    """

    model: str
    audio: Path
    text: Path
    transcript: Path
    repeat: Path | None
    profile: str
    files: tuple[FilePlaces, ...]
    differing: tuple[str, ...]


def decompose(runs: Sequence[Path], profile: str, *, added_fields: Collection[str]) -> Decomposition:
    """Place every failed item of a run on speech.

    Args:
        runs: folders of one model's runs, each with a run.json that names its modality: audio, text, transcript, and
            possibly audio once more, the first being the one that is taken apart. An item of a variant that was not
            asked as text takes the text answer of the standard rendering of the same request.
        profile: `reference` or `fixed`; either way every item counts by its own response.
        added_fields: fields that our commands add to an item's line.

    Raises:
        DataError: a run.json is missing, a file is broken, or the runs were made from different data.
        UsageError: the runs are not one model's, or not one of each modality.
    """
    manifests = {run: read_manifest(run) for run in runs}
    audio, text, transcript, repeat = _by_modality(manifests)
    names = [path.name for path in audio.glob("*.jsonl") if _has(audio, path.name)]
    names.sort(key=lambda name: kind.order() if (kind := file_kind(name)) else ())
    for run in (text, transcript, repeat):
        for name in names:
            if run is not None and _has(run, name):
                check_same_data(audio, run, name, added_fields)
    as_text = {path.name: counted(path, profile) for path in sorted(text.glob("*.jsonl")) if _has(text, path.name)}
    files = [
        _placed(
            counted(audio / name, profile),
            as_text,
            counted(transcript / name, profile),
            counted(repeat / name, profile) if repeat is not None and _has(repeat, name) else None,
        )
        for name in names
        if _has(transcript, name)
    ]
    placed = tuple(places for places in files if places.result.judged and places.scored)
    if not placed:
        raise DataError(f"has no scored file in common with {transcript}", path=audio)
    model = without_folders(str(manifests[audio].get("model", {}).get("name")))
    differing = [
        setting
        for setting in ("system_prompt_id", "sampling")
        if len({repr(manifest.get(setting)) for manifest in manifests.values()}) > 1
    ]
    return Decomposition(model, audio, text, transcript, repeat, profile, placed, tuple(differing))


def _by_modality(manifests: Mapping[Path, Mapping[str, Any]]) -> tuple[Path, Path, Path, Path | None]:
    """Return the runs on speech, text and transcripts, and the second one on speech where there is one.

    Raises:
        DataError: a run.json is missing.
        UsageError: the runs are not one model's, or not one of each modality.
    """
    for run, manifest in manifests.items():
        if not manifest:
            raise DataError("no run.json; its modality is not known", path=run)
    models = sorted({str(manifest.get("model", {}).get("name")) for manifest in manifests.values()})
    if len(models) > 1:
        raise UsageError(f"the runs are of different models: {', '.join(models)}")
    runs: dict[str, list[Path]] = {"audio": [], "text": [], "transcript": []}
    for run, manifest in manifests.items():
        runs.setdefault(str(manifest.get("modality")), []).append(run)
    if len(runs["audio"]) not in (1, 2) or [*map(len, runs.values())][1:] != [1, 1]:
        found = ", ".join(f"{run}: {manifest.get('modality')}" for run, manifest in manifests.items())
        raise UsageError(
            f"one run each of modality audio, text and transcript is needed (audio may come twice); {found}"
        )
    return runs["audio"][0], runs["text"][0], runs["transcript"][0], runs["audio"][1] if runs["audio"][1:] else None


def _has(run: Path, name: str) -> bool:
    path = run / name
    return file_kind(name) is not None and path.is_file() and path.stat().st_size > 0


def _placed(
    audio: FileResult, as_text: dict[str, FileResult], transcript: FileResult, repeat: FileResult | None
) -> FilePlaces:
    own_texts = as_text.get(audio.path.name)
    standard = next((result for result in as_text.values() if _is_standard_of(result, audio)), None)
    texts = {} if own_texts is None else _by_identity(own_texts)
    texts_by_request = {} if standard is None else {_request(outcome): outcome for outcome in standard.outcomes}
    transcripts = _by_identity(transcript)
    scored = [outcome for outcome in _by_identity(audio).values() if outcome.marks]
    failed = [outcome for outcome in scored if not outcome.passed()]
    placed: list[Outcome] = []
    places: list[str] = []
    for outcome in failed:
        read = texts.get(outcome.identity) or texts_by_request.get(_request(outcome))
        heard = transcripts.get(outcome.identity)
        if read is not None and heard is not None and read.marks and heard.marks:
            placed.append(outcome)
            places.append(PLACES[read.passed(), heard.passed()])
    lost = [outcome for outcome, place in zip(placed, places, strict=True) if place == PLACES[True, True]]
    again = None if repeat is None else _by_identity(repeat)
    return FilePlaces(
        audio,
        len(scored),
        len(failed),
        len(failed) - len(placed),
        {place: _share(placed, [found == place for found in places]) for place in PLACES.values()},
        None if again is None else _asked_again(failed, again, passing=True),
        None if again is None else _asked_again(lost, again, passing=True),
        None if again is None else _asked_again([one for one in scored if one.passed()], again, passing=False),
    )


def _is_standard_of(result: FileResult, other: FileResult) -> bool:
    one, two = result.kind, other.kind
    if one is None or two is None:
        return False
    return (one.suite.name, one.lang, one.variant) == (two.suite.name, two.lang, STANDARD)


def _by_identity(result: FileResult) -> dict[Hashable, Outcome]:
    """Return the outcomes that can be found again in another file; of two gradings of one item the later."""
    return {outcome.identity: outcome for outcome in result.outcomes if outcome.identity != (None, None)}


def _request(outcome: Outcome) -> Hashable:
    """Return what makes two renderings the same request: the key, and the same words and instructions."""
    return outcome.key, outcome.prompt, outcome.kinds


def _asked_again(outcomes: Sequence[Outcome], again: dict[Hashable, Outcome], *, passing: bool) -> stats.Estimate:
    """Return the share of items that pass (or fail) when asked again, over those with a second answer that counts."""
    pairs = [(outcome, again[outcome.identity]) for outcome in outcomes if outcome.identity in again]
    pairs = [(outcome, second) for outcome, second in pairs if second.marks]
    return _share([outcome for outcome, _ in pairs], [second.passed() == passing for _, second in pairs])


def _share(outcomes: Sequence[Outcome], met: Sequence[bool]) -> stats.Estimate:
    rows = np.array([met, [1] * len(met)], dtype=np.float64).T.reshape(-1, 2)
    return stats.proportion(*stats.summed(rows, [outcome.key for outcome in outcomes]).T)
