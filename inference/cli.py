"""The command `python inference.py`: flags to Options, and nothing else."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data import dataset
from data.errors import UsageError, guarded
from data.flags import FlagParser, fraction, not_negative, positive
from data.suites import language, suite_named
from inference import run
from inference.chat import Sampling
from inference.progress import Progress, say
from prompts import templates

MODELS_FILE = Path(__file__).parent / "models.toml"
DEFAULT_CONCURRENCY = 64
DEFAULT_SAMPLING = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 2048, "seed": 0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 (the run failed, or every item did), 2 (bad input), 130 (stopped)."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(_options(arguments)), say)


def _run(options: run.Options) -> int:
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
        f"python evaluate.py --results {options.folder}"
        + ("; run the same command again to ask the failed ones" if outcome.failed else "")
    )
    for path in outcome.files:
        print(path)  # noqa: T201
    return 1 if outcome.failed and not outcome.answered else 0


def known_models() -> dict[str, dict[str, Any]]:
    """Return the rows of models.toml by model name."""
    return tomllib.loads(MODELS_FILE.read_text(encoding="utf-8"))


def _options(arguments: argparse.Namespace) -> run.Options:
    model = _model(arguments.model)
    data = Path(arguments.dataset) if arguments.dataset else dataset.SAMPLE
    name = arguments.run_name or run.default_run_name(arguments.model, data)
    if name in (".", "..") or "/" in name:
        raise UsageError(f"--run_name '{name}' is no folder name")
    return run.Options(
        dataset=data,
        suite=suite_named(arguments.subset) if arguments.subset else None,
        variant=arguments.variant,
        lang=language(arguments.lang) if arguments.lang else None,
        limit=arguments.limit,
        model_name=arguments.model,
        model=model,
        output_dir=Path(arguments.output_dir),
        run_name=name,
        sampling=_sampling(arguments, model),
        system=_system(arguments.system_prompt),
        concurrency=arguments.concurrency or model.get("concurrency", DEFAULT_CONCURRENCY),
        overwrite=arguments.overwrite,
        dry_run=arguments.dry_run,
        allow_outside_audio=arguments.allow_outside_audio,
    )


def _model(name: str) -> Mapping[str, Any]:
    models = known_models()
    if name not in models:
        raise UsageError(f"unknown model '{name}'; known: {', '.join(models)}")
    return models[name]


def _sampling(arguments: argparse.Namespace, model: Mapping[str, Any]) -> Sampling:
    """Return the flags' values, where they are not given the model's own, and where it has none the usual ones."""
    own = {**DEFAULT_SAMPLING, **model.get("sampling", {})}
    given = {name: getattr(arguments, name) for name in own if getattr(arguments, name) is not None}
    return Sampling(**{**own, **given})


def _system(choice: str | None) -> templates.Template | None:
    if choice == "none":
        return None
    return templates.bundled("system") if choice is None else templates.load(Path(choice))


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="inference.py",
        description="Ask a speech model every spoken request of a data set. Answers go to OUTPUT_DIR/RUN_NAME as they "
        "come; the same command again continues where it stopped.",
    )
    data = parser.add_argument_group("what is asked")
    data.add_argument("--dataset", help="folder in the benchmark's layout, or one JSONL file (default: the sample)")
    data.add_argument("--subset", help="only close, open or adjust")
    data.add_argument("--variant", help="only this variant: standard, background, accent, ...")
    data.add_argument("--lang", help="only en or zh (cn)")
    data.add_argument("--limit", type=positive, metavar="N", help="only the first N items of each file")
    data.add_argument("--allow_outside_audio", action="store_true", help="follow audio paths out of the data set")
    model = parser.add_argument_group("who is asked, and how")
    model.add_argument("--model", default="embedded", help="a name of inference/models.toml")
    usual = {name: f"(default: the model's, else {value:g})" for name, value in DEFAULT_SAMPLING.items()}
    model.add_argument("--temperature", type=not_negative, help=f"0 is greedy {usual['temperature']}")
    model.add_argument("--top_p", type=fraction, help=f"nucleus mass {usual['top_p']}")
    model.add_argument("--max_tokens", type=positive, help=f"longest answer, in tokens {usual['max_tokens']}")
    model.add_argument("--seed", type=int, help=f"sent to models that take one {usual['seed']}")
    model.add_argument("--system_prompt", metavar="FILE", help="text of the system line, or none (default: ours)")
    model.add_argument("--concurrency", type=positive, metavar="N", help="items in flight (default: the model's)")
    out = parser.add_argument_group("where it goes")
    out.add_argument("--output_dir", default="results", help="folder of all runs")
    out.add_argument("--run_name", help="folder of this run (default: model and data set)")
    out.add_argument("--overwrite", action="store_true", help="drop this run's earlier answers")
    out.add_argument("--dry_run", action="store_true", help="only show what would run, and the first prompt")
    return parser
