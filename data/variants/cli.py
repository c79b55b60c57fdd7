"""`python -m data build`: flags to a recipe."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import UsageError
from data.flags import FlagParser, positive

if TYPE_CHECKING:
    from data.variants.intelligibility import Hear
    from data.variants.recipe import Recipe
    from data.variants.voices import Voice

SEED = 7
_LABELS = {"embedded": "Whisper tiny.en (embedded, 8 bits, beam 5, temperature 0)"}


def add(commands: Any, recogniser: Callable[[str], Hear]) -> None:
    """Add the command to the others.

    Args:
        commands: what `add_subparsers` returned.
        recogniser: returns what hears recordings, by its name; that raises a ToolkitError where it cannot.
    """
    parser: FlagParser = commands.add_parser(
        "build",
        help="build spoken variants of any prompts",
        description="Turn a list of text prompts into a spoken set in the benchmark's layout, with accents, background "
        "noise, other manners of speaking, disfluencies and revisions. A build that was stopped goes on with the same "
        "command. docs/building.md has examples.",
    )
    parser.add_argument(
        "prompts", nargs="*", metavar="PROMPTS", help="JSONL files with 'prompt', or one recipe (.toml)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the set")
    tasks = parser.add_argument_group("tasks in the form of Dynamic-SUPERB, without PROMPTS (docs/dynamic-superb.md)")
    tasks.add_argument("--as", dest="form", choices=("dynamic-superb",), help="build tasks: recordings with labels")
    tasks.add_argument("--tasks", nargs="+", metavar="NAME", help="only these (default: all whose voices are here)")
    tasks.add_argument("--examples", type=positive, metavar="N", help="examples of each task, 32 to 200 (default: 60)")
    what = parser.add_argument_group("what (a recipe says all this itself)")
    what.add_argument(
        "--variants",
        metavar="NAMES",
        help="some of standard,background,accent,paralinguistics,disfluency,"
        "adjustment, or all: as many as prompts and voices allow (default: all)",
    )
    what.add_argument("--seed", type=int, metavar="N", help=f"same seed, same samples (default: {SEED})")
    what.add_argument("--lang", metavar="CODE", help="language of the prompts (default: en)")
    what.add_argument("--voices", metavar="NAMES", help="voices or BCP 47 tags, in turn (default: the best installed)")
    what.add_argument(
        "--accents", metavar="NAMES", help="voices of the accent variant (default: installed ones with another tag)"
    )
    what.add_argument(
        "--noise",
        metavar="NAMES",
        help="babble,pink,brown,hum,white, or a folder of recordings, or several (default: the first four)",
    )
    what.add_argument("--snr", metavar="DB", help="signal-to-noise ratios in dB, over active speech (default: 15,10,5)")
    what.add_argument(
        "--rooms", type=int, metavar="N", help="background in N simulated rooms, at most 20 (default: none)"
    )
    what.add_argument("--impulse_responses", metavar="DIR", help="background in rooms given by their impulse responses")
    what.add_argument("--styles", metavar="NAMES", help="manners of speaking (default: all that the voices can do)")
    what.add_argument("--disfluency_rate", type=float, metavar="R", help="disfluencies in 100 words (default: 12.5)")
    what.add_argument("--format", metavar="NAME", help="flac, wav or ogg (default: flac)")
    what.add_argument("--licence", metavar="TEXT", help="licence of the prompts, for the set's README")
    what.add_argument("--noise_licence", metavar="TEXT", help="licence of recorded noise and impulse responses")
    how = parser.add_argument_group("how")
    how.add_argument("--voices_file", metavar="FILE", help="voices of your own: servers and programs (TOML)")
    how.add_argument("--list_voices", action="store_true", help="show who can speak here (with --lang: who speaks it)")
    how.add_argument(
        "--asr",
        default="embedded",
        metavar="NAME",
        help="recogniser that measures how well the set is understood: embedded, faster-whisper:SIZE_OR_FOLDER or none",
    )
    how.add_argument("--workers", type=positive, metavar="N", help="processes (default: one a processor core)")
    how.add_argument("--cache", metavar="DIR", help="where speech is kept between builds (default: the user's cache)")
    how.add_argument("--overwrite", action="store_true", help="replace a set that was built otherwise")
    how.add_argument("--check", action="store_true", help="compare the set in --out with its manifest, build nothing")
    parser.set_defaults(command=lambda arguments: _run(arguments, recogniser))


def _run(arguments: argparse.Namespace, recogniser: Callable[[str], Hear]) -> int:
    from data.variants import voices

    own = voices.read(Path(arguments.voices_file)) if arguments.voices_file else {}
    if arguments.list_voices:
        return _list_voices(own, arguments.lang)
    if not arguments.out:
        raise UsageError("--out is missing: the folder of the set")
    if arguments.check:
        return _check(Path(arguments.out), arguments.form)
    if arguments.form:
        return _build_tasks(arguments)
    if arguments.tasks or arguments.examples:
        raise UsageError("--tasks and --examples go with --as dynamic-superb")
    return _build(arguments, own, recogniser)


def _build_tasks(arguments: argparse.Namespace) -> int:
    from data import cache
    from data.dynamic_superb.build import command, planning

    given = [name for name in ("prompts", "voices_file", *_WHAT) if name != "seed" and getattr(arguments, name)]
    if given:
        raise UsageError(f"--as {arguments.form} says itself what is built; leave out {given[0]}")
    order = planning.Order(arguments.examples or 60, SEED if arguments.seed is None else arguments.seed)
    made = command.build(
        arguments.tasks or (),
        order,
        Path(arguments.out),
        cache=Path(arguments.cache) if arguments.cache else cache.folder(),
        workers=arguments.workers or len(os.sched_getaffinity(0)),
        overwrite=arguments.overwrite,
        say=_say,
    )
    new, took = sum(built.made for built in made), sum(built.took for built in made)
    speed = f", {sum(built.seconds_made for built in made) / took:.0f} times real time" if new else ""
    recordings, seconds = sum(built.recordings for built in made), sum(built.seconds for built in made)
    _say(f"{recordings} recordings, {seconds / 60:.1f} minutes; {new} made now{speed}")
    _say(f"python inference.py --dataset {arguments.out}")
    for built in made:
        print(*built.files)  # noqa: T201
    return 0


def _build(arguments: argparse.Namespace, own: dict[str, Voice], recogniser: Callable[[str], Hear]) -> int:
    from data import cache
    from data.variants.build import Recogniser, build

    recipe = _recipe(arguments)
    listener = Recogniser(_LABELS.get(arguments.asr, arguments.asr), recogniser(arguments.asr))
    built = build(
        recipe,
        Path(arguments.out),
        voices=own,
        cache=Path(arguments.cache) if arguments.cache else cache.folder(),
        workers=arguments.workers or len(os.sched_getaffinity(0)),
        overwrite=arguments.overwrite,
        recogniser=None if arguments.asr == "none" else listener,
        say=_say,
    )
    speed = f", {built.seconds_made / built.took:.0f} times real time" if built.made else ""
    _say(f"{built.recordings} recordings, {built.seconds / 60:.1f} minutes; {built.made} made now{speed}")
    _say(f"python inference.py --dataset {arguments.out}")
    for path in built.files:
        print(path)  # noqa: T201  # stdout is for results
    return 0


_WHAT = (
    *("variants", "seed", "lang", "voices", "accents", "noise", "snr", "rooms", "impulse_responses", "styles"),
    *("disfluency_rate", "format", "licence", "noise_licence"),
)


def _recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that was named, or that the flags make.

    Raises:
        UsageError: no prompts, a recipe with flags beside it, or a value that is unknown or out of range.
        DataError: the recipe cannot be used.
    """
    from data.suites import language
    from data.variants import disfluency, plan, recipe

    paths = tuple(map(Path, arguments.prompts))
    if not paths:
        raise UsageError("name a JSONL file of prompts, or a recipe (.toml)")
    given = [name for name in _WHAT if getattr(arguments, name) is not None]
    if any(path.suffix == ".toml" for path in paths):
        if len(paths) > 1 or given:
            beside = f"--{given[0]}" if given else str(paths[1])
            raise UsageError(f"a recipe says itself what is built; leave out {beside}, or write it into the recipe")
        return recipe.read(paths[0])
    variants = _names(arguments.variants) or ("all",)
    noises = _names(arguments.noise)
    ratios = tuple(map(_ratio, _names(arguments.snr)))
    prompts = recipe.PromptSet(
        prompts=paths,
        lang=language(arguments.lang or "en"),
        variants=recipe.KINDS if variants == ("all",) else variants,
        voices=_names(arguments.voices),
        accents=_names(arguments.accents),
        conditions=tuple((noise, snr) for snr in ratios or plan.SNRS_DB for noise in noises or plan.NOISES)
        if noises or ratios
        else (),
        styles=_names(arguments.styles),
        disfluency_rate=disfluency.RATE if arguments.disfluency_rate is None else arguments.disfluency_rate,
        optional=variants == ("all",),
    )
    return recipe.Recipe(
        sets=(prompts,),
        seed=SEED if arguments.seed is None else arguments.seed,
        rooms=arguments.rooms or 0,
        impulse_responses=Path(arguments.impulse_responses) if arguments.impulse_responses else None,
        format=arguments.format or "flac",
        licence=arguments.licence or "",
        noise_licence=arguments.noise_licence or "",
    )


def _names(flag: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (flag or "").split(",") if name.strip())


def _ratio(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--snr: '{text}' is no number of decibels") from None


def _check(out: Path, form: str | None) -> int:
    from data.dynamic_superb.build import command
    from data.variants import manifest

    mismatches = command.check(out) if form else manifest.check(out)
    for mismatch in mismatches:
        print(mismatch)  # noqa: T201  # stdout is for results
    _say(f"{out}: {len(mismatches)} mismatches")
    return 1 if mismatches else 0


def _list_voices(own: dict[str, Voice], lang: str | None) -> int:
    from data.suites import language
    from data.variants import tts, voices

    code = language(lang) if lang else None
    rows = {**voices.espeak_voices(), **voices.VOICES, **own}
    for voice in sorted(rows.values(), key=lambda voice: (voice.language, voice.name)):
        if code in (None, voice.language):
            here = "installed" if not tts.missing(voice) else "missing"
            print(f"{voice.name:24} {voice.tag:18} {here:10} {voice.engine:10} {voice.licence}")  # noqa: T201
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
