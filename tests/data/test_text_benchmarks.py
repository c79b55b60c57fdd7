"""Text benchmarks become prompts of our layout, which validation passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.__main__ import main
from data.text_benchmarks import BENCHMARKS
from data.validate import Readers, validate
from data.validate.findings import CHECKS
from evaluators.rules.faults import faults, is_in
from prompts.questions import question_list

Golden = Callable[[str], list[dict[str, Any]]]
ORIGINAL = {
    "ifeval": ("ifeval_gpt4.jsonl", ("key", "prompt", "instruction_id_list", "kwargs")),
    "infobench": (
        "infobench_gpt4.jsonl",
        ("id", "subset", "category", "instruction", "input", "decomposed_questions", "question_label"),
    ),
}


def rows(name: str, golden: Golden) -> list[dict[str, Any]]:
    """Return a benchmark's rows as it publishes them."""
    file, fields = ORIGINAL[name]
    return [{field: row[field] for field in fields} for row in golden(file)]


def run(name: str, source: Path, out: Path, *flags: str) -> int:
    """Run the command; a wrong flag's exit code too."""
    try:
        return main(["import", name, str(source), "--out", str(out), *flags])
    except SystemExit as exited:
        return int(exited.code or 0)


@pytest.mark.parametrize(("name", "number"), [("ifeval", 541), ("infobench", 500)])
@pytest.mark.parametrize("form", ["lines", "list"])
def test_every_real_prompt_is_taken_over(
    name: str, number: int, form: str, golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows, in order, from either form; keys and texts are the original ones."""
    originals = rows(name, golden)
    source, out = tmp_path / "original", tmp_path / "prompts.jsonl"
    lines = "".join(json.dumps(row) + "\n" for row in originals)
    source.write_text(json.dumps(originals) if form == "list" else lines, encoding="utf-8")
    assert run(name, source, out) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert said.err.startswith(f"{number} {BENCHMARKS[name].kind} prompts of {BENCHMARKS[name].title}")
    items = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [item["key"] for item in items] == [row.get("key", row.get("id")) for row in originals]
    for item, row in zip(items, originals, strict=True):
        assert item["licence"] == BENCHMARKS[name].licence
        if name == "ifeval":
            assert (item["prompt"], item["kwargs"]) == (row["prompt"], row["kwargs"])
        else:
            assert item["prompt"].startswith(row["instruction"].strip())
            assert item["prompt"].endswith(row["input"].strip())
            assert item["decomposed_questions"] == row["decomposed_questions"]


@pytest.mark.parametrize("name", ORIGINAL)
def test_what_was_taken_over_validates(name: str, golden: Golden, tmp_path: Path) -> None:
    """What is found are IFEval's known faults: five prompts that contradict themselves, two random letters."""
    source, out = tmp_path / "original.jsonl", tmp_path / "prompts.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows(name, golden)), encoding="utf-8")
    assert run(name, source, out) == 0
    report = validate(out, Readers(faults, question_list, is_in))
    found = [finding.check for finding in report.findings if CHECKS[finding.check].severity != "note"]
    assert found == (["instructions-conflict"] * 5 + ["kwargs-reference"] * 2 if name == "ifeval" else [])


def test_null_arguments_are_left_out(tmp_path: Path) -> None:
    """Tables fill every rule's arguments up with null."""
    row = {"key": 1, "prompt": "Hi.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"keyword": None}]}
    (tmp_path / "in").write_text(json.dumps(row))
    assert run("ifeval", tmp_path / "in", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out").read_text())["kwargs"] == [{}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"[", "is none"),
        (b"[]", "an empty list"),
        (b"[7]", "no object"),
        (b'{"key": 1}', "field 'prompt': missing; is this a file of IFEval"),
        (b'{"key": true, "prompt": "", "instruction_id_list": [], "kwargs": []}', "field 'key': of the wrong type"),
        (b'{"key": 1, "prompt": "", "instruction_id_list": [], "kwargs": []}\n' * 2, "in:2: the key of row 1"),
        (b'{"id": "a", "instruction": "x", "input": "", "decomposed_questions": []}', "field 'key': missing"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_another_file_is_refused_in_one_line(
    content: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing is written."""
    (tmp_path / "in").write_bytes(content)
    assert run("ifeval", tmp_path / "in", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless that is asked for."""
    row = {"key": 1, "prompt": "Hi.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (tmp_path / "in").write_text(json.dumps(row))
    (tmp_path / "out").write_text("mine")
    assert run("ifeval", tmp_path / "in", tmp_path / "out") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"
    assert run("ifeval", tmp_path / "in", tmp_path / "out", "--overwrite") == 0
    assert run("alpaca", tmp_path / "in", tmp_path / "out") == 2
