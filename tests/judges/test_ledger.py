"""The store of replies: what is kept, under which key, by how many at once, and what is no store."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from judges.ledger import Ledger, Reply, Usage, request_key

ROOT = Path(__file__).parents[2]
TEXTS = st.text(st.characters(), max_size=20)
BODIES = st.dictionaries(TEXTS, st.none() | st.integers() | st.floats(allow_nan=False) | TEXTS, max_size=5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@given(TEXTS, BODIES, TEXTS, BODIES)
def test_keys_tell_requests_apart(server: str, body: dict[str, Any], other: str, change: dict[str, Any]) -> None:
    """The same request has the same key in any order of fields, another one another key."""
    key = request_key(server, body)
    assert key == request_key(server, dict(reversed(body.items())))
    assert len(key) == 64
    if (server, body) != (other, change):
        assert key != request_key(other, change)


@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=6), TEXTS)
def test_replies_come_back_as_they_were(texts: list[str | None], key: str) -> None:
    """Null, lone surrogates, quotes and blanks survive; what was not received is None."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        request = request_key("server", {"key": key})
        ledger.keep(request, ((sample, Reply(text, "m", None, "stop")) for sample, text in enumerate(texts)))
        found = ledger.replies(request, len(texts) + 1)
        assert found == [*(Reply(text, "m", None, "stop") for text in texts), None]
        assert ledger.replies(request_key("server", {"key": key + "x"}), 2) == [None, None]
        ledger.close()


def test_a_reply_that_is_there_stays(ledger: Ledger) -> None:
    """The first reply under a number is the reply; a gap is filled."""
    ledger.keep("r", [(0, Reply("first", "m")), (2, Reply("third", "m"))])
    ledger.keep("r", [(0, Reply("later", "m")), (1, Reply("second", "m"))])
    assert [reply and reply.text for reply in ledger.replies("r", 4)] == ["first", "second", "third", None]
    assert [reply and reply.text for reply in ledger.replies("r", 1)] == ["first"]


def test_replies_outlive_the_process(tmp_path: Path) -> None:
    """A process that is killed right after `keep` has lost nothing."""
    code = (
        "import os, signal, sys; from pathlib import Path; from judges.ledger import Ledger, Reply\n"
        "Ledger(Path(sys.argv[1])).keep('r', [(0, Reply('kept', 'm', 'fp', 'stop'))])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "new" / "ledger.sqlite"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    ledger = Ledger(path)
    assert ledger.replies("r", 1) == [Reply("kept", "m", "fp", "stop")]
    ledger.close()


WRITER = """
import sys
from pathlib import Path
from judges.ledger import Ledger, Reply
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(Path(sys.argv[1]))
for number in range(150):
    ledger.keep(f"shared {number}", [(0, Reply(sys.argv[2], "m"))])
    ledger.keep(f"{sys.argv[2]} {number}", [(0, Reply("own", "m")), (1, Reply(None, "m"))])
    assert None not in ledger.replies(f"shared {number}", 1)
ledger.close()
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    """Processes that open a new ledger at the same moment and write to it lose and double nothing."""
    path = tmp_path / "ledger.sqlite"
    names = ("a", "b", "c", "d")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    ledger = Ledger(path)
    for number in range(150):
        (shared,) = ledger.replies(f"shared {number}", 1)
        assert shared is not None
        assert shared.text in names
        for name in names:
            assert ledger.replies(f"{name} {number}", 2) == [Reply("own", "m"), Reply(None, "m")]
    ledger.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM replies").fetchone() == (150 + 2 * 150 * len(names),)


def test_opening_at_once_never_fails(tmp_path: Path) -> None:
    """Eight processes that create the ledger together all get it, time after time."""
    code = (
        "import sys; from pathlib import Path; from judges.ledger import Ledger, Reply\n"
        "for line in sys.stdin:\n"
        "    ledger = Ledger(Path(line.strip())); ledger.keep('r', [(0, Reply('x', 'm'))]); ledger.close()\n"
        "    print('done', flush=True)"
    )
    command = [sys.executable, "-c", code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    openers = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(8)]
    for turn in range(12):
        for opener in openers:
            opener.stdin.write(f"{tmp_path / str(turn)}\n")  # type: ignore[union-attr]  # a pipe, as asked for
            opener.stdin.flush()  # type: ignore[union-attr]
        answers = [opener.stdout.readline() for opener in openers]  # type: ignore[union-attr]
        if set(answers) != {"done\n"}:
            break
    failures = [said for opener in openers if (said := opener.communicate(timeout=60)[1])]
    assert not failures


@pytest.mark.parametrize(
    "content", [b"this is a text file, and a long one at that\n" * 100, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_what_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is something else is named and left as it is."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"ledger\.sqlite: cannot be used as ledger: "):
        Ledger(path)
    assert path.read_bytes() == content


def test_another_database_is_refused(tmp_path: Path) -> None:
    """A database whose table of that name is another one is said so, without a traceback."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE replies (something TEXT)")
    ledger = Ledger(path)
    with pytest.raises(DataError, match="cannot be read as ledger: no such column"):
        ledger.replies("r", 1)
    with pytest.raises(DataError, match="replies cannot be kept: "):
        ledger.keep("r", [(0, Reply("x", "m"))])
    ledger.close()


