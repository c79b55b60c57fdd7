"""Who can speak: a literal table of voices, the voices of espeak-ng, and those of a user's own file.

Only voices whose licence lets their speech be passed on are in the table; docs/building.md says where each licence was
read. `espeak-<voice>` names any voice that the installed espeak-ng has. A file of one's own is TOML:

    [my-voice]
    engine = "server"                       # an OpenAI-compatible /v1/audio/speech
    base_url = "http://localhost:8880/v1"
    model = "kokoro"
    setting = "af_heart"                    # the server's name of the voice
    tag = "en-US"
    licence = "Apache-2.0"

    [my-piper]
    engine = "command"                      # a program: no shell, {text} and {out} are filled in
    command = ["piper", "--model", "voice.onnx", "--output_file", "{out}"]
    tag = "de-DE"
    licence = "MIT"
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from data.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        name: our name of it.
        engine: a key of `data.variants.tts.ENGINES`.
        setting: the engine's own name of the voice.
        tag: BCP 47 tag of the language and accent.
        licence: licence of engine and voice.
        package: where it comes from: a pip package, a Debian package, or empty.
        rate: whether the engine itself can speak faster and slower.
        pitch: whether the engine itself can speak higher and lower.
        stress: whether the engine can stress single words.
        emotion: whether the engine follows an emotion.
        base_url: address of a `server`, ending in /v1.
        model: what a `server` calls its model.
        api_key_env: environment variable that holds the key of a `server`; without that variable no key is sent.
        command: arguments of a `command`; `{out}` is replaced by the WAV file to write (else it is read from standard
            output), `{text}` by the text (else it goes to standard input), `{setting}` by the voice's setting.
    """

    name: str
    engine: str
    setting: str
    tag: str
    licence: str
    package: str = ""
    rate: bool = True
    pitch: bool = True
    stress: bool = False
    emotion: bool = False
    base_url: str = ""
    model: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    command: tuple[str, ...] = ()

    @property
    def language(self) -> str:
        """Return the language's two-letter code where it has one, by which data sets call it."""
        primary = self.tag.split("-")[0].lower()
        return _MACROLANGUAGES.get(primary, primary)


_MACROLANGUAGES = {"cmn": "zh", "yue": "zh", "hak": "zh"}

_CMU = "CMU Flite licence (BSD-style)"
_EST = "Festival and HTS licences (BSD-style)"
_GPL = "GPL-3.0-or-later (engine; the licence does not extend to what the program puts out)"
_SVOX = "Apache-2.0"

_ROWS = (
    Voice("pico-en-us", "pico", "en-US", "en-US", _SVOX, "pip: ttspico", stress=True),
    Voice("pico-en-gb", "pico", "en-GB", "en-GB", _SVOX, "pip: ttspico", stress=True),
    Voice("pico-de", "pico", "de-DE", "de-DE", _SVOX, "pip: ttspico", stress=True),
    Voice("pico-es", "pico", "es-ES", "es-ES", _SVOX, "pip: ttspico", stress=True),
    Voice("pico-fr", "pico", "fr-FR", "fr-FR", _SVOX, "pip: ttspico", stress=True),
    Voice("pico-it", "pico", "it-IT", "it-IT", _SVOX, "pip: ttspico", stress=True),
    Voice("flite-slt", "flite", "slt", "en-US", _CMU, "Debian: flite"),
    # This voice ignores every pitch feature of flite.
    Voice("flite-rms", "flite", "rms", "en-US", _CMU, "Debian: flite", pitch=False),
    Voice("flite-awb", "flite", "awb", "en-GB-scotland", _CMU, "Debian: flite"),
    # An HTS voice: it takes neither a duration stretch nor a pitch from festival.
    Voice(
        "festival-slt",
        "festival",
        "cmu_us_slt_arctic_hts",
        "en-US",
        _EST,
        "Debian: festival, festvox-us-slt-hts",
        rate=False,
        pitch=False,
    ),
    Voice("espeak-en-029", "espeak-ng", "en-029", "en-029", _GPL, "Debian: espeak-ng"),
    # Not `cmn`: in espeak-ng 1.51 that voice reads the pinyin of many characters as if it were English.
    Voice("espeak-cmn", "espeak-ng", "cmn-latn-pinyin", "cmn-CN", _GPL, "Debian: espeak-ng"),
)

