"""The file of answers to one data-set file: appended as answers come, resumed, and brought into order at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import VERDICT_FIELDS, DatasetFile, identity_digest, item_of
from data.errors import DataError
from data.records import Item, Response

# Fields that our commands add to an item's line; everything else on it is the data set's.
ADDED_FIELDS = VERDICT_FIELDS | frozenset(
    {
        "response",
        "error",
        "error_permanent",
        "asr_transcript",
        "option_scores",
        "reasoning",
        "finish_reason",
        "prompt_tokens",
        "completion_tokens",
        "latency_seconds",
        "audio_seconds_used",
        "audio_seconds_cut",
    }
)


class ResponseFile:
    """What was answered so far, and what is still to be asked.

    Attributes:
        source: the data-set file.
        path: the file of answers, of the same name.
        size: number of items of the data-set file.
        total: number of items that this run is about.
        answered: number of those that need not be asked again.
    """

    def __init__(
        self,
        source: DatasetFile,
        folder: Path,
        *,
        limit: int | None,
        overwrite: bool,
        shard: tuple[int, int] | None = None,
    ) -> None:
        """Read both files and compare them.

        Args:
            source: the data-set file.
            folder: the run's folder.
            limit: ask only the first so many items.
            overwrite: ignore the answers that are there.
            shard: (I, N): of those only every N-th, starting with the I-th (1-based).

        Raises:
            DataError: a file is broken, or answers are there to other items than the data set's.
        """
        self.source = source
        self.path = folder / source.name
        self._wanted: dict[bytes, bytes] = {}  # item -> digest of its fields, in the data set's order
        self._settled: set[bytes] = set()
        self._appender: jsonl.Appender | None = None
        for item in source.items():
            self._wanted[identity_digest(item.id)] = _fields_digest(item.fields)
        if not overwrite and self.path.exists():
            for digest, fields in self._answers():
                if fields.get("response") is not None or fields.get("error_permanent"):
                    self._settled.add(digest)
                else:
                    self._settled.discard(digest)
        first, step = (0, 1) if shard is None else (shard[0] - 1, shard[1])
        chosen = list(islice(self._wanted, first, limit, step))
        self._chosen = frozenset(chosen)
        self.size = len(self._wanted)
        self.total = len(chosen)
        self.answered = sum(digest in self._settled for digest in chosen)
        self._overwrite = overwrite

    def open(self) -> None:
        """Make the file ready for answers.

        Raises:
            DataError: it cannot be written.
        """
        if self._overwrite:
            with jsonl.writing(self.path):
                self.path.unlink(missing_ok=True)
            self._overwrite = False
        self._appender = jsonl.Appender(self.path)

    def pending(self) -> Iterator[Item]:
        """Yield the items that have no answer yet, in the data set's order."""
        for item in self.source.items():
            digest = identity_digest(item.id)
            if digest in self._chosen and digest not in self._settled:
                yield item

    def append(self, item: Item, response: Response) -> None:
        """Keep one answer.

        Raises:
            DataError: the disk is full or the file cannot be written.
        """
        if self._appender is None:
            raise ValueError("open() comes first")
        self._appender.append(_line(item, response))

    def settle(self) -> tuple[int, int, int]:
        """Bring the file into the data set's order, each item once.

        Returns:
            How many of this run's items are answered, how many failed, and how many of these failed for good.

        Raises:
            DataError: the file cannot be rewritten; it stays as it was, whole.
        """
        self.close()
        if self._overwrite or not self.path.exists():  # the model could not be loaded: what is there is not ours
            return 0, 0, 0
        jsonl.Appender(self.path).close()  # cuts off what a kill tore, also where nothing was to be asked
        if not self.path.stat().st_size:  # stopped before the first answer: no file is better than an empty one
            self.path.unlink()
            return 0, 0, 0
        places: dict[bytes, int] = {}
        failed: set[bytes] = set()
        permanent: set[bytes] = set()
        offsets = []
        for line in jsonl.read(self.path, torn=True):
            offsets.append(line.offset)
            item = item_of(line.fields, self.path, line.number)
            digest = identity_digest(item.id)
            places[digest] = line.offset
            (failed.discard if line.fields.get("response") is not None else failed.add)(digest)
            (permanent.add if line.fields.get("error_permanent") else permanent.discard)(digest)
        in_order = [places[digest] for digest in self._wanted if digest in places]
        if in_order != offsets:
            jsonl.rewrite(self.path, jsonl.raw_lines(self.path, in_order))
        mine = self._chosen & places.keys()
        return len(mine - failed), len(mine & failed), len(mine & failed & permanent)

    def close(self) -> None:
        """Close the file as it is; the next run continues it."""
        if self._appender is not None:
            self._appender.close()
            self._appender = None

    def _answers(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        for line in jsonl.read(self.path, torn=True):
            item = item_of(line.fields, self.path, line.number)
            digest = identity_digest(item.id)
            if self._wanted.get(digest) != _fields_digest(item.fields):
                raise DataError(
                    f"answers an item that is not, or not so, in {self.source.path}; "
                    "choose another --run_name, or --overwrite to start anew",
                    path=self.path,
                    line=line.number,
                )
            yield digest, line.fields


def _line(item: Item, response: Response) -> dict[str, Any]:
    fields = {name: value for name, value in item.fields.items() if name not in ADDED_FIELDS}
    fields["response"] = response.text
    if response.error is not None:
        fields["error"] = response.error
        fields["error_permanent"] = response.permanent
    return {**fields, **(response.extra or {})}


def _fields_digest(fields: Mapping[str, Any]) -> bytes:
    own = {name: value for name, value in fields.items() if name not in ADDED_FIELDS}
    return hashlib.blake2b(json.dumps(own, sort_keys=True).encode("ascii"), digest_size=16).digest()
