"""What would spoil a run, found before it is paid for: `python -m data validate PATH` (docs/data.md).

Text is checked by what the caller hands in (`Readers`): rules and languages belong to rooms that stand on this one.
"""

from __future__ import annotations

import os
from pathlib import Path

from data.dataset import AudioFinder, dataset_files
from data.validate import hearing, recordings, rows
from data.validate.findings import Fact, Finding, Report, in_order
from data.validate.rows import Readers
from data.validate.sound import Sound, measure_all

__all__ = ["Readers", "Report", "validate"]


def validate(
    path: Path,
    readers: Readers,
    *,
    hear: hearing.Hear | None = None,
    allow_outside: bool = False,
    processes: int | None = None,
) -> Report:
    """Check a data set, or one JSONL file of prompts or items.

    Args:
        path: a folder in the benchmark's layout, or one file.
        readers: what is asked of other rooms.
        hear: a recogniser, to compare recordings with their prompts.
        allow_outside: follow audio paths out of the data set's folder.
        processes: how many measure recordings; all cores by default.

    Raises:
        DataError: there is no such data set, or a file cannot be read.
    """
    found: list[Finding] = []
    facts: list[Fact] = []
    files = dataset_files(path)
    of_file = [rows.read(file, found.append) for file in files]
    every = [row for lines in of_file for row in lines]
    for lines in of_file:
        found += rows.check(lines, readers)
        facts += rows.question_counts(lines, readers)
    if path.is_dir():
        found += rows.ignored(path, files)
    finder = AudioFinder(files[0].root, allow_outside=allow_outside)
    paths = recordings.locate(every, finder, found.append)
    once = list(dict.fromkeys(paths.values()))
    measured = dict(zip(once, measure_all(once, processes or len(os.sched_getaffinity(0))), strict=True))
    sounds = {}
    for row, where in paths.items():
        sound = measured[where]
        found += recordings.check(row, sound)
        if isinstance(sound, Sound):
            sounds[row] = sound
    for lines in of_file:
        found += recordings.shared(lines, sounds)
    found += recordings.renderings(every, sounds)
    if hear is not None:
        audible = {row: paths[row] for row in sounds}
        for lines in of_file:
            found += hearing.compare(lines, audible, hear, facts.append)
    seconds = sum(sound.seconds for sound in measured.values() if isinstance(sound, Sound))
    return Report(in_order(found), facts, len(files), len(every), seconds)
