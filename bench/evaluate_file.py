"""What `evaluate.py` costs: start of --help, and memory and time of a file of 100,000 rows.

    python bench/evaluate_file.py [ROWS]

The rows are those of tests/golden/ifeval_gpt4.jsonl over and over, each time with other keys and prompts. Limits for
comparison, measured in the same run: an interpreter that does nothing, and reading the same file twice as JSON, which
is the least that counting can do.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "tests" / "golden" / "ifeval_gpt4.jsonl"
READ_TWICE = "import json, sys\nfor _ in range(2):\n    for line in open(sys.argv[1], 'rb'): json.loads(line)"


def run(*command: str) -> tuple[float, float]:
    """Run a command; return its wall time in seconds and its peak memory in MB."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, float(done.stdout)


def quickest(*command: str) -> float:
    """Return the least wall time of ten runs of a command, in seconds."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def write_rows(path: Path, count: int) -> None:
    """Write a file of responses with so many rows, every prompt of its own."""
    rows = [json.loads(line) for line in ROWS.read_bytes().splitlines()]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            row = rows[number % len(rows)]
            fields = {name: row[name] for name in ("instruction_id_list", "kwargs", "response")}
            file.write(json.dumps({"key": number, "prompt": f"{number} {row['prompt']}", **fields}) + "\n")


def main() -> None:
    """Print the measurements."""
    nothing = quickest(sys.executable, "-c", "pass")
    print(f"python -c pass              {nothing:7.3f} s")
    print(f"evaluate.py --help          {quickest(sys.executable, 'evaluate.py', '--help'):7.3f} s")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "closed_standard_en.jsonl"
        write_rows(path, count)
        print(f"{count} rows, {path.stat().st_size / 1e6:.0f} MB")
        floor, _ = run(sys.executable, "-c", READ_TWICE, str(path))
        seconds, memory = run(sys.executable, "evaluate.py", "--src_file", str(path), "--format", "json")
        print(f"reading it twice as JSON    {floor:7.1f} s")
        print(f"evaluate.py                 {seconds:7.1f} s   {count / seconds:.0f} rows/s   peak {memory:.0f} MB")


if __name__ == "__main__":
    main()
