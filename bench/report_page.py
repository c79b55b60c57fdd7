"""The report page of 10,000 items in Chromium: how long it takes to open, beside the 2 s it may, and how it scrolls.

    python bench/report_page.py

Needs chromium and playwright. Two runs of five closed files (800 items each, answers of 150 words) and an open file
(1,000 items, 250 words, four votes). Opening is from the request to the first row in the list; a frame is what one of
120 steps of scrolling through the list takes, and 16.7 ms is the screen's own rate.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from evaluators.cli import main

LIMIT = 2.0  # seconds
WORDS = ("river", "stone", "night,", "moon", "shape", "why", "with", "of", "to", "children", "window.", "rain", "the")
SCROLL = """async () => {
  const list = document.getElementById('list'), times = [];
  list.scrollIntoView();
  let last = performance.now();
  for (let step = 0; step < 120; step++) {
    list.scrollTop += 900;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times.sort((one, other) => one - other);
}"""


def write_run(folder: Path, random_words: random.Random) -> None:
    """Write one run of 5,000 items."""
    folder.mkdir()

    def text(count: int) -> str:
        return " ".join(random_words.choices(WORDS, k=count))

    def write(name: str, rows: list[dict[str, Any]]) -> None:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    for variant in ("standard", "background", "accent", "paralinguistics", "disfluency"):
        asked = {
            "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
            "kwargs": [{}, {"keywords": ["river", "stone"]}],
        }
        rows = [{"key": key, "prompt": text(30), "response": text(150), **asked} for key in range(800)]
        write(f"closed_{variant}_en.jsonl", rows)
    judged = {"decomposed_questions": ["Good?", "Long?", "Right?"], "pred_score": ['["YES", "NO", "YES"]'] * 4}
    write(
        "open_ended_en.jsonl",
        [{"key": key, "prompt": text(60), "response": text(250), **judged} for key in range(1000)],
    )


def measure() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder, page = Path(name), Path(name) / "report.html"
        seeded = random.Random(0)
        runs = [folder / "one", folder / "other"]
        for run in runs:
            write_run(run, seeded)
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            main(["--results", *map(str, runs), "--report", str(page)])
        print(f"written in {time.perf_counter() - began:.1f} s, {page.stat().st_size / 1e6:.1f} MB")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=os.geteuid() != 0
        )
        print("opened   of the limit   frame, median   frame, 95th of 100")
        for _ in range(3):
            tab = browser.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector(".row")
            seconds = time.perf_counter() - began
            times = tab.evaluate(SCROLL)
            print(f"{seconds:5.2f} s   {seconds / LIMIT:12.2f}   {times[60]:10.1f} ms   {times[114]:15.1f} ms")
            tab.close()
        browser.close()


if __name__ == "__main__":
    measure()
