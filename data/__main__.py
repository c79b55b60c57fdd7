"""The commands beside the three verbs that are about files: `python -m data COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from data.errors import guarded
from data.flags import FlagParser
from data.variants import cli as build


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: int(arguments.command(arguments)), _say)


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


def _recogniser(name: str) -> Callable[[Path, str | None], str | None]:
    """Return a function from a recording and its language to what is heard in it; None: not a language it knows."""
    from data import audio
    from inference import asr

    recognisers: dict[str | None, asr.Transcriber] = {}

    def hear(path: Path, language: str | None) -> str | None:
        if name == "embedded" and language not in ("en", None):
            return None  # it knows English only
        if language not in recognisers:
            recognisers[language] = asr.load_transcriber(name, {"languages": [language] if language else []})
        try:
            return recognisers[language].transcribe(audio.clip(path, asr.SAMPLING_RATE))
        except asr.TranscriptionFailed:
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
    build.add(commands, _recogniser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
