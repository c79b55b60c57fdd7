"""How fast recordings become what a model hears: 48 kHz stereo, WAV and FLAC, to 16 kHz mono.

    pip install librosa scipy               # the peers; left out of the table where they are missing
    python bench/audio_preparation.py

Clips of 10 s: speech of the bundled sample at 48 kHz, as two channels that differ in level, delay and a faint noise of
their own (nothing above 8 kHz but that noise). Processor time, so seconds of one core, in one process; every round
prepares the same clips in every way, and the medians of the rounds are shown. The limit decodes the same files and
resamples one channel: no mixing, no checks.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import soundfile
import soxr

from data import audio
from data.dataset import SAMPLE

RATE, OWN_RATE = 16_000, 48_000  # Hz
SECONDS = 10
CLIPS = 24
ROUNDS = 9
NOISE = 10 ** (-66 / 20)  # of full scale, root mean square
Prepare = Callable[[Path], Any]


def make_clips(folder: Path, form: str) -> list[Path]:
    """Write the clips in `wav` or `flac`, 16 bit."""
    pieces = (audio.load(path, RATE) for path in sorted(SAMPLE.rglob("*.ogg")))
    speech = soxr.resample(np.concatenate(list(pieces)), RATE, OWN_RATE)
    random = np.random.default_rng(0)
    paths = []
    for number in range(CLIPS):
        left = speech[number * SECONDS * OWN_RATE :][: SECONDS * OWN_RATE]
        channels = np.stack([left, 0.7 * np.roll(left, 20)], axis=1)
        channels += random.normal(0, NOISE, channels.shape)
        paths.append(folder / f"{number}.{form}")
        soundfile.write(paths[-1], channels, OWN_RATE, subtype="PCM_16")
    return paths


def limit(path: Path) -> Any:
    """Decode, and resample one channel."""
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples[:, 0], rate, RATE)


def plain(path: Path) -> Any:
    """Prepare a clip as one would write it down."""
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def scipys(path: Path) -> Any:
    """Prepare a clip with scipy's polyphase filter."""
    samples, rate = soundfile.read(path, dtype="float32")
    return importlib.import_module("scipy.signal").resample_poly(samples.mean(axis=1), RATE, rate)


def librosas(path: Path) -> Any:
    """Prepare a clip with librosa's loader, as it comes."""
    return importlib.import_module("librosa").load(path, sr=RATE, mono=True)[0]


def measured(paths: list[Path], ways: dict[str, Prepare]) -> dict[str, float]:
    """Return the median processor seconds a clip of each way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, prepare in ways.items():
            began = time.process_time()
            for path in paths:
                prepare(path)
            if number:  # the first round loads what is loaded once
                seconds[name].append((time.process_time() - began) / len(paths))
    return {name: statistics.median(rounds) for name, rounds in seconds.items()}


def main() -> None:
    """Print the table."""
    ways: dict[str, Prepare] = {
        "limit: decode, resample one channel": limit,
        "this project": lambda path: audio.load(path, RATE),
        "soundfile, mean, soxr": plain,
        "soundfile, mean, scipy.resample_poly": scipys,
        "librosa.load": librosas,
    }
    for name, package in (("soundfile, mean, scipy.resample_poly", "scipy"), ("librosa.load", "librosa")):
        if importlib.util.find_spec(package) is None:
            print(f"{name}: not installed")
            del ways[name]
    for form in ("wav", "flac"):
        with tempfile.TemporaryDirectory() as folder:
            paths = make_clips(Path(folder), form)
            assert np.allclose(audio.load(paths[0], RATE), plain(paths[0]), atol=1e-6), "they do not do the same work"
            seconds = measured(paths, ways)
        print(f"{form}, {OWN_RATE} Hz stereo, {CLIPS} clips of {SECONDS} s, {ROUNDS} rounds")
        own = seconds["this project"]
        for name, each in seconds.items():
            print(f"  {name:38}{1000 * each:7.2f} ms   {SECONDS / each:6.0f} times real time   {each / own:5.2f}")


if __name__ == "__main__":
    main()
