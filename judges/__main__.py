"""The commands beside `api_judge.py` that are about graders: `python -m judges COMMAND`."""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import jsonl
from data.errors import DataError, UsageError, guarded, printable
from data.flags import FlagParser, positive
from data.suites import SUITES, suite_named

if TYPE_CHECKING:
    from data.records import Score
    from evaluators.stats import Estimate
    from judges.attacks import Trial
    from judges.tasks import Task

ALL = "all"
NO_ATTACK = "none, asked again"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 (judging failed), 2 (bad input), 130 (stopped)."""
    parser = _parser()
    arguments, further = parser.parse_known_args(argv)
    if further and not arguments.passes_flags_on:
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    return guarded(lambda: int(arguments.command(arguments, further)), _say)


# --- attack ---------------------------------------------------------------------------------------------------------


def _attack(arguments: argparse.Namespace, further: list[str]) -> int:
    from judges import attacks

    if "," in arguments.judge_model:
        raise UsageError("attack the graders of a panel one by one")
    task = _task(arguments.data_type)
    clean_items = attacks.cases(task, Path(arguments.src_file or attacks.bundled_cases(task)))
    tried = attacks.some(attacks.load(), arguments.attacks, arguments.seed)
    attacked_items = list(attacks.attacked(task, clean_items, tried))
    if not attacked_items:
        raise UsageError("no attack is in the language of these items; take more --attacks")
    folder = Path(arguments.output_dir) / re.sub(r"[^\w.-]+", "-", arguments.judge_model)
    clean, attacked = (folder / f"{task.data_type}_{name}.jsonl" for name in ("clean", "attacked"))
    with jsonl.only_process(folder):
        # Without attacks twice as often: the second half of the replies shows how far the grader moves by itself.
        for path, items, n in ((clean, clean_items, 2 * arguments.n), (attacked, attacked_items, arguments.n)):
            jsonl.rewrite(path, map(jsonl.dumps, items))
            code = _judge(path, n, arguments, further)
            if code:
                return code
    return 0 if "--dry_run" in further else _report(arguments, task, clean, attacked)


def _task(data_type: str) -> Task:
    from judges.tasks import TASKS

    suite = suite_named(data_type)
    if suite.data_type is None:
        raise UsageError("closed-ended responses are scored by rules: there is no grader to attack")
    return TASKS[suite.data_type]


def _judge(path: Path, n: int, arguments: argparse.Namespace, further: Sequence[str]) -> int:
    """Have `api_judge.py` judge a file in place; what its ledger holds from before costs nothing."""
    from judges import cli

    files = ["--data_type", arguments.data_type, "--src_file", str(path), "--output_file", str(path)]
    judge = ["--judge_model", arguments.judge_model, "--n", str(n)]
    with redirect_stdout(sys.stdout if "--dry_run" in further else io.StringIO()):  # which would name the file
        return cli.main([*further, *files, *judge])


def _report(arguments: argparse.Namespace, task: Task, clean: Path, attacked: Path) -> int:
    """Print how many verdicts moved, by kind of attack or attack by attack."""
    from evaluators.report import as_json, numbers, rows, table
    from judges import attacks

    half = arguments.n
    items = [line.fields for line in jsonl.read(clean)]
    before = {fields["case"]: marks for fields in items if (marks := _marks(task, fields, slice(half))) is not None}
    if not before:
        raise DataError("the grader gave no verdict even without attacks: there is nothing to compare with", path=clean)
    trials: dict[str, list[Trial]] = {}
    kinds = {attack.id: attack.kind for attack in attacks.load()}
    for fields in (line.fields for line in jsonl.read(attacked)):
        name = fields["attack"]
        if "pred_score" in fields and fields["case"] in before:
            trial = attacks.Trial(fields["case"], before[fields["case"]], _marks(task, fields, slice(None)))
            for group in (name if arguments.by == "attack" else kinds[name], ALL):
                trials.setdefault(group, []).append(trial)
    trials[ALL] = trials.pop(ALL, [])  # below what it sums up
    trials[NO_ATTACK] = [
        attacks.Trial(fields["case"], before[fields["case"]], _marks(task, fields, slice(half, None)))
        for fields in items
        if fields["case"] in before
    ]
    shares = {group: _shares(found) for group, found in trials.items()}
    label = items[0]["judge"]["label"]
    if arguments.format == "json":
        groups = {
            group: {"n_items": len(trials[group]), **{name: as_json.estimate(share) for name, share in found.items()}}
            for group, found in shares.items()
        }
        shown = {"judge": arguments.judge_model, "label": label, "data_type": task.data_type, "attacks": groups}
        print(json.dumps(shown, indent=2, ensure_ascii=False))  # noqa: T201  # stdout is for results
        return 0
    body = [
        [group, str(len(trials[group])), *map(numbers.percent_with_interval, found.values())]
        for group, found in shares.items()
    ]
    notes = [
        f"{len(before)} of {len(items)} items had a verdict without attacks; majority of {half} replies each.",
        *([] if arguments.src_file else [_truth_note(task, items, before)]),
        "In favour: percent of the verdicts against the answer that an attack turned; against: of those for it; "
        "unreadable: of all. An adjustment item has two verdicts, its IAR and its ECR; of a classification, "
        "NO and N/A are both against the answer.",
        f"The last row is how far the grader moves by itself. Judged items: {clean}, {attacked}",
        numbers.methods_note(share for found in shares.values() for share in found.values()),
    ]
    title = f"{arguments.judge_model}{f' ({label})' if label else ''}: verdicts that attacks moved"
    headers = ["attack", "items", "in favour", "against", "unreadable"]
    print(table.for_terminal(title, [rows.Table(headers, body, 1)], notes, width=_width()), end="")  # noqa: T201
    return 0


def _truth_note(task: Task, items: Sequence[Mapping[str, Any]], before: Mapping[int, tuple[bool, ...]]) -> str:
    """Return how the grader does on the bundled items, whose verdicts are known."""
    pairs = [
        pair
        for fields in items
        if fields["case"] in before
        for pair in zip(before[fields["case"]], _true_marks(task, fields), strict=True)
    ]
    right = sum(found == true for found, true in pairs)
    return f"Of {len(pairs)} verdicts without attacks {right} are right; the fewer, the less the table says."


def _true_marks(task: Task, fields: Mapping[str, Any]) -> tuple[bool, ...]:
    return _marks(task, {**fields, "pred_score": [json.dumps(fields["expected"])]}, slice(None)) or ()


def _marks(task: Task, fields: Mapping[str, Any], replies: slice) -> tuple[bool, ...] | None:
    """Return what some of an item's replies come to, True in the answer's favour; None where it is unscored."""
    marks = _score(task, {**fields, "pred_score": fields.get("pred_score", [])[replies]}, "fixed").marks
    # To follow the request that was taken back speaks against an answer.
    return tuple(mark.met is (name != "ecr") for name, found in marks.items() for mark in found) or None


def _shares(trials: Sequence[Trial]) -> dict[str, Estimate]:
    """Return what moved, each as a share with its interval; what one item gave is one cluster."""
    import numpy as np

    from evaluators import stats

    counts = {
        "in_favour": [trial.moved_to(True) for trial in trials],
        "against": [trial.moved_to(False) for trial in trials],
        "unreadable": [trial.lost() for trial in trials],
    }
    cases = [trial.case for trial in trials]
    return {
        name: stats.proportion(*stats.summed(np.array(found, dtype=float).reshape(-1, 2), cases).T)
        for name, found in counts.items()
    }


# --- show -----------------------------------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    from evaluators import PROFILES
    from judges import showing
    from prompts import templates

    shown = showing.found(
        Path(arguments.file),
        arguments.key,
        arguments.audio_path,
        prompt=templates.load(Path(arguments.prompt_file)) if arguments.prompt_file else None,
        ledger=Path(arguments.ledger) if arguments.ledger else None,
    )
    for line in showing.lines(shown):
        print(line)  # noqa: T201  # stdout is for results
    for profile in PROFILES:
        score = _score(shown.task, shown.fields, profile)
        print(f"\ncounted in profile {profile}:{f' {score.unscored}' if score.unscored else ''}")  # noqa: T201
        for mark in (mark for marks in score.marks.values() for mark in marks):
            print(printable(f"{'met' if mark.met else 'not met'}: {mark.expected} ({mark.found})"))  # noqa: T201
    return 0


def _score(task: Task, fields: Mapping[str, Any], profile: str) -> Score:
    """Return what an item's replies come to, without what rules find beside them."""
    from data.records import ItemId
    from evaluators import votes
    from evaluators.tally import EVALUATORS

    evaluator = EVALUATORS[task.data_type]
    score = evaluator.score(ItemId("", None, None), fields, profile)
    marks = {name: found for name, found in score.marks.items() if name not in evaluator.by_rule}
    undecided = None if evaluator.judge is None else votes.decided(fields, profile, evaluator.judge).unscored
    return replace(score, marks=marks, unscored=score.unscored or undecided)


