"""The command `python inference.py`: flags to Options, and nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data import dataset, hub
from data.errors import UsageError, guarded
from data.flags import FlagParser, assignment, fraction, not_negative, positive, share
from data.suites import Suite, language, suite_named
from inference import asr, models, run
from inference.chat import Sampling
from inference.options import Options, RayOptions
from inference.progress import Progress, say
from prompts import templates

MODALITIES = ("audio", "text", "transcript")
SCORES = ("likelihood",)
LONG_AUDIO = ("truncate", "error")
DEFAULT_CONCURRENCY = 64
DEFAULT_SAMPLING = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 2048, "seed": 0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 (the run failed, or every item did), 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    if arguments.list_models:
        return guarded(_list_models, say)
    return guarded(lambda: _run(_options(arguments)), say)


def _list_models() -> int:
    rows = [(name, row["backend"], row["verified"], row.get("note", "")) for name, row in models.known_models().items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*cells, row[3])).rstrip())  # noqa: T201  # stdout is for results
    return 0


def _run(options: Options) -> int:
    outcome = run.run(
        options,
        say=say,
        show=lambda line: print(line),  # noqa: T201  # stdout is for results
        progress=lambda total, done: Progress("answering", total=total, done=done),
    )
    if options.dry_run:
        return 0
    label = options.model.get("label")
    shown = f"{options.model_name} ({label})" if label else options.model_name
    say(
        f"{shown}: {outcome.answered} responses, {outcome.failed} failed; "
        f"python evaluate.py --results {options.folder}{_about_failures(outcome)}"
    )
    for path in outcome.files:
        print(path)  # noqa: T201
    return 1 if outcome.failed and not outcome.answered else 0


def _about_failures(outcome: run.Outcome) -> str:
    """Return what can be done about the failed items."""
    passing = outcome.failed - outcome.permanent
    if not outcome.failed:
        return ""
    if not passing:
        return "; asking the failed ones again cannot help: their lines say why (error)"
    which = f"{passing} of the failed ones, the others failed for good" if outcome.permanent else "the failed ones"
    return f"; run the same command again to ask {which}"


def _options(arguments: argparse.Namespace) -> Options:
    name, model = models.chosen(
        models.Choice(
            model=arguments.model,
            backend=arguments.backend,
            base_urls=_addresses(arguments.base_url),
            api_key_env=arguments.api_key_env,
            asr=arguments.asr,
            asr_language=arguments.asr_language,
            asr_base_urls=_addresses(arguments.asr_base_url),
            asr_api_key_env=arguments.asr_api_key_env,
            llm=arguments.llm,
            modality=arguments.modality,
            max_clips=arguments.max_clips,
            engine=dict(arguments.engine_args or ()),
            trust_remote_code=arguments.trust_remote_code,
        )
    )
    suite = suite_named(arguments.subset) if arguments.subset else None
    data = hub.located(arguments.dataset, suite) if arguments.dataset else dataset.SAMPLE
    named = Path(arguments.dataset) if arguments.dataset else dataset.SAMPLE
    run_name = arguments.run_name or run.default_run_name(name, named, arguments.modality, arguments.score)
    if run_name in (".", "..") or "/" in run_name:
        raise UsageError(f"--run_name '{run_name}' is no folder name")
    return Options(
        dataset=data,
        suite=suite,
        variant=arguments.variant,
        lang=language(arguments.lang) if arguments.lang else None,
        limit=arguments.limit,
        model_name=name,
        model=model,
        output_dir=Path(arguments.output_dir),
        run_name=run_name,
        sampling=_sampling(arguments, model),
        system=_system(arguments.system_prompt, data, suite),
        concurrency=arguments.concurrency or model.get("concurrency", DEFAULT_CONCURRENCY),
        modality=arguments.modality,
        score=arguments.score,
        long_audio=arguments.long_audio,
        max_failures=arguments.max_failures,
        ray=_ray(arguments),
        preflight=not arguments.skip_preflight,
        shard=arguments.shard,
        overwrite=arguments.overwrite,
        dry_run=arguments.dry_run,
        allow_outside_audio=arguments.allow_outside_audio,
    )


def _addresses(urls: str | None) -> tuple[str, ...]:
    return tuple(url.strip() for url in (urls or "").split(",") if url.strip())


def _ray(arguments: argparse.Namespace) -> RayOptions | None:
    resources = dict(arguments.ray_resources or ())
    if arguments.engine != "ray":
        for flag in ("ray_address", "ray_replicas", "ray_resources"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag} needs --engine ray")
        return None
    for name, amount in resources.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
            raise UsageError(f"--ray_resources {name}: {amount} is no amount; expected, say, GPU=1 or CPU=4")
    return RayOptions(arguments.ray_address, arguments.ray_replicas, resources)


def _sampling(arguments: argparse.Namespace, model: Mapping[str, Any]) -> Sampling:
    """Return the flags' values, where they are not given the model's own, and where it has none the usual ones."""
    own = {**DEFAULT_SAMPLING, **model.get("sampling", {})}
    given = {name: getattr(arguments, name) for name in own if getattr(arguments, name) is not None}
    return Sampling(**{**own, **given})


def _system(choice: str | None, data: Path, suite: Suite | None) -> templates.Template | None:
    """Return the chosen system line; by default, that for requests which are spoken, or written beside recordings."""
    if choice is not None:
        return None if choice == "none" else templates.load(Path(choice))
    files = dataset.dataset_files(data, suite=suite)
    written = any(item.written for file in files for item in islice(file.items(), 1))
    return templates.bundled("system_written" if written else "system")


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="inference.py",
        description="Ask a speech model every spoken request of a data set. Answers go to OUTPUT_DIR/RUN_NAME as they "
        "come; the same command again continues where it stopped.",
    )
    data = parser.add_argument_group("what is asked")
    data.add_argument(
        "--dataset",
        help="folder in the benchmark's layout, one JSONL file, or speechinstructbench (default: the sample)",
    )
    data.add_argument("--subset", help="only close, open or adjust")
    data.add_argument("--variant", help="only this variant: standard, background, accent, ...")
    data.add_argument("--lang", help="only one language: en, zh (cn) or another two-letter code")
    data.add_argument("--limit", type=positive, metavar="N", help="only the first N items of each file")
    data.add_argument("--allow_outside_audio", action="store_true", help="follow audio paths out of the data set")
    model = parser.add_argument_group("who is asked, and how")
    model.add_argument("--model", help="a known name, a server's or the hub's id, or a folder (default: embedded)")
    model.add_argument("--list_models", action="store_true", help="show the known models and how each is reached")
    model.add_argument("--backend", help="vllm, transformers, openai, cascade, or module:Class (default: the model's)")
    model.add_argument("--base_url", metavar="URLS", help="OpenAI-compatible servers, comma-separated, each with /v1")
    model.add_argument("--api_key_env", metavar="NAME", help="variable that holds their key (default: OPENAI_API_KEY)")
    model.add_argument("--asr", help=f"recogniser of a cascade: {asr.KNOWN}")
    model.add_argument("--asr_language", metavar="CODE", help="what is spoken: en, zh, ... (default: it finds out)")
    model.add_argument("--asr_base_url", metavar="URLS", help="servers of --asr openai:MODEL (default: OpenAI's own)")
    model.add_argument("--asr_api_key_env", metavar="NAME", help="variable with their key (default: OPENAI_API_KEY)")
    model.add_argument("--llm", help="text model of a cascade")
    model.add_argument(
        "--modality", choices=MODALITIES, default="audio", help="the controls: the prompt as text, or what --asr heard"
    )
    model.add_argument(
        "--score", choices=SCORES, help="how likely each option of an instruction is, instead of an answer in words"
    )
    model.add_argument("--max_clips", type=positive, metavar="N", help="recordings a turn; of more, one is made")
    model.add_argument("--engine_args", nargs="+", type=assignment, metavar="NAME=VALUE", help="for vllm, transformers")
    model.add_argument("--trust_remote_code", action="store_true", help="run code that comes with the model")
    model.add_argument("--long_audio", choices=LONG_AUDIO, default="truncate", help="beyond the model's limit")
    usual = {name: f"(default: the model's, else {value:g})" for name, value in DEFAULT_SAMPLING.items()}
    model.add_argument("--temperature", type=not_negative, help=f"0 is greedy {usual['temperature']}")
    model.add_argument("--top_p", type=fraction, help=f"nucleus mass {usual['top_p']}")
    model.add_argument("--max_tokens", type=positive, help=f"longest answer, in tokens {usual['max_tokens']}")
    model.add_argument("--seed", type=int, help=f"sent to models that take one {usual['seed']}")
    model.add_argument("--system_prompt", metavar="FILE", help="text of the system line, or none (default: ours)")
    model.add_argument(
        "--concurrency", type=positive, metavar="N", help="items in flight, on Ray a replica (default: the model's)"
    )
    model.add_argument("--max_failures", type=positive, default=20, metavar="N", help="failures in a row that end it")
    model.add_argument("--skip_preflight", action="store_true", help="do not ask known recordings first")
    where = parser.add_argument_group("where the model runs, if not in this process")
    where.add_argument("--engine", choices=("ray",), help="the same back end in replicas on a Ray cluster, one a GPU")
    where.add_argument(
        "--ray_address", metavar="ADDRESS", help="auto, local (a new one) or HOST:PORT (default: auto, else local)"
    )
    where.add_argument(
        "--ray_replicas", type=positive, metavar="N", help="replicas (default: one a GPU, or one a node)"
    )
    where.add_argument(
        "--ray_resources", nargs="+", type=assignment, metavar="NAME=AMOUNT", help="of each (default: CPU=1 GPU=1)"
    )
    out = parser.add_argument_group("where it goes")
    out.add_argument("--shard", type=share, metavar="I/N", help="only every N-th item, from the I-th: for job arrays")
    out.add_argument("--output_dir", default="results", help="folder of all runs")
    out.add_argument("--run_name", help="folder of this run (default: model and data set)")
    out.add_argument("--overwrite", action="store_true", help="drop this run's earlier answers")
    out.add_argument("--dry_run", action="store_true", help="only show what would run, and the first prompt")
    return parser
