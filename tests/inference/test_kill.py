"""kill -9 at any moment of a run: nothing is lost, nothing is doubled, little is asked again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
CONCURRENCY = 4
ITEMS = 60
# Each item has a permanent fate by its number, so that a finished file looks the same however often it was killed.
DRIVER = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from data.errors import guarded
from inference import run
from inference.backends import Answer
from inference.chat import Sampling
from inference.progress import Progress, say

asks = os.open(sys.argv[4], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class Slow:
    async def answer(self, request):
        number = int(Path(request.id.audio).stem)
        os.write(asks, f"{number}\\n".encode())
        await asyncio.sleep(0.004 + number % 5 * 0.004)
        if number % 7 == 3:
            return Answer(None, "too long", permanent=True)
        return Answer(f"answer {number} " + "x" * (number % 3 * 3000))
    def rendered(self, request):
        return ""
    async def close(self):
        pass

options = run.Options(Path(sys.argv[2]), None, None, None, None, "made-up", {}, Path(sys.argv[3]), "try",
    Sampling(0.0, 1.0, 64, 0), None, int(sys.argv[5]))

def command():
    run.run(options, say=say, show=print, progress=lambda total, done: Progress("answering", total=total, done=done),
        load=lambda _: Slow())
    return 0

sys.exit(guarded(command, say))
"""


@pytest.fixture
def start(tmp_path: Path, write_jsonl: Any) -> Callable[[], subprocess.Popen[str]]:
    """A function that starts, or continues, the run in a process of its own."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    clips = tmp_path / "clips"
    clips.mkdir()
    rows = []
    for number in range(ITEMS):
        soundfile.write(clips / f"{number}.wav", [0.1] * 160, 16_000)
        rows.append({"key": number, "prompt": f"Say {number}.", "audio_path": f"clips/{number}.wav"})
    source = write_jsonl(tmp_path / "open_ended_en.jsonl", rows)
    command = [sys.executable, str(driver), str(ROOT), str(source), str(tmp_path / "results"), str(tmp_path / "asks")]
    return lambda: subprocess.Popen(
        [*command, str(CONCURRENCY)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process to end well; return what it said."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def asked(tmp_path: Path) -> Counter[int]:
    """Return how often each item was asked."""
    path = tmp_path / "asks"
    return Counter(int(line) for line in path.read_text().split()) if path.exists() else Counter()


def kept(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file that a kill may have torn."""
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in whole]


def untimed(lines: bytes) -> list[dict[str, Any]]:
    """Return the objects of a file without what differs from run to run."""
    rows = [json.loads(line) for line in lines.splitlines()]
    return [{name: value for name, value in row.items() if name != "latency_seconds"} for row in rows]


def check_finished(path: Path) -> None:
    """Check that a file holds every item once, in the data set's order, with its own fate."""
    rows = kept(path)
    assert path.read_bytes().endswith(b"\n")
    assert [row["key"] for row in rows] == list(range(ITEMS))
    for number, row in enumerate(rows):
        if number % 7 == 3:
            assert (row["response"], row["error"]) == (None, "too long")
        else:
            assert row["response"].startswith(f"answer {number} ")
            assert "error" not in row


@pytest.mark.parametrize("moments", [[1], [17, 40], [5, 6, 30, 58]], ids=str)
def test_kill_and_continue(moments: list[int], start: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    """Killed whenever so many items were asked, then continued: each kill costs at most what was in flight."""
    path = tmp_path / "results" / "try" / "open_ended_en.jsonl"
    settled: set[int] = set()
    for moment in moments:
        process = start()
        until = time.monotonic() + 60
        while sum(asked(tmp_path).values()) < moment and process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        rows = kept(path)
        now = {row["key"] for row in rows}
        assert len(rows) == len(now), "no item twice"
        assert settled <= now, "nothing that was kept is lost"
        assert len(asked(tmp_path).keys() - now) <= CONCURRENCY
        settled = now
    finish(start())
    check_finished(path)
    again = Counter(asked(tmp_path).values())
    assert again[1] >= ITEMS - CONCURRENCY * len(moments)
    assert asked(tmp_path).total() <= ITEMS + CONCURRENCY * len(moments)
    before = path.read_bytes(), asked(tmp_path)
    assert "nothing is asked" in finish(start())
    assert (path.read_bytes(), asked(tmp_path)) == before


@pytest.mark.parametrize("moments", [5, 8])
def test_kill_again_and_again(moments: int, start: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    """Killed a little later each time, from before the first line to the last: the end is always the same file."""
    path = tmp_path / "results" / "try" / "open_ended_en.jsonl"
    began = time.monotonic()
    finish(start())
    whole = time.monotonic() - began  # on this machine, as busy as it is
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "asks").unlink()
    kills = 0
    for moment in range(1, moments + 1):
        process = start()
        try:
            process.communicate(timeout=whole * moment / moments)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    finish(start())
    check_finished(path)
    assert asked(tmp_path).total() <= ITEMS + CONCURRENCY * kills


def test_a_line_torn_in_the_middle_is_asked_again(start: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    """Whatever byte a write stopped at, the item is asked once more and the file comes out the same."""
    path = tmp_path / "results" / "try" / "open_ended_en.jsonl"
    finish(start())
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (1, len(lines[20]) // 2, len(lines[20]) - 1):
        path.write_bytes(b"".join(lines[:20]) + lines[20][:cut])
        finish(start())
        assert untimed(path.read_bytes()) == untimed(whole)
    assert asked(tmp_path) == Counter({number: 1 if number < 20 else 4 for number in range(ITEMS)})


def test_two_runs_at_once(start: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    """A second process is refused with one line while the first goes on undisturbed."""
    first = start()
    until = time.monotonic() + 60
    while not asked(tmp_path) and time.monotonic() < until:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # it is at work, however long the second takes
    second = start()
    _, said = second.communicate(timeout=60)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert "another process is writing here" in said
    assert said.count("\n") == 1
    finish(first)
    check_finished(tmp_path / "results" / "try" / "open_ended_en.jsonl")
    assert max(asked(tmp_path).values()) == 1