# --- ledger ---------------------------------------------------------------------------------------------------------


def _ledger_stats(arguments: argparse.Namespace, _: list[str]) -> int:
    """Print what a ledger holds, by served model."""
    from contextlib import closing

    from evaluators.report import table
    from evaluators.report.rows import Table
    from judges.ledger import Ledger

    path = Path(arguments.ledger)
    if not path.is_file():
        raise DataError("no such file", path=path)
    with closing(Ledger(path)) as ledger:
        held = ledger.by_model()
    body = [
        [model, "batch" if batched else "live", *(f"{count:,}" for count in counts)]
        for model, batched, requests, replies, usage in held
        for counts in [(requests, replies, usage.prompt, usage.cached, usage.completion)]
    ]
    headers = ["served model", "asked", "requests", "replies", "prompt tokens", "of them cached", "reply tokens"]
    notes = ["Requests are different ones: equal requests share their replies.", f"Ledger: {path}"]
    shown = table.for_terminal("what graders replied", [Table(headers, body, 2)], notes=notes, width=_width())
    print(shown, end="")  # noqa: T201
    return 0


def _width() -> int | None:
    """Return the terminal's width in columns; None where the result goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = FlagParser(prog="-m judges", description="How a grader was asked, and how far it can be pushed.")
    parser.set_defaults(passes_flags_on=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    attack = commands.add_parser(
        "attack",
        help="how many verdicts of a grader attacks move",
        description="Judge items with and without attacks in them and count the verdicts that moved, beside those that "
        "move without any (docs/judging.md). Takes every flag of api_judge.py; what was received is never asked again.",
    )
    kinds = ", ".join(suite.data_type for suite in SUITES.values() if suite.data_type)
    attack.add_argument("--judge_model", required=True, metavar="NAME", help="the grader")
    attack.add_argument("--data_type", default="open", help=f"what is judged: {kinds}")
    attack.add_argument(
        "--src_file", "--input_file", metavar="FILE", help="items with responses to attack (default: bundled ones)"
    )
    attack.add_argument("--n", type=positive, default=4, help="replies an item")
    attack.add_argument("--attacks", type=positive, metavar="N", help="so many, drawn at random (default: all)")
    attack.add_argument("--seed", type=int, default=0, help="of that draw")
    attack.add_argument("--by", choices=("kind", "attack"), default="kind", help="a row of the table")
    attack.add_argument("--format", choices=("table", "json"), default="table", help="form of the result")
    attack.add_argument("--output_dir", default="results/attacks", metavar="DIR", help="where the judged items go")
    attack.set_defaults(command=_attack, passes_flags_on=True)
    show = commands.add_parser(
        "show",
        help="how one item was judged",
        description="Print what the grader was sent about one item, each reply as it came, how it was read, and what "
        "was counted.",
    )
    show.add_argument("file", metavar="FILE", help="a judged file")
    show.add_argument("key", metavar="KEY", help="the item's key, or the audio_path of one without")
    show.add_argument("--audio_path", metavar="PATH", help="which of several items with that key")
    show.add_argument("--prompt_file", metavar="FILE", help="the judge prompt, where it is one of your own")
    show.add_argument("--ledger", metavar="FILE", help="where replies are kept (default: ledger.sqlite by the file)")
    show.set_defaults(command=_show)
    ledger = commands.add_parser("ledger", help="what was paid for", description="Look into a ledger of replies.")
    about = ledger.add_subparsers(metavar="WHAT", required=True)
    summed = "requests, replies and tokens by served model"
    held = about.add_parser("stats", help=summed, description=f"Show {summed}.")
    held.add_argument("ledger", metavar="FILE", help="for example results/embedded/ledger.sqlite")
    held.set_defaults(command=_ledger_stats)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
