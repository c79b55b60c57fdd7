"""A task that is to be contributed to Dynamic-SUPERB, checked by the project's review rules.

The rules, as the project documents them (read 2026-11-20): at least 32 examples; at most an hour of audio an instance;
at least max(N / 20, 10) distinct instructions, spread evenly; a licence that permits redistribution; a test split only;
`file` and `instruction` are text; not both `audio` and `audio1` (nor `text` and `text1`, `label` and `label1`); ids are
unique; the version is pinned. docs/dynamic-superb.md has a line on each check.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from data.dataset import AUDIO_SUFFIXES, AudioFinder, DatasetFile
from data.dynamic_superb import description, labels, rows
from data.dynamic_superb.instances import base_name
from data.errors import DataError
from data.jsonl import Line
from data.records import Item, ItemId
from data.validate import recordings
from data.validate.findings import Finding, Report, in_order
from data.validate.rows import Row
from data.validate.sound import Sound, measure_all

FEWEST_EXAMPLES = 32
MOST_SECONDS = 3600.0
FEWEST_INSTRUCTIONS = 10
EXAMPLES_AN_INSTRUCTION = 20

UNEVEN = 2.0
"""An instruction, or a label, that stands at more than so many times as many rows as another is spread unevenly."""

_READ = ("instruction", "label")
_NUMBERED = ("audio", "text", "label", "instruction")
_OTHER_SPLITS = re.compile(r"(train|training|dev|val|valid|validation)([-_.].*)?", re.IGNORECASE)


def instances(path: Path) -> list[Path]:
    """Return the folders of instances in a folder: itself, those in it, and those in its tasks' folders."""
    if not path.is_dir():
        return []
    folders = [path, *(inner for depth in ("*", "*/*") for inner in sorted(path.glob(depth)) if inner.is_dir())]
    return [folder for folder in folders if any((folder / name).is_file() for name in (description.NAME, *rows.TABLES))]


def validate(
    path: Path, *, contributed: bool = True, allow_outside: bool = False, processes: int | None = None
) -> Report:
    """Check a task: the folder of an instance, of a task with several, or of several tasks.

    Args:
        path: that folder.
        contributed: miss what a contribution needs beside its rows, instance.json and a licence, where it is not there.
        allow_outside: follow names of recordings out of the instance's folder.
        processes: how many measure recordings; all cores by default.

    Raises:
        DataError: there is no instance.
    """
    # An instance in other words is no contribution; its recordings are those of the instance beside it.
    folders = [folder for folder in instances(path) if not (contributed and base_name(folder.name)[1])]
    if not folders:
        raise DataError("holds no instance: no folder with instance.json or metadata.json", path=path)
    found: list[Finding] = []
    count, seconds = 0, 0.0
    for folder in folders:
        if contributed or (folder / description.NAME).is_file():
            found += description.findings(folder)
        checked = _Instance(folder, allow_outside, processes or len(os.sched_getaffinity(0)))
        found += checked.findings()
        count, seconds = count + len(checked.lines), seconds + checked.seconds
    return Report(in_order(found), (), len(folders), count, seconds)


