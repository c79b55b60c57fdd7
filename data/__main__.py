"""The commands beside the three verbs that are about files: `python -m data COMMAND`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from data.dynamic_superb.instances import KINDS
from data.errors import UsageError, guarded
from data.flags import FlagParser
from data.variants import cli as build

if TYPE_CHECKING:
    from data.hub import Fetched


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 (validation found errors), 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: int(arguments.command(arguments)), _say)


def _reword(arguments: argparse.Namespace) -> int:
    from data.dynamic_superb.reword import reword
    from data.hub import located

    out = Path(arguments.out) if arguments.out else None
    for path in reword(
        located(arguments.path), arguments.kinds, seed=arguments.seed, out=out, overwrite=arguments.overwrite, say=_say
    ):
        print(path)  # noqa: T201  # stdout is for results
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from data.merge import merge

    merged = merge(Path(arguments.results), partial=arguments.partial, overwrite=arguments.overwrite)
    for path in merged.unchanged:
        _say(f"{path} holds these answers already: left as it is")
    if merged.missing:
        _say(f"only in part: {', '.join(merged.missing)}")
    failed = merged.items - merged.answered
    _say(f"{merged.answered} responses, {failed} failed; python evaluate.py --results {arguments.results}")
    for path in merged.files:
        print(path)  # noqa: T201  # stdout is for results
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    fetched = _fetch_instances(arguments) if arguments.benchmark == "dynamic-superb" else _fetch_subsets(arguments)
    for part, one in fetched.items():
        _say(f"{part}: {sum(one.items.values())} items; {one.redistribution}")
    _say(f"python inference.py --dataset {arguments.benchmark}")
    for root in dict.fromkeys(one.root for one in fetched.values()):
        print(root)  # noqa: T201
    return 0


def _fetch_subsets(arguments: argparse.Namespace) -> Mapping[str, Fetched]:
    from data.fetch import fetch
    from data.suites import suite_named

    if arguments.instance or arguments.dimension:
        raise UsageError(f"{arguments.benchmark} has subsets (--subset), no instances or dimensions")
    suites = [suite_named(name) for name in arguments.subset or ()]
    return fetch(arguments.benchmark, suites, arguments.revision, _say)


def _fetch_instances(arguments: argparse.Namespace) -> Mapping[str, Fetched]:
    from data.dynamic_superb.fetching import fetch
    from data.dynamic_superb.instances import chosen

    if arguments.subset:
        raise UsageError(f"{arguments.benchmark} has no subsets; choose by --instance or --dimension")
    return fetch(chosen(arguments.instance or (), arguments.dimension or ()), arguments.revision, _say)


def _list(arguments: argparse.Namespace) -> int:
    from data.listing import as_fields, as_lines, listed

    rows = list(listed(arguments.folders))
    if arguments.format == "json":
        print(json.dumps(as_fields(rows), indent=2))  # noqa: T201
    else:
        for line in as_lines(rows):
            print(line)  # noqa: T201
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    from data.dynamic_superb import contribution
    from data.hub import located
    from data.validate import Readers, findings, validate
    from evaluators.rules.faults import faults, is_in
    from prompts.questions import question_list

    path = located(arguments.path)
    if arguments.form or contribution.instances(path):
        if arguments.asr:
            raise UsageError("--asr compares recordings with what is said; a task's rows do not tell that")
        report = contribution.validate(
            path, contributed=arguments.form is not None, allow_outside=arguments.allow_outside_audio
        )
    else:
        report = validate(
            path,
            Readers(faults, question_list, is_in),
            hear=_recogniser(arguments.asr, at_once=True) if arguments.asr else None,
            allow_outside=arguments.allow_outside_audio,
        )
    lines = [findings.as_json(report)] if arguments.format == "json" else findings.as_text(report)
    for line in lines:
        print(line)  # noqa: T201
    return 1 if report.count(findings.ERROR) else 0


def _import(arguments: argparse.Namespace) -> int:
    from data.text_benchmarks import BENCHMARKS, import_prompts

    number = import_prompts(
        arguments.benchmark, Path(arguments.file), Path(arguments.out), overwrite=arguments.overwrite
    )
    row = BENCHMARKS[arguments.benchmark]
    _say(f"{number} {row.kind} prompts of {row.title}, {row.licence}: keep its notice where you pass them on")
    print(arguments.out)  # noqa: T201
    return 0


def _recogniser(name: str, *, at_once: bool = False) -> Callable[[Path, str | None], str | None]:
    """Return a function from a recording and its language to what is heard in it; None: not a language it knows."""
    from data import audio
    from inference import asr

    def load(language: str | None) -> asr.Transcriber:
        return asr.load_transcriber(name, {"languages": [language] if language else []})

    # One that is not there may have to be told before anything is measured.
    recognisers = {"en": load("en")} if at_once else {}
    heard = count(1)
    runner = asyncio.Runner()  # one for all: a recogniser stays with its event loop

    def hear(path: Path, language: str | None) -> str | None:
        if name == "embedded" and language not in ("en", None):
            return None  # it knows English only
        language = language or "en"
        if language not in recognisers:
            recognisers[language] = load(language)
        if (number := next(heard)) % 100 == 0:
            _say(f"{number} recordings heard")
        try:
            return runner.run(recognisers[language].transcribe(audio.clip(path, asr.SAMPLING_RATE)))
        except (asr.TranscriptionFailed, audio.AudioUnreadable):
            return ""

    return hear


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(prog="-m data", description="Data sets and files of answers.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    merge = commands.add_parser(
        "merge",
        help="join the shards of a job array",
        description="Join RESULTS/shards/I-of-N, as inference.py --shard I/N wrote them, into RESULTS: the same file "
        "names, in the data set's order, with one run.json.",
    )
    merge.add_argument("results", metavar="RESULTS", help="folder of the run, for example results/my-run")
    merge.add_argument("--partial", action="store_true", help="join what is there, though shards are unfinished")
    merge.add_argument("--overwrite", action="store_true", help="replace joined files that hold other answers")
    merge.set_defaults(command=_merge)
    fetch = commands.add_parser(
        "fetch",
        help="bring a benchmark from the hub",
        description="Bring a benchmark into the hub's own cache (HF_HOME), whole and checked. The same command again "
        "continues. Then: python inference.py --dataset NAME.",
    )
    fetch.add_argument(
        "benchmark", choices=("speechinstructbench", "dynamic-superb"), help="which one; the first: about 9.6 GB"
    )
    fetch.add_argument("--subset", nargs="+", metavar="NAME", help="only these of the first: close, open, adjust")
    fetch.add_argument("--instance", nargs="+", metavar="NAME", help="only these of the second's 55")
    fetch.add_argument("--dimension", nargs="+", metavar="NAME", help="only these of the second: content, speaker, ...")
    fetch.add_argument("--revision", help="branch, tag or commit (default: the hub's newest)")
    fetch.set_defaults(command=_fetch)
    listing = commands.add_parser(
        "list",
        help="show which data sets are here",
        description="Show the sample, fetched benchmarks and FOLDERs: items, hours, sizes, and where they lie.",
    )
    listing.add_argument("folders", nargs="*", metavar="FOLDER", help="further data sets")
    listing.add_argument("--format", choices=("text", "json"), default="text", help="how they are shown")
    listing.set_defaults(command=_list)
    validate = commands.add_parser(
        "validate",
        help="find what would spoil a run",
        description="Check a data set's lines and recordings (docs/data.md): exit code 1 where there is an error.",
    )
    validate.add_argument("path", metavar="PATH", help="folder in the benchmark's layout, or one JSONL file")
    validate.add_argument(
        "--as",
        dest="form",
        choices=("dynamic-superb",),
        help="check a task by its review rules (docs/dynamic-superb.md); without --as where PATH is seen to be one",
    )
    validate.add_argument("--format", choices=("text", "json"), default="text", help="how the findings are shown")
    validate.add_argument(
        "--asr", help="also compare recordings with prompts: embedded, or faster-whisper:SIZE_OR_FOLDER"
    )
    validate.add_argument("--allow_outside_audio", action="store_true", help="follow audio paths out of the data set")
    validate.set_defaults(command=_validate)
    importing = commands.add_parser(
        "import",
        help="take over the prompts of a text benchmark",
        description="Write IFEval's or InFoBench's prompts as items of our layout (closed, open), without audio.",
    )
    importing.add_argument("benchmark", choices=("ifeval", "infobench"), help="whose file it is")
    importing.add_argument("file", metavar="FILE", help="as published: input_data.jsonl, InfoBench.json")
    importing.add_argument("--out", required=True, metavar="PROMPTS.jsonl", help="where the prompts go")
    importing.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    importing.set_defaults(command=_import)
    rewording = commands.add_parser(
        "reword",
        help="put instances of Dynamic-SUPERB in other words",
        description="Write each instance once more beside it, over the same recordings: with its options in another "
        "order, with synonyms for its labels, with its request paraphrased (docs/dynamic-superb.md).",
    )
    rewording.add_argument("path", metavar="DIR", help="folder of instances, one of them, or dynamic-superb")
    rewording.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="only these kinds (default: all)")
    rewording.add_argument("--seed", type=int, default=0, help="another order, other templates")
    rewording.add_argument("--out", metavar="DIR", help="where the new instances go (default: beside the originals)")
    rewording.add_argument("--overwrite", action="store_true", help="replace instances that hold something else")
    rewording.set_defaults(command=_reword)
    build.add(commands, _recogniser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
