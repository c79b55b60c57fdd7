"""A benchmark comes from the hub whole, checked and noted: the hub's own client against a local server.

The server speaks the part of the hub's API that the client uses: what a repository is, its tree in pages, and files by
`resolve`: small ones directly, large ones (LFS) by a redirect to another host, with ETags, ranges and torn bodies.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import RepoFile, constants

from data import hub, large_files, parquet
from data.__main__ import main as data_main
from data.dataset import SAMPLE, dataset_files
from data.dynamic_superb import tables as tables_of_instances
from data.errors import DataError, UsageError
from data.suites import SUITES
from inference.cli import main as inference_main

ROOT = Path(__file__).parents[2]
REPOSITORY = "ddwang2000/SpeechInstructBench"
TOKEN = "hf_" + "secretsecret" * 3
LFS_SUFFIXES = (".ogg", ".parquet")
PAGE = 5


class Revision:
    """One commit: its files by path, and its licence."""

    def __init__(self, files: dict[str, bytes], licence: str | None) -> None:
        self.files = files
        self.licence = licence
        content = repr(sorted((path, hashlib.sha256(data).hexdigest()) for path, data in files.items()))
        self.commit = hashlib.sha1(content.encode()).hexdigest()


class Hub:
    """A hub on the loopback interface.

    Attributes:
        revisions: commits by repository, and branch, tag or commit.
        calls: (method, path, range header) of every request.
        faults: what goes wrong with a path, one after the other: a status, `torn`, `corrupt`, `hangs` (after 15 MiB).
        sizes: sizes that the tree lies about.
        tokens: the Authorization headers that arrived, by `hub` and `cdn`.
    """

    def __init__(self) -> None:
        self.revisions: dict[tuple[str, str], Revision] = {}
        self.calls: list[tuple[str, str, str | None]] = []
        self.faults: dict[str, list[int | str]] = {}
        self.sizes: dict[str, int] = {}
        self.tokens: dict[str, set[str | None]] = {"hub": set(), "cdn": set()}
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:  # the name that http.server calls
                this._serve(self)

            def do_HEAD(self) -> None:  # likewise
                this._serve(self)

            def log_message(self, *_: object) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self._server.server_address[1])

    def publish(
        self, files: dict[str, bytes], *, licence: str | None = None, name: str = "main", repository: str = REPOSITORY
    ) -> Revision:
        """Make a commit the newest of a branch."""
        revision = Revision(files, licence)
        self.revisions |= {(repository, name): revision, (repository, revision.commit): revision}
        return revision

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def fetched(self) -> Counter[str]:
        """Return how often each file was asked for, by its path or its hash."""
        return Counter(path for method, path, _ in self.calls if method == "GET" and not path.startswith("/api"))

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        path = unquote(url.path)
        self.calls.append((handler.command, path, handler.headers.get("range")))
        host = "cdn" if path.startswith("/cdn/") else "hub"
        if host == "cdn" or "/datasets/" in path:
            self.tokens[host].add(handler.headers.get("authorization"))
        fault = self._fault(path)
        try:
            if isinstance(fault, int):
                code = {403: "GatedRepo", 404: "RepoNotFound"}.get(fault, "")
                self._send(handler, fault, b"{}", {"X-Error-Code": code, "X-Error-Message": "https://signed?secret=1"})
            elif host == "cdn":
                self._cdn(handler, path.removeprefix("/cdn/"), fault)
            elif path.startswith("/api/"):
                self._api(handler, path, url.query)
            else:
                self._resolve(handler, path, fault)
        except OSError:
            handler.close_connection = True

    def _fault(self, path: str) -> int | str | None:
        for ending, faults in self.faults.items():
            if faults and re.search(ending, path):
                return faults.pop(0)
        return None

    def _api(self, handler: BaseHTTPRequestHandler, path: str, query: str) -> None:
        owner, name, kind, rest = [*path.removeprefix("/api/datasets/").split("/", 3), "", ""][:4]
        repository = f"{owner}/{name}"
        revision = self.revisions.get((repository, rest or "main"))
        if not any(known == repository for known, _ in self.revisions):
            self._send(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision is None:
            self._send(handler, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            self._tree(handler, revision, path, query)
        else:
            tags = [f"license:{revision.licence}"] if revision.licence else []
            about = {"id": repository, "sha": revision.commit, "tags": tags, "private": False, "gated": False}
            if revision.licence:
                about["cardData"] = {"license": revision.licence}
            self._send(handler, 200, json.dumps(about).encode(), {"content-type": "application/json"})

    def _tree(self, handler: BaseHTTPRequestHandler, revision: Revision, path: str, query: str) -> None:
        """Answer with one page; folders stand among the files."""
        entries: list[dict[str, Any]] = []
        folders = {str(parent) for name in revision.files for parent in Path(name).parents} - {"."}
        entries += [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in sorted(folders)]
        for name, data in sorted(revision.files.items()):
            size = self.sizes.get(name, len(data))
            entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": git_hash(data)}
            if name.endswith(LFS_SUFFIXES):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 130}
            entries.append(entry)
        start = int(dict(part.split("=") for part in query.split("&")).get("cursor", 0))
        headers = {"content-type": "application/json"}
        if start + PAGE < len(entries):
            following = f"http://127.0.0.1:{self.port}{path}?recursive=true&cursor={start + PAGE}"
            headers["Link"] = f'<{following}>; rel="next"'
        self._send(handler, 200, json.dumps(entries[start : start + PAGE]).encode(), headers)

    def _resolve(self, handler: BaseHTTPRequestHandler, path: str, fault: str | None) -> None:
        match = re.fullmatch(r"/datasets/(.+?)/resolve/([^/]+)/(.+)", path)
        revision = self.revisions.get((match[1], match[2])) if match else None
        data = revision.files.get(match[3]) if match and revision else None
        if data is None or revision is None or match is None:
            self._send(handler, 404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": revision.commit, "ETag": f'"{git_hash(data)}"'}
        if match[3].endswith(LFS_SUFFIXES):
            digest = hashlib.sha256(data).hexdigest()
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
            headers["Location"] = f"http://localhost:{self.port}/cdn/{digest}?signature=secret"
            self._send(handler, 302, b"", headers)
        else:
            self._send(handler, 200, data, headers, fault)

    def _cdn(self, handler: BaseHTTPRequestHandler, digest: str, fault: str | None) -> None:
        every = (data for revision in self.revisions.values() for data in revision.files.values())
        data = next(data for data in every if hashlib.sha256(data).hexdigest() == digest)
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("range") or "")
        start = int(asked[1]) if asked else 0
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if asked else {}
        self._send(handler, 206 if asked else 200, data[start:], headers, fault)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        fault: str | None = None,
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if fault == "corrupt":
            body = bytes(255 - byte for byte in body)
        if fault == "hangs":
            handler.wfile.write(body[: 15 * 2**20])
            handler.connection.recv(1)  # until the other side is gone
            handler.close_connection = True
            return
        handler.wfile.write(body[: len(body) // 2] if fault == "torn" else body)
        if fault == "torn":
            handler.wfile.flush()
            handler.close_connection = True


def git_hash(data: bytes) -> str:
    """Return the name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sample(lines: int = 2) -> dict[str, bytes]:
    """Return the first lines of every file of the bundled sample with their audio, as a repository."""
    files = {"README.md": b"# A benchmark\n", ".gitattributes": b"*.ogg filter=lfs\n"}
    for path in sorted(SAMPLE.glob("*/*.jsonl")):
        if path.parent.name == "prompts":
            continue
        kept = path.read_bytes().splitlines(keepends=True)[:lines]
        files[f"{path.parent.name}/{path.name}"] = b"".join(kept)
        for line in kept:
            audio = json.loads(line)["audio_path"]
            files[f"{path.parent.name}/{audio}"] = (path.parent / audio).read_bytes()
    return files


