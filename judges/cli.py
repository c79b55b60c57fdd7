"""The command `python api_judge.py`: flags to Options and a Judge, and nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data.errors import UsageError, guarded
from data.flags import FlagParser, count, fraction, not_negative, positive, seconds
from data.suites import SUITES, Suite, file_kind, suite_named
from inference.progress import Progress, say
from judges import run
from judges.cost import Price, price_of
from judges.judge import (
    DEFAULT_CONCURRENCY,
    DEFAULT_SAMPLING,
    DEFAULT_TIMEOUT,
    EMBEDDED,
    REPLY_FORMS,
    Choice,
    chosen,
    known_judges,
    names_in,
)
from judges.tasks import TASKS
from prompts import templates

DEFAULT_MODEL = "gpt-4o-mini"  # the reference's grader; docs/open-adjust.md section 2
DEFAULT_FILES = {
    "open": "results/embedded/open_ended_en.jsonl",
    "adjustment": "results/embedded/adjustment_en.jsonl",
    "classification": "results/embedded",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 (judging failed), 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _list_judges(arguments) if arguments.list_judges else _run(arguments), say)


def _list_judges(arguments: argparse.Namespace) -> int:
    rows = known_judges(_path(arguments.judges))
    width = max(map(len, rows))
    for name, row in rows.items():
        price = row.get("price")
        dollars = f"${price['input']:g} in, ${price['output']:g} out a million tokens" if price else ""
        server = row.get("base_url") or row.get("base_url_env") or "in this process"
        print("  ".join((name.ljust(width), server, row.get("note", dollars))).rstrip())  # noqa: T201
    return 0


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    choice = _choice(arguments)
    factories = chosen(choice)  # before any file is read: a missing key, the commonest mistake, is said at once
    if arguments.dry_run:
        return _plan(run.plan(options, lambda: [make() for make in factories]))
    outcome = run.run(
        options,
        lambda: [make() for make in factories],
        progress=lambda total: Progress("judging", total=total, done=0),
        say=say,
    )
    say(
        f"{outcome.judged} judged by {arguments.judge_model} ({outcome.asked} asked now), "
        f"{outcome.empty} empty responses judged without a call, {outcome.unanswered} without a response, "
        f"{outcome.failed} failed"
    )
    if outcome.unreadable:
        say(f"{outcome.unreadable} replies hold no verdict that can be read; evaluate.py counts them as invalid votes")
    if outcome.account.calls:
        say(f"{outcome.account.calls} calls, {run.spent(outcome.account)}")
    if outcome.account.is_over:
        say(f"stopped at --max_cost {arguments.max_cost:g}; the same command with a higher one goes on")
    elif outcome.failed:
        say(f"first failure: {outcome.reason}; the same command again asks only what is missing")
    for _, target in options.files:
        print(target)  # noqa: T201  # stdout is for results
    return 1 if outcome.account.is_over or (outcome.failed and not outcome.judged) else 0


def _plan(plans: list[run.Plan]) -> int:
    """Print what would be asked, and about what it costs."""
    rows = [["grader", "calls", "known", "prompt tokens", "reply tokens", "cost"]]
    for plan in plans:
        cost = "no price known" if plan.dollars is None else f"${plan.dollars:.4f}"
        counts = (f"{count:,}" for count in (plan.calls, plan.known, plan.prompt_tokens, plan.reply_tokens))
        rows.append([plan.judge, *counts, cost])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *cells in rows:
        shown = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        print("  ".join((name.ljust(widths[0]), *shown)))  # noqa: T201
    say("tokens are estimated from the texts' lengths; nothing was sent")
    return 0


def _options(arguments: argparse.Namespace) -> run.Options:
    suite = suite_named(arguments.data_type)
    if suite.data_type is None:
        raise UsageError("closed-ended responses are scored by rules: python evaluate.py --evaluator close")
    task = TASKS[suite.data_type]
    files = _files(arguments, suite)
    prompt = templates.load(Path(arguments.prompt_file)) if arguments.prompt_file else templates.bundled(task.prompt)
    task.check_prompt(prompt)
    if arguments.no_ledger and arguments.ledger:
        raise UsageError("--ledger and --no_ledger contradict each other")
    if arguments.batch and arguments.no_ledger:
        raise UsageError("--batch needs a ledger: what was sent could not be picked up again without")
    if arguments.batch and EMBEDDED in names_in(arguments.judge_model):
        raise UsageError("--batch is for servers that take batches; the embedded grader does not")
    ledger = _path(arguments.ledger) or files[0][1].parent / "ledger.sqlite"
    return run.Options(
        task=task,
        files=files,
        prompt=prompt,
        system=templates.bundled("judge_system"),
        ledger=None if arguments.no_ledger else ledger,
        max_rejudge=arguments.max_rejudge,
        max_cost=arguments.max_cost,
        batch=arguments.batch,
    )


def _choice(arguments: argparse.Namespace) -> Choice:
    return Choice(
        names=names_in(arguments.judge_model),
        judges_file=_path(arguments.judges),
        base_url=arguments.base_url,
        api_key_env=arguments.api_key_env,
        n=arguments.n,
        sampling={name: getattr(arguments, name) for name in ("temperature", "top_p", "max_tokens")},
        reply_form=arguments.reply_form,
        concurrency=arguments.concurrency,
        requests_per_minute=arguments.rpm,
        tokens_per_minute=arguments.tpm,
        price=arguments.price,
        needs_price=arguments.max_cost is not None,
        needs_key=not arguments.dry_run,
        timeout=arguments.timeout,
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _files(arguments: argparse.Namespace, suite: Suite) -> tuple[tuple[Path, Path], ...]:
    named = [Path(name) for name in arguments.src_file or [DEFAULT_FILES[suite.name]]]
    sources = [path for name in named for path in (_files_in(name, suite) if name.is_dir() else [name])]
    if len(set(sources)) < len(sources):
        raise UsageError("--src_file names a file twice")
    if arguments.output_file is None:
        return tuple((source, source) for source in sources)
    if len(sources) > 1:
        raise UsageError("--output_file takes one --src_file; without it each file is judged in place")
    return ((sources[0], Path(arguments.output_file)),)


def _files_in(folder: Path, suite: Suite) -> list[Path]:
    """Return the files of a run's folder that hold answers to one subset, by their names."""
    found = [path for path in sorted(folder.glob("*.jsonl")) if (kind := file_kind(path)) and kind.suite is suite]
    if not found:
        raise UsageError(f"{folder}: no file of {suite.name} answers ({suite.file_stem}_*.jsonl) lies in this folder")
    return found


