"""How long `python -m data validate` takes for 5,000 WAV clips of 5 s, beside soundfile that only decodes them.

    python bench/validate_audio.py [--clips 5000] [--rate 16000]

Wall time, files in the page cache for both; the rounds take turns, and the best of three counts. Each clip is another
sound under another prompt, so nothing is read or checked once for many.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).parent.parent))

from data.validate import Readers, validate
from evaluators.rules.faults import faults, is_in
from prompts.questions import question_list

SECONDS = 5
ROUNDS = 3


def make(folder: Path, clips: int, rate: int) -> None:
    """Write a data set of so many closed items."""
    audio = folder / "closed-ended" / "en"
    audio.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = []
    for number in range(clips):
        samples = random.standard_normal(SECONDS * rate, dtype=np.float32) * 0.05
        sf.write(audio / f"{number}.wav", samples, rate, subtype="PCM_16")
        prompt = f"Tell me a short story about fisherman number {number}, and use the words river and stone."
        instructions = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["river", "stone"]}]}
        lines.append(json.dumps({"key": number, "prompt": prompt, **instructions, "audio_path": f"en/{number}.wav"}))
    (folder / "closed-ended" / "closed_standard_en.jsonl").write_text("\n".join(lines) + "\n")


def decode(folder: Path) -> int:
    """Return how many samples soundfile finds in all clips, one after the other."""
    return sum(len(sf.read(path, dtype="float32")[0]) for path in (folder / "closed-ended" / "en").iterdir())


def check(folder: Path) -> int:
    """Return how many findings there are."""
    report = validate(folder, Readers(faults, question_list, is_in))
    assert report.items == len(list((folder / "closed-ended" / "en").iterdir()))
    return len(report.findings)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=16_000)
    chosen = parser.parse_args()
    jobs: dict[str, Callable[[Path], int]] = {"soundfile alone, one process": decode, "python -m data validate": check}
    best = dict.fromkeys(jobs, float("inf"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, chosen.clips, chosen.rate)
        for _ in range(ROUNDS):
            for what, job in jobs.items():
                start = time.perf_counter()
                job(folder)
                best[what] = min(best[what], time.perf_counter() - start)
    base = next(iter(best.values()))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{chosen.clips} clips of {SECONDS} s at {chosen.rate} Hz, {cores} cores, load {load:.1f}")
    for what, seconds in best.items():
        print(f"{what:32} {seconds:6.1f} s  {seconds / base:5.1f} x")


if __name__ == "__main__":
    main()