def tables(folder: Path, lines: int = 3) -> dict[str, bytes]:
    """Return the open and adjustment files of the sample in the hub's parquet form."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    files = {"README.md": b"# A benchmark\n"}
    for config, subset in (("open_ended", "open-ended"), ("adjustment", "adjustment")):
        rows = []
        for language in ("en", "cn"):
            source = SAMPLE / subset / f"{config}_{language}.jsonl"
            for line in source.read_bytes().splitlines()[:lines]:
                item = json.loads(line)
                audio = {"bytes": (source.parent / item["audio_path"]).read_bytes(), "path": "x.wav"}
                row = {"id": str(item["key"]), "prompt": item["prompt"], "gender": "female", "audio": audio}
                if subset == "open-ended":
                    row["decomposed_questions"] = item["decomposed_questions"]
                rows.append({**row, "language": {"en": "en", "cn": "zh"}[language]})
        path = folder / f"{config}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        files[f"{config}/test-00000-of-00001.parquet"] = path.read_bytes()
    return files


@pytest.fixture
def server() -> Iterator[Hub]:
    """A hub."""
    hub_server = Hub()
    yield hub_server
    hub_server.close()


@dataclass
class Done:
    """What a command put out."""

    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def process(server: Hub, tmp_path: Path) -> Command:
    """A function that runs a command as a process, whose environment names the local hub and an empty home."""

    def run(
        *words: object,
        code: int = 0,
        meanwhile: Callable[[subprocess.Popen[str]], None] | None = None,
        **environment: str,
    ) -> Done:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
        own = {
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": f"http://127.0.0.1:{server.port}",
            "HF_TOKEN": TOKEN,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        }
        line = [sys.executable, *map(str, words)]
        given = {**kept, **own, **environment}
        pipe = subprocess.PIPE
        with subprocess.Popen(line, cwd=ROOT, env=given, stdout=pipe, stderr=pipe, text=True) as started:
            try:
                if meanwhile is not None:
                    meanwhile(started)
                done = Done(*started.communicate(timeout=120))
            finally:
                started.kill()  # where it hangs, or the test failed
        return _checked(done, started.returncode, code)

    return run


@pytest.fixture
def command(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The same without a process of its own: what the hub's client read from the environment is set instead."""
    endpoint, home = f"http://127.0.0.1:{server.port}", tmp_path / "home"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(home / "assets"))
    monkeypatch.syspath_prepend(tmp_path)

    def run(*words: object, code: int = 0) -> Done:
        arguments = [str(word) for word in words]
        main = inference_main if arguments[0] == "inference.py" else data_main
        capsys.readouterr()
        try:
            found = main(arguments[1:] if main is inference_main else arguments[2:])
        except SystemExit as exited:
            found = int(exited.code or 0)
        return _checked(Done(*capsys.readouterr()), found, code)

    return run


def _checked(done: Done, found: int, expected: int) -> Done:
    """Return what a command put out, in which there is neither a secret nor a traceback."""
    assert found == expected, done.stderr
    for never in ("Traceback", TOKEN, "secret=1", "signature"):
        assert never not in done.stdout + done.stderr
    return done


FETCH = ("-m", "data", "fetch", "speechinstructbench")
MODEL = """
class Model:
    def answer(self, samples, rate, text, system, sampling):
        return f"heard {len(samples)} samples at {rate} Hz"
"""


