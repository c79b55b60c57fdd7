"""What is to be built: everything that decides on a set's texts and sounds.

The flags of `python -m data build` make a recipe with one list of prompts. A recipe in a file can have several lists,
each with voices and choices of its own; data/sample/recipe.toml is one:

    seed = 20261120
    format = "ogg"

    [[sets]]
    prompts = ["prompts/closed_en.jsonl"]
    lang = "en"
    variants = ["standard", "background"]
    voices = ["pico-en-us", "flite-slt"]
    conditions = [["pink", 5.0], ["babble", 10.0]]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from data.errors import DataError, UsageError
from data.suites import VARIANTS, language, suites_of
from data.variants import background, disfluency, paralinguistics, rooms
from data.variants.manifest import FORMATS

ADJUSTMENT = "adjustment"

KINDS = (*VARIANTS, ADJUSTMENT)
"""What can be built of a prompt: its spoken variants, and the request that changes its mind."""


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A list of prompts and what is made of it. Voices, styles and so on are taken in turn.

    Attributes:
        prompts: JSONL files with `prompt`, and `key`, `instruction_id_list` and `kwargs`, or `decomposed_questions`.
        lang: two-letter code of their language.
        suite: a subset of SpeechInstructBench to which all lines belong; empty: each line's fields tell.
        variants: some of `KINDS`.
        voices: names of voices, or BCP 47 tags; empty: the best that are installed.
        accents: voices of the accent variant; empty: installed ones with another tag than `voices`.
        conditions: kinds of noise (or folders of recordings), each with a signal-to-noise ratio in dB.
        styles: keys of `paralinguistics.STYLES`; empty: all that the voices can do.
        disfluencies: some of `disfluency.KINDS`.
        disfluency_rate: disfluencies per 100 words.
        least_disfluencies: how many there are in a prompt however short it is.
        optional: leave out what these prompts or voices do not allow, with a note, instead of refusing it.
    """

    prompts: tuple[Path, ...]
    lang: str = "en"
    suite: str = ""
    variants: tuple[str, ...] = KINDS
    voices: tuple[str, ...] = ()
    accents: tuple[str, ...] = ()
    conditions: tuple[tuple[str, float], ...] = ()
    styles: tuple[str, ...] = ()
    disfluencies: tuple[str, ...] = disfluency.KINDS
    disfluency_rate: float = disfluency.RATE
    least_disfluencies: int = 1
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is to be built.

    Attributes:
        sets: the lists of prompts.
        seed: the same recipe and seed give the same decoded samples.
        shuffled: whether each round through conditions, accents and styles is in an order drawn from the seed, so that
            no condition always meets the same voice; otherwise they are taken in the order given.
        rooms: number of simulated rooms for the background variant; 0: none.
        impulse_responses: folder of given impulse responses for it, or None.
        level_dbfs: level over active speech, in dBFS.
        margin_seconds: silence (or noise) before and after the speech, in seconds.
        format: a key of `FORMATS`.
        licence: licence of the prompts, and of the set as far as it is the author's.
        noise_licence: licence of recorded noise and given impulse responses.
        about: text at the head of the set's README.
    """

    sets: tuple[PromptSet, ...]
    seed: int = 7
    shuffled: bool = True
    rooms: int = 0
    impulse_responses: Path | None = None
    level_dbfs: float = -23.0
    margin_seconds: float = 0.25
    format: str = next(iter(FORMATS))
    licence: str = ""
    noise_licence: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: a value that is unknown or out of range.
        """
        if not 0 <= self.seed < 2**31:
            raise UsageError(f"seed {self.seed} must lie between 0 and {2**31 - 1}")
        if self.format not in FORMATS:
            raise UsageError(f"no format '{self.format}'; there are: {', '.join(FORMATS)}")
        if not 0 <= self.rooms <= rooms.MOST_ROOMS:
            raise UsageError(f"{self.rooms} rooms; there can be 0 to {rooms.MOST_ROOMS}")
        if self.rooms and self.impulse_responses is not None:
            raise UsageError("either simulated rooms or given impulse responses, not both")
        if not -60 <= self.level_dbfs <= -6:
            raise UsageError(f"a level of {self.level_dbfs} dBFS; give one from -60 to -6")
        if not 0 <= self.margin_seconds <= 5:
            raise UsageError(f"a margin of {self.margin_seconds} seconds; give one from 0 to 5")
        for prompts in self.sets:
            _check(prompts)


