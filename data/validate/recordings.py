"""What can be wrong with items' recordings: where they are, how they sound, and whose they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from data.dataset import AudioFinder, AudioNotFound
from data.validate.findings import Finding
from data.validate.rows import Row
from data.validate.sound import Sound

SILENT_DB = -60.0
"""Below this loudest 20 ms there is no speech: 30 dB under quiet speech, 30 dB above the noise of 16-bit rounding."""

SHORTEST_SECONDS = 0.3
"""Room for two syllables; the shortest recording of the bundled sample takes 3.7 s."""

LONGEST_SECONDS = 300.0
"""Ten windows of a Whisper encoder, and the largest limit but one of inference/models.toml."""

WINDOW_SECONDS = 30.0
"""One window of a Whisper encoder; SpeechInstructBench's open items last about 35 s on average."""

FASTEST = (35.0, 14.0)
"""Letters a second in other scripts, and in Han, kana and Hangul: twice what people say when they talk fast."""

SLOWEST = (4.0, 1.0)
"""The same for slow speech: a quarter of the usual rate. Five seconds are added for pauses."""

CLIPPED_SHARE = 0.001
"""One millisecond in every second. Less is a burst or two, which no listener minds."""

OFFSET = 0.01
"""One percent of full scale (-40 dBFS); the voices of the bundled sample reach 0.004."""

LOWEST_RATE = 16_000
"""Hz. Speech models hear up to 8 kHz; a file at 8 kHz has no sound above 4."""

CANCELS_DB = 10.0
"""A mix that is so much quieter than its loudest channel has lost most of it; one silent channel alone costs 6 dB."""

_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def locate(rows: Sequence[Row], finder: AudioFinder, found: Callable[[Finding], None]) -> dict[Row, Path]:
    """Return where the recordings lie; what is missing goes to `found`."""
    if not any(row.item.id.audio for row in rows):
        for path in dict.fromkeys(row.file.path for row in rows):
            found(Finding("text-only", path, None, "no line names audio: checked as text"))
        return {}
    paths = {}
    for row in rows:
        audio = row.item.id.audio
        if audio is None:
            found(row.finding("audio-unnamed", "no audio_path"))
            continue
        before = finder.matched_by_tail
        try:
            paths[row] = finder.find(audio, row.file.path)
        except AudioNotFound as error:
            found(row.finding("audio-missing", str(error)))
            continue
        if finder.matched_by_tail > before:
            found(row.finding("audio-by-tail", f"{audio} was found as {paths[row].relative_to(finder.root)}"))
    return paths


def check(row: Row, sound: Sound | str) -> Iterator[Finding]:
    """Yield what is wrong with one recording by itself."""
    if isinstance(sound, str):
        check_name = "audio-empty" if sound.startswith("audio empty") else "audio-unreadable"
        yield row.finding(check_name, f"{row.item.id.audio}: {sound}")
        return
    name, seconds = row.item.id.audio, sound.seconds
    if sound.loudest_db < SILENT_DB:
        level = "digital silence" if sound.loudest_db == -float("inf") else f"at most {sound.loudest_db:.0f} dBFS"
        yield row.finding("audio-silent", f"{name}: {level} in {seconds:.1f} s")
    if seconds < SHORTEST_SECONDS:
        yield row.finding("audio-short", f"{name}: {seconds:.2f} s")
    else:
        yield from _duration(row, seconds)
    if sound.torn:
        yield row.finding("audio-torn", f"{name}: shorter than its header says")
    if sound.clipped > CLIPPED_SHARE:
        share = f"{name}: {100 * sound.clipped:.1f} % of its samples are at full scale"
        yield row.finding("audio-clipped", share, sound.clipped)
    if abs(sound.offset) > OFFSET:
        yield row.finding("audio-offset", f"{name}: a mean of {sound.offset:+.3f} of full scale", abs(sound.offset))
    if sound.cancelled_db > CANCELS_DB and sound.loudest_db > -float("inf"):
        yield row.finding("audio-cancels", f"{name}: mixed down, {sound.cancelled_db:.0f} dB are lost")
    if sound.channels > 1:
        yield row.finding("audio-channels", f"{name}: {sound.channels} channels")
    if sound.rate < LOWEST_RATE:
        yield row.finding("audio-rate-low", f"{name}: {sound.rate} Hz", -sound.rate)
    elif sound.rate != LOWEST_RATE:
        yield row.finding("audio-rate", f"{name}: {sound.rate} Hz")


