"""The records that travel through the three commands: Item, Response, Verdict, Score, Cell.

All are frozen. `Item.fields` keeps everything that stood on an item's line, so files survive a round trip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.errors import printable


@dataclass(frozen=True, slots=True)
class ItemId:
    """What makes an item itself: several renderings of one key are several items.

    Attributes:
        file: name of the JSONL file that holds the item, without its folder; of a table's rows, that of their answers.
        key: the line's `key` (or `id`), an integer or a string; None where the line has none.
        audio: the line's `audio_path` as written; None where the line has none.
    """

    file: str
    key: int | str | None
    audio: str | None

    def __str__(self) -> str:
        """Return the name that messages use for the item; control characters are escaped."""
        parts = [str(part) for part in (self.key, self.audio) if part is not None]
        return printable(f"{self.file}[{', '.join(parts)}]")


@dataclass(frozen=True, slots=True)
class Item:
    """One request: spoken, or written about recordings.

    Attributes:
        id: the item's identity.
        prompt: the request as text.
        fields: every field of the line, as read; never changed in place.
        audios: the item's recordings as written, in order; the first is the identity's. Most items have one.
        written: whether the model is given the prompt in writing beside the recordings (Dynamic-SUPERB); else they say
            it all.
    """

    id: ItemId
    prompt: str
    fields: Mapping[str, Any]
    audios: tuple[str, ...] = ()
    written: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """What the speech model answered to one item.

    Attributes:
        id: the item's identity.
        text: the answer; None when there is none, then `error` says why.
        error: reason of the failure, or None.
        permanent: whether asking again cannot help (a request that the server refuses, say).
        extra: further fields for the line (a cascade's transcript, say).
    """

    id: ItemId
    text: str | None
    error: str | None = None
    permanent: bool = False
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge replied about one response.

    Attributes:
        id: the item's identity.
        judge: the grader model's name.
        prompt_id: which judge prompt was used: its file name and the start of its SHA-256.
        replies: the raw replies in order; the file's `pred_score`.
    """

    id: ItemId
    judge: str
    prompt_id: str
    replies: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One yes/no verdict with its reason.

    Attributes:
        met: whether the requirement is met.
        expected: what was asked ("exactly 5 bullets").
        found: what the text holds ("4 bullets").
        flag: why the verdict rests on weak ground, or None: `random` (the reference draws a random number here, a
            stand-in decided), `error` (the reference raises here), `invalid` (unusable arguments), `tie` (votes tied),
            `N/A` (no answer could be told).
        probability: with flag `random`, the probability of a true verdict under the reference's draws.
    """

    met: bool
    expected: str
    found: str
    flag: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What counting made of one item.

    Attributes:
        id: the item's identity.
        marks: named tuples of marks: `strict` and `loose` along `instruction_id_list` (close), `questions` (open),
            `iar` and `ecr` of one mark each (adjust), one mark a tier that applies (classify). Empty when unscored.
        unscored: why the item has no marks, or None. Unscored is never zero.
        expected: how many marks an unscored item would have had; None when that is unknown.
        invalid_votes: judge replies that could not be read (open, adjust).
        ties: positions (open) or names (adjust) whose votes were tied.
    """

    id: ItemId
    marks: Mapping[str, tuple[Mark, ...]]
    unscored: str | None = None
    expected: int | None = None
    invalid_votes: int = 0
    ties: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table, never without its n and its bounds.

    Attributes:
        metric: its name, for instance `strict-prompt`.
        value: a fraction 0…1; None when nothing was scored.
        n: the number's denominator.
        unscored: items of the file that this number leaves out.
        bounds: lowest and highest value it could have, were the unscored items (and, in the fixed profile, the
            invalid instructions) all wrong or all right.
        ci95: 95 % interval; None where nothing was scored.
        method: how the interval was made; None where there is none.
    """

    metric: str
    value: float | None
    n: int
    unscored: int
    bounds: tuple[float, float]
    ci95: tuple[float, float] | None = None
    method: str | None = None
