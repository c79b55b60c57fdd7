"""Adding scores up (docs/closed-rules.md section 7, docs/open-adjust.md section 6)."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records import ItemId, Mark, Score
from evaluators import stats
from evaluators.tally import EVALUATORS, Ratio, Tally

OPEN_REPLIES = {
    "YY": ['["YES", "YES"]'] * 4,
    "YN": ['["YES", "NO"]'] * 4,
    "unreadable": ["no idea"] * 4,
    "Y and a tie": ['["YES", "YES"]', '["YES", "NO"]', '["YES", "YES"]', '["YES", "NO"]'],
}


def item(place: int) -> ItemId:
    """Return an identity."""
    return ItemId("file.jsonl", place, f"{place}.wav")


def tally_of(evaluator: str, lines: list[dict[str, Any]], profile: str = "fixed") -> Tally:
    """Return the sums over some lines."""
    tally = Tally(EVALUATORS[evaluator])
    for place, fields in enumerate(lines):
        instructions = fields.get("instruction_id_list")
        tally.add(EVALUATORS[evaluator].score(item(place), fields, profile), instructions)
    return tally


def test_worked_example_of_open_items() -> None:
    """Four items with two questions each: YY, YN, one unscored, one with a tie."""
    lines = [
        {"prompt": "p", "response": "r", "decomposed_questions": ["a", "b"], "pred_score": replies}
        for replies in OPEN_REPLIES.values()
    ]
    tally = tally_of("open", lines)
    cells = tally.cells()
    assert (tally.n_items, tally.n_scored, tally.ties) == (4, 3, 1)
    assert cells["prompt"].value == pytest.approx(1 / 3)
    assert cells["instruction"].value == pytest.approx(4 / 6)
    assert cells["prompt"].bounds == (1 / 4, 2 / 4)
    assert cells["instruction"].bounds == (4 / 8, 6 / 8)
    assert (cells["prompt"].n, cells["instruction"].n, cells["prompt"].unscored) == (3, 6, 1)


def test_worked_example_of_adjustment_items() -> None:
    """Five items with IAR marks 1, 1, 0, 1, unscored and ECR marks 0, 1, 0, 0, unscored."""

    def reply(after: str, before: str, content: str) -> str:
        return json.dumps(
            {
                "follow_after_adjust": after,
                "follow_before_adjust": before,
                "after_adjust_content_correct": content,
            }
        )

    replies = [
        reply("YES", "NO", "YES"),
        reply("YES", "YES", "YES"),
        reply("NO", "NO", "NO"),
        reply("YES", "NO", "YES"),
        "unreadable",
    ]
    cells = tally_of("adjust", [{"prompt": "p", "response": "r", "pred_score": [text] * 4} for text in replies]).cells()
    assert cells["iar"].value == 3 / 4
    assert cells["iar"].bounds == (3 / 5, 4 / 5)
    assert cells["ecr"].value == 1 / 4
    assert cells["ecr"].bounds == (1 / 5, 2 / 5)


@pytest.mark.parametrize("evaluator", sorted(EVALUATORS))
def test_nothing_scored_gives_no_value(evaluator: str) -> None:
    """Items without a response leave a metric without a value, bounded by 0 and 1, never at zero."""
    fields = {"response": None, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    for lines in ([], [fields, fields]):
        for cell in tally_of(evaluator, lines).cells().values():
            assert cell.value is None
            assert (cell.n, cell.bounds, cell.unscored) == (0, (0.0, 1.0), len(lines))


def test_unknown_number_of_questions_enters_the_prompt_bounds_only() -> None:
    """An unscored open item without questions widens the prompt's bounds and leaves the instructions' alone."""
    scored = {"response": "r", "decomposed_questions": ["a"], "pred_score": ['["YES"]'] * 4}
    cells = tally_of("open", [scored, {"response": None}]).cells()
    assert cells["prompt"].bounds == (1 / 2, 1.0)
    assert cells["instruction"].bounds == (1.0, 1.0)


def test_invalid_instructions_are_false_below_and_true_above() -> None:
    """Unusable arguments count as false in the value and as true in the upper bound (fixed profile)."""
    fields = {
        "response": "no commas here",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{}, {"num_words": "many", "relation": "at least"}],
    }
    tally = tally_of("close", [fields])
    cells = tally.cells()
    assert cells["strict-prompt"].value == 0
    assert cells["strict-prompt"].bounds == (0.0, 1.0)
    assert cells["mean-instruction"].value == 0.5
    assert cells["mean-instruction"].bounds == (0.5, 1.0)
    assert tally.flags == {"invalid": 1}


def test_by_instruction_adds_up_to_the_whole() -> None:
    """The sums by instruction kind add up to instruction accuracy, strict and loose, unscored ones included."""
    ids = ["punctuation:no_comma", "startend:quotation"]
    lines = [
        {"response": text, "instruction_id_list": ids, "kwargs": [{}, {}]} for text in ("plain", '"a, b"', None, '"ok"')
    ]
    tally = tally_of("close", lines)
    for place, way in enumerate(("strict", "loose")):
        whole = tally.ratios[f"{way}-instruction"]
        parts = [pair[place] for pair in tally.by_instruction.values()]
        assert sum(part.met for part in parts) == whole.met == 4
        assert sum(part.n for part in parts) == whole.n == 6
        assert sum(part.n_all for part in parts) == whole.n_all == 8
        assert sum(part.highest for part in parts) == whole.highest


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("scored"), st.lists(st.booleans(), min_size=1, max_size=5)),
            st.tuples(st.just("unscored"), st.lists(st.none(), max_size=5)),
        ),
        max_size=30,
    )
)
def test_open_sums_are_plain_fractions_inside_their_bounds(items: list[tuple[str, list[Any]]]) -> None:
    """For any mix of items the value is met over n, and no completion of the unscored items leaves the bounds."""
    tally = Tally(EVALUATORS["open"])
    for place, (kind, marks) in enumerate(items):
        if kind == "scored":
            score = Score(item(place), {"questions": tuple(Mark(met, "", "") for met in marks)})
        else:
            score = Score(item(place), {}, unscored="no readable vote", expected=len(marks))
        tally.add(score)
    cell = tally.cells()["instruction"]
    verdicts = [mark for kind, marks in items if kind == "scored" for mark in marks]
    missing = sum(len(marks) for kind, marks in items if kind == "unscored")
    assert cell.value == (float(Fraction(sum(verdicts), len(verdicts))) if verdicts else None)
    assert cell.n == len(verdicts)
    if verdicts or missing:
        total = len(verdicts) + missing
        assert cell.bounds == (sum(verdicts) / total, (sum(verdicts) + missing) / total)
    if cell.value is not None:
        assert cell.bounds[0] <= cell.value <= cell.bounds[1]


def test_ratio_of_nothing_has_no_value() -> None:
    """An empty sum has no value, and could be anything."""
    assert (Ratio().value, Ratio().bounds) == (None, (0.0, 1.0))


def closed_lines(generator: random.Random, count: int) -> list[dict[str, Any]]:
    """Return items with one to three instructions, met by chance."""
    ids = ["punctuation:no_comma", "startend:quotation", "detectable_format:title"]
    texts = ["plain", "a, b", '"quoted"', "<<title>>", '"<<both>>"', 'an introduction, then\n"<<both>>"']
    return [
        {"response": generator.choice(texts), "instruction_id_list": ids[:n], "kwargs": [{}] * n}
        for n in (generator.randint(1, 3) for _ in range(count))
    ]


def test_every_metric_has_an_interval_and_names_its_method() -> None:
    """Items are plain proportions; instructions, and the means of strict and loose, are ratios over clusters."""
    cells = tally_of("close", closed_lines(random.Random(1), 200)).cells()
    assert {metric: cell.method for metric, cell in cells.items()} == {
        "strict-prompt": stats.WILSON,
        "strict-instruction": stats.BOOTSTRAP,
        "loose-prompt": stats.WILSON,
        "loose-instruction": stats.BOOTSTRAP,
        "mean-prompt": stats.BOOTSTRAP,
        "mean-instruction": stats.BOOTSTRAP,
    }
    for cell in cells.values():
        assert cell.ci95 is not None
        assert cell.value is not None
        assert cell.ci95[0] < cell.value < cell.ci95[1]
    plain = cells["strict-prompt"]
    assert plain.value is not None
    assert plain.ci95 == stats.wilson(plain.value, 200)


def test_renderings_of_one_key_are_one_cluster() -> None:
    """Four copies of every item say no more than one: the interval stays as wide, although n is four times as large."""
    lines = closed_lines(random.Random(2), 100)
    alone, copied = Tally(EVALUATORS["close"]), Tally(EVALUATORS["close"])
    for key, fields in enumerate(lines):
        score = EVALUATORS["close"].score(item(key), fields, "fixed")
        alone.add(score, fields["instruction_id_list"], cluster=key)
        for _ in range(4):
            copied.add(score, fields["instruction_id_list"], cluster=key)
    for metric in ("strict-instruction", "mean-prompt"):
        one, four = alone.cells()[metric], copied.cells()[metric]
        assert (four.n, four.value, four.method) == (4 * one.n, one.value, stats.BOOTSTRAP)
        assert four.ci95 == pytest.approx(one.ci95)
    assert copied.cells()["strict-prompt"].method == stats.BOOTSTRAP


def test_cells_follow_what_is_added() -> None:
    """Numbers that were read once are counted anew after the next item."""
    tally = tally_of("open", [{"response": "r", "decomposed_questions": ["a"], "pred_score": ['["YES"]'] * 4}])
    assert tally.cells()["prompt"].n == 1
    tally.add(Score(item(2), {"questions": (Mark(False, "", ""),)}))
    assert (tally.cells()["prompt"].n, tally.cells()["prompt"].value) == (2, 0.5)