def noted(tmp_path: Path) -> dict[str, Any]:
    """Return what is noted of the benchmark."""
    path = tmp_path / "home" / "assets" / hub.LIBRARY / "speechinstructbench.json"
    fields: dict[str, Any] = json.loads(path.read_text())
    return fields


def talk(done: Done) -> list[str]:
    """Return what was said on stderr, without progress bars."""
    return [line for line in done.stderr.splitlines() if line and "\r" not in line and "it/s" not in line]


# --- folder form ----------------------------------------------------------------------------------------------------


def test_the_folder_form_is_fetched_and_run(server: Hub, process: Command, tmp_path: Path) -> None:
    """Every file arrives as it is, is noted, and `inference.py --dataset NAME` runs on it and names its commit."""
    files = sample()
    revision = server.publish(files, licence="cc-by-nc-4.0")
    done = process(*FETCH)
    root = Path(done.stdout.strip())
    assert root == tmp_path / "home/hub/datasets--ddwang2000--SpeechInstructBench/snapshots" / revision.commit
    there = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert there == {name: data for name, data in files.items() if name != ".gitattributes"}
    assert server.tokens["hub"] == {f"Bearer {TOKEN}"}
    assert server.tokens["cdn"] == {None}
    parts = noted(tmp_path)
    assert list(parts) == ["closed", "open", "adjustment"]
    assert {(part["revision"], part["form"], part["licence"]) for part in parts.values()} == {
        (revision.commit, "folder", "cc-by-nc-4.0")
    }
    assert parts["closed"]["items"] == {
        **{
            f"closed_{name}_en.jsonl": 2
            for name in ("standard", "background", "accent", "paralinguistics", "disfluency")
        },
        "closed_standard_cn.jsonl": 2,
    }
    assert "open_ended_en.jsonl: 2 items, where 433 were expected" in done.stderr
    assert TOKEN not in json.dumps(parts)

    (tmp_path / "mine.py").write_text(MODEL)
    flags = ("--dataset", "speechinstructbench", "--model", "mine", "--backend", "mine:Model", "--skip_preflight")
    done = process("inference.py", *flags, "--output_dir", tmp_path / "results", HF_HUB_OFFLINE="1")
    assert "20 responses, 0 failed" in done.stderr
    manifest = json.loads((tmp_path / "results/mine-speechinstructbench/run.json").read_text())
    assert manifest["data"]["root"] == str(root)
    assert manifest["data"]["source"] == {
        "benchmark": "speechinstructbench",
        "repository": REPOSITORY,
        "revision": revision.commit,
        "form": "folder",
        "licence": "cc-by-nc-4.0",
        "redistribution": "under the terms of its licence: cc-by-nc-4.0",
    }
    report = json.loads(process("-m", "data", "validate", "speechinstructbench", "--format", "json").stdout)
    assert (report["errors"], report["warnings"], report["items"]) == (0, 0, 20)


def test_one_subset_and_then_the_rest(server: Hub, command: Command, tmp_path: Path) -> None:
    """Only what is missing is fetched; both are noted; a subset that is not here is named."""
    server.publish(sample())
    done = command(*FETCH, "--subset", "open")
    assert "not for redistribution" in done.stderr
    assert not any("closed-ended" in path or "adjustment" in path for path in server.fetched())
    assert list(noted(tmp_path)) == ["open"]
    dry = ("inference.py", "--dataset", "speechinstructbench", "--dry_run", "--output_dir", tmp_path)
    assert "python -m data fetch" in command(*dry, "--subset", "close", code=2).stderr
    command(*FETCH, "--subset", "close", "adjustment")
    assert list(noted(tmp_path)) == ["closed", "open", "adjustment"]
    assert max(server.fetched().values()) == 1
    assert "closed_accent_en.jsonl: 2 items" in command(*dry).stdout


def test_a_revision_is_pinned_until_it_is_fetched_anew(server: Hub, command: Command, tmp_path: Path) -> None:
    """A tag is resolved to its commit; the newest of the branch is taken only when asked for."""
    first = server.publish(sample(1), name="v1")
    second = server.publish(sample(2))
    command(*FETCH, "--subset", "open", "--revision", "v1")
    assert noted(tmp_path)["open"]["revision"] == first.commit
    assert noted(tmp_path)["open"]["requested"] == "v1"
    command(*FETCH, "--subset", "open")
    assert noted(tmp_path)["open"]["revision"] == second.commit
    assert max(server.fetched().values()) <= 2  # what both commits hold is fetched once: README is no LFS file
    third = command(*FETCH, "--subset", "open", "--revision", first.commit)
    assert third.stdout.strip().endswith(first.commit)


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_torn_body_is_continued(server: Hub, command: Command) -> None:
    """The client writes pieces of 10 MiB: behind the last whole one the rest is asked for by its range."""
    long = os.urandom(24 * 2**20)
    server.publish({**sample(1), "open-ended/en/long.ogg": long})
    server.faults[f"/cdn/{hashlib.sha256(long).hexdigest()}"] = ["torn"]
    done = command(*FETCH, "--subset", "open")
    assert [asked for _, path, asked in server.calls if path.startswith("/cdn/") and asked] == ["bytes=10485760-"]
    assert (Path(done.stdout.strip()) / "open-ended/en/long.ogg").read_bytes() == long


@pytest.fixture
def large(server: Hub) -> bytes:
    """A file large enough to be continued, published with little else."""
    content = os.urandom(large_files.LARGE + 5 * 2**20)
    server.publish({**sample(1), "open-ended/en/large.ogg": content})
    return content


def ranges(server: Hub, content: bytes) -> list[str | None]:
    """Return the range of each request for a file's content."""
    path = f"/cdn/{hashlib.sha256(content).hexdigest()}"
    return [asked for method, called, asked in server.calls if method == "GET" and called == path]


