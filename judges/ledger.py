"""The store of grader replies: what was received once is never asked, or paid, again.

A reply is filed under what determines it: server, model, rendered messages, sampling and further request fields
(together the request's SHA-256), and its number among the samples. Each is committed before the next is read. Batches
that a provider works on are filed too, so that whoever comes back after a restart finds them.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenacity

from data.errors import DataError

SECONDS_FOR_A_LOCK = 60.0
IN_MEMORY = ":memory:"  # SQLite's own name for it
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    request TEXT NOT NULL,          -- SHA-256 of what was asked
    sample INTEGER NOT NULL,        -- 0-based number of the reply
    reply TEXT NOT NULL,            -- JSON: a string, or null where the grader sent no content
    model TEXT NOT NULL,            -- as the server names it
    fingerprint TEXT,               -- the server's system_fingerprint
    finish_reason TEXT,
    received TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,       -- of the call: its first reply carries them, the others 0
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    batched INTEGER NOT NULL DEFAULT 0,             -- 1: it came through the Batch API, at that price
    PRIMARY KEY (request, sample)
) WITHOUT ROWID
"""
BATCHES = """
CREATE TABLE IF NOT EXISTS batches (
    mark TEXT PRIMARY KEY,          -- ours, kept with the batch at the server
    server TEXT NOT NULL,
    model TEXT NOT NULL,
    batch TEXT,                     -- the server's name for it; null until it is known
    done INTEGER NOT NULL DEFAULT 0 -- 1: its results are filed
) WITHOUT ROWID
"""
COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "batched")  # which the first ledgers lack


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a grader.

    Attributes:
        text: what it wrote, outer white space removed; None where it sent no content.
        model: the model as the server names it.
        fingerprint: the server's `system_fingerprint`, where it gives one.
        finish_reason: why the reply ended.
    """

    text: str | None
    model: str
    fingerprint: str | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What replies cost, in tokens as the server counts them.

    Attributes:
        prompt: tokens of the requests.
        completion: tokens of the replies, reasoning included.
        cached: the part of `prompt` that the server had in its cache.
        batched: whether they came through the Batch API.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    batched: bool = False


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


# SQLite waits for locks by itself, but not while two connections switch a new file to WAL: it refuses one at once.
@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_busy),
    stop=tenacity.stop_after_delay(SECONDS_FOR_A_LOCK),
    wait=tenacity.wait_random(0.01, 0.1),
    reraise=True,
)
def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=SECONDS_FOR_A_LOCK, isolation_level=None)
    try:
        _write_ahead(connection)
        connection.execute(SCHEMA)
        connection.execute(BATCHES)
        if _lacking(connection):
            connection.execute("BEGIN IMMEDIATE")
            for name in _lacking(connection):  # looked up again: another process may have been quicker
                connection.execute(f"ALTER TABLE replies ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")
            connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _lacking(connection: sqlite3.Connection) -> list[str]:
    there = {row[1] for row in connection.execute("PRAGMA table_info(replies)")}
    return [name for name in COUNTS if name not in there]


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL; where it is refused, as on network file systems, to the mode that needs no shared memory."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise
        mode = "refused"
    if mode == "wal":
        connection.execute("PRAGMA synchronous = NORMAL")
    elif mode != "memory":
        connection.execute("PRAGMA journal_mode = DELETE")


def request_key(server: str, body: Mapping[str, Any]) -> str:
    """Return the SHA-256 under which a request's replies are filed."""
    return hashlib.sha256(json.dumps([server, body], sort_keys=True).encode("ascii")).hexdigest()


