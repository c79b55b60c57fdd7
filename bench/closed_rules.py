"""How long the 541 GPT-4 responses to IFEval take, strict and loose: ours beside a plain loop and beside lm-eval.

    pip install --no-deps lm-eval==0.4.13 immutabledict     # the peer; left out of the table where it is missing
    python bench/closed_rules.py

Processor time, in one process, data and models loaded beforehand; the best of five rounds. The plain loop asks our own
rules about all eight texts of every instruction and keeps nothing; lm-eval's loop stops at the first text that passes.
All of our caches are emptied before each round.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from evaluators import rules
from evaluators.rules.arguments import outcomes
from evaluators.rules.texts import Texts

ROWS = Path(__file__).parent.parent / "tests" / "golden" / "ifeval_gpt4.jsonl"
ROUNDS = 5
Row = dict[str, Any]


def ours(rows: list[Row]) -> int:
    """Return how many strict and loose verdicts are true, by the rules as they are used."""
    true = 0
    for row in rows:
        text = rules.prepare(row["response"], "reference")
        for instruction, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            true += sum(mark.met for mark in rules.check(instruction, arguments, text, "reference"))
    return true


def plain_loop(rows: list[Row]) -> int:
    """Return the same number with every rule asked about all eight texts, and nothing kept."""
    true = 0
    for row in rows:
        response = rules.prepare(row["response"], "reference")
        lines = response.split("\n")
        texts = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
        texts += [text.replace("*", "") for text in texts]
        for instruction, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            readings = list(outcomes(rules.RULES[instruction].reference, arguments, response))
            strict = loose = 0.0
            for drawn, requirement in readings:
                verdicts = []
                for text in texts:
                    empty_caches()
                    met = bool(text.strip()) and requirement.accepts(requirement.measure(text, *requirement.about))
                    verdicts.append(met)
                chance = drawn.chance[0] / drawn.chance[1]
                strict += chance * verdicts[0]
                loose += chance * any(verdicts)
            true += (strict > 0.5) + (loose > 0.5)
    return true


def lm_eval_loop() -> Callable[[list[Row]], int] | None:
    """Return the peer's own scoring of the same rows, or None where it is not installed."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        return None
    # The package's own `tasks/__init__` needs its whole stack; the IFEval task alone does not.
    tasks = types.ModuleType("lm_eval.tasks")
    tasks.__path__ = [str(Path(found.submodule_search_locations[0]) / "tasks")]
    sys.modules["lm_eval.tasks"] = tasks
    _offer_punkt_to_nltk()
    task = importlib.import_module("lm_eval.tasks.ifeval.utils")

    def score(rows: list[Row]) -> int:
        true = 0
        for row in rows:
            result = task.process_results(row, [row["response"]])
            true += sum(result["inst_level_strict_acc"]) + sum(result["inst_level_loose_acc"])
        return true

    return score


def _offer_punkt_to_nltk() -> None:
    """Let NLTK find the sentence data that an installed package carries, so that the peer downloads nothing."""
    import importlib.metadata

    import nltk  # type: ignore[import-untyped]  # no types

    folder = importlib.metadata.distribution("llama-index-core").locate_file("llama_index/core/_static/nltk_cache")
    nltk.data.path.append(str(folder))


def empty_caches() -> None:
    """Forget every text seen so far; what was loaded stays."""
    for cached in _text_caches():
        cached.cache_clear()


@functools.cache
def _text_caches() -> tuple[Any, ...]:
    caches = []
    for name, module in list(sys.modules.items()):
        if name.startswith("evaluators.rules"):
            caches += [
                value
                for value in vars(module).values()
                if hasattr(value, "cache_clear") and value.cache_parameters()["maxsize"] is not None
            ]
    return tuple(dict.fromkeys(caches))


def best_time(score: Callable[[list[Row]], int], rows: list[Row]) -> tuple[float, int]:
    """Return the least processor time of the rounds in seconds, and the verdicts counted."""
    score(rows[:60])  # loads what is loaded once
    seconds, true = float("inf"), 0
    for _ in range(ROUNDS):
        empty_caches()
        gc.collect()
        start = time.process_time()
        true = score(rows)
        seconds = min(seconds, time.process_time() - start)
    return seconds, true


def main() -> None:
    """Print the table."""
    rows = [json.loads(line) for line in ROWS.read_bytes().splitlines()]
    Texts("")  # the module is loaded, so its caches are known
    candidates: dict[str, Callable[[list[Row]], int] | None] = {
        "this project": ours,
        "plain loop over all eight texts": plain_loop,
        "lm-eval 0.4.13": lm_eval_loop(),
    }
    base = 0.0
    print(f"{len(rows)} responses, {sum(len(row['instruction_id_list']) for row in rows)} instructions")
    for name, score in candidates.items():
        if score is None:
            print(f"{name:34} not installed")
            continue
        seconds, true = best_time(score, rows)
        base = base or seconds
        print(f"{name:34} {seconds:6.2f} s   {seconds / base:5.1f} x   {true} true verdicts")


if __name__ == "__main__":
    main()
