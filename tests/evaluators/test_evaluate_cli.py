"""The command evaluate.py: forms, choices of files, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators.cli import main

Write = Callable[[Path, list[dict[str, Any]]], Path]
Golden = Callable[[str], list[dict[str, Any]]]
ROOT = Path(__file__).parents[2]
CLOSED_LINE = {
    "key": 1,
    "prompt": "p",
    "instruction_id_list": ["punctuation:no_comma"],
    "kwargs": [{}],
    "response": "no comma",
}
OPEN_LINE = {
    "key": 1,
    "prompt": "p",
    "audio_path": "a",
    "response": "r",
    "decomposed_questions": ["q"],
    "pred_score": ['["YES"]'] * 4,
    "judge": {"model": "m", "prompt_id": "judge_open@1"},
}
ADJUST_REPLY = '{"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}'


@pytest.fixture
def run_folder(tmp_path: Path, write_jsonl: Write) -> Path:
    """A run with two closed variants, a judged adjustment file and an open file that no grader has seen."""
    folder = tmp_path / "run"
    write_jsonl(folder / "closed_standard_en.jsonl", [CLOSED_LINE])
    write_jsonl(folder / "closed_accent_cn.jsonl", [CLOSED_LINE, {**CLOSED_LINE, "key": 2, "response": None}])
    write_jsonl(folder / "open_ended_en.jsonl", [{k: v for k, v in OPEN_LINE.items() if k != "pred_score"}])
    write_jsonl(
        folder / "adjustment_en.jsonl", [{"key": 1, "prompt": "p", "response": "r", "pred_score": [ADJUST_REPLY] * 4}]
    )
    (folder / "run.json").write_text(
        json.dumps(
            {
                "model": {"name": "embedded", "label": "smoke-test model"},
                "sampling": {"temperature": 0.0, "max_tokens": 5},
                "system_prompt_id": "system@1",
            }
        )
    )
    return folder


def output(capsys: pytest.CaptureFixture[str], *flags: object) -> str:
    """Run the command, expect success, and return what it printed."""
    assert main([str(flag) for flag in flags]) == 0
    return capsys.readouterr().out


def test_json_has_the_documented_form(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every number stands with its n, its bounds and a place for its interval."""
    path = run_folder / "closed_accent_cn.jsonl"
    result = json.loads(output(capsys, "--evaluator", "close", "--src_file", path, "--format", "json"))
    assert result["profile"] == "reference"
    (file,) = result["files"]
    head = {name: file[name] for name in ("file", "model", "evaluator", "lang", "variant", "n_items", "n_scored")}
    assert head == {
        "file": "closed_accent_cn.jsonl",
        "model": "embedded (smoke-test model)",
        "evaluator": "close",
        "lang": "zh",
        "variant": "accent",
        "n_items": 2,
        "n_scored": 0,
    }
    assert list(file["metrics"]) == [
        "strict-prompt",
        "strict-instruction",
        "loose-prompt",
        "loose-instruction",
        "mean-prompt",
        "mean-instruction",
    ]
    own = file["own_responses"]["metrics"]["strict-prompt"]
    assert own == {
        "value": 1.0,
        "n": 1,
        "bounds": [0.5, 1.0],
        "ci95": [pytest.approx(0.2065, abs=5e-5), 1.0],
        "method": "Wilson",
    }


@pytest.mark.parametrize(
    ("evaluator", "file", "names"),
    [
        ("open", OPEN_LINE, ["prompt", "instruction"]),
        ("open-ended", OPEN_LINE, ["prompt", "instruction"]),
        (
            "adjust",
            {"prompt": "p", "response": "r", "pred_score": [ADJUST_REPLY] * 4},
            ["iar", "ecr"],
        ),
    ],
)
def test_metrics_of_judged_files(
    tmp_path: Path,
    write_jsonl: Write,
    capsys: pytest.CaptureFixture[str],
    evaluator: str,
    file: dict[str, Any],
    names: list[str],
) -> None:
    """Judged files carry their own metrics and the grader's name."""
    path = write_jsonl(tmp_path / "any name.jsonl", [file])
    result = json.loads(output(capsys, "--evaluator", evaluator, "--src_file", path, "--format", "json"))
    assert list(result["files"][0]["metrics"]) == names
    assert result["files"][0]["judges"]


