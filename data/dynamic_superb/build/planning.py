"""From a task to what has to be made: its recordings, and the rows that stand beside them."""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from data.dynamic_superb import options
from data.dynamic_superb.build.examples import HERE, Cast, Example, Sound
from data.dynamic_superb.build.takes import Take
from data.dynamic_superb.build.tasks import Task
from data.dynamic_superb.contribution import FEWEST_EXAMPLES
from data.dynamic_superb.rows import TABLES
from data.errors import UsageError
from data.variants.jobs import Item, Plan, Surroundings
from data.variants.voices import told_of

TABLE = TABLES[0]
FEWEST, MOST = FEWEST_EXAMPLES, 200
"""Examples of a task: the review rules want 32; ten instructions are enough for 200, one for twenty examples."""

LEVEL_DBFS = -23.0
GAUSSIAN = "white"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a build.

    Attributes:
        examples: number of examples of each task, `FEWEST` to `MOST`.
        seed: the same seed gives the same rows and samples, where the same voices are installed.
    """

    examples: int = 60
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: a number out of range.
        """
        if not FEWEST <= self.examples <= MOST:
            raise UsageError(f"{self.examples} examples; give a number from {FEWEST} to {MOST}")
        if not 0 <= self.seed < 2**31:
            raise UsageError(f"seed {self.seed} must lie between 0 and {2**31 - 1}")


def plan(task: Task, order: Order) -> Plan:
    """Plan one task.

    Raises:
        UsageError: its voices are missing here, or they do not give so many different examples.
    """
    chance = random.Random(f"{order.seed}:{task.instance}")
    cast = Cast(task.cast(task.voices), chance)
    examples = list(islice(task.make(cast), order.examples))
    if len(set(examples)) < len(examples):
        raise UsageError(
            f"the voices that are installed give {len(set(examples))} different examples; ask for fewer than "
            f"{len(examples)}, or install more voices"
        )
    rows = _instructed(task, examples, chance)
    chance.shuffle(rows)
    items = [item for number, row in enumerate(rows, start=1) for item in _items(task, order, number, *row)]
    voices = {said.voice.name: said.voice for one in examples for heard in one.sounds for said in heard.said}
    told = [[dict(item.fields), item.job.path] for item in items if item.fields]
    settings = {
        "task": task.name,
        "examples": order.examples,
        "seed": order.seed,
        "level_dbfs": LEVEL_DBFS,
        "margin_seconds": task.margin_seconds,
        "voices": told_of(voices),
        "rows_sha256": hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest(),
    }
    return Plan({TABLE: items}, [], voices, settings)


def _instructed(task: Task, examples: Sequence[Example], chance: random.Random) -> list[tuple[Example, str]]:
    """Give every example an instruction: each as often as any other, within each label too as far as it goes."""
    sentences = [f"{text} {options.sentence(task.labels)}" for text in instructions()[task.name]]
    chance.shuffle(sentences)
    in_order = sorted(examples, key=lambda example: task.labels.index(example.label))
    return [(example, sentences[place % len(sentences)]) for place, example in enumerate(in_order)]


def _items(task: Task, order: Order, number: int, example: Example, instruction: str) -> Iterator[Item]:
    """Yield an item a recording; the row stands at the first."""
    name = f"{task.name}_{number:03}"
    row = {"file": name, "instruction": instruction, "label": example.label}
    row |= {"text": example.text} if example.text else {}
    said = [part for heard in example.sounds for part in heard.said]
    row |= {
        "spoken_text": " ".join(part.text for part in said),
        "voice": ", ".join(dict.fromkeys(part.voice.name for part in said)),
    }
    for place, heard in enumerate(example.sounds, start=1):
        path = f"{name}.wav" if place == 1 else f"{name}_pair{place}.wav"
        yield Item(_take(path, heard, task, order.seed + number), row if place == 1 else {})


def _take(path: str, heard: Sound, task: Task, seed: int) -> Take:
    around = None
    if heard.snr_db is not None:
        around = Surroundings(GAUSSIAN, heard.snr_db, seed)
    elif heard.room is not None:
        around = Surroundings("", 0.0, 0, room=heard.room)
    first, *after = heard.said
    return Take(path, first, around, LEVEL_DBFS, task.margin_seconds, tuple(after), heard.backwards)


@cache
def instructions() -> dict[str, list[str]]:
    """Return the sentences that ask for each task, without their options."""
    return tomllib.loads((HERE / "instructions.toml").read_text(encoding="utf-8"))
