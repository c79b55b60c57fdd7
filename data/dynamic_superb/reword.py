"""The same instances in other words: `python -m data reword DIR` (docs/dynamic-superb.md).

Whether a model follows an instruction should not hang on how it is put. Three kinds of rewording, each an instance of
its own beside the original, over the original's recordings and with its `file`, so that items can be paired:

    <Instance>.order        the options in another order
    <Instance>.synonyms     other words for the options, and so for the label
    <Instance>.paraphrase   other words for the request; the options stay as they are

Every row also tells what it was: `"rewording": {"kind": "order", "instruction": "...", "label": "..."}`. The words are
in `rewording.toml`.
"""

from __future__ import annotations

import os
import random
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from data import jsonl
from data.dataset import dataset_files
from data.dynamic_superb import options, rows
from data.dynamic_superb.instances import KINDS, base_name
from data.errors import DataError, UsageError

WORDS = Path(__file__).with_name("rewording.toml")
GENERAL = "general"
WITH_TEXT = ("SpeechTextMatching", "SpokenTermDetection")
"""Tasks whose templates speak of a written text, which the row has to hold."""
_QUOTED = re.compile(r"""["“”«»‘`]|(?<!\w)'""")


@dataclass(frozen=True, slots=True)
class _Words:
    """The words for one instance.

    Attributes:
        synonyms: what is said in place of a label, by the label in lower case.
        own: requests of its task in other words; empty where there are none.
        about_text: whether these are about a text that the row has to hold.
        general: what can be put around any instruction, with {instruction} in it.
    """

    synonyms: Mapping[str, str]
    own: Sequence[str]
    about_text: bool
    general: Sequence[str]


class _LeftOutError(Exception):
    """An instance cannot be reworded in this way; the message is the reason."""


def reword(
    dataset: Path,
    kinds: Sequence[str],
    *,
    seed: int,
    out: Path | None,
    overwrite: bool,
    say: Callable[[str], None],
) -> list[Path]:
    """Write reworded instances; the same call writes the same again.

    Args:
        dataset: a folder of instances, or one of them. Those that are reworded already are left alone.
        kinds: some of `KINDS`.
        seed: what the order of options and the choice of templates depend on, beside each row's `file`.
        out: folder for the new instances; None: beside each original.
        overwrite: replace tables that hold something else.
        say: writes a line of talk; it hears which instances are left out, and why.

    Returns:
        The tables that now hold the reworded instances.

    Raises:
        DataError: a table is broken, cannot be written, or holds something else.
        UsageError: there is nothing to reword, or nothing that can be.
    """
    originals = [file.path for file in dataset_files(dataset) if rows.is_table(file.path)]
    originals = [path for path in originals if not base_name(rows.instance_of(path))[1]]
    if not originals:
        raise UsageError(f"{dataset} holds no instance of Dynamic-SUPERB (<instance>/metadata.json)")
    tables: dict[Path, bytes] = {}
    for path in originals:
        name = rows.instance_of(path)
        for _ in rows.read(path):  # every row is one
            pass
        for kind in dict.fromkeys(kinds):
            target = (out or path.absolute().parent.parent) / f"{name}.{kind}" / rows.TABLES[0]
            try:
                tables[target] = rows.dumps(list(_reworded(path, kind, seed, target.parent)))
            except _LeftOutError as reason:
                say(f"{name} is left out of {kind}: {reason}")
    if not tables:
        raise UsageError(f"{dataset}: nothing could be reworded")
    for target, content in tables.items():
        if target.exists() and not overwrite and target.read_bytes() != content:
            raise DataError(
                "holds something else; --overwrite replaces it, --out puts the new one elsewhere", path=target
            )
    for target, content in tables.items():
        jsonl.rewrite(target, [content])
    return list(tables)


def _reworded(path: Path, kind: str, seed: int, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of one rewording, with the names of the original's recordings as seen from the new folder."""
    words = _words(rows.instance_of(path))
    original = PurePosixPath(os.path.relpath(path.absolute().parent, folder.absolute()))
    for number, _, audio, row in rows.raw_rows(path):
        key = rows.key_of(path, number, audio, row)
        try:
            instruction, label = _WAYS[kind](row, words, random.Random(f"{seed} {kind} {key}"))
        except (_LeftOutError, ValueError) as reason:
            raise _LeftOutError(f"{reason} (line {number})") from None
        yield (
            str(original / audio),
            {
                **row,
                **{name: str(original / row[name]) for name in rows.further_fields(row)},
                "file": key,
                "instruction": instruction,
                "label": label,
                "rewording": {"kind": kind, "instruction": row["instruction"], "label": row["label"]},
            },
        )


def _words(instance: str) -> _Words:
    tables = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    synonyms, templates = tables["synonyms"], tables["paraphrase"]
    task = instance.partition("_")[0]
    own = templates.get(instance) or templates.get(task, [])
    return _Words({**synonyms[GENERAL], **synonyms.get(task, {})}, own, task in WITH_TEXT, templates[GENERAL])


def _in_another_order(row: Mapping[str, Any], _words: _Words, draw: random.Random) -> tuple[str, str]:
    before = options.read(row["instruction"])
    if len(set(before)) < 2:
        raise _LeftOutError("there are no options to put in another order")
    after = list(before)
    while tuple(after) == before:
        draw.shuffle(after)
    return options.replaced(row["instruction"], after), row["label"]


def _in_synonyms(row: Mapping[str, Any], words: _Words, _draw: random.Random) -> tuple[str, str]:
    before, label = options.read(row["instruction"]), row["label"]
    for name in (*before, label):
        if name.lower() not in words.synonyms:
            raise _LeftOutError(f"there is no synonym for the label {name!r}")
    after = [_cased(words.synonyms[name.lower()], name) for name in before]
    if len({name.lower() for name in (*before, *after)}) < 2 * len(before):
        raise _LeftOutError("its labels and their synonyms could be mistaken for each other")
    return options.replaced(row["instruction"], after), _cased(words.synonyms[label.lower()], label)


def _in_other_words(row: Mapping[str, Any], words: _Words, draw: random.Random) -> tuple[str, str]:
    instruction = row["instruction"]
    sentence = options.own_sentence(instruction)
    # What a request quotes is the row's own, and so is a text that only it holds: a template would lose them.
    loses = _QUOTED.search(instruction.replace(sentence, "")) or (words.about_text and not rows.text_fields(row))
    if words.own and not loses:
        changed = f"{draw.choice(words.own)} {sentence}"
    else:
        changed = draw.choice(words.general).replace("{instruction}", instruction.strip())
    if options.read(changed) != options.read(instruction):
        raise _LeftOutError("its options would be read otherwise")
    return changed, row["label"]


def _cased(word: str, like: str) -> str:
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


_WAYS = dict(zip(KINDS, (_in_another_order, _in_synonyms, _in_other_words), strict=True))
