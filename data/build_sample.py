"""Build the bundled sample data/sample/ from its prompts, or check what is committed.

    python -m data.build_sample                 rebuild data/sample (needs the voices: data/sample/README.md)
    python -m data.build_sample --out DIR       build somewhere else
    python -m data.build_sample --check         compare audio and JSONL files with manifest.json (numpy, soundfile only)
    python -m data.build_sample --listen        word error rate by variant (needs the `embedded` extra)

The layout is that of the benchmark on the hub; `audio_path` is relative to the JSONL file's folder.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from data import jsonl
from data.dataset import SAMPLE, with_identity
from data.errors import DataError, guarded
from data.variants import background, disfluency, paralinguistics, tts
from data.variants.intelligibility import listen
from data.variants.level import Samples, levelled, padded, resampled
from data.variants.manifest import COMPRESSION, MANIFEST, RATE, SAMPLES_HASH, check, write_audio

PROMPTS = SAMPLE / "prompts"

SEED = 20261120
LEVEL_DBFS = -23.0
"""Level over active speech; a style's gain comes on top."""

MARGIN_SECONDS = 0.25
"""Silence (or noise) before and after the speech."""

# What varies over the items goes round these lists in the order of the prompts.
STANDARD_VOICES = ("pico-en-us", "flite-slt", "flite-rms")
ACCENT_VOICES = (*("pico-en-gb", "flite-awb") * 3, "espeak-en-029")
CHINESE_VOICES = ("espeak-cmn",)
NOISES = ("pink", "babble", "hum", "brown")
SNRS_DB = (5.0, 10.0, 15.0)
STYLES = {
    "pico-en-us": ("fast_high", "stressed", "low", "slow_low_quiet"),
    "flite-slt": ("high", "fast", "quiet", "low"),
    "flite-rms": ("slow", "quiet", "fast"),
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """One line of a JSONL file and its sound.

    Attributes:
        line: the fields, `audio_path` among them.
        samples: mono at `RATE`, shape (n,).
    """

    line: dict[str, Any]
    samples: Samples


def read_prompts(name: str) -> list[dict[str, Any]]:
    """Return the rows of data/sample/prompts/<name>.jsonl.

    Raises:
        DataError: the file is missing or broken, or a line has no `prompt`.
    """
    path = PROMPTS / f"{name}.jsonl"
    return [dict(item.fields) for item, _ in with_identity(path, jsonl.read(path))]


def build(out: Path) -> list[str]:
    """Build the whole sample.

    An audio file whose decoded samples would stay the same is left alone (an OGG stream carries a random number, so its
    bytes would change).

    Args:
        out: folder that receives the three subset folders and the manifest.

    Returns:
        The paths written or confirmed, relative to `out`.

    Raises:
        UsageError: an engine is missing.
        DataError: a prompt cannot be rendered.
    """
    files: dict[str, Any] = {}
    audio: dict[str, Any] = {}
    for path, renderings in _suites():
        lines = [rendering.line for rendering in renderings]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8", newline="\n")
        files[path] = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "lines": len(lines)}
        for rendering in renderings:
            place = (Path(path).parent / rendering.line["audio_path"]).as_posix()
            audio[place] = {**write_audio(out / place, rendering.samples), "voice": rendering.line["voice"]}
    record = {
        "seed": SEED,
        "tools": _tools(),
        "encoding": {"container": "OGG", "codec": "Vorbis", "rate_hz": RATE, "channels": 1, "compression": COMPRESSION},
        "samples_sha256": SAMPLES_HASH,
        "seconds": round(sum(entry["seconds"] for entry in audio.values()), 3),
        "files": files,
        "audio": audio,
    }
    (out / MANIFEST).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8", newline="\n")
    return [*files, *audio]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring. Returns the exit code: 1 where `--check` finds a mismatch."""
    parser = argparse.ArgumentParser(prog="python -m data.build_sample", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=SAMPLE, metavar="DIR", help="folder to build, check or listen to")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with manifest.json instead of building")
    what.add_argument("--listen", action="store_true", help="measure word error rates instead of building")
    chosen = parser.parse_args(argv)

    def run() -> int:
        if chosen.check:
            mismatches = check(chosen.out)
            _say([*mismatches, f"{chosen.out}: {len(mismatches)} mismatches"])
            return 1 if mismatches else 0
        if chosen.listen:
            _say(listen(chosen.out))
            return 0
        _say([f"{chosen.out}: {len(build(chosen.out))} files"])
        return 0

    return guarded(run, lambda line: _say([line], sys.stderr))


def _suites() -> Iterator[tuple[str, list[Rendering]]]:
    """Yield every JSONL file's path with its renderings."""
    rows = read_prompts("closed_en")
    standard = [_plain(row, STANDARD_VOICES[i % len(STANDARD_VOICES)], "en") for i, row in enumerate(rows)]
    variants = {
        "standard": standard,
        "background": [_noisy(i, standard) for i in range(len(rows))],
        "accent": [_plain(row, ACCENT_VOICES[i % len(ACCENT_VOICES)], "en") for i, row in enumerate(rows)],
        "paralinguistics": [_styled(i, row) for i, row in enumerate(rows)],
        "disfluency": [_hesitant(i, row) for i, row in enumerate(rows)],
    }
    for variant, renderings in variants.items():
        for rendering in renderings:
            name = f"en/{variant}/closed_{rendering.line['key']:03}.ogg"
            rendering.line.update(variant=variant, audio_path=name)
        yield f"closed-ended/closed_{variant}_en.jsonl", renderings
    chinese = _plain_suite("closed_cn", CHINESE_VOICES, "zh", "cn/standard/closed")
    for rendering in chinese:
        rendering.line["variant"] = "standard"
    yield "closed-ended/closed_standard_cn.jsonl", chinese
    for name, folder in (("open", "open-ended/open_ended"), ("adjustment", "adjustment/adjustment")):
        yield f"{folder}_en.jsonl", _plain_suite(f"{name}_en", STANDARD_VOICES, "en", f"en/{name}")
        yield f"{folder}_cn.jsonl", _plain_suite(f"{name}_cn", CHINESE_VOICES, "zh", f"cn/{name}")


