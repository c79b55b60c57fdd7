"""The manifest of a built set: what every file holds, and whether it still does.

    {"files": {"closed-ended/closed_standard_en.jsonl": {"sha256": ..., "lines": 26}, ...},
     "audio": {"closed-ended/en/standard/closed_001.ogg": {"job": ..., "samples_sha256": ..., "bytes_sha256": ...,
                                                           "seconds": 7.31, "level_dbfs": -23.0, ...}, ...}, ...}

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
from numpy.typing import NDArray

from data.errors import DataError
from data.variants import licences
from data.variants.level import Samples, active, decibels
from data.variants.tts import put

MANIFEST = licences.MANIFEST

RATE = 16000
"""Sampling rate of every file, in Hz."""

FORMATS = {"flac": ("FLAC", "PCM_16"), "wav": ("WAV", "PCM_16"), "ogg": ("OGG", "VORBIS")}
"""File ending -> libsndfile's container and coding; the first is the default."""

COMPRESSION = 0.8
"""libsndfile's Vorbis setting, 0 best to 1 smallest: about 4.3 kB a second here."""

SAMPLES_HASH = "sha256 of the decoded samples as little-endian int16: rint(x * 32768), clipped to -32768 ... 32767"


def _holds(path: Path, hashed: str) -> bool:
    """Return whether a file is there and has samples of this hash."""
    try:
        return path.is_file() and samples_sha256(decode(path)[0]) == hashed
    except DataError:
        return False


def samples_sha256(samples: Samples) -> str:
    """Return the hash of decoded samples, shape (n,), as `SAMPLES_HASH` words it."""
    return hashlib.sha256(quantised(samples).tobytes()).hexdigest()


def quantised(samples: Samples) -> NDArray[np.int16]:
    """Return samples, shape (n,), in the steps of 16 bits."""
    return np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype("<i2")


def write_audio(path: Path, samples: Samples) -> dict[str, Any]:
    """Write speech in the format that the file's ending names, unless the file holds these samples already.

    Args:
        path: the file; its folder is made. It is written in one step.
        samples: mono at `RATE`, shape (n,).

    Returns:
        The manifest's entry: hashes of samples and bytes, length in seconds, level in dBFS over active speech.

    Raises:
        DataError: it cannot be written, or the sound is silent.
    """
    container, coding = FORMATS[path.suffix.removeprefix(".")]
    buffer = io.BytesIO()
    if coding == "VORBIS":
        sf.write(buffer, samples, RATE, format=container, subtype=coding, compression_level=COMPRESSION)
    else:
        sf.write(buffer, quantised(samples), RATE, format=container, subtype=coding)
    content, heard = buffer.getvalue(), decode(buffer)[0]
    hashed = samples_sha256(heard)
    if _holds(path, hashed):
        content = path.read_bytes()
    else:
        put(path, content)
    return {
        "samples_sha256": hashed,
        "bytes_sha256": hashlib.sha256(content).hexdigest(),
        "seconds": round(len(samples) / RATE, 3),
        "level_dbfs": round(decibels(heard, active(heard, RATE)), 2),
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
    manifest = read(folder)
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


def differences(made: Mapping[str, Any], reference: Mapping[str, Any]) -> list[str]:
    """Compare two manifests of one recipe.

    With the same engines and libraries every decoded sample has to be the same. With others the recordings are compared
    by what can be measured: 3 % of the length, half a decibel of the level, 0.2 dB of a signal-to-noise ratio.

    Returns:
        One line for each recording that differs or is in one of them only.
    """
    exact = made["tools"] == reference["tools"]
    found = [f"{path}: in one of them only" for path in sorted(made["audio"].keys() ^ reference["audio"].keys())]
    for path, entry in reference["audio"].items():
        other = made["audio"].get(path, entry)
        if exact:
            same = other["samples_sha256"] == entry["samples_sha256"]
        else:
            same = (
                abs(other["seconds"] - entry["seconds"]) <= 0.03 * entry["seconds"]
                and abs(other["level_dbfs"] - entry["level_dbfs"]) <= 0.5
                and abs(other.get("snr_db", 0.0) - entry.get("snr_db", 0.0)) <= 0.2
            )
        if not same:
            found.append(f"{path}: differs" if exact else f"{path}: length, level or ratio differs")
    return found


def dumped(whole: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written."""
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def read(folder: Path) -> dict[str, Any]:
    """Return a folder's manifest.

    Raises:
        DataError: there is no readable one.
    """
    path = folder / MANIFEST
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
    if not path.endswith(".jsonl"):
        return
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
