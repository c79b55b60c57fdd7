"""The command `python evaluate.py`: flags to files, results to a form, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import jsonl
from data.errors import DataError, UsageError, guarded
from data.flags import FlagParser, not_negative
from data.suites import Suite, file_kind, suite_named
from evaluators import FORMATS, PROFILES

if TYPE_CHECKING:
    from evaluators.count import FileResult
    from evaluators.report.items import Items
    from evaluators.report.plots import Plot
    from evaluators.report.rows import Table
    from evaluators.robustness import VariantResult

DEFAULT_RESULTS = "results/embedded"
MOST_GROUPS = 100
EMBED_MB = 20.0  # 10^6 bytes of recordings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments), lambda line: print(line, file=sys.stderr))  # noqa: T201


def _run(arguments: argparse.Namespace) -> int:
    from evaluators.count import count_file

    results = []
    files = _files(arguments)
    _refuse_own_input([path for path, _ in files], arguments)
    items = _items(arguments)
    with _details(arguments.details) as detail, _progress() as advance:
        for path, suite in files:
            result = count_file(
                path,
                suite,
                arguments.profile,
                detail=detail,
                advance=advance,
                unjudged_is_an_error=arguments.src_file is not None,
                keep_outcomes=len(files) > 1 and suite.evaluator in ("close", "classify"),
                group_by=None if arguments.by in ("instruction", "family") else arguments.by,
                see=None if items is None else items.of_file(path, suite),
                keep_verdicts=not arguments.no_cache,
            )
            results.append(result)
    text = _text(results, arguments)
    if arguments.output_file is not None:
        jsonl.rewrite(Path(arguments.output_file), [text.encode("utf-8")])
    else:
        print(text, end="")  # noqa: T201  # stdout is for results
    if arguments.report is not None or arguments.plots is not None:
        _report(results, items, arguments)
    return 0


def _items(arguments: argparse.Namespace) -> Items | None:
    """Return what takes the items of the page; None where no page is wanted.

    Raises:
        UsageError: what draws and writes the report is not installed.
    """
    if arguments.report is None and arguments.plots is None:
        return None
    from evaluators.report import webpage
    from evaluators.report.items import Items

    webpage.check_installed()
    if arguments.report is None:
        return None
    return Items(Path(arguments.report), arguments.profile, round(arguments.embed_audio_mb * 1_000_000))


def _report(results: list[FileResult], items: Items | None, arguments: argparse.Namespace) -> None:
    """Write the page, and the plots as files."""
    from evaluators.report import heat, plots, rows, webpage
    from evaluators.robustness import robustness

    variants = robustness(results, arguments.join)
    drawn = [*plots.robustness(variants), *_decompositions(results, arguments.profile)]
    if items is not None:
        sheets = [webpage.sheet(rows.title(own, results), own, their) for own, their in _by_run(results, variants)]
        webpage.write(Path(arguments.report), results, items, drawn, sheets)
    if arguments.plots is not None:
        maps = [plots.heat_map(found, f"kinds-{place}") for place, found in enumerate(heat.maps(results), start=1)]
        plots.save([*drawn, *maps], Path(arguments.plots))


def _decompositions(results: list[FileResult], profile: str) -> list[Plot]:
    """Return where each model that was also asked as text and as transcript loses requests."""
    from evaluators.decompose import decompose
    from evaluators.report import plots, rows
    from inference.responses import ADDED_FIELDS

    runs: dict[str, dict[str, list[Path]]] = {}
    for folder in dict.fromkeys(result.path.parent for result in results):
        run = rows.manifest_of(folder)
        modality = str(run.get("modality"))
        runs.setdefault(str(run.get("model", {}).get("name")), {}).setdefault(modality, []).append(folder)
    found = []
    for own in runs.values():
        if all(modality in own for modality in ("audio", "text", "transcript")):
            chosen = [*own["audio"][:2], own["text"][0], own["transcript"][0]]
            found.append(decompose(chosen, profile, added_fields=ADDED_FIELDS))
    return [plots.decomposition(one, f"decomposition-{place}") for place, one in enumerate(found, start=1)]


def _by_run(
    results: list[FileResult], variants: list[VariantResult]
) -> Iterator[tuple[list[FileResult], list[VariantResult]]]:
    """Yield the files of each run, with its variants."""
    for folder in dict.fromkeys(result.path.parent for result in results):
        own = [result for result in results if result.path.parent == folder]
        yield own, [variant for variant in variants if variant.result.path.parent == folder]


def _refuse_own_input(inputs: list[Path], arguments: argparse.Namespace) -> None:
    """Refuse to write over what is read, or two results over each other.

    Raises:
        UsageError: a path is used twice.
    """
    taken = {path.resolve() for path in inputs}
    for flag in ("output_file", "details", "report"):
        name = getattr(arguments, flag)
        if name is None:
            continue
        path = Path(name).resolve()
        if path in taken and path.exists() and not path.is_char_device():
            raise UsageError(f"--{flag} {name} would overwrite a file that is read or written here; name another one")
        taken.add(path)


def _text(results: list[FileResult], arguments: argparse.Namespace) -> str:
    from evaluators.report import as_json, forms, rows
    from evaluators.robustness import robustness

    by = arguments.by
    _refuse_by(results, by)
    variants = robustness(results, arguments.join, kinds=by == "instruction")
    if arguments.format == "json":
        return as_json.for_json(results, variants, by=by)
    # Files that were named one by one share a table; runs have one each.
    together = arguments.src_file is not None
    runs = [(results, variants)] if together else list(_by_run(results, variants))
    folded = arguments.format == "table"
    sheets = [
        forms.Sheet(rows.title(own, () if together else results), *_tables_and_notes(own, their, by, folded=folded))
        for own, their in runs
    ]
    return forms.printed(sheets, arguments.format, width=_terminal_width(arguments))


def _tables_and_notes(
    results: list[FileResult], variants: list[VariantResult], by: str | None, *, folded: bool
) -> tuple[list[Table], list[str]]:
    from evaluators.report import classification, rows
    from evaluators.report import robustness as robustness_rows

    tables = [rows.result_table(results), robustness_rows.result_table(variants)]
    classified, notes = classification.tables_and_notes(results, variants, folded=folded)
    tables += [table for _, table in classified]
    if by in rows.KINDS:
        tables += [rows.instruction_table(results, by), robustness_rows.instruction_table(variants)]
    elif by is not None:
        tables.append(rows.group_table(results, by))
    return [shown for shown in tables if shown.rows], rows.notes(results) + robustness_rows.notes(variants) + notes


def _refuse_by(results: list[FileResult], by: str | None) -> None:
    """Refuse a field that groups nothing.

    Raises:
        UsageError: no line has it, or almost every line has a value of its own.
    """
    if by is None or by in ("instruction", "family"):
        return
    values = {group for result in results for group in result.groups}
    if values <= {"none"}:
        raise UsageError(f"--by {by}: no line has this field; name one of the lines' fields, instruction or family")
    if len(values) > MOST_GROUPS:
        raise UsageError(f"--by {by}: {len(values)} different values; name a field that groups the items")


def _terminal_width(arguments: argparse.Namespace) -> int | None:
    """Return the terminal's width in columns; None where the table goes to a file or a pipe."""
    import shutil

    if arguments.output_file is not None or sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _files(arguments: argparse.Namespace) -> list[tuple[Path, Suite]]:
    """Return the files to count, each with its subset."""
    if arguments.src_file is not None:
        if arguments.results is not None:
            raise UsageError("--src_file and --results exclude each other")
        files = [Path(name) for name in arguments.src_file]
        return [(path, suite_of(path, arguments.evaluator)) for path in files]
    folders = [Path(name) for name in arguments.results or [DEFAULT_RESULTS]]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("--results names a folder twice")
    return [found for folder in folders for found in _files_of(folder, arguments)]


