"""What validation can find: a literal table of checks, one finding, and how findings are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from data.errors import printable

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
NOTES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of finding.

    Attributes:
        severity: `error` (it spoils a run or makes its numbers wrong), `warning` (it may), or `note` (good to know).
        fix: what to do about it.
    """

    severity: str
    fix: str


# In the order in which they are shown, within their severity. docs/data.md has a line on each, with reasons.
CHECKS: dict[str, Check] = {
    # lines
    "line-broken": Check(ERROR, "repair the line: one JSON object with `prompt`, `key` and `audio_path`"),
    "key-missing": Check(ERROR, "give every item a `key`, an integer or text"),
    "prompt-blank": Check(ERROR, "write down what is said as `prompt`"),
    "item-twice": Check(ERROR, "remove one of the lines"),
    "foreign-field": Check(ERROR, "remove the field, or move the line to the subset that it is of"),
    # instructions
    "instructions-missing": Check(ERROR, "give the item at least one id in `instruction_id_list`"),
    "rule-unknown": Check(ERROR, "use one of the 25 ids of docs/closed-rules.md"),
    "kwargs-count": Check(ERROR, "give `kwargs` one object for each instruction, {} where it takes no argument"),
    "kwargs-unusable": Check(ERROR, "give the argument as docs/closed-rules.md section 3.2 wants it"),
    "instructions-conflict": Check(ERROR, "change or drop one of the instructions: no answer can meet them"),
    # questions
    "questions-missing": Check(ERROR, "give the item its yes/no questions as `decomposed_questions`, a list of texts"),
    # audio
    "audio-unnamed": Check(ERROR, "name the item's audio file as `audio_path`"),
    "audio-missing": Check(ERROR, "correct `audio_path`, or bring the file"),
    "audio-unreadable": Check(ERROR, "replace the file by one that libsndfile reads: WAV, FLAC, OGG, MP3"),
    "audio-empty": Check(ERROR, "record or render it again"),
    "audio-silent": Check(ERROR, "record or render it again; nothing in it is loud enough to be speech"),
    "audio-short": Check(ERROR, "record or render it again; no request is that short"),
    "audio-shared": Check(ERROR, "give each item its own recording; at most one of the prompts is said in it"),
    "rendering-twice": Check(ERROR, "remove one of the two, which are the same recording"),
    # renderings of one item
    "variant-same-sound": Check(ERROR, "render the variant; this is the standard recording under another name"),
    "variant-differs": Check(ERROR, "make the item's fields the same in all its renderings, or give it another key"),
    # text against audio
    "heard-another": Check(ERROR, "give the item its own recording; this one says another item's prompt"),
    # tasks of Dynamic-SUPERB: its review rules, in docs/dynamic-superb.md
    "table-broken": Check(ERROR, "repair metadata.json: one object with an entry for each recording"),
    "description-broken": Check(ERROR, "repair instance.json: one object with name, description, keywords, ..."),
    "description-field": Check(ERROR, "give instance.json the field as docs/dynamic-superb.md shows it"),
    "instance-name": Check(ERROR, "make the folder's name, `name` and the end of `path` the same <Task>_<Data>"),
    "version-unpinned": Check(ERROR, "pin the data: the 40 digits of the commit on the hub, not a branch"),
    "licence-missing": Check(ERROR, "name a licence that permits passing the data on, such as CC-BY-4.0, in README.md"),
    "licence-forbids": Check(ERROR, "use data whose licence permits passing it on"),
    "split-other": Check(ERROR, "leave only the test split: tasks are for testing"),
    "examples-few": Check(ERROR, "add examples until there are 32"),
    "audio-hours": Check(ERROR, "take fewer or shorter recordings: an instance has at most an hour"),
    "instructions-few": Check(ERROR, "write more instructions: one for 20 examples, and 10 at least"),
    "instructions-uneven": Check(ERROR, "give each instruction to about as many examples as any other"),
    "row-field": Check(ERROR, "make `file`, `instruction`, `label` and the inputs text in every row"),
    "field-twice": Check(ERROR, "keep one of the two names: the first of several is called without a number"),
    "id-twice": Check(ERROR, "give every row a `file` of its own"),
    "label-not-offered": Check(ERROR, "name the label among the options: The answer could be A, B, or C."),
    # --- warnings
    "labels-uneven": Check(WARNING, "balance the labels, or a constant answer scores high"),
    "sound-twice": Check(WARNING, "use each recording once, unless the rows give different texts with it"),
    "licence-unclear": Check(WARNING, "name the licence by its usual name, such as CC-BY-4.0"),
    "metrics-other": Check(WARNING, "name accuracy: it is the metric of tasks with options"),
    "file-unused": Check(WARNING, "remove the file, or name it in a row"),
    "audio-torn": Check(WARNING, "fetch or render the file again; its header promises more than it holds"),
    "audio-brief": Check(WARNING, "listen to it; its text cannot be said in that time, so its end may be missing"),
    "audio-slow": Check(WARNING, "listen to it; its text takes far less time, so it may be another one, or padded"),
    "audio-long": Check(WARNING, "cut it, or see what the model's limit is (inference.py --long_audio)"),
    "audio-clipped": Check(WARNING, "record or render it again with less gain"),
    "audio-offset": Check(WARNING, "take the mean off the samples"),
    "audio-cancels": Check(WARNING, "use one of the channels; mixed down, they cancel each other out"),
    "audio-rate-low": Check(WARNING, "render it at 16 kHz or more; the upper half of the speech band is missing"),
    "heard-otherwise": Check(WARNING, "listen to it; the recogniser heard other words than the prompt's"),
    "prompt-twice": Check(WARNING, "drop one; the reference scoring gives all of them the last one's answer"),
    "kwargs-unknown": Check(WARNING, "remove the argument or correct its name; the reference raises on it"),
    "kwargs-reference": Check(WARNING, "change the argument, or score with --profile fixed"),
    "instructions-odd": Check(WARNING, "change or drop one of the instructions, unless it is meant so"),
    "questions-odd": Check(WARNING, "ask each question once, in words"),
    "language-field": Check(WARNING, "correct the line's `language`, or move it to the other language's file"),
    "language-text": Check(WARNING, "see whether the prompt is in the language of its file"),
    "variant-key-missing": Check(WARNING, "add the item to the variant, or compare over shared keys only"),
    "variant-key-unknown": Check(WARNING, "add the item to the standard file, or compare over shared keys only"),
    "variant-prompt-differs": Check(WARNING, "keep the prompt as it is in the standard; what is said is `spoken_text`"),
    # --- notes
    "file-ignored": Check(NOTE, "rename it as docs/data.md says, if it is meant to be part of the data set"),
    "text-only": Check(NOTE, "render the prompts before a run: python -m data build"),
    "audio-by-tail": Check(NOTE, "correct the path; it led nowhere and was matched by its end"),
    "audio-rate": Check(NOTE, "nothing to do; it is resampled to what the model hears"),
    "audio-channels": Check(NOTE, "nothing to do; the channels are mixed down"),
    "audio-over-30": Check(NOTE, "see what the model's limit is: a Whisper encoder hears 30 s (--long_audio)"),
    "not-heard": Check(NOTE, "name a recogniser for this language with --asr"),
    "not-checked": Check(NOTE, "fetch the rows and their recordings, and check again"),
}
_RANK = {name: (SEVERITIES.index(check.severity), place) for place, (name, check) in enumerate(CHECKS.items())}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        check: its kind, a key of `CHECKS`.
        path: the file, or the folder that is meant.
        line: 1-based line number; None where the whole file is meant.
        message: what was found.
        badness: among findings of one kind, the higher come first.
    """

    check: str
    path: Path
    line: int | None
    message: str
    badness: float = 0.0

    @property
    def place(self) -> str:
        """Return file:line, or the file alone."""
        return str(self.path) if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fact:
    """What was counted or measured of a file; no fault, so no finding.

    Attributes:
        path: the JSONL file.
        message: the figures.
    """

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a validation came to.

    Attributes:
        findings: worst first: by severity, kind, badness, place.
        facts: what was counted and measured.
        files: number of files of items.
        items: number of their lines, or rows.
        seconds: length of all audio that could be decoded, each file once.
    """

    findings: Sequence[Finding]
    facts: Sequence[Fact]
    files: int
    items: int
    seconds: float

    def count(self, severity: str) -> int:
        """Return the number of findings of a severity."""
        return sum(CHECKS[finding.check].severity == severity for finding in self.findings)

    @property
    def summary(self) -> str:
        """Return the one line that says how it went."""
        counted = ", ".join(_plural(self.count(severity), severity) for severity in SEVERITIES)
        hours = f", {self.seconds / 3600:.2f} h of audio" if self.seconds else ""
        return f"{counted} in {_plural(self.items, 'item')} of {_plural(self.files, 'file')}{hours}"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings worst first."""
    return sorted(
        findings, key=lambda one: (*_RANK[one.check], -one.badness, str(one.path), one.line or 0, one.message)
    )


def as_text(report: Report) -> Iterator[str]:
    """Yield the lines for a terminal: findings in groups, worst first, facts, the summary last.

    Every error and warning is shown; of the notes of one kind about single lines the first few.
    """
    for name, group in groupby(report.findings, key=lambda finding: finding.check):
        findings = list(group)
        check = CHECKS[name]
        yield f"{check.severity} {name} ({len(findings)}): {check.fix}"
        of_lines = check.severity == NOTE and findings[0].line is not None
        shown = findings[:NOTES_SHOWN] if of_lines else findings
        for finding in shown:
            yield printable(f"  {finding.place}: {finding.message}")
        if len(shown) < len(findings):
            yield f"  and {len(findings) - len(shown)} more (--format json shows all)"
        yield ""
    for fact in report.facts:
        yield printable(f"{fact.path}: {fact.message}")
    yield report.summary


def as_json(report: Report) -> str:
    """Return the report as one JSON object, in ASCII."""
    fields: dict[str, Any] = {
        "summary": report.summary,
        **{f"{severity}s": report.count(severity) for severity in SEVERITIES},
        "files": report.files,
        "items": report.items,
        "audio_seconds": round(report.seconds, 3),
        "facts": [{"file": str(fact.path), "message": fact.message} for fact in report.facts],
        "findings": [
            {
                "severity": CHECKS[finding.check].severity,
                "check": finding.check,
                "file": str(finding.path),
                "line": finding.line,
                "message": finding.message,
                "fix": CHECKS[finding.check].fix,
            }
            for finding in report.findings
        ],
    }
    return json.dumps(fields, indent=2)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