def _price(text: str) -> Price:
    try:
        return price_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not IN,OUT: two numbers of at least 0") from None


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="api_judge.py",
        description="Ask a grader about open-ended, adjustment or classification responses. Replies are kept in a "
        "ledger beside the file as they come, so the same command again asks only what is missing.",
    )
    kinds = ", ".join(suite.data_type for suite in SUITES.values() if suite.data_type)
    parser.add_argument("--data_type", default="open", help=f"what is judged: {kinds}")
    parser.add_argument(
        "--src_file",
        "--input_file",
        nargs="+",
        metavar="FILE",
        help="files of responses, or a run's folder: all its files of this kind (default: the embedded run's)",
    )
    parser.add_argument("--output_file", metavar="FILE", help="where the judged lines go (default: in place)")
    parser.add_argument("--dry_run", action="store_true", help="only show how many calls and what they would cost")
    judge = parser.add_argument_group("the grader")
    judge.add_argument(
        "--judge_model",
        default=DEFAULT_MODEL,
        metavar="NAME[,NAME...]",
        help="names of judges.toml, NAME:MODEL, or a model of --base_url; several are a panel",
    )
    judge.add_argument("--list_judges", action="store_true", help="show the known graders")
    judge.add_argument("--judges", metavar="FILE", help="graders of one's own, in the form of judges/judges.toml")
    judge.add_argument(
        "--base_url", metavar="URL", help="an OpenAI-compatible server, with /v1 (default: the grader's)"
    )
    judge.add_argument("--api_key_env", metavar="NAME", help="variable that holds the key (default: the grader's)")
    judge.add_argument("--prompt_file", metavar="FILE", help="another judge prompt (default: prompts/judge_*.txt)")
    judge.add_argument("--n", type=positive, default=4, help="replies a response")
    usual = {name: f"(default: the grader's, else {value})" for name, value in DEFAULT_SAMPLING.items()}
    judge.add_argument("--temperature", type=not_negative, help=f"0 is greedy {usual['temperature']}")
    judge.add_argument("--top_p", type=fraction, help=f"nucleus mass {usual['top_p']}")
    judge.add_argument("--max_tokens", type=positive, help=f"longest reply, in tokens {usual['max_tokens']}")
    judge.add_argument(
        "--reply_form",
        choices=REPLY_FORMS,
        help=f"what replies are held to (default: the grader's, else {REPLY_FORMS[0]})",
    )
    judge.add_argument(
        "--max_rejudge", type=count, default=2, metavar="N", help="times an unreadable reply is asked for again"
    )
    pace = parser.add_argument_group("pace and cost")
    pace.add_argument(
        "--concurrency",
        type=positive,
        metavar="N",
        help=f"calls in flight (default: the grader's, else {DEFAULT_CONCURRENCY}; embedded always 1)",
    )
    pace.add_argument("--rpm", type=positive, metavar="N", help="requests a minute, at most")
    pace.add_argument("--tpm", type=positive, metavar="N", help="tokens a minute, at most")
    pace.add_argument("--timeout", type=seconds, default=DEFAULT_TIMEOUT, metavar="SECONDS", help="limit of one call")
    pace.add_argument("--price", type=_price, metavar="IN,OUT", help="dollars a million tokens (default: the grader's)")
    pace.add_argument("--max_cost", type=not_negative, metavar="USD", help="stop before this is spent")
    pace.add_argument("--batch", action="store_true", help="send batches, which may take a day and cost less")
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--ledger", metavar="FILE", help="where replies are kept (default: ledger.sqlite by the file)")
    kept.add_argument("--no_ledger", action="store_true", help="keep no replies: a run that is killed is paid again")
    return parser