def _check(prompts: PromptSet) -> None:
    suites = [suite.name for suite in suites_of("speechinstructbench")]
    for name, known, what in (
        *((variant, KINDS, "variant") for variant in prompts.variants),
        *((kind, disfluency.KINDS, "disfluency") for kind in prompts.disfluencies),
        *((style, tuple(paralinguistics.STYLES), "style") for style in prompts.styles),
        *((prompts.suite, suites, "subset") for _ in prompts.suite[:1]),
    ):
        if name not in known:
            raise UsageError(f"no {what} '{name}'; there are: {', '.join(known)}")
    for noise, snr_db in prompts.conditions:
        background.check_ratio(snr_db)
        if noise not in background.KINDS and not Path(noise).is_dir():
            raise UsageError(f"no noise '{noise}'; give a folder of recordings, or: {', '.join(background.KINDS)}")
    if not 0 < prompts.disfluency_rate <= 40:
        raise UsageError(f"{prompts.disfluency_rate} disfluencies in 100 words; give more than 0 and up to 40")
    if language(prompts.lang) != prompts.lang:
        raise UsageError(f"'{prompts.lang}' is called '{language(prompts.lang)}'")
    if not prompts.prompts or not prompts.variants:
        raise UsageError("a list of prompts needs files and variants")


def read(path: Path) -> Recipe:
    """Read a recipe file; paths in it are relative to its folder.

    Raises:
        DataError: it cannot be read, is no TOML, or a field is unknown, missing or of the wrong type.
        UsageError: a value that is unknown or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if "about" in table:
            table["about"] = (path.parent / str(table["about"])).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        named = getattr(error, "filename", None) or path
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=named) from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"not TOML: {error}", path=path) from None
    if not isinstance(table.get("sets"), list) or not all(isinstance(row, dict) for row in table["sets"]):
        raise DataError("a recipe needs [[sets]], each a list of prompts", path=path, field="sets")
    made = [_made(PromptSet, row, path) for row in table.pop("sets")]
    recipe: Recipe = _made(Recipe, {**table, "sets": tuple(made)}, path)
    return recipe


def _made(kind: type[Any], row: Mapping[str, Any], path: Path) -> Any:
    """Return a record made of a table.

    Raises:
        DataError: a field is unknown, missing or of the wrong type.
    """
    known = {field.name: field for field in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in row.items():
        if name not in known:
            raise DataError(f"unknown; known: {', '.join(known)}", path=path, field=name)
        read_value = _READERS[str(known[name].type)]
        try:
            values[name] = read_value(value, path.parent)
        except (TypeError, ValueError):
            raise DataError(f"must be {_WANTED[str(known[name].type)]}", path=path, field=name) from None
    for name, field in known.items():
        if name not in values and field.default is MISSING:
            raise DataError("missing", path=path, field=name)
    return kind(**values)


def _exactly(kind: type[Any] | tuple[type[Any], ...]) -> Any:
    def read_value(value: object, _: Path) -> object:
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise TypeError
        return value

    return read_value


def _texts(value: object, _: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError
    return tuple(value)


def _conditions(value: object, folder: Path) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple((noise if noise in background.KINDS else str(folder / noise), float(snr)) for noise, snr in value)


_READERS = {
    "str": _exactly(str),
    "int": _exactly(int),
    "bool": _exactly(bool),
    "float": lambda value, folder: float(_exactly((int, float))(value, folder)),
    "Path | None": lambda value, folder: folder / _exactly(str)(value, folder),
    "tuple[str, ...]": _texts,
    "tuple[Path, ...]": lambda value, folder: tuple(folder / name for name in _texts(value, folder)),
    "tuple[tuple[str, float], ...]": _conditions,
    "tuple[PromptSet, ...]": lambda value, _: value,
}
_WANTED = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a number",
    "Path | None": "the path of a folder",
    "tuple[str, ...]": "a list of texts",
    "tuple[Path, ...]": "a list of paths",
    "tuple[tuple[str, float], ...]": 'a list of pairs such as ["pink", 5.0]',
}
