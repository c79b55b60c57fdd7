"""What judging survives, and what it holds in memory: `api_judge.py` as a process, against a local grader.

python bench/judge_safety.py kills      # kill -9 at 20 random moments, then to the end: which calls were made twice?
python bench/judge_safety.py outage     # the grader is gone for 60 s in the middle
python bench/judge_safety.py size [N]   # 100,000 responses: seconds to the first call, peak memory, calls a second
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONCURRENCY = 64
KILLS = 20
OUTAGE = 60.0  # seconds
REPLY = json.dumps(
    {
        "model": "made-up",
        "choices": [{"index": place, "message": {"content": '["YES"]'}, "finish_reason": "stop"} for place in range(4)],
        "usage": {"prompt_tokens": 100, "completion_tokens": 12},
    }
).encode()


class Grader:
    """A grader on a thread of its own.

    Attributes:
        answered: item -> replies that were sent for it.
        first: when the first call arrived, on the monotonic clock.
    """

    def __init__(self, latency: float) -> None:
        """Listen; answer each call after `latency` seconds."""
        self.answered: Counter[int] = Counter()
        self.first = 0.0
        self._latency = latency
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connections: set[asyncio.StreamWriter] = set()
        self.listen()

    def listen(self) -> None:
        """Begin to listen, or begin again."""
        start = asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()

    def vanish(self) -> None:
        """Stop listening and drop every connection."""

        async def close() -> None:
            self._server.close()
            for writer in list(self._connections):
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.first = self.first or time.monotonic()
                body = json.loads(await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0])))
                await asyncio.sleep(self._latency)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)
                )
                writer.write(REPLY)
                self.answered[int(body["messages"][-1]["content"].partition("Item ")[2].partition(".")[0])] += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


def responses(folder: str, count: int) -> Path:
    """Write a file of so many responses of 600 characters."""
    path = Path(folder) / "open_ended_en.jsonl"
    with path.open("w") as file:
        for key in range(count):
            row = {"key": key, "prompt": f"Item {key}.", "audio_path": "a", "response": "a few words " * 50}
            file.write(json.dumps({**row, "decomposed_questions": ["Is it so?"]}) + "\n")
    return path


def start(grader: Grader, path: Path) -> subprocess.Popen[str]:
    """Start the command on a file."""
    server = ["--base_url", f"http://127.0.0.1:{grader.port}/v1", "--judge_model", "made-up"]
    command = [sys.executable, "api_judge.py", "--data_type", "open", "--src_file", str(path), *server]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def judged(path: Path) -> int:
    """Return how many lines have replies."""
    with path.open() as file:
        return sum("pred_score" in json.loads(line) for line in file)


def kills() -> None:
    """Kill the command again and again, then let it end."""
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        count = 4000
        path = responses(folder, count)
        grader = Grader(latency=0.5)
        for _ in range(KILLS):
            grader.first = 0.0
            process = start(grader, path)
            while not grader.first:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1.5))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        before = len(grader.answered)
        process = start(grader, path)
        process.communicate()
        twice = sum(number - 1 for number in grader.answered.values())
        print(
            f"{KILLS} kills (after {before} of {count} items), then to the end: exit {process.returncode}, "
            f"{judged(path)} judged, {twice} calls made twice; at most {KILLS} x {CONCURRENCY} = {KILLS * CONCURRENCY} "
            "were in flight"
        )


def outage() -> None:
    """Take the grader away in the middle."""
    with tempfile.TemporaryDirectory() as folder:
        count = 1000
        path = responses(folder, count)
        grader = Grader(latency=0.5)
        began = time.monotonic()
        process = start(grader, path)
        while len(grader.answered) < count // 2:
            time.sleep(0.01)
        grader.vanish()
        time.sleep(OUTAGE)
        grader.listen()
        process.communicate()
        seconds = time.monotonic() - began
        twice = sum(number - 1 for number in grader.answered.values())
        print(
            f"gone for {OUTAGE:.0f} s: exit {process.returncode} after {seconds:.0f} s, {judged(path)} of {count}, "
            f"{twice} calls made twice"
        )


def size(count: int) -> None:
    """Judge many responses."""
    with tempfile.TemporaryDirectory() as folder:
        path = responses(folder, count)
        grader = Grader(latency=0.05)
        began = time.monotonic()
        process = start(grader, path)
        status = Path(f"/proc/{process.pid}/status")
        peak = 0
        while process.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak = max(peak, int(line.split()[1]))
            time.sleep(0.2)
        seconds = time.monotonic() - began
        print(
            f"{count} responses ({path.stat().st_size / 1e6:.0f} MB judged): first call after "
            f"{grader.first - began:.2f} s, peak {peak / 1024:.0f} MB, {count / seconds:.0f} calls a second, "
            f"{judged(path)} judged"
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["kills"]:
            kills()
        case ["outage"]:
            outage()
        case ["size", *number]:
            size(int(number[0]) if number else 100_000)
        case _:
            raise SystemExit(__doc__)
