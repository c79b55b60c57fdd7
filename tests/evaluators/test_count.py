"""From files to numbers: lookup by prompt, gradings, bad input, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from data.suites import SUITES, Suite
from evaluators import stats
from evaluators.count import FileResult, count_file

Write = Callable[[Path, list[dict[str, Any]]], Path]
CLOSED, OPEN, ADJUST = SUITES["closed"], SUITES["open"], SUITES["adjustment"]

WORDS_AND_COMMA = {
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"num_words": 3, "relation": "at least"}],
}
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
QUOTATION = {"instruction_id_list": ["startend:quotation"], "kwargs": [{}]}
WORKED_EXAMPLE = [
    {"key": 1, "prompt": "P1", **WORDS_AND_COMMA, "response": "one two three"},
    {"key": 2, "prompt": "P2", **NO_COMMA, "response": "Hi, there\nbye"},
    {"key": 3, "prompt": "P1", **WORDS_AND_COMMA, "response": "a, b"},
    {"key": 4, "prompt": "P3", **QUOTATION, "response": '<1>"ok"'},
]
OPEN_LINE = {"key": 1, "prompt": "p", "audio_path": "a", "response": "r", "decomposed_questions": ["q"]}


def values(result: FileResult, *, own: bool = False) -> list[float | None]:
    """Return the numbers of a result in the table's order."""
    tally = result.own_responses if own else result.tally
    assert tally is not None
    return [cell.value for cell in tally.cells().values()]


def test_reference_looks_responses_up_by_prompt(tmp_path: Path, write_jsonl: Write) -> None:
    """The worked example of docs/closed-rules.md section 7: items that share a prompt share the last response."""
    path = write_jsonl(tmp_path / "file.jsonl", WORKED_EXAMPLE)
    result = count_file(path, CLOSED, "reference")
    assert values(result) == [1 / 4, 1 / 6, 2 / 4, 2 / 6, 0.375, 0.25]
    assert values(result, own=True) == pytest.approx([2 / 4, 3 / 6, 3 / 4, 4 / 6, 0.625, 3.5 / 6])
    assert result.touched == 1


def test_fixed_judges_each_item_by_its_own_response(tmp_path: Path, write_jsonl: Write) -> None:
    """Under `fixed` the worked example needs no second row."""
    result = count_file(write_jsonl(tmp_path / "file.jsonl", WORKED_EXAMPLE), CLOSED, "fixed")
    assert values(result) == pytest.approx([2 / 4, 3 / 6, 3 / 4, 4 / 6, 0.625, 3.5 / 6])
    assert result.own_responses is None


def test_missing_response_of_a_shared_prompt_unscores_all_its_items(tmp_path: Path, write_jsonl: Write) -> None:
    """Where the last line of a prompt has no response, the reference has none for the earlier ones either."""
    rows = [*WORKED_EXAMPLE[:2], {**WORKED_EXAMPLE[2], "response": None}]
    result = count_file(write_jsonl(tmp_path / "file.jsonl", rows), CLOSED, "reference")
    assert (result.tally.n_items, result.tally.n_scored) == (3, 1)
    assert result.own_responses is not None
    assert result.own_responses.n_scored == 2


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_intervals_count_keys_and_shared_responses_as_clusters(
    tmp_path: Path, write_jsonl: Write, profile: str
) -> None:
    """Renderings of one key are a cluster; so are, in the reference's row, items that it judges by one response."""
    rows = [
        {
            "key": key,
            "prompt": f"P{key}",
            "audio_path": f"{voice}/{key}",
            **NO_COMMA,
            "response": "a, b" if key % 3 else "a",
        }
        for key in range(60)
        for voice in ("one", "other")
    ]
    result = count_file(write_jsonl(tmp_path / "file.jsonl", rows), CLOSED, profile)
    by_key = result.tally.cells()["strict-prompt"]
    assert (by_key.n, by_key.method) == (120, stats.BOOTSTRAP)
    shared = [{**row, "key": place} for place, row in enumerate(rows)]
    result = count_file(write_jsonl(tmp_path / "file.jsonl", shared), CLOSED, profile)
    own = result.tally if profile == "fixed" else result.own_responses
    assert own is not None
    assert own.cells()["strict-prompt"].method == stats.WILSON
    if profile == "reference":
        assert result.tally.cells()["strict-prompt"].ci95 == by_key.ci95


@pytest.mark.parametrize(("profile", "items", "replaced"), [("reference", 3, 0), ("fixed", 2, 1)])
def test_two_gradings_of_one_item(tmp_path: Path, write_jsonl: Write, profile: str, items: int, replaced: int) -> None:
    """`fixed` lets the later grading of an item replace the earlier one; the reference counts every line."""
    rows = [
        {**OPEN_LINE, "pred_score": ['["NO"]'] * 4},
        {**OPEN_LINE, "audio_path": "another rendering", "pred_score": ['["NO"]'] * 4},
        {**OPEN_LINE, "pred_score": ['["YES"]'] * 4},
    ]
    result = count_file(write_jsonl(tmp_path / "file.jsonl", rows), OPEN, profile)
    assert (result.tally.n_items, result.replaced) == (items, replaced)
    assert result.tally.ratios["prompt"].met == 1


def test_judges_are_named(tmp_path: Path, write_jsonl: Write) -> None:
    """Every grader behind a file's votes is named, with its remark and its prompt."""
    votes = {"pred_score": ['["YES"]'] * 4}
    rows = [
        {**OPEN_LINE, **votes, "judge": {"model": "m", "label": "smoke-test model", "prompt_id": "judge_open@1"}},
        {**OPEN_LINE, **votes, "key": 2},
        {**OPEN_LINE, "key": 3, "response": None},
    ]
    result = count_file(write_jsonl(tmp_path / "file.jsonl", rows), OPEN, "fixed")
    assert result.judges == {"m (smoke-test model), prompt judge_open@1", "unknown judge"}