def _files_of(folder: Path, arguments: argparse.Namespace) -> list[tuple[Path, Suite]]:
    """Return the files of one run, in the table's order."""
    if not folder.is_dir():
        raise DataError("no such folder of results; run python inference.py first", path=folder)
    wanted = None if arguments.evaluator is None else suite_named(arguments.evaluator)
    found = sorted(
        ((kind, path) for path in folder.glob("*.jsonl") if (kind := file_kind(path)) is not None),
        key=lambda pair: pair[0].order(),
    )
    # A run that was killed before a file's first answer leaves the file empty.
    chosen = [(path, kind.suite) for kind, path in found if wanted in (None, kind.suite) and path.stat().st_size]
    if not chosen:
        if wanted is not None:
            problem = (
                f"no files of responses of {wanted.name} items in this folder; without --evaluator all are counted"
            )
            raise DataError(problem, path=folder)
        raise DataError("no files of responses in this folder", path=folder)
    return chosen


def suite_of(path: Path, evaluator: str | None) -> Suite:
    """Return the subset that a file is counted as: the one that was named, or else the one that its name tells.

    Raises:
        UsageError: there is no such subset, or the name does not tell.
    """
    if evaluator is not None:
        return suite_named(evaluator)
    kind = file_kind(path)
    if kind is None:
        raise UsageError(
            f"{path.name}: the name does not tell the subset; add --evaluator close, open, adjust or classify"
        )
    return kind.suite