def test_a_killed_process_loses_nothing_of_a_large_file(
    server: Hub, process: Command, tmp_path: Path, large: bytes
) -> None:
    """After kill -9 in the middle of it, the rest is asked for, and the cache holds what the client would have put."""
    server.faults[f"/cdn/{hashlib.sha256(large).hexdigest()}"] = ["hangs"]
    blobs = tmp_path / "home/hub/datasets--ddwang2000--SpeechInstructBench/blobs"
    part = blobs / f"{hashlib.sha256(large).hexdigest()}.incomplete"

    def kill(started: subprocess.Popen[str]) -> None:
        while not (part.exists() and part.stat().st_size >= 10 * 2**20):
            assert started.poll() is None
            time.sleep(0.05)
        started.kill()

    process(*FETCH, "--subset", "open", code=-signal.SIGKILL, meanwhile=kill)
    done = process(*FETCH, "--subset", "open")
    assert "open-ended/en/large.ogg: 10 of 22 MB are here" in talk(done)
    assert ranges(server, large) == [None, f"bytes={10 * 2**20}-"]
    assert (Path(done.stdout.strip()) / "open-ended/en/large.ogg").resolve() == part.with_suffix("")
    assert part.with_suffix("").read_bytes() == large
    assert not list(blobs.glob("*.incomplete"))
    assert server.tokens["cdn"] == {None}


@pytest.mark.parametrize("there", [b"\0" * 2**20, b"\0" * (large_files.LARGE + 6 * 2**20)], ids=["damaged", "too long"])
def test_a_damaged_part_is_fetched_anew(
    server: Hub, command: Command, tmp_path: Path, large: bytes, there: bytes
) -> None:
    """What does not become the file that the hub names is no part of it."""
    name = hashlib.sha256(large).hexdigest()
    blobs = tmp_path / "home/hub/datasets--ddwang2000--SpeechInstructBench/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{name}.incomplete").write_bytes(there)
    done = command(*FETCH, "--subset", "open")
    assert (blobs / name).read_bytes() == large
    assert ("large.ogg is not what the hub says; it is fetched again" in done.stderr) == (len(there) < len(large))
    assert ranges(server, large)[-1] is None
    assert not list(blobs.glob("*.incomplete"))


def test_room_is_asked_for_what_is_still_to_come(
    server: Hub, command: Command, tmp_path: Path, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file of which most is here needs room for its rest."""
    blobs = tmp_path / "home/hub/datasets--ddwang2000--SpeechInstructBench/blobs"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=15 * 2**20))
    assert "0.02 GB are needed" in command(*FETCH, "--subset", "open", code=2).stderr
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(large).hexdigest()}.incomplete").write_bytes(large[: 10 * 2**20])
    command(*FETCH, "--subset", "open")
    assert ranges(server, large) == [f"bytes={10 * 2**20}-"]


@pytest.mark.usefixtures("command")
def test_a_hash_is_no_path(server: Hub, tmp_path: Path) -> None:
    """What a hub calls a hash and is none names no file."""
    lfs = {"oid": "../../../../escape", "size": large_files.LARGE, "pointerSize": 130}
    entry = RepoFile(path="open-ended/en/large.ogg", size=large_files.LARGE, oid="0" * 40, lfs=lfs)
    large_files.fetch(REPOSITORY, "0" * 40, [entry], print)
    assert not server.calls
    assert not list(tmp_path.rglob("*escape*"))


def test_what_was_fetched_before_a_failure_is_kept(server: Hub, command: Command, tmp_path: Path) -> None:
    """The same command again asks for the missing files only."""
    server.publish(sample(6))
    server.faults["/cdn/"] = [*["fine"] * 5, *[500] * 40]
    done = command(*FETCH, "--subset", "adjust", code=1)
    assert "run the same command again" in talk(done)[-1]
    assert not (tmp_path / "home" / "assets").exists()
    before = server.fetched()
    server.faults.clear()
    command(*FETCH, "--subset", "adjust")
    whole = [path for path, number in before.items() if path.startswith("/cdn/") and server.fetched()[path] == number]
    assert len(whole) >= 4


def test_a_damaged_file_is_fetched_again(server: Hub, command: Command) -> None:
    """Its size is right and its hash is not; a second damage is an error that names the file."""
    server.publish(sample(1))
    server.faults["/cdn/"] = ["corrupt"]
    done = command(*FETCH, "--subset", "adjust")
    assert "1 files are not what the hub says; they are fetched again" in done.stderr
    server.publish({"adjustment/adjustment_en.jsonl": b"{}\n", "adjustment/en/1.ogg": b"other sound"})
    server.faults["/cdn/"] = ["corrupt"] * 2
    done = command(*FETCH, "--subset", "adjust", code=1)
    assert "fetched twice; the first is adjustment/en/1.ogg" in talk(done)[-1]


def test_what_does_not_fit_is_not_begun(server: Hub, command: Command) -> None:
    """The size is the hub's own; the line names the folder and what helps."""
    server.publish(sample(1))
    server.sizes["open-ended/en/open_001.ogg"] = 10**16
    done = command(*FETCH, code=2)
    assert "10200000.00 GB are needed in" in talk(done)[-1]
    assert "HF_HOME" in talk(done)[-1]
    assert not server.fetched()


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (403, 1, "accept its terms"),
        (404, 1, "has no ddwang2000/SpeechInstructBench"),
        (401, 1, "is HF_TOKEN right?"),
        (500, 1, "status 500"),
    ],
)
def test_a_refusal_is_one_line(server: Hub, command: Command, fault: int, code: int, told: str) -> None:
    """Without an address, a request id or a token."""
    server.publish(sample(1))
    server.faults["/api/"] = [fault] * 20
    done = command(*FETCH, code=code)
    assert told in done.stderr
    assert len(talk(done)) == 1


