"""Whether an instance's rows offer their own label: no answer can be right where the right one is no option.

Labels and options are compared in lower case, as the paper compares answers and labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from data.dynamic_superb import options
from data.jsonl import Line


@dataclass(frozen=True, slots=True)
class NotOffered:
    """A row whose options cannot be read, or do not hold its label.

    Attributes:
        line: number of its line in the table of rows, or in the file of answers.
        label: its label.
        options: what was read from its instruction; empty where nothing was.
    """

    line: int
    label: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        """Return what is wrong, for a finding."""
        if not self.options:
            return "the instruction names no options that can be read; end it with: The answer could be A, B, or C."
        return f"the label {self.label!r} is none of the options: {', '.join(self.options)}"


def offered(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of a row, or of an answer to it; nothing where none can be read."""
    instruction = fields.get("instruction")
    return options.read(instruction) if isinstance(instruction, str) else ()


def not_offered(lines: Iterable[Line]) -> list[NotOffered]:
    """Return the rows whose options cannot be read or do not hold their label.

    Args:
        lines: of an instance (`DatasetFile.lines`), or of the answers to it.
    """
    found = []
    for line in lines:
        label, named = str(line.fields.get("label", "")), offered(line.fields)
        if label.lower().strip() not in {option.lower() for option in named}:
            found.append(NotOffered(line.number, label, named))
    return found


def remark(instance: str, rows: int, found: list[NotOffered]) -> str | None:
    """Return one line about an instance whose rows do not all offer their label, or None.

    Args:
        instance: its name.
        rows: how many rows it has.
        found: what `not_offered` found.
    """
    if not found:
        return None
    first = found[0]
    return f"{instance}: {len(found)} of {rows} rows do not offer their label; the first, line {first.line}: {first}"
