"""How much of a server's speed a run gets: real clips decoded and sent, against a server that answers after a second.

    python bench/server_throughput.py [ITEMS]

A local server with C = 64 places and a latency of L = 1 s can answer C/L = 64 requests a second; that is the limit. The
run is a whole one (`inference.run`): reading, decoding, mixing down, resampling, encoding, sending, writing, the
manifest. Two sets of 10 s clips: 16 kHz mono, and 48 kHz stereo.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from contextlib import nullcontext
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


def serve(port: Any) -> None:
    """Answer every request after LATENCY, PLACES at a time; runs in a process of its own."""
    places = asyncio.Semaphore(PLACES)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                async with places:
                    await asyncio.sleep(LATENCY)
                writer.write(HEAD + REPLY)
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


def measured(base_url: str, items: int, rate: int, channels: int) -> tuple[float, float]:
    """Return the requests a second of a whole run, start and end included, and its processor seconds an item."""
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
        display = SimpleNamespace(advance=lambda **_: None)
        start, busy = time.perf_counter(), time.process_time()
        outcome = run.run(
            options, say=print, show=print, progress=lambda *_: nullcontext(display), load=lambda row: OpenAIServer(row)
        )
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    if outcome.answered != items:
        raise SystemExit(f"{items - outcome.answered} items failed")
    return items / seconds, busy / items


def main() -> None:
    """Print the table."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 1920
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    limit = PLACES / LATENCY
    print(f"limit {limit:.0f} requests/s, {items} items of {SECONDS:g} s")
    for rate, channels in ((16_000, 1), (48_000, 2)):
        speed, busy = measured(f"http://127.0.0.1:{port.value}/v1", items, rate, channels)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        reached = f"{speed:5.1f}/s = {100 * speed / limit:5.1f} %"
        print(f"{rate} Hz, {channels} ch: {reached}, {1000 * busy:.1f} ms of processor an item, peak {peak:.0f} MB")
    server.terminate()


if __name__ == "__main__":
    main()