def test_an_unknown_revision_and_an_empty_one_are_told(server: Hub, command: Command) -> None:
    """With what to give instead."""
    server.publish({"README.md": b"nothing yet"})
    assert "no revision 'v9'" in command(*FETCH, "--revision", "v9", code=1).stderr
    assert "holds nothing of closed, open, adjustment" in command(*FETCH, code=2).stderr
    assert "unknown subset" in command(*FETCH, "--subset", "sung", code=2).stderr


def test_without_a_network_the_way_by_hand_is_told(server: Hub, process: Command, tmp_path: Path) -> None:
    """Offline by choice or by accident; what is here already stays usable, by its name and as a folder."""
    by_hand = f"hf download --repo-type dataset --local-dir FOLDER {REPOSITORY}` (about 9.6 GB)"
    done = process(*FETCH, code=1, HF_HUB_OFFLINE="1")
    assert by_hand in done.stderr
    done = process(*FETCH, code=1, HF_ENDPOINT="http://user:password@127.0.0.1:9")
    assert by_hand in done.stderr
    assert "password" not in done.stderr
    assert len(talk(done)) == 1
    server.publish(sample(1))
    process(*FETCH)
    done = process(*FETCH, HF_HUB_OFFLINE="1")
    assert "taken as it is" in done.stderr
    folder = Path(done.stdout.strip())
    dry = ("inference.py", "--dry_run", "--output_dir", tmp_path, "--run_name", "try", "--dataset")
    assert process(*dry, "speechinstructbench", HF_HUB_OFFLINE="1").stdout == process(*dry, folder).stdout
    (folder / "adjustment/adjustment_en.jsonl").rename(tmp_path / "moved")
    assert "is gone" not in process(*dry, "speechinstructbench").stderr


def test_a_name_that_was_not_fetched_says_how_to(command: Command) -> None:
    """By inference and validation alike."""
    for words in (
        ("inference.py", "--dataset", "speechinstructbench"),
        ("-m", "data", "validate", "speechinstructbench"),
    ):
        assert "fetch it: python -m data fetch speechinstructbench" in command(*words, code=2).stderr


# --- parquet form ---------------------------------------------------------------------------------------------------


def test_the_parquet_form_is_fetched_and_run(server: Hub, command: Command, tmp_path: Path) -> None:
    """It becomes the folder form, with the same samples, beside the hub's cache."""
    revision = server.publish(tables(tmp_path))
    done = command(*FETCH, "--subset", "open", "adjust")
    root = Path(done.stdout.strip())
    assert root == tmp_path / "home" / "assets" / hub.LIBRARY / "unpacked" / revision.commit
    assert {part["form"] for part in noted(tmp_path).values()} == {"parquet"}
    names = {path.relative_to(root).as_posix() for path in root.rglob("*.jsonl")}
    assert names == {
        f"{name}_{lang}.jsonl" for name in ("open-ended/open_ended", "adjustment/adjustment") for lang in ("en", "cn")
    }
    original = (SAMPLE / "open-ended" / "open_ended_cn.jsonl").read_bytes().splitlines()
    for line, source in zip(
        (root / "open-ended/open_ended_cn.jsonl").read_bytes().splitlines(), original, strict=False
    ):
        item, expected = json.loads(line), json.loads(source)
        assert (item["id"], item["prompt"]) == (str(expected["key"]), expected["prompt"])
        assert item["decomposed_questions"] == expected["decomposed_questions"]
        assert item["audio_path"].endswith(".ogg")
        sound = (root / "open-ended" / item["audio_path"]).read_bytes()
        assert sound == (SAMPLE / "open-ended" / expected["audio_path"]).read_bytes()
    (tmp_path / "mine.py").write_text(MODEL)
    flags = ("--dataset", "speechinstructbench", "--model", "mine", "--backend", "mine:Model", "--skip_preflight")
    assert "12 responses, 0 failed" in command("inference.py", *flags, "--output_dir", tmp_path / "results").stderr
    manifest = json.loads((tmp_path / "results/mine-speechinstructbench/run.json").read_text())
    assert manifest["data"]["source"]["revision"] == revision.commit
    assert manifest["data"]["source"]["redistribution"].startswith("not for redistribution")
    command(*FETCH, "--subset", "open")  # nothing to do
    assert max(server.fetched().values()) == 1


def test_where_both_forms_are_there_the_folder_is_taken(server: Hub, command: Command, tmp_path: Path) -> None:
    """Per subset: what is in both comes as a folder, what is in parquet alone as parquet; each is found by --subset."""
    files = {**tables(tmp_path), **sample(1)}
    del files["open-ended/open_ended_en.jsonl"], files["open-ended/open_ended_cn.jsonl"]
    server.publish(files)
    command(*FETCH)
    assert {name: part["form"] for name, part in noted(tmp_path).items()} == {
        "closed": "folder",
        "open": "parquet",
        "adjustment": "folder",
    }
    dry = ("inference.py", "--dataset", "speechinstructbench", "--dry_run", "--output_dir", tmp_path)
    assert "lies at several places" in command(*dry, code=2).stderr
    assert "open_ended_en.jsonl: 3 items" in command(*dry, "--subset", "open").stdout
    assert "adjustment_en.jsonl: 1 items" in command(*dry, "--subset", "adjust").stdout