def _plain_suite(prompts: str, voices: Sequence[str], language: str, stem: str) -> list[Rendering]:
    renderings = []
    for index, row in enumerate(read_prompts(prompts)):
        rendering = _plain(row, voices[index % len(voices)], language)
        rendering.line["audio_path"] = f"{stem}_{row['key']:03}.ogg"
        renderings.append(rendering)
    return renderings


def _plain(row: Mapping[str, Any], voice: str, language: str) -> Rendering:
    return Rendering(_line(row, voice, language, _words(row)), _sound(_words(row), voice))


def _noisy(index: int, standard: Sequence[Rendering]) -> Rendering:
    """Put noise behind the standard rendering of an item; the babble is the other items' speech."""
    clean = standard[index]
    kind, snr = NOISES[index % len(NOISES)], SNRS_DB[index % len(SNRS_DB)]
    seed = SEED + index
    others = [other.samples for other in standard if other is not clean] if kind == "babble" else []
    sound = background.noise(kind, len(clean.samples), RATE, seed, others)
    mixture = background.mix(clean.samples, sound, RATE, snr)
    line = {**clean.line, "noise": kind, "snr_db": round(mixture.snr_db, 2), "noise_seed": seed}
    return Rendering(line, mixture.samples)


def _styled(index: int, row: Mapping[str, Any]) -> Rendering:
    """Say an item in the voice of its standard rendering, in another manner."""
    voice = STANDARD_VOICES[index % len(STANDARD_VOICES)]
    name = STYLES[voice][index // len(STANDARD_VOICES) % len(STYLES[voice])]
    style = paralinguistics.style(name)
    stressed = paralinguistics.stressed_words(_words(row)) if style.stress else []
    if style.stress and not stressed:
        raise DataError(f"no word to stress in prompt {row['key']}", path=PROMPTS / "closed_en.jsonl")
    line = _line(row, voice, "en", _words(row))
    line.update(paralinguistics.parameters(name), stress=stressed)
    return Rendering(line, _sound(_words(row), voice, style, stressed))


def _hesitant(index: int, row: Mapping[str, Any]) -> Rendering:
    """Say an item in the voice of its standard rendering, with disfluencies."""
    voice = STANDARD_VOICES[index % len(STANDARD_VOICES)]
    made = disfluency.disfluent(_words(row), SEED + index, row.get("protected", ()))
    if not made.events:
        raise DataError(f"no place for a disfluency in prompt {row['key']}", path=PROMPTS / "closed_en.jsonl")
    line = _line(row, voice, "en", made.text)
    line["disfluency"] = [{"kind": event.kind, "before": event.before, "added": event.added} for event in made.events]
    return Rendering(line, _sound(made.text, voice))


def _words(row: Mapping[str, Any]) -> str:
    """Return what is said: the row's `say` where the written prompt would be read wrongly."""
    return str(row.get("say", row["prompt"]))


def _line(row: Mapping[str, Any], voice: str, language: str, spoken: str) -> dict[str, Any]:
    line = {name: value for name, value in row.items() if name not in ("say", "protected")}
    if spoken != row["prompt"]:
        line["spoken_text"] = spoken
    return {**line, "audio_path": "", "language": language, "voice": voice, "accent": tts.VOICES[voice].tag}


def _sound(
    text: str,
    voice: str,
    style: paralinguistics.Style | None = None,
    stressed: Sequence[str] = (),
) -> Samples:
    """Say a text and bring it to the sample's rate, level and margins; shape (n,)."""
    manner = style or paralinguistics.Style()
    speech = tts.speak(text, voice, rate=manner.rate, pitch=manner.pitch, stressed=stressed)
    samples = resampled(speech.samples, speech.rate, RATE)
    return padded(levelled(samples, RATE, LEVEL_DBFS + manner.gain_db), RATE, MARGIN_SECONDS)


def _tools() -> dict[str, str | None]:
    engines = sorted({voice.engine for voice in tts.VOICES.values()})
    versions = {engine: tts.engine_version(engine) for engine in engines}
    libraries = {"soundfile": sf.__version__, "libsndfile": sf.__libsndfile_version__, "numpy": np.__version__}
    return {**versions, **libraries, "soxr": str(importlib.import_module("soxr").__version__)}


def _say(lines: Sequence[str] | Iterator[str], stream: Any = None) -> None:
    for line in lines:
        (stream or sys.stdout).write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