class _Instance:
    """One instance.

    Attributes:
        lines: its rows: number and fields; the recording is the field `audio_path`.
        seconds: length of its recordings.
    """

    def __init__(self, folder: Path, allow_outside: bool, processes: int) -> None:
        self.lines: list[Line] = []
        self.seconds = 0.0
        self._folder = folder
        root = folder.absolute().parent if base_name(folder.name)[1] else folder
        self._finder = AudioFinder(root, allow_outside=allow_outside)
        self._processes = processes
        self._table = next((folder / name for name in rows.TABLES if (folder / name).is_file()), None)

    def findings(self) -> Iterator[Finding]:
        """Yield everything that is wrong with the instance."""
        yield from self._splits()
        if self._table is None:
            message = "no metadata.json here: rows, instructions, labels and recordings were not checked"
            yield Finding("not-checked", self._folder / description.NAME, None, message)
            return
        try:
            for number, offset, audio, fields in rows.raw_rows(self._table):
                self.lines.append(Line(number, offset, {**fields, "audio_path": audio}))
        except DataError as error:
            place = f"{error.path}:{error.line}: " if error.line else f"{error.path}: "
            yield Finding("table-broken", self._table, error.line, str(error).removeprefix(place))
        for line in self.lines:
            yield from self._fields(line)
        yield from self._numbers()
        yield from self._recordings()

    def _at(self, check: str, line: Line | None, message: str) -> Finding:
        assert self._table is not None
        return Finding(check, self._table, line.number if line else None, message)

    def _splits(self) -> Iterator[Finding]:
        for path in sorted(self._folder.iterdir()):
            if _OTHER_SPLITS.fullmatch(path.name):
                yield Finding("split-other", path, None, "the name of another split than test")

    def _fields(self, line: Line) -> Iterator[Finding]:
        """Yield what is wrong with one row by itself."""
        fields = line.fields
        for name in ("file", "instruction", "label"):
            value = fields.get(name)
            if not isinstance(value, str):
                wrong = f"is {type(value).__name__}, not text" if name in fields else "is missing"
                yield self._at("row-field", line, f"'{name}' {wrong}")
            elif not value.strip():
                yield self._at("row-field", line, f"'{name}' is blank")
        for name in rows.inputs_not_text(fields):
            yield self._at("row-field", line, f"'{name}' is {type(fields[name]).__name__}, not text")
        for name in _NUMBERED:
            if name in fields and f"{name}1" in fields:
                yield self._at("field-twice", line, f"both '{name}' and '{name}1'")
        if (split := fields.get("split", "test")) != "test":
            yield self._at("split-other", line, f"a row of the split {split!r}")

    def _numbers(self) -> Iterator[Finding]:
        """Yield what is wrong with the rows together: their number, ids, instructions and labels."""
        total = len(self.lines)
        if total < FEWEST_EXAMPLES:
            yield self._at("examples-few", None, f"{total} examples; there are to be {FEWEST_EXAMPLES}")
        first: dict[str, Line] = {}
        for line in self.lines:
            name = line.fields.get("file")
            if isinstance(name, str) and first.setdefault(name, line) is not line:
                yield self._at("id-twice", line, f"'{name}' is the id of line {first[name].number}")
        if not base_name(self._folder.name)[1]:  # in other words there are as many as there are templates
            yield from self._instructions()
        if description.ACCURACY in description.metrics(self._folder):
            yield from self._labels()

    def _instructions(self) -> Iterator[Finding]:
        """Yield that there are too few instructions, and how unevenly they are spread."""
        total = len(self.lines)
        asked = Counter(" ".join(text.split()) for text in self._texts("instruction"))
        needed = max(total / EXAMPLES_AN_INSTRUCTION, FEWEST_INSTRUCTIONS)
        if len(asked) < needed:
            message = f"{len(asked)} distinct instructions for {total} examples; there are to be {needed:g}"
            yield self._at("instructions-few", None, message)
        if uneven := _uneven(asked):
            most = asked.most_common(1)[0][0]
            yield self._at("instructions-uneven", None, f"{uneven} an instruction; the most frequent one: {most}")

    def _labels(self) -> Iterator[Finding]:
        """Yield labels that no instruction offers, and how uneven they are."""
        asked = [line for line in self.lines if all(isinstance(line.fields.get(name), str) for name in _READ)]
        for one in labels.not_offered(asked):
            yield Finding("label-not-offered", self._table or self._folder, one.line, str(one))
        given = Counter(line.fields["label"].strip().lower() for line in asked)
        every = Counter({**{option.lower(): 0 for line in asked for option in labels.offered(line.fields)}, **given})
        uneven = _uneven(every) or ("one label only" if len(every) == 1 else "")
        if uneven:
            constant, chance = 100 * max(given.values()) / len(asked), 100 / len(every)
            message = f"{uneven} a label; a constant answer scores {constant:.1f} %, chance is {chance:.1f} %"
            yield self._at("labels-uneven", None, message)

    def _texts(self, name: str) -> list[str]:
        return [value for line in self.lines if isinstance(value := line.fields.get(name), str)]

    def _recordings(self) -> Iterator[Finding]:
        """Yield what is wrong with the recordings, and which files no row names."""
        assert self._table is not None
        file = DatasetFile(self._table, None, self._folder)
        named: list[list[Row]] = []  # of each line
        for line in self.lines:
            first = line.fields["audio_path"]
            audios = [first, *rows.further(self._folder, first, line.fields)]
            items = [Item(ItemId(self._table.name, None, audio), "", line.fields, (audio,), True) for audio in audios]
            named.append([Row(file, line.number, item) for item in items])
        located: list[Finding] = []
        paths = recordings.locate(list(chain.from_iterable(named)), self._finder, located.append)
        yield from located
        once = list(dict.fromkeys(paths.values()))
        measured = dict(zip(once, measure_all(once, self._processes), strict=True))
        for row, where in paths.items():
            yield from recordings.check(row, measured[where])
        self.seconds = sum(sound.seconds for sound in measured.values() if isinstance(sound, Sound))
        if self.seconds > MOST_SECONDS:
            yield self._at("audio-hours", None, f"{self.seconds / 3600:.2f} hours of audio")
        yield from self._same_sounds(named, paths, measured)
        known = {path.resolve() for path in paths.values()}
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES and path.resolve() not in known:
                yield Finding("file-unused", path, None, "a recording that no row names")

    def _same_sounds(
        self, named: Sequence[Sequence[Row]], paths: Mapping[Row, Path], measured: Mapping[Path, Sound | str]
    ) -> Iterator[Finding]:
        """Yield rows that sound the same as an earlier one, all their recordings together, and have the same texts."""
        first: dict[Any, Line] = {}
        for line, of_line in zip(self.lines, named, strict=True):
            sounds = [measured[paths[row]] for row in of_line if row in paths]
            heard = tuple(sound.digest for sound in sounds if isinstance(sound, Sound))
            texts = tuple(str(line.fields[name]) for name in rows.text_fields(line.fields))
            if len(heard) == len(of_line) and first.setdefault((heard, texts), line) is not line:
                earlier = first[heard, texts].number
                yield self._at("sound-twice", line, f"sounds the same as line {earlier}, and has no other text")


def _uneven(counted: Counter[str]) -> str:
    """Return how uneven a spread is, or nothing where it is even enough."""
    most, least = max(counted.values(), default=0), min(counted.values(), default=0)
    # A difference of one cannot always be helped.
    return f"from {least} to {most} examples" if most > UNEVEN * least and most - least > 1 else ""