def test_a_folder_of_parquet_files_can_be_named(command: Command, tmp_path: Path) -> None:
    """Brought by hand, it is unpacked once."""
    for name, data in tables(tmp_path).items():
        (tmp_path / "by-hand" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "by-hand" / name).write_bytes(data)
    dry = ("inference.py", "--dataset", tmp_path / "by-hand", "--dry_run", "--output_dir", tmp_path / "out")
    first = command(*dry)
    assert "adjustment_en.jsonl: 3 items" in first.stdout
    assert command(*dry).stdout == first.stdout
    assert "out/embedded-by-hand" in first.stdout
    assert len(list((tmp_path / "home/assets" / hub.LIBRARY / "unpacked").iterdir())) == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": "no item"}], "no columns 'prompt' and 'audio'"),
        (
            [{"prompt": "x", "audio": {"bytes": b"", "path": ""}, "language": "tlh"}],
            "row 1: language 'tlh' is not known",
        ),
        ([{"prompt": "x", "audio": {"bytes": b"", "path": ""}}], "language '' is not known"),
        (None, "no readable parquet file"),
    ],
)
def test_other_tables_are_refused(rows: list[dict[str, Any]] | None, told: str, tmp_path: Path) -> None:
    """In one line that names the file; nothing half is left."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    source = tmp_path / "test.parquet"
    if rows is None:
        source.write_bytes(b"PAR1 and no more")
    else:
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(rows), source)
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        parquet.unpack([source], tmp_path / "out")
    assert str(source) in str(caught.value)
    assert not list((tmp_path / "out").glob("[!.]*"))


@pytest.mark.parametrize(
    ("content", "path", "suffix"),
    [
        (b"RIFF....WAVE", None, ".wav"),
        (b"fLaC", "x.wav", ".flac"),
        (b"OggS", "../../escape.ogg", ".ogg"),
        (b"\0\0", "x.m4a", ".m4a"),
        (b"\0\0", "x.sh", ".wav"),
    ],
)
def test_recordings_get_safe_names(content: bytes, path: str | None, suffix: str, tmp_path: Path) -> None:
    """Numbers, never the table's own paths; the ending is told by the content."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    row = {"id": "1", "prompt": "x", "audio": {"bytes": content, "path": path}, "language": "English"}
    source = tmp_path / "test.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist([row]), source)
    parquet.unpack([source], tmp_path / "out")
    (line,) = (tmp_path / "out/adjustment/adjustment_en.jsonl").read_bytes().splitlines()
    assert json.loads(line)["audio_path"] == f"en/adjustment_en_00001{suffix}"
    assert (tmp_path / "out/adjustment" / json.loads(line)["audio_path"]).read_bytes() == content


def test_parquet_without_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"pip install 'pyarrow>=26'"):
        parquet.unpack([tmp_path / "x.parquet"], tmp_path / "out")


@pytest.mark.parametrize(
    ("path", "suite"),
    [
        ("open_ended/test-00000-of-00001.parquet", "open"),
        ("adjustment/test-0.parquet", "adjustment"),
        ("data/open_ended-00000.parquet", "open"),
        ("closed-ended/standard/test.parquet", "closed"),
        ("default/train.parquet", None),
    ],
)
def test_a_tables_subset_is_told_by_its_path(path: str, suite: str | None) -> None:
    """Before it is fetched, its path is all that is known."""
    assert parquet.suite_of(path) == (SUITES[suite] if suite else None)


def test_a_broken_note_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file; runs on other data sets do not care."""
    monkeypatch.setattr(hub, "assets", lambda: tmp_path)
    (tmp_path / "speechinstructbench.json").write_text('{"open": {"root": "x"}}')
    with pytest.raises(DataError, match="no note of what was fetched"):
        hub.located("speechinstructbench")
    assert hub.provenance(SAMPLE) is None


# --- a benchmark of many repositories -------------------------------------------------------------------------------

SUPERB = ("-m", "data", "fetch", "dynamic-superb")
DETECTION, VERIFICATION = "SpeechDetection_LJSpeech", "SpeakerVerification_VCTK"


def instance(folder: Path, *, pairs: bool = False, rows: int = 3, label: str = "yes") -> dict[str, bytes]:
    """Return an instance's repository: parquet, with the sample's speech."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    sounds = [path.read_bytes() for path in sorted((SAMPLE / "open-ended/en").glob("*.ogg"))]
    table = []
    for number in range(rows):
        row: dict[str, Any] = {
            "file": f"row/{number}.wav",
            "audio": {"bytes": sounds[number], "path": f"../../{number}.wav"},
            "instruction": "Is this speech? The answer could be yes or no.",
            "label": label,
        }
        if pairs:
            row |= {"audio2": {"bytes": sounds[number + 1], "path": None}, "text": "said"}
        table.append(row)
    path = folder / "instance.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(table), path)
    return {
        "README.md": b"# An instance\n",
        "data/test-00000-of-00001.parquet": path.read_bytes(),
        "data/train-00000-of-00001.parquet": b"never fetched",
    }


def superb_note(tmp_path: Path) -> dict[str, Any]:
    """Return what is noted of the instances."""
    fields: dict[str, Any] = json.loads((tmp_path / "home/assets" / hub.LIBRARY / "dynamic-superb.json").read_text())
    return fields