class Ledger:
    """An SQLite file of replies; several processes may use it at once."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; without one, replies are kept in memory, and lost at the end.

        Raises:
            DataError: it cannot be written, or is no ledger.
        """
        self.path = path or Path(IN_MEMORY)
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connected(self.path)
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"cannot be used as ledger: {error}", path=path) from None

    def replies(self, request: str, n: int) -> list[Reply | None]:
        """Return the first n replies to a request; None for those not received yet.

        Raises:
            DataError: the file is damaged, or its table is another one.
        """
        found: list[Reply | None] = [None] * n
        for sample, text, model, fingerprint, finish_reason in self._rows(
            "SELECT sample, reply, model, fingerprint, finish_reason FROM replies WHERE request = ? AND sample < ?",
            (request, n),
        ):
            try:
                found[sample] = Reply(json.loads(text), model, fingerprint, finish_reason)
            except ValueError as error:
                raise DataError(f"cannot be read as ledger: {error}", path=self.path) from None
        return found

    def keep(self, request: str, replies: Iterable[tuple[int, Reply]], usage: Usage | None = None) -> None:
        """Commit the replies of one call under their sample numbers; a reply that is there already stays.

        Args:
            request: what was asked.
            replies: sample numbers and replies.
            usage: what the call cost.

        Raises:
            DataError: they cannot be written (the disk is full, say).
        """
        cost = usage or Usage()
        rows: list[tuple[object, ...]] = []
        for sample, reply in replies:
            tokens = (cost.prompt, cost.completion, cost.cached) if not rows else (0, 0, 0)
            kept = (json.dumps(reply.text), reply.model, reply.fingerprint, reply.finish_reason)
            rows.append((request, sample, *kept, *tokens, int(cost.batched)))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR IGNORE INTO replies (request, sample, reply, model, fingerprint, finish_reason, "
                "prompt_tokens, completion_tokens, cached_tokens, batched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DataError(f"replies cannot be kept: {error}; judging stops here", path=self.path) from None

    def usage(self, request: str) -> tuple[Usage, Usage]:
        """Return what a request's replies cost: those asked for one by one, and those of batches.

        Raises:
            DataError: the file is damaged, or its table is another one.
        """
        sums = {
            bool(batched): Usage(prompt, completion, cached, batched=bool(batched))
            for batched, prompt, completion, cached in self._rows(
                "SELECT batched, sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens) FROM replies "
                "WHERE request = ? GROUP BY batched",
                (request,),
            )
        }
        return sums.get(False, Usage()), sums.get(True, Usage(batched=True))

    def by_model(self) -> list[tuple[str, bool, int, int, Usage]]:
        """Return a row a served model and way: its name, whether batched, calls, replies, and what they cost.

        Raises:
            DataError: the file is damaged, or its table is another one.
        """
        return [
            (model, bool(batched), calls, replies, Usage(prompt, completion, cached, bool(batched)))
            for model, batched, calls, replies, prompt, completion, cached in self._rows(
                "SELECT model, batched, count(DISTINCT request), count(*), sum(prompt_tokens), sum(completion_tokens), "
                "sum(cached_tokens) FROM replies GROUP BY model, batched ORDER BY model, batched",
                (),
            )
        ]

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        try:
            with closing(self._connection.cursor()) as cursor:
                return cursor.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise DataError(f"cannot be read as ledger: {error}", path=self.path) from None

    def open_batches(self, server: str, model: str) -> list[tuple[str, str | None]]:
        """Return the batches whose results are not filed yet: our mark, and the server's name where it is known.

        Raises:
            DataError: the file is damaged.
        """
        return self._rows(
            "SELECT mark, batch FROM batches WHERE server = ? AND model = ? AND NOT done ORDER BY mark", (server, model)
        )

    def note_batch(self, mark: str, server: str, model: str, batch: str | None = None, *, done: bool = False) -> None:
        """Commit what is known of a batch.

        Raises:
            DataError: it cannot be written.
        """
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO batches (mark, server, model, batch, done) VALUES (?, ?, ?, ?, ?)",
                (mark, server, model, batch, int(done)),
            )
        except sqlite3.Error as error:
            raise DataError(f"a batch cannot be noted: {error}", path=self.path) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