GOOD = WORKED_EXAMPLE[0]


@pytest.mark.parametrize(
    ("suite", "rows", "line", "field", "says"),
    [
        (CLOSED, [GOOD, {**GOOD, "key": 2, "instruction_id_list": ["punctuation:no_coma", "x"]}], 2,
         "instruction_id_list", "did you mean 'punctuation:no_comma'"),
        (CLOSED, [{**GOOD, "instruction_id_list": [7, 8]}], 1, "instruction_id_list", "unknown instruction id '7'"),
        (CLOSED, [{**GOOD, "instruction_id_list": "punctuation:no_comma"}], 1, "instruction_id_list", "must be a list"),
        (CLOSED, [{**GOOD, "kwargs": [{}]}], 1, "kwargs", "list of 2 objects"),
        (CLOSED, [{**GOOD, "kwargs": [{}, {}, {}]}], 1, "kwargs", "3 entries"),
        (CLOSED, [{**GOOD, "kwargs": {}}], 1, "kwargs", "no list"),
        (CLOSED, [{**GOOD, "kwargs": [{}, None]}], 1, "kwargs", "entry 2 must be an object"),
        (CLOSED, [{name: GOOD[name] for name in GOOD if name != "kwargs"}], 1, "kwargs", "missing"),
        (CLOSED, [{name: GOOD[name] for name in GOOD if name != "key"}], 1, "key", "missing"),
        (CLOSED, [{name: GOOD[name] for name in GOOD if name != "prompt"}], 1, "prompt", "missing"),
        (CLOSED, [{**GOOD, "key": None}], 1, "key", "integer or text"),
        (CLOSED, [{**GOOD, "key": True}], 1, "key", "integer or text"),
        (CLOSED, [{**GOOD, "prompt": 7}], 1, "prompt", "must be text"),
        (CLOSED, [{**GOOD, "response": 7}], 1, "response", "text or null"),
        (CLOSED, [{name: GOOD[name] for name in GOOD if name != "response"}], None, "response", "inference.py first"),
        (CLOSED, [GOOD, GOOD], 2, None, "the same item as line 1"),
        (CLOSED, [{**OPEN_LINE, "pred_score": []}], 1, "instruction_id_list", "is --evaluator close right?"),
        (OPEN, [GOOD], 1, "instruction_id_list", "is --evaluator open right?"),
        (ADJUST, [{**OPEN_LINE, "pred_score": []}], 1, "decomposed_questions", "is --evaluator adjust right?"),
        (OPEN, [OPEN_LINE], None, "pred_score", "api_judge.py --data_type open"),
        (ADJUST, [{"prompt": "p", "response": "r"}], None, "pred_score", "api_judge.py --data_type adjust"),
    ],
)  # fmt: skip
def test_bad_input_is_named(
    tmp_path: Path,
    write_jsonl: Write,
    suite: Suite,
    rows: list[dict[str, Any]],
    line: int | None,
    field: str | None,
    says: str,
) -> None:
    """What a file lacks is said with file, line and field, and with what to do."""
    path = write_jsonl(tmp_path / "file.jsonl", rows)
    with pytest.raises(DataError) as error:
        count_file(path, suite, "reference")
    message = str(error.value)
    assert (error.value.line, error.value.field) == (line, field)
    assert message.startswith(f"{path}:{line}:" if line else f"{path}:")
    assert says in message
    assert "\n" not in message


def test_empty_instruction_list(tmp_path: Path, write_jsonl: Write) -> None:
    """The reference takes a prompt without instructions as correct; `fixed` refuses the file."""
    row = {"key": 1, "prompt": "p", "instruction_id_list": [], "kwargs": [], "response": "r"}
    path = write_jsonl(tmp_path / "file.jsonl", [row])
    cells = count_file(path, CLOSED, "reference").tally.cells()
    assert (cells["strict-prompt"].value, cells["strict-instruction"].value) == (1.0, None)
    with pytest.raises(DataError, match="at least one instruction"):
        count_file(path, CLOSED, "fixed")


def test_details_hold_every_verdict_with_its_reason(tmp_path: Path, write_jsonl: Write) -> None:
    """One object an item, its marks along its instructions, each with what was expected and found."""
    details: list[dict[str, Any]] = []
    path = write_jsonl(tmp_path / "file.jsonl", [*WORKED_EXAMPLE, {**GOOD, "key": 9, "response": None}])
    count_file(path, CLOSED, "fixed", detail=details.append)
    assert [line["key"] for line in details] == [1, 2, 3, 4, 9]
    third = details[2]["marks"]["strict"]
    assert [mark["met"] for mark in third] == [False, False]
    assert all(mark["expected"] and mark["found"] for mark in third)
    assert details[4]["unscored"] == "no response"
    json.dumps(details)


@pytest.mark.slow
def test_long_files_are_counted_in_bounded_memory(tmp_path: Path) -> None:
    """100,000 rows of 2 kB are counted in under 300 MB."""
    path = tmp_path / "closed_standard_en.jsonl"
    with path.open("w") as file:
        for key in range(100_000):
            row = {"key": key, "prompt": f"prompt {key % 90_000}", **WORDS_AND_COMMA, "response": f"word {key} " * 150}
            file.write(json.dumps(row) + "\n")
    code = (
        "import sys; from evaluators.cli import main; "
        f"main(['--src_file', {str(path)!r}, '--format', 'json']); "
        "sys.stderr.write(open('/proc/self/status').read())"  # resource's own figure starts from the parent's
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["files"][0]["n_items"] == 100_000
    peak = next(line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 300 * 1024
