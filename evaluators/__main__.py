"""The commands beside `evaluate.py` that are about counting: `python -m evaluators COMMAND`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data import jsonl
from data.errors import UsageError, guarded, printable
from data.flags import FlagParser
from data.records import Item, Score
from data.suites import file_kind
from evaluators import FORMATS, PROFILES

if TYPE_CHECKING:
    from evaluators.report.forms import Sheet


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: int(arguments.command(arguments)), _say)


def _calibrate(arguments: argparse.Namespace) -> int:
    from evaluators.calibrate import calibrate
    from evaluators.cli import suite_of
    from evaluators.report import calibration

    judged = Path(arguments.src_file)
    inputs = [Path(arguments.gold), judged, *([Path(arguments.benchmark)] if arguments.benchmark else [])]
    _refuse_own_input(inputs, arguments.output_file)
    result = calibrate(
        Path(arguments.gold),
        judged,
        suite_of(judged, arguments.evaluator),
        arguments.profile,
        benchmark=None if arguments.benchmark is None else Path(arguments.benchmark),
    )
    if arguments.format == "json":
        return _write(calibration.for_json(result), arguments)
    return _print(calibration.sheet(result), arguments)


def _compare(arguments: argparse.Namespace) -> int:
    from evaluators.compare import compare
    from evaluators.report import comparison
    from inference.responses import ADDED_FIELDS

    runs = [Path(name) for name in arguments.runs]
    baseline = runs[0] if arguments.baseline is None else Path(arguments.baseline)
    others = [run for run in runs if run.resolve() != baseline.resolve()]
    if not others or len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run cannot be compared with itself; name at least two different folders")
    found = compare(baseline, others, arguments.profile, added_fields=ADDED_FIELDS)
    _refuse_own_input([path for one in found for path in (one.baseline.path, one.other.path)], arguments.output_file)
    if arguments.format == "json":
        return _write(comparison.for_json(found), arguments)
    return _print(comparison.sheet(found), arguments)


def _decompose(arguments: argparse.Namespace) -> int:
    from evaluators.decompose import decompose
    from evaluators.report import decomposition
    from inference.responses import ADDED_FIELDS

    runs = [Path(name) for name in arguments.runs]
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; the noise floor needs a second run on speech, in a folder of its own")
    found = decompose(runs, arguments.profile, added_fields=ADDED_FIELDS)
    _refuse_own_input([path for run in runs for path in run.glob("*.jsonl")], arguments.output_file)
    if arguments.format == "json":
        return _write(decomposition.for_json(found), arguments)
    return _print(decomposition.sheet(found), arguments)


def _bundle(arguments: argparse.Namespace) -> int:
    from evaluators.bundle import bundle

    run, target = Path(arguments.run), Path(arguments.out)
    _refuse_own_input([*run.glob("*.jsonl"), *run.glob("*.json")], arguments.out, flag="--out")
    index = bundle(run, target)
    _say(f"{len(index['sha256'])} files packed; python -m evaluators verify {target} counts them anew")
    print(target)  # noqa: T201  # stdout is for results
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from evaluators.bundle import verify

    path = Path(arguments.bundle)
    differences = verify(path)
    for line in differences:
        print(printable(line))  # noqa: T201  # stdout is for results
    _say(f"{path}: {f'{len(differences)} differences' if differences else 'every number is as packed'}")
    return 1 if differences else 0


def _submission(arguments: argparse.Namespace) -> int:
    from evaluators.classification import submission

    run = None if arguments.run is None else Path(arguments.run)
    if arguments.verify is not None:
        path = Path(arguments.verify)
        entries = submission.read(path)
        differences = [] if run is None else submission.differences(entries, run)
        for line in differences:
            print(printable(line))  # noqa: T201  # stdout is for results
        counted = "every score is as counted" if run is not None else "name the run to have its scores counted anew"
        _say(f"{path}: {f'{len(differences)} differences' if differences else f'the form is right; {counted}'}")
        return 1 if differences else 0
    if run is None or arguments.out is None:
        raise UsageError("name a run and --out FILE.json, or --verify FILE.json")
    target = Path(arguments.out)
    _refuse_own_input([*run.glob("*.jsonl"), *run.glob("*.json")], arguments.out, flag="--out")
    found = submission.submission(run, version=arguments.version, seen=arguments.seen)
    for line in found.left_out:
        _say(printable(f"left out: {line}"))
    jsonl.rewrite(target, [f"{json.dumps(found.entries, indent=2)}\n".encode("ascii")])
    seen = sum(score["seen"] for entry in found.entries for score in entry["scores"])
    _say(
        f"{len(found.entries)} instances, {seen} of them seen in training (--seen); value: strict accuracy, a fraction"
    )
    print(target)  # noqa: T201  # stdout is for results
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from evaluators.cli import suite_of
    from evaluators.count import count_file
    from evaluators.explain import explain
    from evaluators.report import explanation
    from evaluators.tally import EVALUATORS

    path = Path(arguments.src_file)
    suite = suite_of(path, arguments.evaluator)
    kind = file_kind(path)
    found: list[str] = []

    def see(item: Item, score: Score) -> None:
        if str(item.id.key) == arguments.key:
            evaluator, lang = EVALUATORS[suite.evaluator], None if kind is None else kind.lang
            found.append(explanation.for_reading(item, explain(item, score, evaluator, arguments.profile, lang)))

    count_file(path, suite, arguments.profile, unjudged_is_an_error=False, see=see)
    if not found:
        raise UsageError(f"{path} has no item with the key {arguments.key}")
    print("\n".join(found), end="")  # noqa: T201  # stdout is for results
    return 0


def _print(sheet: Sheet, arguments: argparse.Namespace) -> int:
    from evaluators.report.forms import printed

    return _write(printed([sheet], arguments.format, width=_terminal_width(arguments)), arguments)


def _write(text: str, arguments: argparse.Namespace) -> int:
    if arguments.output_file is not None:
        jsonl.rewrite(Path(arguments.output_file), [text.encode("utf-8")])
    else:
        print(text, end="")  # noqa: T201  # stdout is for results
    return 0


def _refuse_own_input(inputs: Sequence[Path], output: str | None, *, flag: str = "--output_file") -> None:
    """Refuse to write over what is read.

    Raises:
        UsageError: the output is one of the inputs.
    """
    if output is not None and Path(output).resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"{flag} {output} would overwrite a file that is read here; name another one")


def _terminal_width(arguments: argparse.Namespace) -> int | None:
    """Return the terminal's width in columns; None where the result goes to a file or a pipe."""
    if arguments.output_file is not None or sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(prog="-m evaluators", description="What the counted numbers are worth.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    calibrate = commands.add_parser(
        "calibrate",
        help="how far a judge can be trusted",
        description="Compare a judged file with gold verdicts on the same answers: error rates by question kind, "
        "agreement, and the score with the judge's errors taken out (docs/calibration.md).",
    )
    calibrate.add_argument("--gold", required=True, metavar="FILE", help="gold verdicts, one item a line")
    calibrate.add_argument("--src_file", "--input_file", required=True, metavar="FILE", help="the judged file")
    calibrate.add_argument("--benchmark", metavar="FILE", help="correct the score of this judged file instead")
    calibrate.add_argument("--evaluator", help="open, adjust or classify (default: told from the file's name)")
    calibrate.add_argument("--profile", choices=PROFILES, default="reference", help="how replies are read and counted")
    _add_output(calibrate)
    calibrate.set_defaults(command=_calibrate)
    compare = commands.add_parser(
        "compare",
        help="runs beside each other, item by item",
        description="Compare runs over the same data: paired differences with intervals and tests, what broke and was "
        "mended, and what the comparison could have found (docs/statistics.md).",
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, for example results/my-run")
    compare.add_argument("--baseline", metavar="RUN", help="what the others are held against (default: the first run)")
    compare.add_argument("--profile", choices=PROFILES, default="reference", help="published rules, or repaired")
    _add_output(compare)
    compare.set_defaults(command=_compare)
    decompose = commands.add_parser(
        "decompose",
        help="hearing or obeying: where failed requests were lost",
        description="Place every failed spoken request: not obeyed, hard to hear, lost in the audio path, or "
        "inconsistent, from the same model's runs with --modality audio, text and transcript (docs/statistics.md).",
    )
    decompose.add_argument(
        "runs", nargs="+", metavar="RUN", help="a folder of each modality; a second run on speech gives the noise floor"
    )
    decompose.add_argument("--profile", choices=PROFILES, default="reference", help="published rules, or repaired")
    _add_output(decompose)
    decompose.set_defaults(command=_decompose)
    bundle = commands.add_parser(
        "bundle",
        help="a run in one file that others can check",
        description="Pack a run's manifest, responses and replies, with its numbers, into one file.",
    )
    bundle.add_argument("run", metavar="RUN", help="the run's folder")
    bundle.add_argument("--out", required=True, metavar="FILE.zip", help="where to write it")
    bundle.set_defaults(command=_bundle)
    verify = commands.add_parser(
        "verify",
        help="count a bundle anew",
        description="Count what a bundle holds, and name each number that is not as packed (exit code 1).",
    )
    verify.add_argument("bundle", metavar="FILE.zip", help="what python -m evaluators bundle wrote")
    verify.set_defaults(command=_verify)
    submission = commands.add_parser(
        "submission",
        help="a run's scores as Dynamic-SUPERB takes them",
        description="Write the strict accuracy of a run's instances in the project's form, or check such a file and "
        "count it anew (exit code 1 where a number differs; docs/dynamic-superb.md).",
    )
    submission.add_argument("run", nargs="?", metavar="RUN", help="the run's folder")
    action = submission.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", metavar="FILE.json", help="where to write the scores")
    action.add_argument("--verify", metavar="FILE.json", help="check this file; with RUN its numbers, too")
    submission.add_argument("--version", metavar="COMMIT", help="the hub's commit, where run.json pins none")
    submission.add_argument(
        "--seen", nargs="+", default=[], metavar="NAME", help="instances or tasks that the model was trained on"
    )
    submission.set_defaults(command=_submission)
    explain = commands.add_parser(
        "explain",
        help="how one item came to its verdict",
        description="Show each rule's verdict with its reason, each judge's reply and how it was read.",
    )
    explain.add_argument("src_file", metavar="FILE", help="a file of responses")
    explain.add_argument("key", metavar="KEY", help="the item's key; all of its renderings are shown")
    explain.add_argument("--evaluator", help="close, open, adjust or classify (default: told from the file's name)")
    explain.add_argument("--profile", choices=PROFILES, default="reference", help="published rules, or repaired")
    explain.set_defaults(command=_explain)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="table", help="form of the result")
    parser.add_argument("--output_file", metavar="FILE", help="write the result here instead of to the terminal")


if __name__ == "__main__":
    raise SystemExit(main())