VOICES: dict[str, Voice] = {row.name: row for row in _ROWS}
"""The voices known by name, best first within a language."""


def named(name: str, own: Mapping[str, Voice] | None = None) -> Voice:
    """Return a voice by its name: one of the user's own, of the table, or `espeak-<voice>`.

    Raises:
        UsageError: there is no such voice.
    """
    for table in (own or {}, VOICES, espeak_voices()):
        if name in table:
            return table[name]
    raise UsageError(f"no voice '{name}'; there are: {', '.join([*(own or {}), *VOICES])}, and espeak-LANGUAGE")


@cache
def espeak_voices() -> dict[str, Voice]:
    """Return the voices of the installed espeak-ng, by `espeak-<voice>`; none where it is not installed."""
    try:
        listed = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, Voice] = {}
    for line in listed.stdout.splitlines()[1:]:
        columns = line.split()
        # The MBROLA voices are listed whether they are installed or not.
        if len(columns) >= 5 and not any(column.startswith("mb/") for column in columns):
            setting = columns[1]
            row = Voice(f"espeak-{setting}", "espeak-ng", setting, tag(setting), _GPL, "Debian: espeak-ng")
            found.setdefault(row.name, row)
    return found


def tag(written: str) -> str:
    """Return a BCP 47 tag in its usual letter case: en-GB-scotland, sr-Latn, es-419 (RFC 5646, section 2.1.1)."""
    parts = written.lower().split("-")
    private = parts.index("x") if "x" in parts else len(parts)
    for place in range(1, private):
        if len(parts[place]) == 2:
            parts[place] = parts[place].upper()
        elif len(parts[place]) == 4:
            parts[place] = parts[place].title()
    return "-".join(parts)


def read(path: Path) -> dict[str, Voice]:
    """Read a file of voices; see the module's docstring.

    Raises:
        DataError: it cannot be read, is not TOML, or a voice lacks what its engine needs.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=path) from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"not TOML: {error}", path=path) from None
    if not tables:
        raise DataError("holds no voice; each is a table of its own, [my-voice]", path=path)
    return {name: _own(name, row, path) for name, row in tables.items()}


_NEEDED = {"server": ("base_url", "model", "setting"), "command": ("command",)}
_KINDS = {field.name: {"bool": bool, "str": str}.get(str(field.type), list) for field in fields(Voice)}


def _own(name: str, row: object, path: Path) -> Voice:
    """Return a voice of a user's file.

    Raises:
        DataError: a field is missing, unknown or of the wrong type.
    """
    if not isinstance(row, dict):
        raise DataError("is no voice; write a table, [my-voice]", path=path, field=name)
    problems = [problem for check in (_unusable, _incomplete) for problem in check(row)]
    if problems:
        field, problem = problems[0]
        raise DataError(problem, path=path, field=f"{name}.{field}")
    if isinstance(row.get("command"), list):
        row = {**row, "command": tuple(row["command"])}
    # What a server or program can do is not known: rate and pitch are changed in its sound unless the file says more.
    able = {} if row["engine"] not in _NEEDED else {"rate": False, "pitch": False}
    return replace(Voice(name, row["engine"], "", "", ""), **{**able, **row})


def _unusable(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in row.items():
        if field not in _KINDS or field == "name":
            yield field, f"unknown; known: {', '.join(known for known in _KINDS if known != 'name')}"
        elif not isinstance(value, _KINDS[field]) or (
            isinstance(value, list) and not (value and all(isinstance(part, str) for part in value))
        ):
            yield field, "must be " + {bool: "true or false", str: "text"}.get(_KINDS[field], "a list of texts")


def _incomplete(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("engine", "tag", "licence", *_NEEDED.get(row.get("engine", ""), ("setting",))):
        if not row.get(field):
            yield field, "missing"
    if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", row.get("tag", "en")):
        yield "tag", f"'{row['tag']}' is no BCP 47 tag such as en-GB"


def told_of(voices: Mapping[str, Voice]) -> dict[str, dict[str, Any]]:
    """Return what a manifest tells of the voices that a set is said by."""
    return {
        name: {field: getattr(voice, field) for field in ("engine", "setting", "model", "tag", "licence")}
        for name, voice in sorted(voices.items())
    }
