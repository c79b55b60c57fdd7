"""How much of a grader's speed judging gets: api_judge.py's engine, a plain loop and four processes, in one run.

    python bench/judge_throughput.py [ITEMS]      # default: 1920

A local grader with C = 64 places and a latency of L = 1 s can answer C/L = 64 calls a second; that is the limit. Each
way of asking is measured from the first call's arrival at the grader to the last reply's leaving:

- ours: `judges.run`, one call with n = 4 for each response, replies filed in a ledger, the file written;
- the published scorer's loop: one call after the other, half a second of sleep behind each (docs/open-adjust.md
  section 2), for some calls only, since its rate does not change;
- the same loop without the sleep in four processes.

Then ours once more while one first call in twenty answers 429 (Retry-After 1 s) or 500 after L, and one in fifty never
answers (time limit 5 s). What that can be at best: (N*L + hangs*5 s + retried calls*L) / C.

The grader is a process of its own, which takes its share of the same cores.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from judges import run
from judges.judge import Choice, chosen
from judges.tasks import TASKS
from prompts import templates

PLACES = 64
LATENCY = 1.0  # seconds
TIME_LIMIT = 5.0  # seconds; of one call, in the run with faults
SLEEP = 0.5  # seconds; of the published scorer, behind each call
PEER_CALLS = 16
PROCESSES = 4
REPLY = '["YES", "NO", "YES"]'


def answer(count: int) -> bytes:
    """Return a chat completion with so many choices."""
    choice = {"message": {"role": "assistant", "content": REPLY}, "finish_reason": "stop"}
    choices = [{"index": place, **choice} for place in range(count)]
    usage = {"prompt_tokens": 300, "completion_tokens": 9 * count}
    return json.dumps({"model": "made-up", "choices": choices, "usage": usage}).encode()


def serve(port: Any, seen: Any, faulty: bool) -> None:
    """Answer every call after the latency, PLACES at a time; runs in a process of its own.

    `seen` takes the times of the first call's arrival and the last reply's leaving, refused calls, and hanging ones.
    """
    places = asyncio.Semaphore(PLACES)
    tried: Counter[int] = Counter()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen[0] = seen[0] or time.monotonic()
                body = json.loads(await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0])))
                item = int(body["messages"][-1]["content"].partition("Item ")[2].partition(".")[0])
                tried[item] += 1
                status, content = b"200 OK", answer(body.get("n", 1))
                async with places:
                    if faulty and tried[item] == 1 and item % 50 == 7:
                        seen[3] += 1
                        await reader.read()  # until the client has had enough
                        raise ConnectionError
                    await asyncio.sleep(LATENCY)
                    if faulty and tried[item] == 1 and item % 20 == 3:
                        seen[2] += 1
                        status = b"429 Too Many Requests\r\nretry-after: 1" if item % 40 == 3 else b"500 Oops"
                        content = b'{"error": {"message": "not now"}}'
                length = b"content-length: %d" % len(content)
                writer.write(
                    b"\r\n".join((b"HTTP/1.1 " + status, b"content-type: application/json", length, b"", content))
                )
                seen[1] = time.monotonic()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=2**20)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(main())


def ours(base_url: str, items: int, timeout: float) -> None:
    """Judge a file of so many responses."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "open_ended_en.jsonl"
        with path.open("w") as file:
            for key in range(items):
                row = {"key": key, "prompt": f"Item {key}.", "audio_path": "a", "response": "word " * 100}
                file.write(json.dumps({**row, "decomposed_questions": ["One?", "Two?", "Three?"]}) + "\n")
        task = TASKS["open"]
        options = run.Options(
            task=task,
            files=((path, path),),
            prompt=templates.bundled(task.prompt),
            system=templates.bundled("judge_system"),
            ledger=path.with_name("ledger.sqlite"),
        )
        factories = chosen(Choice(("made-up",), base_url=base_url, timeout=timeout))
        display = SimpleNamespace(advance=lambda **_: None, remark=lambda _: None)
        outcome = run.run(
            options,
            lambda: [make() for make in factories],
            progress=lambda _: nullcontext(display),
            say=print,
        )
        assert outcome.judged == items, outcome


def loop(base_url: str, calls: int, sleep: float) -> None:
    """Ask one call after the other, as the published scorer does."""
    for key in range(calls):
        messages = [{"role": "user", "content": f"Item {key}. " + "word " * 100}]
        body = json.dumps({"model": "made-up", "messages": messages, "n": 4}).encode()
        request = urllib.request.Request(f"{base_url}/chat/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            response.read()
        time.sleep(sleep)


def processes(base_url: str, calls: int) -> None:
    """Ask in several processes, each one call after the other."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(loop, [(base_url, calls, 0.0)] * PROCESSES)


def measured(ask: Any, *, faulty: bool = False) -> tuple[float, float, int, int]:
    """Return seconds at the grader, seconds of the whole, refused and hanging calls of one way of asking."""
    context = multiprocessing.get_context("spawn")
    port, seen = context.Value("i", 0), context.Array("d", 4)
    server = context.Process(target=serve, args=(port, seen, faulty), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    start = time.monotonic()
    ask(f"http://127.0.0.1:{port.value}/v1")
    whole = time.monotonic() - start
    server.terminate()
    return seen[1] - seen[0], whole, int(seen[2]), int(seen[3])


def main(items: int) -> None:
    """Measure and print every way's rate beside the limit."""
    limit = PLACES / LATENCY
    print(f"limit: {limit:.0f} calls/s")
    seconds, whole, _, _ = measured(lambda url: ours(url, items, 600.0))
    rate = items / seconds
    around = whole - seconds
    print(f"ours: {items} calls, {rate:.2f}/s = {rate / limit:.1%} of the limit ({around:.1f} s before and after)")
    for name, calls, ask in (
        ("published loop", PEER_CALLS, lambda url: loop(url, PEER_CALLS, SLEEP)),
        (f"{PROCESSES} processes", PROCESSES * PEER_CALLS, lambda url: processes(url, PEER_CALLS)),
    ):
        seconds, _, _, _ = measured(ask)
        print(f"{name}: {calls} calls, {calls / seconds:.2f}/s = {calls / seconds / limit:.1%} of the limit")
    seconds, _, refused, hanging = measured(lambda url: ours(url, items, TIME_LIMIT), faulty=True)
    ideal = (items * LATENCY + hanging * TIME_LIMIT + refused * LATENCY) / PLACES
    print(
        f"ours with faults: {refused} refused, {hanging} hanging: {seconds:.1f} s, at best {ideal:.1f} s: "
        f"{ideal / seconds:.1%}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1920)
