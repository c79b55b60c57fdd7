"""What building spoken variants costs: seconds of speech made per second of wall time.

    python bench/build_variants.py [WORKERS]

Prompts are those of data/sample/prompts/closed_en.jsonl, voices those of ttspico (needs the extra `speech`), processes
two unless told otherwise. Every run is shown with the load of the machine: where others use it too, the wall time says
little. The processor time of a build, its processes' start included, depends less on them: half of it is the least that
it takes on two cores of its own (Linux only).

    five variants     standard, background, accent, paralinguistics, disfluency; text to speech included, empty cache
    noise and rooms   the background variant alone, of each prompt eight times, speech from the cache: noise, given
                      impulse responses, mixing, writing
    reading           the five variants decoded once, in one process: what anything that uses a set does at least
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

from data.variants.build import Built, build
from data.variants.manifest import RATE, decode
from data.variants.recipe import PromptSet, Recipe

PROMPTS = Path(__file__).parent.parent / "data" / "sample" / "prompts" / "closed_en.jsonl"
VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")
STYLES = ("fast", "slow", "high", "low", "loud", "quiet", "fast_high", "slow_low_quiet", "stressed")
RUNS = 3


def made(out: Path, cache: Path, workers: int, prompts: Path, variants: tuple[str, ...], rooms: Path | None) -> Built:
    """Build a set into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    wanted = PromptSet((prompts,), variants=variants, voices=("pico-en-us",), accents=("pico-en-gb",), styles=STYLES)
    recipe = Recipe((wanted,), impulse_responses=rooms)
    return build(recipe, out, voices={}, cache=cache, workers=workers, say=lambda _: None)


def eightfold(path: Path) -> Path:
    """Write the prompts eight times, with keys of their own."""
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()] * 8
    path.write_text("".join(json.dumps(row | {"key": key}) + "\n" for key, row in enumerate(rows)), encoding="utf-8")
    return path


def write_impulse_responses(folder: Path) -> None:
    """Write five decays of 0.2 to 0.6 s."""
    folder.mkdir()
    for index, rt60 in enumerate((0.2, 0.3, 0.4, 0.5, 0.6)):
        length = round(1.2 * rt60 * 16000)
        tail = np.random.RandomState(index).standard_normal(length) * 10 ** (-3 * np.arange(length) / (rt60 * 16000))
        tail[0] = 10.0
        sf.write(folder / f"{index}.wav", 0.05 * tail, 16000)


def report(name: str, seconds: float, took: float, what: str) -> None:
    """Print one figure."""
    load = os.getloadavg()[0]
    ratio = f"{seconds / took:5.0f}, {1000 * took / seconds:.2f} ms a second"
    print(f"{name:16} {seconds:5.0f} s of speech in {took:5.2f} s {what:24} {ratio} (load {load:.1f})")


def processor_seconds() -> float:
    """Return the processor time of this process, its children, and theirs that have ended."""
    ticks = 0
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split():
        fields = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the measurements."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cache, out = root / "cache", root / "set"
        write_impulse_responses(root / "rooms")
        eight = eightfold(root / "eight.jsonl")

        def measure(name: str, prompts: Path, variants: tuple[str, ...], rooms: Path | None, *, empty: bool) -> None:
            for _ in range(RUNS):
                if empty:
                    shutil.rmtree(cache, ignore_errors=True)
                before = processor_seconds()
                built = made(out, cache, workers, prompts, variants, rooms)
                report(name, built.seconds_made, built.took, f"wall, {workers} processes")
                report(name, built.seconds_made, processor_seconds() - before, f"processor, {workers} processes")

        measure("five variants", PROMPTS, VARIANTS, None, empty=True)
        start, before = time.perf_counter(), time.process_time()
        seconds = sum(len(decode(path)[0]) for path in out.rglob("*.flac")) / RATE
        report("reading", seconds, time.perf_counter() - start, "wall, 1 process")
        report("reading", seconds, time.process_time() - before, "processor, 1 process")
        made(out, cache, workers, eight, ("standard",), None)
        measure("noise and rooms", eight, ("background",), root / "rooms", empty=False)


if __name__ == "__main__":
    main()
