"""The command `python api_judge.py`: flags to Options and a Judge, and nothing else."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from data.errors import JudgeUnavailable, UsageError, guarded
from data.flags import FlagParser, fraction, not_negative, positive
from data.suites import SUITES, suite_named
from inference import embedded
from inference.chat import ChatClient, Sampling, without_credentials
from inference.models import known_models
from inference.progress import Progress, say
from judges import run
from judges.tasks import TASKS
from prompts import templates

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"  # the reference's grader; docs/open-adjust.md section 2
DEFAULT_CONCURRENCY = 64
EMBEDDED = "embedded"
DEFAULT_FILES = {
    "open": "results/embedded/open_ended_en.jsonl",
    "adjustment": "results/embedded/adjustment_en.jsonl",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 (judging failed), 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments), say)


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    if arguments.judge_model != EMBEDDED:
        _key(arguments)  # before any file is read: the commonest mistake gets the quickest answer
    outcome = run.run(
        options,
        lambda: _judge(arguments),
        progress=lambda total, done: Progress("judging", total=total, done=done),
    )
    say(
        f"{outcome.judged} judged by {arguments.judge_model} ({outcome.asked} asked now), "
        f"{outcome.empty} empty responses judged NO without a call, {outcome.unanswered} without a response, "
        f"{outcome.failed} failed"
    )
    if outcome.failed:
        say(f"first failure: {outcome.reason}; the same command again asks only what is missing")
    for _, target in _files(arguments):
        print(target)  # noqa: T201  # stdout is for results
    return 1 if outcome.failed and not outcome.judged else 0


def _options(arguments: argparse.Namespace) -> run.Options:
    suite = suite_named(arguments.data_type)
    if suite.data_type is None:
        raise UsageError("closed-ended responses are scored by rules: python evaluate.py --evaluator close")
    task = TASKS[suite.data_type]
    files = _files(arguments)
    prompt = templates.load(Path(arguments.prompt_file)) if arguments.prompt_file else templates.bundled(task.prompt)
    task.check_prompt(prompt)
    # The embedded server is asked one request at a time (see there).
    concurrency = 1 if arguments.judge_model == EMBEDDED else arguments.concurrency or DEFAULT_CONCURRENCY
    return run.Options(
        task=task,
        files=files,
        prompt=prompt,
        system=templates.bundled("judge_system"),
        ledger=files[0][1].parent / "ledger.sqlite",
        concurrency=concurrency,
    )


def _files(arguments: argparse.Namespace) -> tuple[tuple[Path, Path], ...]:
    sources = [Path(name) for name in arguments.src_file or [DEFAULT_FILES[suite_named(arguments.data_type).name]]]
    if len(set(sources)) < len(sources):
        raise UsageError("--src_file names a file twice")
    if arguments.output_file is None:
        return tuple((source, source) for source in sources)
    if len(sources) > 1:
        raise UsageError("--output_file takes one --src_file; without it each file is judged in place")
    return ((sources[0], Path(arguments.output_file)),)


def _judge(arguments: argparse.Namespace) -> run.Judge:
    sampling = Sampling(arguments.temperature, arguments.top_p, arguments.max_tokens)
    if arguments.judge_model == EMBEDDED:
        server = embedded.LlamaServer(embedded.llm_file(), threads=embedded.cores(), choices=arguments.n)
        return run.Judge(
            name=EMBEDDED,
            label=known_models()[EMBEDDED]["label"],
            client=ChatClient(server.base_url, embedded.LLM_NAME, unavailable=JudgeUnavailable),
            server=EMBEDDED,  # its port changes from run to run
            sampling=Sampling(sampling.temperature, sampling.top_p, sampling.max_tokens, seed=0),
            n=arguments.n,
            with_schema=True,
            fields={"cache_prompt": False},
            keep_alive=server,
        )
    client = ChatClient(
        arguments.base_url,
        arguments.judge_model,
        api_key=_key(arguments),
        connections=arguments.concurrency or DEFAULT_CONCURRENCY,
        unavailable=JudgeUnavailable,
    )
    return run.Judge(
        name=arguments.judge_model,
        label=None,
        client=client,
        server=without_credentials(arguments.base_url),
        sampling=sampling,
        n=arguments.n,
    )


def _key(arguments: argparse.Namespace) -> str | None:
    key = os.environ.get(arguments.api_key_env, "").strip()
    if not key and arguments.base_url.rstrip("/") == DEFAULT_BASE_URL:
        raise UsageError(
            f"no key for {DEFAULT_BASE_URL}: set {arguments.api_key_env} (or name another variable with "
            "--api_key_env), point --base_url at a server of yours, or use --judge_model embedded"
        )
    return key or None


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="api_judge.py",
        description="Ask a grader about open-ended or adjustment responses. Replies are kept in a ledger beside the "
        "file as they come, so the same command again asks only what is missing.",
    )
    kinds = ", ".join(suite.data_type for suite in SUITES.values() if suite.data_type)
    parser.add_argument("--data_type", default="open", help=f"what is judged: {kinds}")
    parser.add_argument(
        "--src_file", "--input_file", nargs="+", metavar="FILE", help="files of responses (default: the embedded run's)"
    )
    parser.add_argument("--output_file", metavar="FILE", help="where the judged lines go (default: in place)")
    judge = parser.add_argument_group("the grader")
    judge.add_argument("--judge_model", default=DEFAULT_MODEL, help="the server's name for it, or embedded")
    judge.add_argument("--base_url", default=DEFAULT_BASE_URL, help="any OpenAI-compatible server, with /v1")
    judge.add_argument("--api_key_env", default="OPENAI_API_KEY", metavar="NAME", help="variable that holds the key")
    judge.add_argument("--prompt_file", metavar="FILE", help="another judge prompt (default: prompts/judge_*.txt)")
    judge.add_argument("--n", type=positive, default=4, help="replies a response")
    judge.add_argument("--temperature", type=not_negative, default=0.5, help="0 is greedy")
    judge.add_argument("--top_p", type=fraction, default=0.95, help="nucleus mass")
    judge.add_argument("--max_tokens", type=positive, default=1024, help="longest reply, in tokens")
    judge.add_argument(
        "--concurrency", type=positive, metavar="N", help="responses in flight (default: 64; embedded always 1)"
    )
    return parser
