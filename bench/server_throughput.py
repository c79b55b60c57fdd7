"""How much of a server's speed a run gets: real clips decoded and sent, against a server that answers after a second.

    python bench/server_throughput.py [ITEMS]           # default: 1920
    python bench/server_throughput.py --memory [ITEMS]  # default: 10000; the client's memory over a long run

A local server with C = 64 places and a latency of L = 1 s can answer C/L = 64 requests a second; that is the limit. The
run is a whole one (`inference.run`): reading, decoding, mixing down, resampling, encoding, sending, writing, the
manifest. Two sets of 10 s clips: 16 kHz mono, and 48 kHz stereo. Two figures each: from the first request's arrival at
the server to its last answer, and the whole run, whose loading of packages weighs the less the longer it is.

The server is a process of its own, which takes its share of the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import soundfile

from inference import run
from inference.backends.openai_server import OpenAIServer
from inference.chat import Sampling
from inference.options import Options

PLACES = 64
LATENCY = 1.0  # seconds
IN_FLIGHT = 80  # some more than the server has places: while one is sent, another waits there already
SHORT_LATENCY = 0.05  # seconds; for the memory, which depends on how many were asked and not on how long it took
SAMPLES = 10  # how often memory is read
CLIPS = 20
SECONDS = 10.0
REPLY = json.dumps(
    {
        "model": "made-up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 1},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        before: seconds from the run's start to the first request's arrival.
        serving: seconds from there to the last answer's leaving.
        after: seconds from there to the run's end.
        busy: processor seconds of the client.
        memory: the client's resident memory in MB, SAMPLES times over the run.
    """

    before: float
    serving: float
    after: float
    busy: float
    memory: list[float]


def serve(port: Any, seen: Any, latency: float) -> None:
    """Answer every request after the latency, PLACES at a time; runs in a process of its own.

    `seen` takes the times of the first request's arrival and of the last answer's leaving.
    """
    places = asyncio.Semaphore(PLACES)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen[0] = seen[0] or time.monotonic()
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                async with places:
                    await asyncio.sleep(latency)
                writer.write(HEAD + REPLY)
                seen[1] = time.monotonic()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=2**22)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(main())


def make_data(folder: Path, items: int, rate: int, channels: int) -> Path:
    """Write a data set of so many items over CLIPS recordings of noise."""
    noise = np.random.default_rng(0)
    for number in range(CLIPS):
        shape = (round(SECONDS * rate), channels)
        soundfile.write(
            folder / f"{number}.wav", noise.normal(0, 0.1, shape).astype(np.float32), rate, subtype="PCM_16"
        )
    path = folder / "open_ended_en.jsonl"
    with path.open("w") as file:
        for key in range(items):
            row = {"key": key, "prompt": f"Say {key}.", "audio_path": f"{key % CLIPS}.wav"}
            file.write(json.dumps(row) + "\n")
    return path


def measured(base_url: str, seen: Any, items: int, rate: int, channels: int) -> Measured:
    """Measure a whole run."""
    memory = []
    done = 0

    def advance(**_: object) -> None:
        nonlocal done
        done += 1
        if done % (items // SAMPLES) == 0:
            memory.append(resident())

    with tempfile.TemporaryDirectory() as name:
        data = make_data(Path(name), items, rate, channels)
        options = Options(
            dataset=data,
            suite=None,
            variant=None,
            lang=None,
            limit=None,
            model_name="made-up",
            model={"id": "made-up", "backend": "openai", "base_url": [base_url]},
            output_dir=Path(name) / "results",
            run_name="bench",
            sampling=Sampling(0.0, 1.0, 64, 0),
            system=None,
            concurrency=IN_FLIGHT,
        )
        display = SimpleNamespace(advance=advance)
        seen[0] = 0.0
        start, busy = time.monotonic(), time.process_time()
        outcome = run.run(
            options, say=print, show=print, progress=lambda *_: nullcontext(display), load=lambda row: OpenAIServer(row)
        )
        end, busy = time.monotonic(), time.process_time() - busy
    if outcome.answered != items:
        raise SystemExit(f"{items - outcome.answered} items failed")
    return Measured(seen[0] - start, seen[1] - seen[0], end - seen[1], busy, memory)


def resident() -> float:
    """Return this process's resident memory in MB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def speed(measure: Callable[[int, int], Measured], items: int) -> None:
    """Print how much of the limit is reached."""
    limit = PLACES / LATENCY
    print(f"limit {limit:.0f} requests/s, {items} items of {SECONDS:g} s, load average {os.getloadavg()[0]:.1f}")
    for rate, channels in ((16_000, 1), (48_000, 2)):
        found = measure(rate, channels)
        whole = items / (found.before + found.serving + found.after)
        served = items / found.serving
        print(
            f"{rate} Hz, {channels} ch: {served:.1f}/s = {100 * served / limit:.1f} % from the first request to "
            f"the last answer; whole run {whole:.1f}/s = {100 * whole / limit:.1f} % ({found.before:.2f} s before, "
            f"{found.after:.2f} s after); {1000 * found.busy / items:.1f} ms of processor an item"
        )


def memory(measure: Callable[[int, int], Measured], items: int) -> None:
    """Print the client's memory over a run."""
    found = measure(48_000, 2)
    shown = ", ".join(f"{megabytes:.0f}" for megabytes in found.memory)
    print(f"48000 Hz, 2 ch, {items} items at {items / found.serving:.0f}/s; resident MB after each tenth: {shown}")


def main() -> None:
    """Start the server, and print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("items", nargs="?", type=int)
    parser.add_argument("--memory", action="store_true", help="measure memory in place of speed")
    arguments = parser.parse_args()
    port, seen = multiprocessing.Value("i", 0), multiprocessing.Array("d", 2)
    latency = SHORT_LATENCY if arguments.memory else LATENCY
    server = multiprocessing.Process(target=serve, args=(port, seen, latency), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    items = arguments.items or (10_000 if arguments.memory else 1920)

    def measure(rate: int, channels: int) -> Measured:
        return measured(f"http://127.0.0.1:{port.value}/v1", seen, items, rate, channels)

    (memory if arguments.memory else speed)(measure, items)
    server.terminate()


if __name__ == "__main__":
    main()
