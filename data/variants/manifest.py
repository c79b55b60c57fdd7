"""The manifest of a built set: what every file holds, and whether it still does.

    {"files": {"closed-ended/closed_standard_en.jsonl": {"sha256": ..., "lines": 26}, ...},
     "audio": {"closed-ended/en/standard/closed_001.ogg": {"samples_sha256": ..., "bytes_sha256": ...,
                                                           "seconds": 7.31, "voice": "pico-en-us"}, ...}, ...}

Audio is compared by its decoded samples, since writing the same sound twice gives different OGG bytes (every stream
carries a random number). Needs numpy and soundfile only.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from data.errors import DataError
from data.variants.level import Samples

MANIFEST = "manifest.json"

RATE = 16000
"""Sampling rate of every file, in Hz."""

COMPRESSION = 0.8
"""libsndfile's Vorbis setting, 0 best to 1 smallest: about 4.3 kB a second here."""

SAMPLES_HASH = "sha256 of the decoded samples as little-endian int16: rint(x * 32768), clipped to -32768 ... 32767"


def samples_sha256(samples: Samples) -> str:
    """Return the hash of decoded samples, shape (n,), as `SAMPLES_HASH` words it."""
    quantised = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    return hashlib.sha256(quantised.tobytes()).hexdigest()


def write_audio(path: Path, samples: Samples) -> dict[str, Any]:
    """Write speech as OGG Vorbis, unless the file holds these samples already.

    Args:
        path: the file; its folder is made.
        samples: mono at `RATE`, shape (n,).

    Returns:
        The manifest's entry, without the voice.
    """
    buffer = io.BytesIO()
    sf.write(buffer, samples, RATE, format="OGG", subtype="VORBIS", compression_level=COMPRESSION)
    decoded = samples_sha256(decode(buffer)[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or samples_sha256(decode(path)[0]) != decoded:
        path.write_bytes(buffer.getvalue())
    return {
        "samples_sha256": decoded,
        "bytes_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "seconds": round(len(samples) / RATE, 3),
    }


def decode(source: Path | io.BytesIO) -> tuple[Samples, int]:
    """Return a file's samples as float32, shape (n,) for mono, and its sampling rate in Hz.

    Raises:
        DataError: it cannot be decoded.
    """
    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        samples, rate = sf.read(source, dtype="float32")
    except sf.LibsndfileError as error:
        raise DataError(f"cannot be decoded: {error}") from error
    return samples, int(rate)


def check(folder: Path) -> list[str]:
    """Compare a sample with its manifest.

    An audio file is right if its decoded samples have the recorded hash. Where they have not, its bytes may still be
    the recorded ones: decoders may round differently from machine to machine, which is not the file's fault.

    Args:
        folder: holds the manifest and the three subset folders.

    Returns:
        One line for each mismatch, in the manifest's order.

    Raises:
        DataError: there is no readable manifest.
    """
    manifest = _read_manifest(folder / MANIFEST)
    found: list[str] = []
    for path, entry in manifest["files"].items():
        found += _check_lines(folder, path, entry, manifest["audio"])
    for path, entry in manifest["audio"].items():
        found += _check_audio(folder / path, path, entry)
    known = {*manifest["audio"], *manifest["files"]}
    for kind in ("closed-ended", "open-ended", "adjustment"):
        there = (path for path in sorted((folder / kind).rglob("*")) if path.is_file())
        found += [f"{name}: not in the manifest" for path in there if (name := _name(path, folder)) not in known]
    return found


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"no readable manifest: {error}", path=path) from error
    if not isinstance(manifest, dict) or not {"files", "audio"} <= manifest.keys():
        raise DataError("a manifest holds 'files' and 'audio'", path=path)
    return manifest


def _check_lines(folder: Path, path: str, entry: Mapping[str, Any], audio: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one JSONL file."""
    if not (folder / path).is_file():
        yield f"{path}: missing"
        return
    content = (folder / path).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        yield f"{path}: content differs from the manifest"
    for number, text in enumerate(content.decode(errors="replace").splitlines(), start=1):
        try:
            named = (Path(path).parent / json.loads(text)["audio_path"]).as_posix()
        except (ValueError, KeyError, TypeError):
            yield f"{path}:{number}: no object with 'audio_path'"
            continue
        if named not in audio:
            yield f"{path}:{number}: '{named}' is not in the manifest"


def _check_audio(path: Path, name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one audio file."""
    if not path.is_file():
        yield f"{name}: missing"
        return
    try:
        samples, rate = decode(path)
    except DataError as error:
        yield f"{name}: {error}"
        return
    if rate != RATE or samples.ndim != 1:
        yield f"{name}: not mono at {RATE} Hz"
    elif samples_sha256(samples) != entry["samples_sha256"]:
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["bytes_sha256"]:
            yield f"{name}: samples differ from the manifest"
    elif abs(len(samples) / rate - entry["seconds"]) > 0.001:
        yield f"{name}: {len(samples) / rate:.3f} s instead of {entry['seconds']} s"


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