def test_instances_are_fetched_and_found(server: Hub, process: Command, tmp_path: Path) -> None:
    """Each from its repository, into one folder; what a run notes names every commit and licence."""
    first = server.publish(instance(tmp_path), licence="mit", repository=f"DynamicSuperb/{DETECTION}")
    second = server.publish(instance(tmp_path, pairs=True), repository=f"DynamicSuperb/{VERIFICATION}")
    done = process(*SUPERB, "--instance", DETECTION, VERIFICATION)
    root = Path(done.stdout.strip())
    assert root == tmp_path / "home/assets" / hub.LIBRARY / "dynamic-superb"
    assert f"{VERIFICATION}: 3 items; not for redistribution" in done.stderr
    assert not any("train" in path for path in server.fetched())
    metadata = json.loads((root / VERIFICATION / "metadata.json").read_text())
    assert list(metadata) == ["00001.ogg", "00002.ogg", "00003.ogg"]
    assert metadata["00002.ogg"] == {
        "file": "row/1.wav",
        "instruction": "Is this speech? The answer could be yes or no.",
        "label": "yes",
        "text": "said",
    }
    sounds = sorted((SAMPLE / "open-ended/en").glob("*.ogg"))
    assert (root / VERIFICATION / "00002.ogg").read_bytes() == sounds[1].read_bytes()
    assert (root / VERIFICATION / "00002_pair2.ogg").read_bytes() == sounds[2].read_bytes()
    items = [item for file in dataset_files(root, variant=VERIFICATION) for item in file.items()]
    assert items[1].audios == ("00002.ogg", "00002_pair2.ogg")
    assert items[1].prompt.endswith("no.\n\nsaid")

    words = ("--dataset", "dynamic-superb", "--subset", "classify", "--dry_run", "--output_dir", tmp_path / "dry")
    dry = process("inference.py", *words)
    assert f"classify_{DETECTION}_en.jsonl: 3 items" in dry.stdout
    source = hub_provenance(process, root)
    assert source["redistribution"] == "not for redistribution: the hub names no licence"
    assert source["parts"] == {
        DETECTION: {"repository": f"DynamicSuperb/{DETECTION}", "revision": first.commit, "licence": "mit"},
        VERIFICATION: {"repository": f"DynamicSuperb/{VERIFICATION}", "revision": second.commit, "licence": None},
    }
    listed = json.loads(process("-m", "data", "list", "--format", "json").stdout)[-1]
    assert (listed["name"], listed["items"], listed["missing"]) == ("dynamic-superb", {"classification": 6}, 0)
    assert listed["about"].startswith("2 repositories, parquet; not for redistribution")


def hub_provenance(process: Command, root: Path) -> dict[str, Any]:
    """Return what a run notes about fetched files, as a process with its own environment finds it."""
    code = "import json, sys; from pathlib import Path; from data import hub; "
    code += "print(json.dumps(hub.provenance(Path(sys.argv[1]))))"
    fields: dict[str, Any] = json.loads(process("-c", code, root).stdout)
    return fields


def test_finished_instances_are_not_fetched_again(server: Hub, command: Command, tmp_path: Path) -> None:
    """A failure keeps what is finished; the same command continues; a newer commit takes an instance's place."""
    server.publish(first := instance(tmp_path), repository=f"DynamicSuperb/{DETECTION}")
    server.publish(instance(tmp_path, pairs=True, label="no"), repository=f"DynamicSuperb/{VERIFICATION}")
    digest = hashlib.sha256(first["data/test-00000-of-00001.parquet"]).hexdigest()
    server.faults[f"/cdn/(?!{digest})"] = ["corrupt"] * 2
    both = (*SUPERB, "--instance", VERIFICATION, DETECTION)
    done = command(*both, code=1)
    assert "fetched twice; the first is data/test-00000-of-00001.parquet" in talk(done)[-1]
    assert list(superb_note(tmp_path)) == [DETECTION]
    done = command(*both)
    assert "1 instances are here, 1 are fetched" in done.stderr
    assert server.fetched()[f"/cdn/{digest}"] == 1
    assert list(superb_note(tmp_path)) == [DETECTION, VERIFICATION]
    before = superb_note(tmp_path)[DETECTION]["revision"]
    newer = server.publish(instance(tmp_path, rows=2), repository=f"DynamicSuperb/{DETECTION}")
    root = Path(command(*both).stdout.strip())
    assert superb_note(tmp_path)[DETECTION]["revision"] == newer.commit != before
    assert len(json.loads((root / DETECTION / "metadata.json").read_text())) == 2
    assert not [path for path in root.iterdir() if path.name.endswith((".part", ".old"))]
    command(*both, "--revision", before, code=1)  # the other has no such commit, this one is there


def test_an_instance_that_the_hub_lacks_keeps_none_of_the_others_back(
    server: Hub, command: Command, tmp_path: Path
) -> None:
    """What is there is fetched; the error names the rest."""
    server.publish(instance(tmp_path), repository=f"DynamicSuperb/{DETECTION}")
    done = command(*SUPERB, "--dimension", "content", code=1)
    assert "and 7 more" in talk(done)[-1]
    assert "DynamicSuperb/SpeechDetection_LibriSpeech-TestClean" in talk(done)[-1]
    assert list(superb_note(tmp_path)) == [DETECTION]


def test_rows_that_do_not_offer_their_label_are_told(server: Hub, command: Command, tmp_path: Path) -> None:
    """Once an instance, when it is fetched."""
    server.publish(instance(tmp_path, label="perhaps"), repository=f"DynamicSuperb/{DETECTION}")
    done = command(*SUPERB, "--instance", DETECTION)
    assert f"{DETECTION}: 3 of 3 rows do not offer their label; the first, line 2: the label 'perhaps'" in done.stderr