def _duration(row: Row, seconds: float) -> Iterator[Finding]:
    name, said = row.item.id.audio, "" if row.item.written else row.spoken  # what is asked in writing is not said
    letters = sum(map(str.isalnum, said))
    dense = len(_DENSE.findall(said))
    shortest, longest = ((letters - dense) / rate + dense / dense_rate for rate, dense_rate in (FASTEST, SLOWEST))
    if seconds < shortest:
        message = f"{name}: {letters} letters in {seconds:.1f} s; even fast speech takes {shortest:.1f} s"
        yield row.finding("audio-brief", message, shortest / seconds)
    if letters and seconds > longest + 5.0:
        message = f"{name}: {letters} letters in {seconds:.1f} s; even slow speech takes {longest + 5.0:.1f} s"
        yield row.finding("audio-slow", message, seconds / longest)
    if seconds > LONGEST_SECONDS:
        yield row.finding("audio-long", f"{name}: {seconds:.0f} s", seconds)
    elif seconds > WINDOW_SECONDS:
        yield row.finding("audio-over-30", f"{name}: {seconds:.1f} s", seconds)


def shared(rows: Sequence[Row], sounds: Mapping[Row, Sound]) -> Iterator[Finding]:
    """Yield recordings that stand at several lines of one file."""
    first: dict[bytes, Row] = {}
    for row in rows:
        if row not in sounds:
            continue
        earlier = first.setdefault(sounds[row].digest, row)
        if earlier is row:
            continue
        if earlier.item.id.key == row.item.id.key:
            yield row.finding("rendering-twice", f"{row.item.id.audio} sounds the same as line {earlier.number}")
        elif earlier.item.prompt != row.item.prompt:  # the same prompt twice is told as `prompt-twice`
            message = f"{row.item.id.audio} sounds the same as line {earlier.number}, which has another prompt"
            yield row.finding("audio-shared", message)


_ByKey = dict[int | str, list[Row]]
_COMPARED = ("instruction_id_list", "kwargs", "decomposed_questions")


def renderings(rows: Sequence[Row], sounds: Mapping[Row, Sound]) -> Iterator[Finding]:
    """Yield what is wrong between the renderings of one item, in a file and in the files of its variants."""
    families: dict[tuple[str, str], dict[str, _ByKey]] = defaultdict(dict)
    for row in rows:
        if row.file.kind is not None and row.item.id.key is not None:
            family = families[row.file.kind.suite.name, row.file.kind.lang]
            family.setdefault(row.file.kind.variant, defaultdict(list))[row.item.id.key].append(row)
    for variants in families.values():
        base = "standard" if "standard" in variants else next(iter(variants))
        for variant, keys in variants.items():
            for key in keys.keys() & variants[base].keys():
                first = variants[base][key][0]
                yield from (finding for row in keys[key] for finding in _differences(row, first))
            if variant != base:
                yield from _against(base, variants[base], keys, sounds)


def _against(base: str, standard: _ByKey, keys: _ByKey, sounds: Mapping[Row, Sound]) -> Iterator[Finding]:
    """Yield what is wrong with a variant's keys and recordings beside those of the standard."""
    (standard_file,), (file,) = ({rows[0].file.name for rows in side.values()} for side in (standard, keys))
    for key, rows in keys.items():
        if key not in standard:
            yield rows[0].finding("variant-key-unknown", f"key {key!r} is not in {standard_file}")
            continue
        heard = {sounds[row].digest for row in standard[key] if row in sounds}
        for row in rows:
            if row in sounds and sounds[row].digest in heard:
                yield row.finding("variant-same-sound", f"{row.item.id.audio} is the {base} recording")
    for key, rows in standard.items():
        if key not in keys:
            yield rows[0].finding("variant-key-missing", f"key {key!r} has no rendering in {file}")


def _differences(row: Row, first: Row) -> Iterator[Finding]:
    where = f"line {first.number}" if row.file is first.file else f"{first.file.name}:{first.number}"
    different = [name for name in _COMPARED if row.item.fields.get(name) != first.item.fields.get(name)]
    if different:
        yield row.finding("variant-differs", f"key {row.item.id.key!r} has another {', '.join(different)} than {where}")
    if row.item.prompt != first.item.prompt:
        yield row.finding("variant-prompt-differs", f"key {row.item.id.key!r} has another prompt than {where}")