def test_a_run_becomes_one_table(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All files stand in the order subset, language, variant; one that is not judged yet says so."""
    text = output(capsys, "--results", run_folder)
    lines = [line.split() for line in text.splitlines()]
    rows = [line[:3] for line in lines if line and line[0] in ("closed", "open", "adjustment")]
    assert rows == [
        ["closed", "standard", "en"],
        ["closed", "accent", "zh"],
        ["open", "standard", "en"],
        ["adjustment", "standard", "en"],
    ]
    assert "embedded (smoke-test model)" in text
    assert "temperature 0.0, max_tokens 5; system line system@1" in text
    assert "not judged" in text
    assert "unknown judge" in text


def test_unscored_items_show_the_range(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that leaves items out never stands without what they could make of it."""
    text = output(capsys, "--src_file", run_folder / "closed_accent_cn.jsonl", "--profile", "fixed")
    assert "  100.00  " in text
    assert "[50.0–100.0]" in text
    assert "1 no response" in text


CUT_AUDIO = {"audio_seconds_used": 30.0, "audio_seconds_cut": 4.5}
CUT_ANSWER = {"finish_reason": "length"}


@pytest.mark.parametrize(
    ("added", "name", "notes", "counts"),
    [
        ([{}, {"audio_seconds_used": 29.0, "finish_reason": "stop"}], "closed ", [], (0, [], 0)),
        ([{}, CUT_AUDIO], "closed † ", ["† 1 of 2 recordings were cut at 30 s, the model's limit."], (1, [30.0], 0)),
        (
            [{**CUT_AUDIO, "audio_seconds_used": 12.5}, CUT_AUDIO],
            "closed † ",
            ["† 2 of 2 recordings were cut at 12.5 to 30 s, the model's limit."],
            (2, [12.5, 30.0], 0),
        ),
        ([CUT_ANSWER, {}], "closed ‡ ", ["Of 3 answers: 1 cut off at max_tokens (‡)."], (0, [], 1)),
        (
            [{**CUT_AUDIO, **CUT_ANSWER}, CUT_ANSWER],
            "closed †‡ ",
            ["† 1 of 2 recordings were cut at 30 s, the model's limit.", "Of 3 answers: 2 cut off at max_tokens (‡)."],
            (1, [30.0], 2),
        ),
        ([{"audio_seconds_used": "x", "audio_seconds_cut": "y"}, {"finish_reason": 7}], "closed ", [], (0, [], 0)),
    ],
)
def test_what_was_cut_is_marked_and_counted(
    tmp_path: Path,
    write_jsonl: Write,
    capsys: pytest.CaptureFixture[str],
    added: list[dict[str, Any]],
    name: str,
    notes: list[str],
    counts: tuple[int, list[float], int],
) -> None:
    """A row of cut recordings or cut answers bears a mark, told below with its count; an untouched one bears none."""
    lines = [{**CLOSED_LINE, "key": key, **fields} for key, fields in enumerate(added)]
    path = write_jsonl(tmp_path / "closed_standard_en.jsonl", lines)
    other = write_jsonl(tmp_path / "closed_accent_en.jsonl", [CLOSED_LINE])
    shown = output(capsys, "--src_file", path, other, "--by", "instruction").splitlines()
    assert sum(line.strip().startswith(f"{name} ") for line in shown) == (2 if notes else 4)
    assert [line.removeprefix("· ") for line in shown if line[2:3] == "†" or "(‡)" in line] == notes
    file, _ = json.loads(output(capsys, "--src_file", path, other, "--format", "json"))["files"]
    assert file["cut_audio"] == {"n": counts[0], "at_seconds": counts[1]}
    assert file["answers"]["truncated"] == counts[2]


def test_markdown_is_escaped(tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A name from a file cannot break out of a cell or become markup."""
    note = {"model": "<b>x|y</b>\n# head", "prompt_id": "p"}
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [{**OPEN_LINE, "judge": note}])
    text = output(capsys, "--src_file", path, "--format", "markdown")
    assert "&lt;b>x\\|y&lt;/b> # head" in text
    assert "<b>" not in text
    assert "| open | standard | en | 1 | 1 | 100.00 20.7–100.0 | 100.00 20.7–100.0 |" in text


def test_control_characters_do_not_reach_the_terminal(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """A judge's name from a file cannot steer the terminal."""
    note = {"model": "evil\x1b[31m\x07", "prompt_id": "p"}
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", [{**OPEN_LINE, "judge": note}])
    text = output(capsys, "--src_file", path)
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_output_file(run_folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """With --output_file the result goes there, and stdout stays empty."""
    target = run_folder / "table.out"
    shown = output(capsys, "--results", run_folder, "--format", form)
    assert output(capsys, "--results", run_folder, "--format", form, "--output_file", target) == ""
    assert target.read_text(encoding="utf-8") == shown


def test_details_and_by_instruction(run_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--details writes a line an item; --by instruction adds the kinds."""
    details = tmp_path / "details.jsonl"
    text = output(capsys, "--results", run_folder, "--details", details, "--by", "instruction")
    assert "punctuation:no_comma" in text
    lines = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
    assert [line["file"] for line in lines].count("closed_accent_cn.jsonl") == 2
    assert len(lines) == 5


def test_by_family_and_by_a_field(tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """--by family adds kinds up; --by FIELD adds items up by what their lines say, numbers in their order."""
    lines = [
        {
            **CLOSED_LINE,
            "key": key,
            "prompt": f"p{key}",
            "response": None if key == 5 else "no comma" if key % 2 else "a, b",
            "snr_db": (10.0, 5.0, -5.0)[key % 3],
            "disfluency": [{"kind": "filled_pause"}, {"kind": "repetition"}] if key < 4 else [],
        }
        for key in range(12)
    ]
    path = write_jsonl(tmp_path / "closed_background_en.jsonl", lines)
    flags = ("--src_file", path, "--profile", "fixed")
    (file,) = json.loads(output(capsys, *flags, "--by", "snr_db", "--format", "json"))["files"]
    groups = file["by"]["groups"]
    assert (file["by"]["field"], list(groups)) == ("snr_db", ["-5.0", "5.0", "10.0"])
    assert [(group["n_items"], group["n_scored"]) for group in groups.values()] == [(4, 3), (4, 4), (4, 4)]
    assert groups["5.0"]["metrics"]["strict-prompt"]["value"] == 0.5
    assert groups["5.0"]["metrics"]["strict-prompt"]["method"] == "Wilson"
    (file,) = json.loads(output(capsys, *flags, "--by", "disfluency", "--format", "json"))["files"]
    counts = {name: group["n_items"] for name, group in file["by"]["groups"].items()}
    assert counts == {"filled_pause": 4, "none": 8, "repetition": 4}
    (file,) = json.loads(output(capsys, *flags, "--by", "family", "--format", "json"))["files"]
    assert file["by_family"]["punctuation"]["strict"]["n"] == 11
    text = output(capsys, *flags, "--by", "snr_db")
    assert [line.split()[3] for line in text.splitlines() if line.split()[:1] == ["closed"]][1:] == [
        "-5.0",
        "5.0",
        "10.0",
    ]
    assert "punctuation" in output(capsys, *flags, "--by", "family")


def test_fields_that_group_nothing_are_refused(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that no line has, and one that differs on every line, are refused in one line."""
    lines = [{**CLOSED_LINE, "key": key, "prompt": f"p{key}"} for key in range(150)]
    path = write_jsonl(tmp_path / "closed_standard_en.jsonl", lines)
    for field, says in (("voice", "no line has this field"), ("prompt", "150 different values")):
        assert main(["--src_file", str(path), "--by", field]) == 2
        shown = capsys.readouterr()
        assert f"--by {field}" in shown.err
        assert says in shown.err
        assert shown.out == ""


def test_answers_are_remarked_on(tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty, cut off, refusing and other-language answers are counted, and move no score."""
    texts = ["", "I'm sorry, but I can't help.", "从前有一个渔夫，他住在海边的一个小村子里，每天都出海。", "fine", None]
    lines = [{**CLOSED_LINE, "key": key, "prompt": f"p{key}", "response": text} for key, text in enumerate(texts)]
    lines[3]["finish_reason"] = "length"
    path = write_jsonl(tmp_path / "closed_standard_en.jsonl", lines)
    details = tmp_path / "details.jsonl"
    (file,) = json.loads(output(capsys, "--src_file", path, "--format", "json", "--details", details))["files"]
    assert file["answers"] == {"n": 4, "empty": 1, "truncated": 1, "refusal": 1, "other_language": 1}
    found = [json.loads(line)["remarks"] for line in details.read_text().splitlines()]
    assert found == [["empty"], ["refusal"], ["other_language"], ["truncated"], []]
    text = output(capsys, "--src_file", path)
    assert "Of 4 answers: 1 empty, 1 cut off at max_tokens (‡), 1 open like a refusal, 1 in the script of" in text


def test_agreement_stands_beside_judged_numbers(
    tmp_path: Path, write_jsonl: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """How far a judge's replies agree is shown with every judged file."""
    replies = [['["YES"]'] * 4, ['["NO"]'] * 4, ['["YES"]', '["NO"]', '["YES"]', "unreadable"]]
    lines = [{**OPEN_LINE, "key": key, "pred_score": replies[key % 3]} for key in range(60)]
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", lines)
    (file,) = json.loads(output(capsys, "--src_file", path, "--format", "json"))["files"]
    agreement = file["agreement"]
    assert (agreement["among"], agreement["n"]) == ("replies", 60)
    assert agreement["ci95"][0] < agreement["value"] < agreement["ci95"][1]
    shown = f"alpha among the judge's replies to one question is {agreement['value']:.2f}"
    assert shown in output(capsys, "--src_file", path)


BAD_FILES: dict[str, bytes] = {
    "not JSON": b'{"key": 1}\n{"key": \n',
    "not an object": b"[1, 2]\n",
    "not UTF-8": b'{"key": 1, "prompt": "\xff"}\n',
    "empty": b"",
    "only blank lines": b"\n \n",
    "missing field": b'{"key": 1}\n',
    "torn": json.dumps(CLOSED_LINE).encode()[:-9],
    "nested too deeply": b'{"key": ' + b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("kind", sorted(BAD_FILES))
def test_broken_files_get_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Broken input is named with its place in one line; nothing is printed to stdout or written."""
    path = tmp_path / "closed_standard_en.jsonl"
    path.write_bytes(BAD_FILES[kind])
    details, table = tmp_path / "details.jsonl", tmp_path / "table.md"
    code = main(["--src_file", str(path), "--details", str(details), "--output_file", str(table)])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith(f"error: {path}")
    assert captured.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--src_file", "{folder}"], "is a directory"),
        (["--src_file", "{folder}/none.jsonl"], "does not tell the subset"),
        (["--src_file", "{folder}/closed_none_en.jsonl"], "no such file"),
        (["--results", "{folder}/none"], "no such folder"),
        (["--results", "{folder}", "--evaluator", "closd"], "unknown subset 'closd'"),
        (["--results", "{folder}", "--src_file", "x"], "exclude each other"),
        (["--results", "{folder}", "--output_file", "{folder}"], "is a directory"),
        (["--results", "{folder}", "--output_file", "/dev/full"], "No space left on device"),
        (["--results", "{folder}", "--details", "/dev/full"], "No space left on device"),
        (["--src_file", "{folder}/open_ended_en.jsonl"], "api_judge.py --data_type open"),
        (["--src_file", "{folder}/open_ended_en.jsonl", "--evaluator", "close"], "use --evaluator open"),
    ],
)
def test_impossible_calls_get_one_line_and_exit_code_2(
    run_folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    """What cannot work is said in one line that names it."""
    directory_named_like_a_file = run_folder / "closed_disfluency_en.jsonl.d"
    directory_named_like_a_file.mkdir()
    filled = [flag.format(folder=run_folder) for flag in flags]
    if flags == ["--src_file", "{folder}"]:
        filled += ["--evaluator", "close"]
    assert main(filled) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_folder_without_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty results folder is said to be one."""
    assert main(["--results", str(tmp_path)]) == 2
    assert "no files of responses in this folder\n" in capsys.readouterr().err


def test_a_folder_with_files_of_another_kind_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not empty: it holds no files that the named evaluator counts."""
    (tmp_path / "classify_A_B_en.jsonl").write_text("{}\n")
    assert main(["--results", str(tmp_path), "--evaluator", "close"]) == 2
    assert "no files of responses of closed items in this folder" in capsys.readouterr().err


def test_verdicts_do_not_change_from_run_to_run(tmp_path: Path, write_jsonl: Write, golden: Golden) -> None:
    """Two processes with different hash seeds print the same details, byte for byte."""
    rows = [
        {
            "key": row["id"],
            "prompt": f"{row['id']} {row['prompt']}",
            "instruction_id_list": [row["instruction_id"]],
            "kwargs": [row["kwargs"]],
            "response": row["response"],
        }
        for row in golden("closed_authored.jsonl")[::3]
        if isinstance(row["kwargs"], dict)
    ]
    path = write_jsonl(tmp_path / "closed_standard_en.jsonl", rows)
    outputs = []
    for seed in ("1", "2"):
        details = tmp_path / f"details{seed}"
        command = [sys.executable, "evaluate.py", "--src_file", str(path), "--details", str(details)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        table = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout
        outputs.append((table, details.read_bytes()))
    assert outputs[0] == outputs[1]


def test_gpt4_on_ifeval_reproduces_the_published_arithmetic(
    tmp_path: Path, write_jsonl: Write, golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    """The 541 IFEval responses of GPT-4 give 415/541, 696/834, 429/541 and 712/834."""
    rows = [{k: v for k, v in row.items() if not k.startswith("reference")} for row in golden("ifeval_gpt4.jsonl")]
    path = write_jsonl(tmp_path / "closed_standard_en.jsonl", rows)
    (file,) = json.loads(output(capsys, "--src_file", path, "--format", "json"))["files"]
    found = {name: metric["value"] for name, metric in file["metrics"].items()}
    assert found["strict-prompt"] == 415 / 541
    assert found["strict-instruction"] == 696 / 834
    assert found["loose-prompt"] == 429 / 541
    assert found["loose-instruction"] == 712 / 834
    assert file["flags"] == {"random": 2}


@pytest.mark.parametrize("width", [60, 80, 100, 125, 200])
def test_narrow_terminals_cut_no_number(tmp_path: Path, write_jsonl: Write, width: int) -> None:
    """A table too wide for the terminal becomes several; no number is cut short."""
    from data.suites import SUITES
    from evaluators.count import count_file
    from evaluators.report import rows, table

    lines = [CLOSED_LINE, {**CLOSED_LINE, "key": 2, "response": None}]
    path = write_jsonl(tmp_path / "closed_paralinguistics_en.jsonl", lines)
    result = count_file(path, SUITES["closed"], "fixed")
    text = table.for_terminal("title", [rows.result_table([result])], rows.notes([result]), width=width)
    assert text.count("[50.0–100.0]") == 6
    assert "…" not in text


@pytest.mark.parametrize("flag", ["--output_file", "--details"])
def test_a_file_that_is_read_is_never_written_over(
    run_folder: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """A result that would take the place of its own input, or of another result, is refused."""
    source = run_folder / "closed_standard_en.jsonl"
    before = source.read_bytes()
    (run_folder / "link.jsonl").symlink_to(source)
    for target in (source, run_folder / "link.jsonl", run_folder / ".." / "run" / source.name):
        assert main(["--results", str(run_folder), flag, str(target)]) == 2
        assert "would overwrite a file that is read" in capsys.readouterr().err
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "evaluator"), [("adjustment_en.jsonl", "open"), ("closed_standard_en.jsonl", "adjust")]
)
def test_a_name_that_tells_another_subset_is_refused(
    run_folder: Path, capsys: pytest.CaptureFixture[str], name: str, evaluator: str
) -> None:
    """A judged adjustment file is no open file, although its votes could be read."""
    assert main(["--evaluator", evaluator, "--src_file", str(run_folder / name)]) == 2
    assert "by its name this is a file of" in capsys.readouterr().err


def test_files_without_any_answer_yet_are_left_out(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was stopped early is counted as far as it went, and said to be unfinished."""
    (run_folder / "closed_background_en.jsonl").write_bytes(b"")
    manifest = json.loads((run_folder / "run.json").read_text())
    (run_folder / "run.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    text = output(capsys, "--results", run_folder)
    assert "background" not in text
    assert "the run is interrupted" in text


@pytest.mark.parametrize("manifest", ['{"model": {"name": "m"}, "sampling": null}', "[]", "not JSON", '{"model": 7}'])
def test_a_manifest_that_is_none_is_passed_over(
    run_folder: Path, capsys: pytest.CaptureFixture[str], manifest: str
) -> None:
    """A broken run.json costs the model's name, not the table."""
    (run_folder / "run.json").write_text(manifest)
    assert "unknown model" in output(capsys, "--results", run_folder)


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("evaluate.py --results {run} | head -c 1 >/dev/null", 0),
        ("evaluate.py --results {run} | true", 0),
        ("evaluate.py --results {run} > /dev/full", 2),
        ("evaluate.py --results {run} >&-", 0),
        ("PYTHONIOENCODING=ascii evaluate.py --results {run} >/dev/null", 0),
    ],
)
def test_a_stdout_that_fails_is_no_traceback(run_folder: Path, shell: str, code: int) -> None:
    """A closed pipe, a full disk and a poor encoding end quietly or in one line."""
    before, _, rest = shell.rpartition("evaluate.py")
    command = f"set -o pipefail; {before}{sys.executable} evaluate.py{rest.format(run=run_folder)}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (1 if code else 0)