@pytest.mark.parametrize("place", ["folder", "below a file"])
def test_a_place_that_cannot_be_is_refused(place: str, tmp_path: Path) -> None:
    """A folder in the file's place, or a file in the folder's, is one line."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be used as ledger"):
        Ledger(tmp_path / "folder" if place == "folder" else tmp_path / "file" / "ledger.sqlite")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Somebody whom permissions bind: the superuser becomes another user for the test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_read_only_place_is_refused(tmp_path_factory: pytest.TempPathFactory, nobody: None) -> None:
    """Where nothing can be written, the ledger says so at once, not after the first paid reply."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        Ledger(path).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            with pytest.raises(DataError, match="cannot be used as ledger"):
                Ledger(path)
        finally:
            Path(folder).chmod(0o755)


def test_a_full_disk_is_an_error_of_the_run(tmp_path: Path) -> None:
    """A reply that cannot be kept ends the run with exit 2, and what was kept before can still be read."""
    code = (
        "import resource, sys; from pathlib import Path; from judges.ledger import Ledger, Reply\n"
        "from data.errors import guarded\n"
        "ledger = Ledger(Path(sys.argv[1])); ledger.keep('r', [(0, Reply('kept', 'm'))])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))\n"
        "def command():\n"
        "    ledger.keep('s', [(0, Reply('x' * 200_000, 'm'))])\n"
        "    return 0\n"
        "sys.exit(guarded(command, print))"
    )
    path = tmp_path / "ledger.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout.startswith(f"error: {path}: replies cannot be kept: ")
    ledger = Ledger(path)
    assert ledger.replies("r", 1) == [Reply("kept", "m")]
    assert ledger.replies("s", 1) == [None]
    ledger.close()


def test_a_ledger_of_the_first_form_is_taken_over(tmp_path: Path) -> None:
    """Replies that were paid before calls were counted are still there; new ones are counted."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE replies (request TEXT NOT NULL, sample INTEGER NOT NULL, reply TEXT NOT NULL, "
            "model TEXT NOT NULL, fingerprint TEXT, finish_reason TEXT, "
            "received TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (request, sample)) WITHOUT ROWID"
        )
        connection.execute("INSERT INTO replies (request, sample, reply, model) VALUES ('r', 0, '\"old\"', 'm')")
    ledger = Ledger(path)
    ledger.keep("r", [(1, Reply("new", "m"))], Usage(5, 3, 2))
    assert [reply and reply.text for reply in ledger.replies("r", 2)] == ["old", "new"]
    assert ledger.usage("r") == (Usage(5, 3, 2), Usage(batched=True))
    ledger.close()


def test_a_call_is_counted_once(ledger: Ledger) -> None:
    """However many replies it gave; batched calls are told apart, and models summed up."""
    ledger.keep("r", [(0, Reply("a", "m")), (1, Reply("b", "m"))], Usage(10, 4, 1))
    ledger.keep("r", [(2, Reply("c", "m"))], Usage(9, 2, 0, batched=True))
    ledger.keep("s", [(0, Reply("d", "other"))], Usage(1, 1))
    assert ledger.usage("r") == (Usage(10, 4, 1), Usage(9, 2, 0, batched=True))
    assert ledger.usage("nothing") == (Usage(), Usage(batched=True))
    assert ledger.by_model() == [
        ("m", False, 1, 2, Usage(10, 4, 1)),
        ("m", True, 1, 1, Usage(9, 2, 0, batched=True)),
        ("other", False, 1, 1, Usage(1, 1)),
    ]


def test_where_wal_is_refused_the_slower_mode_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without shared memory (here SQLite's dot-file locking) keeps replies all the same."""
    connect = sqlite3.connect

    def without_shared_memory(path: Path, **more: Any) -> sqlite3.Connection:
        return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **more)

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    (mode,) = ledger._connection.execute("PRAGMA journal_mode").fetchone()
    assert mode == "delete"
    ledger.keep("r", [(0, Reply("kept", "m"))])
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite")
    assert again.replies("r", 1) == [Reply("kept", "m")]
    again.close()


def test_without_a_path_replies_live_in_memory() -> None:
    """Nothing is written, and nothing is there next time."""
    ledger = Ledger(None)
    ledger.keep("r", [(0, Reply("kept", "m"))])
    assert ledger.replies("r", 1) == [Reply("kept", "m")]
    ledger.close()
    again = Ledger(None)
    assert again.replies("r", 1) == [None]
    again.close()
