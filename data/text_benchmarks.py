"""Prompts of text benchmarks in our layout, ready to be rendered as speech: `python -m data import` (docs/data.md).

A row of IFEval's `input_data.jsonl`, which becomes a closed item:

    {"key": 1001, "prompt": "I am planning a trip ...", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}

A row of InFoBench's `InfoBench.json` (JSON lines, whatever its name says), which becomes an open one:

    {"id": "domain_oriented_task_215", "instruction": "Generate a ...", "input": "", "category": "...",
     "decomposed_questions": ["Is ...?"], "subset": "Hard_set", "question_label": [["Format"]]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import jsonl
from data.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class TextBenchmark:
    """One benchmark whose prompts can be taken over.

    Attributes:
        title: its name and paper.
        licence: SPDX name of the licence of its prompts.
        licence_source: where that was read, and when.
        kind: what its items become: `closed` or `open`.
        fields: what a row must have, with the type of each.
        item: from a row to the fields of our line, without what is the same on every line.
    """

    title: str
    licence: str
    licence_source: str
    kind: str
    fields: Mapping[str, type | tuple[type, ...]]
    item: Callable[[Mapping[str, Any]], dict[str, Any]]


def _ifeval(row: Mapping[str, Any]) -> dict[str, Any]:
    # Tables on the hub give every rule the arguments of all rules, null where it has none.
    kwargs = [
        {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else entry
        for entry in row["kwargs"]
    ]
    return {
        "key": row["key"],
        "prompt": row["prompt"],
        "instruction_id_list": row["instruction_id_list"],
        "kwargs": kwargs,
    }


def _infobench(row: Mapping[str, Any]) -> dict[str, Any]:
    # As its own generation script puts the two together: a blank line between instruction and input.
    prompt = "\n\n".join(part for part in (row["instruction"].strip(), row["input"].strip()) if part)
    kept = {name: row[name] for name in ("category", "subset", "question_label") if name in row}
    return {"key": row["id"], "prompt": prompt, "decomposed_questions": row["decomposed_questions"], **kept}


BENCHMARKS: dict[str, TextBenchmark] = {
    "ifeval": TextBenchmark(
        title="IFEval (arXiv 2311.07911)",
        licence="Apache-2.0",
        licence_source="card of google/IFEval on the hub; google-research, file headers (2026-11-20)",
        kind="closed",
        fields={"key": (int, str), "prompt": str, "instruction_id_list": list, "kwargs": list},
        item=_ifeval,
    ),
    "infobench": TextBenchmark(
        title="InFoBench (arXiv 2401.03601)",
        licence="MIT",
        licence_source="card of kqsong/InFoBench on the hub; LICENSE of qinyiwei/InfoBench (2026-11-20)",
        kind="open",
        fields={"id": str, "instruction": str, "input": str, "decomposed_questions": (list, str)},
        item=_infobench,
    ),
}


def import_prompts(name: str, source: Path, out: Path, *, overwrite: bool = False) -> int:
    """Write a text benchmark's prompts as lines of our layout; return how many.

    Args:
        name: a key of `BENCHMARKS`.
        source: its file: JSON lines, or one JSON list.
        out: the file to write, which appears in one step.
        overwrite: replace a file that is there.

    Raises:
        UsageError: `out` is there already.
        DataError: the source is not that benchmark's, or `out` cannot be written.
    """
    if out.is_file() and not overwrite:
        raise UsageError(f"{out} is there already; --overwrite replaces it")
    benchmark = BENCHMARKS[name]
    seen: dict[int | str, int] = {}
    lines = []
    for number, row in _rows(source):
        _check(row, benchmark, source, number)
        item = benchmark.item(row)
        first = seen.setdefault(item["key"], number)
        if first != number:
            raise DataError(f"the key of row {first}, {item['key']!r}, again", path=source, line=number)
        fields = {**item, "language": "en", "source": benchmark.title, "licence": benchmark.licence}
        lines.append(jsonl.dumps(fields))
    jsonl.rewrite(out, lines)
    return len(lines)


def _rows(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows with their line numbers, or, of a JSON list, their places in it.

    Raises:
        DataError: the file cannot be read, is empty, or holds neither.
    """
    with jsonl.opened(source) as file:
        is_list = file.read(4096).removeprefix(jsonl.BYTE_ORDER_MARK).lstrip().startswith(b"[")
    if not is_list:
        for line in jsonl.read(source):
            yield line.number, line.fields
        return
    try:
        rows = json.loads(source.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        raise DataError("begins as a JSON list, but is none; give JSON lines or one JSON list", path=source) from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError("an entry that is no object", path=source, line=number)
        yield number, row
    if not rows:
        raise DataError("an empty list", path=source)


def _check(row: Mapping[str, Any], benchmark: TextBenchmark, source: Path, number: int) -> None:
    for name, kinds in benchmark.fields.items():
        if not isinstance(row.get(name), kinds) or isinstance(row[name], bool):
            problem = "missing" if name not in row else "of the wrong type"
            raise DataError(
                f"{problem}; is this a file of {benchmark.title}? Its rows have {', '.join(benchmark.fields)}",
                path=source,
                line=number,
                field=name,
            )
