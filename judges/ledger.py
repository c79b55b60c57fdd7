"""The store of grader replies: what was received once is never asked, or paid, again.

A reply is filed under what determines it: server, model, rendered messages, sampling and further request fields
(together the request's SHA-256), and its number among the samples. Each is committed before the next is read.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenacity

from data.errors import DataError

SECONDS_FOR_A_LOCK = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    request TEXT NOT NULL,          -- SHA-256 of what was asked
    sample INTEGER NOT NULL,        -- 0-based number of the reply
    reply TEXT NOT NULL,            -- JSON: a string, or null where the grader sent no content
    model TEXT NOT NULL,            -- as the server names it
    fingerprint TEXT,               -- the server's system_fingerprint
    finish_reason TEXT,
    received TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (request, sample)
) WITHOUT ROWID
"""


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
        # Network file systems refuse WAL and answer with the mode that stays; both are safe.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def request_key(server: str, body: Mapping[str, Any]) -> str:
    """Return the SHA-256 under which a request's replies are filed."""
    return hashlib.sha256(json.dumps([server, body], sort_keys=True).encode("ascii")).hexdigest()


class Ledger:
    """An SQLite file of replies; several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            DataError: it cannot be written, or is no ledger.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connected(path)
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"cannot be used as ledger: {error}", path=path) from None

    def replies(self, request: str, n: int) -> list[Reply | None]:
        """Return the first n replies to a request; None for those not received yet.

        Raises:
            DataError: the file is damaged, or its table is another one.
        """
        found: list[Reply | None] = [None] * n
        try:
            with closing(self._connection.cursor()) as cursor:
                rows = cursor.execute(
                    "SELECT sample, reply, model, fingerprint, finish_reason FROM replies "
                    "WHERE request = ? AND sample < ?",
                    (request, n),
                )
                for sample, text, model, fingerprint, finish_reason in rows:
                    found[sample] = Reply(json.loads(text), model, fingerprint, finish_reason)
        except (sqlite3.Error, ValueError) as error:
            raise DataError(f"cannot be read as ledger: {error}", path=self.path) from None
        return found

    def keep(self, request: str, replies: Iterable[tuple[int, Reply]]) -> None:
        """Commit replies under their sample numbers; a reply that is there already stays.

        Raises:
            DataError: they cannot be written (the disk is full, say).
        """
        rows: Sequence[tuple[object, ...]] = [
            (request, sample, json.dumps(reply.text), reply.model, reply.fingerprint, reply.finish_reason)
            for sample, reply in replies
        ]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR IGNORE INTO replies (request, sample, reply, model, fingerprint, finish_reason) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DataError(f"replies cannot be kept: {error}; judging stops here", path=self.path) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