@contextmanager
def _details(path: str | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Yield what takes one object an item and writes it to the details' file, which appears when all went well."""
    if path is None:
        yield None
        return
    with jsonl.replacing(Path(path)) as file:

        def write(fields: dict[str, Any]) -> None:
            file.write(jsonl.dumps(fields))

        yield write


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """Yield what counts items and, in a terminal, shows how many are counted so far."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    count = 0
    with Console(stderr=True).status("counting") as status:

        def advance() -> None:
            nonlocal count
            count += 1
            if count % 500 == 0:
                status.update(f"counting: {count} items")

        yield advance


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="evaluate.py",
        description="Count files of responses: by rule, strict and loose (close), by a grader's votes (open, adjust), "
        "in tiers (classify).",
    )
    parser.add_argument("--evaluator", help="close, open, adjust or classify (default: told from the file's name)")
    parser.add_argument("--src_file", "--input_file", nargs="+", metavar="FILE", help="files of responses")
    parser.add_argument(
        "--results", nargs="+", metavar="DIR", help=f"every file of these runs (default: {DEFAULT_RESULTS})"
    )
    parser.add_argument("--profile", choices=PROFILES, default="reference", help="published arithmetic, or repaired")
    parser.add_argument("--format", choices=FORMATS, default="table", help="form of the result")
    parser.add_argument("--output_file", metavar="FILE", help="write the result here instead of to the terminal")
    parser.add_argument("--details", metavar="FILE", help="write one JSON line an item: each verdict with its reason")
    parser.add_argument("--report", metavar="FILE", help="write a page with items and recordings (docs/report.md)")
    parser.add_argument("--plots", metavar="DIR", help="write each plot as an SVG file")
    parser.add_argument(
        "--embed_audio_mb",
        type=not_negative,
        default=EMBED_MB,
        metavar="MB",
        help="recordings that the page may hold; others are linked",
    )
    parser.add_argument(
        "--by", metavar="NAME", help="add a table by instruction, family, or a field of the lines (voice, snr_db, ...)"
    )
    parser.add_argument(
        "--join",
        choices=("key", "prompt"),
        default="key",
        help="what joins a variant's items to the standard rendering",
    )
    parser.add_argument("--no_cache", action="store_true", help="check every rule anew, and keep no verdicts")
    return parser