def test_instances_that_do_not_fit_or_are_no_tables_are_refused(server: Hub, command: Command, tmp_path: Path) -> None:
    """Nothing is begun, and nothing half is left."""
    server.publish({"README.md": b"nothing yet"}, repository=f"DynamicSuperb/{VERIFICATION}")
    assert "holds no parquet file" in command(*SUPERB, "--instance", VERIFICATION, code=1).stderr
    server.publish({"data/test.parquet": b"PAR1 and no more"}, repository=f"DynamicSuperb/{VERIFICATION}")
    assert "no readable parquet file" in command(*SUPERB, "--instance", VERIFICATION, code=2).stderr
    assert not list((tmp_path / "home/assets" / hub.LIBRARY / "dynamic-superb").glob("[!.]*"))
    server.publish(instance(tmp_path), repository=f"DynamicSuperb/{DETECTION}")
    server.sizes["data/test-00000-of-00001.parquet"] = 10**16
    before = server.fetched()
    done = command(*SUPERB, "--instance", DETECTION, code=2)
    assert "GB are needed in" in talk(done)[-1]
    assert "--dimension" in talk(done)[-1]
    assert server.fetched() == before


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("dynamic-superb", "--instance", "SpeechDetection_LJSpeach"), "no instance 'SpeechDetection_LJSpeach'"),
        (("dynamic-superb", "--dimension", "smell"), "no dimension 'smell'; there are, among others: content"),
        (("dynamic-superb", "--subset", "open"), "choose by --instance or --dimension"),
        (("speechinstructbench", "--dimension", "audio"), "has subsets (--subset)"),
    ],
)
def test_a_choice_of_the_other_benchmark_is_told(flags: tuple[str, ...], told: str, command: Command) -> None:
    """In one line, before the hub is asked."""
    assert told in command("-m", "data", "fetch", *flags, code=2).stderr


def test_instances_without_a_network(server: Hub, process: Command, tmp_path: Path) -> None:
    """The way by hand keeps the instance's name; what is here stays usable."""
    by_hand = "--local-dir FOLDER/<instance> DynamicSuperb/<instance>`, bring FOLDER here"
    assert by_hand in process(*SUPERB, code=1, HF_HUB_OFFLINE="1").stderr
    done = process(*SUPERB, "--dimension", "audio", code=1, HF_ENDPOINT="http://127.0.0.1:9")
    assert f"FOLDER/{(bird := 'BirdSoundDetection_Warblrb10k')} DynamicSuperb/{bird}`" in done.stderr
    server.publish(instance(tmp_path), repository=f"DynamicSuperb/{DETECTION}")
    root = process(*SUPERB, "--instance", DETECTION).stdout
    assert process(*SUPERB, HF_HUB_OFFLINE="1").stdout == root
    assert "is not here" in process(*SUPERB, "--instance", VERIFICATION, code=1, HF_HUB_OFFLINE="1").stderr


@pytest.mark.parametrize("shape", ["folder", "folders", "bare"])
def test_instances_brought_by_hand_are_read(shape: str, command: Command, tmp_path: Path) -> None:
    """A folder of one instance's parquet files, with or without the hub's `data`, or a folder of such folders."""
    content = instance(tmp_path)["data/test-00000-of-00001.parquet"]
    given = tmp_path / "mine" / (DETECTION if shape != "folders" else "")
    folder = tmp_path / "mine" / DETECTION / ("data" if shape != "bare" else "")
    folder.mkdir(parents=True)
    (folder / "test-00000-of-00001.parquet").write_bytes(content)
    (folder / "train-00000-of-00001.parquet").write_bytes(content)
    dry = ("inference.py", "--dataset", given, "--dry_run", "--output_dir", tmp_path / "out")
    first = command(*dry)
    assert f"classify_{DETECTION}_en.jsonl: 3 items" in first.stdout
    assert command(*dry).stdout == first.stdout


def test_recordings_of_several_formats_stay_together(tmp_path: Path) -> None:
    """Their names tell which row they are of; where their endings differ, the row names them. A null is none."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    row = {"file": "a", "instruction": "Same? The answer could be yes or no.", "label": "yes"}
    sounds = {"audio1": b"RIFF", "audio2": b"fLaC", "audio10": b"OggS"}
    table = [
        {**row, **{name: {"bytes": sound, "path": "../x.sh"} for name, sound in sounds.items()}},
        {**row, "audio1": {"bytes": b"RIFF", "path": None}},
    ]
    source = tmp_path / "test.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(table), source)
    with pytest.raises(DataError, match="lacks a column of audio, instruction, label"):
        tables_of_instances.unpack([source], tmp_path / DETECTION)
    assert not (tmp_path / DETECTION).exists()
    renamed = [{name.replace("audio1", "audio", 1): value for name, value in entry.items()} for entry in table]
    renamed[0]["audio10"] = renamed[0].pop("audio0")
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(renamed), source)
    tables_of_instances.unpack([source], tmp_path / DETECTION)
    (file,) = dataset_files(tmp_path / DETECTION)
    assert [item.audios for item in file.items()] == [
        ("00001.wav", "00001_pair2.flac", "00001_pair3.ogg"),
        ("00002.wav",),
    ]
    assert (tmp_path / DETECTION / "00001_pair3.ogg").read_bytes() == b"OggS"


def test_a_null_among_recordings_loses_none(tmp_path: Path) -> None:
    """The names, by which further recordings are found, have no gap where a column is null."""
    pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    row = {"file": "a", "instruction": "Same? The answer could be yes or no.", "label": "yes"}
    sound = {"bytes": b"RIFF", "path": None}
    table = [{**row, "audio": sound, "audio2": sound, "audio3": sound}, {**row, "audio": sound, "audio3": sound}]
    source = tmp_path / "test.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(table), source)
    tables_of_instances.unpack([source], tmp_path / DETECTION)
    (file,) = dataset_files(tmp_path / DETECTION)
    assert [len(item.audios) for item in file.items()] == [3, 2]
