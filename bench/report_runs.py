"""Fifteen runs of the whole benchmark's size in one call: what table and page cost, beside the limits they should keep.

    python bench/report_runs.py [RUNS]

Each run has five closed variants, an open and an adjustment file of 450 items. The closed ones are those of
tests/golden/ifeval_gpt4.jsonl (all 25 kinds of instruction, GPT-4's answers, 206 words in the mean), the open ones
those of infobench_gpt4.jsonl, four replies an item. No two runs share an answer: each has words of its own in it, so
that nothing that was computed for one serves another. The limits are those of the project: 60 s without stored
verdicts, 20 s with them, 500 MB. Processor time stands beside the clock, since counting keeps to one core and the
machine may be busy.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from prompts.replies import ADJUST_KEYS

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")
ITEMS = 450
COLD, STORED, MEMORY = 60.0, 20.0, 500.0  # seconds, seconds, MB
WORDS = ("river", "stone", "night", "moon", "shape", "children", "window", "rain")


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of a golden file."""
    return [json.loads(line) for line in (GOLDEN / name).read_bytes().splitlines()]


def write_run(folder: Path, seeded: random.Random) -> None:
    """Write one run."""
    folder.mkdir()
    manifest = {"model": {"name": folder.name}, "sampling": {"temperature": 0.0}, "modality": "audio"}
    (folder / "run.json").write_text(json.dumps({**manifest, "status": "complete"}))

    def write(name: str, found: list[dict[str, Any]]) -> None:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")

    def changed(text: str) -> str:
        """Return an answer with a word of its own at a random place."""
        words = text.split(" ")
        words.insert(seeded.randrange(len(words) + 1), f"{seeded.choice(WORDS)}{seeded.randrange(10**6)}")
        return " ".join(words)

    closed = rows("ifeval_gpt4.jsonl")[:ITEMS]
    for variant in VARIANTS:
        write(f"closed_{variant}_en.jsonl", [{**row, "response": changed(row["response"])} for row in closed])
    asked = rows("infobench_gpt4.jsonl")[:ITEMS]
    judge = {"model": "grader", "prompt_id": "judge_open@1"}
    opened, adjusted = [], []
    for key, row in enumerate(asked):
        base = {"key": key, "prompt": f"{key} {row['instruction']} {row['input']}", "response": changed(row["output"])}
        votes = [["YES" if seeded.random() < 0.8 else "NO" for _ in row["decomposed_questions"]] for _ in range(4)]
        replies = [json.dumps(vote) for vote in votes]
        opened.append(
            {**base, "decomposed_questions": row["decomposed_questions"], "pred_score": replies, "judge": judge}
        )
        replies = [json.dumps({name: seeded.choice(["YES", "NO"]) for name in ADJUST_KEYS}) for _ in range(4)]
        adjusted.append({**base, "pred_score": replies, "judge": judge})
    write("open_ended_en.jsonl", opened)
    write("adjustment_en.jsonl", adjusted)


def run(cache: Path, *arguments: str) -> tuple[float, float, float]:
    """Run evaluate.py with a cache; return its wall and processor time in seconds and its peak memory in MB."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    start = time.perf_counter()
    command = [sys.executable, "-c", code, sys.executable, "evaluate.py", *arguments]
    own = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=own)
    seconds, memory = map(float, done.stdout.split())
    return time.perf_counter() - start, seconds, memory


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seeded = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / f"model-{number:02}" for number in range(1, count + 1)]
        for folder in folders:
            write_run(folder, seeded)
        items = count * (len(VARIANTS) + 2) * ITEMS
        megabytes = sum(path.stat().st_size for folder in folders for path in folder.iterdir()) / 1e6
        print(f"{count} runs, {items} items, {megabytes:.0f} MB")
        print("                           wall s   of the limit   processor s   peak MB   of 500 MB")
        results = ("--results", *map(str, folders))
        page = (*results, "--report", str(Path(name) / "report.html"))
        for label, arguments in (("table", results), ("table and page", page)):
            cache = Path(name) / label
            for state, limit in (("anew", COLD), ("stored", STORED)):
                wall, used, memory = run(cache, *arguments)
                shares = f"{wall:7.1f} {wall / limit:14.2f} {used:13.1f} {memory:9.0f} {memory / MEMORY:11.2f}"
                print(f"{f'{label}, {state}':25} {shares}", flush=True)


if __name__ == "__main__":
    main()
