"""`api_judge.py` against a scripted grader and against the real embedded one."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import jsonl
from inference import embedded
from judges import cli
from prompts import replies, templates

ROOT = Path(__file__).parents[2]
YES_NO = '["YES", "NO"]'


def open_row(key: int, response: Any = "a good answer", **more: Any) -> dict[str, Any]:
    """Return a line of an open file."""
    row = {"key": key, "prompt": f"Ask {key}.", "decomposed_questions": ["Is it a?", "Is it b?"]}
    return {**row, "audio_path": f"en/{key}.wav", "response": response, **more}


def adjust_row(key: int, response: Any = "three tips") -> dict[str, Any]:
    """Return a line of an adjustment file."""
    return {"key": key, "prompt": f"Two. No, {key}.", "audio_path": f"en/{key}.wav", "response": response}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return a file's objects."""
    return [line.fields for line in jsonl.read(path)]


@pytest.fixture
def source(tmp_path: Path, write_jsonl: Any) -> Path:
    """A file of six answered open items."""
    return Path(write_jsonl(tmp_path / "open_ended_en.jsonl", [open_row(key) for key in range(6)]))


Judge = Callable[..., int]


@pytest.fixture
def judge(scripted_server: Any) -> Judge:
    """A function that runs the command on open files against the scripted grader; returns its exit code."""
    scripted_server.react = lambda call: numbered(scripted_server, call)

    def run(*files: Path, data_type: str = "open", flags: str = "") -> int:
        server = ["--base_url", scripted_server.base_url, "--judge_model", "grader"]
        return cli.main(
            [
                "--data_type",
                data_type,
                "--src_file",
                *map(str, files),
                *server,
                "--concurrency",
                "3",
                "--max_rejudge",
                "0",
                *flags.split(),
            ]
        )

    return run


def numbered(server: Any, call: Any) -> Any:
    """Reply with texts that tell which call they come from, inside white space."""
    number = len(server.calls)
    texts = [f"  [{number}, {choice}]\n" for choice in range(call.body.get("n", 1))]
    return server.Reaction(body=server.completion(*texts))


def failing(server: Any, status: int, message: str = "no") -> Any:
    """Return a failure that is tried again at once, where it is tried again at all."""
    return server.Reaction(status=status, body={"error": {"message": message}}, headers={"retry-after": "0"})


def asked_key(call: Any) -> int:
    """Return the item that a call asks about, by the number in its request."""
    return int(call.body["messages"][1]["content"].partition("Ask ")[2].partition(".")[0])


def asked_keys(server: Any) -> list[int]:
    """Return the items that were asked about, in order."""
    return [asked_key(call) for call in server.calls]


def test_one_call_asks_for_all_replies(judge: Judge, source: Path, scripted_server: Any) -> None:
    """Each response costs one call with n choices and the reference's sampling; the replies are stripped."""
    assert judge(source) == 0
    assert sorted(asked_keys(scripted_server)) == [0, 1, 2, 3, 4, 5]
    for call in scripted_server.calls:
        fields = {name: value for name, value in call.body.items() if name not in ("messages", "response_format")}
        assert fields == {"model": "grader", "temperature": 0.5, "top_p": 0.95, "max_tokens": 1024, "n": 4}
    for row in rows_of(source):
        (number,) = {ast.literal_eval(reply)[0] for reply in row["pred_score"]}
        assert row["pred_score"] == [f"[{number}, {choice}]" for choice in range(4)]


def test_every_judged_line_names_judge_and_prompt(judge: Judge, source: Path) -> None:
    """What determined the replies stands beside them."""
    judge(source, flags="--n 2 --temperature 0.25 --top_p 0.75 --max_tokens 99")
    note = rows_of(source)[0]["judge"]
    assert len(note.pop("request")) == 64
    assert note == {
        "model": "grader",
        "label": None,
        "prompt_id": templates.bundled("judge_open").prompt_id,
        "served": "scripted-1",
        "n": 2,
        "temperature": 0.25,
        "top_p": 0.75,
        "max_tokens": 99,
        "reply_form": "json_schema",
    }


@pytest.mark.parametrize("given", [1, 2, 3, 7])
def test_a_server_that_returns_another_number(given: int, judge: Judge, source: Path, scripted_server: Any) -> None:
    """Fewer choices than asked for: from then on one a call; more: the first count."""
    scripted_server.react = lambda _: scripted_server.Reaction(
        body=scripted_server.completion(*[f"reply {choice}" for choice in range(given)])
    )
    assert judge(source) == 0
    assert [len(row["pred_score"]) for row in rows_of(source)] == [4] * 6
    wanted = [call.body.get("n", 1) for call in scripted_server.calls]
    if given >= 4:
        assert wanted == [4] * 6
        return
    first_tries = wanted.count(4)  # those in flight together, before the server had shown what it gives
    assert first_tries >= 1
    assert wanted.count(1) == len(wanted) - first_tries == first_tries * (4 - given) + (6 - first_tries) * 4


def test_content_null_is_kept(judge: Judge, source: Path, scripted_server: Any) -> None:
    """A choice without content is a reply that holds no vote; it is neither dropped nor asked again."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion(YES_NO, None, "", " x "))
    assert judge(source) == 0
    assert rows_of(source)[0]["pred_score"] == [YES_NO, None, "", "x"]
    assert len(scripted_server.calls) == 6


def test_a_second_run_asks_nothing(
    judge: Judge, source: Path, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is complete is not paid again, and the file stays byte for byte."""
    judge(source)
    before = source.read_bytes()
    assert judge(source) == 0
    assert len(scripted_server.calls) == 6
    assert source.read_bytes() == before
    assert "6 judged by grader (0 asked now)" in capsys.readouterr().err


def test_a_fault_costs_only_what_it_hit(
    judge: Judge, source: Path, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Items that failed keep no replies and say why; the next run asks these alone."""

    def react(call: Any) -> Any:
        text = call.body["messages"][1]["content"]
        if "Ask 2." in text:
            return failing(scripted_server, 400, "will not judge this")
        return failing(scripted_server, 503) if "Ask 4." in text else numbered(scripted_server, call)

    scripted_server.react = react
    assert judge(source) == 0
    err = capsys.readouterr().err
    assert "4 judged by grader (4 asked now)" in err
    assert "2 failed" in err
    rows = rows_of(source)
    assert ["pred_score" in row for row in rows] == [True, True, False, True, False, True]
    assert rows[2]["judge"]["error"] == "HTTP 400: will not judge this"
    assert rows[4]["judge"]["error"] == "HTTP 503: no (tried 6 times)"
    kept = [row.get("pred_score") for row in rows]
    scripted_server.calls.clear()
    scripted_server.react = lambda call: numbered(scripted_server, call)
    assert judge(source) == 0
    assert sorted(asked_keys(scripted_server)) == [2, 4]
    rows = rows_of(source)
    assert all(before in (None, row["pred_score"]) for before, row in zip(kept, rows, strict=True))
    assert not any("error" in row["judge"] for row in rows)


def test_part_of_the_replies_is_not_paid_again(judge: Judge, source: Path, scripted_server: Any) -> None:
    """When a grader fails between two calls about one item, what came first is kept, but not shown as complete."""

    def react(call: Any) -> Any:
        if call.body.get("n") == 4:
            return scripted_server.Reaction(body=scripted_server.completion("one", "two"))
        return failing(scripted_server, 400)

    scripted_server.react = react
    assert judge(source) == 1
    assert not any("pred_score" in row for row in rows_of(source))
    scripted_server.calls.clear()
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion("three", "four"))
    assert judge(source) == 0
    assert [call.body["n"] for call in scripted_server.calls] == [2] * 6
    assert rows_of(source)[0]["pred_score"] == ["one", "two", "three", "four"]


def test_more_replies_later_cost_only_the_difference(judge: Judge, source: Path, scripted_server: Any) -> None:
    """From n=2 to n=4 two more are asked; back at n=2 the first two are there."""
    judge(source, flags="--n 2")
    first = [row["pred_score"] for row in rows_of(source)]
    judge(source, flags="--n 4")
    assert [call.body["n"] for call in scripted_server.calls] == [2] * 12
    assert [row["pred_score"][:2] for row in rows_of(source)] == first
    judge(source, flags="--n 2")
    assert len(scripted_server.calls) == 12
    assert [row["pred_score"] for row in rows_of(source)] == first


@pytest.mark.parametrize("flags", ["--temperature 0.6", "--top_p 0.9", "--max_tokens 9", "--judge_model other"])
def test_other_settings_are_asked_anew(flags: str, judge: Judge, source: Path, scripted_server: Any) -> None:
    """Replies drawn otherwise, or of another grader, are other replies; the former ones stay in the ledger."""
    judge(source)
    first = [row["pred_score"] for row in rows_of(source)]
    judge(source, flags=flags)
    assert len(scripted_server.calls) == 12
    assert all(row["pred_score"] not in first for row in rows_of(source))
    judge(source)
    assert len(scripted_server.calls) == 12
    assert [row["pred_score"] for row in rows_of(source)] == first


def test_a_changed_response_is_judged_anew(judge: Judge, source: Path, scripted_server: Any, write_jsonl: Any) -> None:
    """Replies about an earlier response are replaced; the others are not asked about."""
    judge(source)
    rows = rows_of(source)
    rows[3]["response"] = "another answer"
    write_jsonl(source, rows)
    scripted_server.calls.clear()
    judge(source)
    assert asked_keys(scripted_server) == [3]
    after = rows_of(source)
    assert after[3]["pred_score"] != rows[3]["pred_score"]
    assert [row["pred_score"] for row in after[:3]] == [row["pred_score"] for row in rows[:3]]


@pytest.mark.parametrize("response", [None, ""])
def test_a_response_that_went_away_keeps_no_replies(
    response: str | None, judge: Judge, source: Path, write_jsonl: Any
) -> None:
    """Replies about an answer that is no longer there are dropped."""
    judge(source)
    rows = rows_of(source)
    old = rows[3]["pred_score"]
    rows[3]["response"] = response
    write_jsonl(source, rows)
    judge(source)
    assert rows_of(source)[3].get("pred_score") != old


def test_a_lost_ledger_is_not_paid_again(judge: Judge, source: Path, scripted_server: Any) -> None:
    """A judged file carries its replies: without the ledger it is neither asked again nor changed."""
    judge(source)
    before = source.read_bytes()
    for path in source.parent.glob("ledger.sqlite*"):
        path.unlink()
    assert judge(source) == 0
    assert len(scripted_server.calls) == 6
    assert source.read_bytes() == before


def test_replies_of_somebody_else_s_making_are_not_taken(
    judge: Judge, tmp_path: Path, scripted_server: Any, write_jsonl: Any
) -> None:
    """A pred_score without our note, or with another request's, says nothing about this request."""
    rows = [open_row(0, pred_score=["x"] * 4), open_row(1, pred_score=["x"] * 4, judge={"request": "0" * 64})]
    path = write_jsonl(tmp_path / "open.jsonl", rows)
    assert judge(path) == 0
    assert sorted(asked_keys(scripted_server)) == [0, 1]
    assert all("x" not in row["pred_score"] for row in rows_of(path))


@pytest.mark.parametrize("odd", [{"judge": 3}, {"judge": []}, {"pred_score": "x"}, {"pred_score": [1, {}]}])
def test_odd_notes_on_a_line_do_no_harm(odd: dict[str, Any], judge: Judge, source: Path, write_jsonl: Any) -> None:
    """A line whose note or replies are of other types is judged like one without."""
    judge(source)
    rows = [{**row, **odd} for row in rows_of(source)]
    write_jsonl(source, rows)
    assert judge(source) == 0
    assert all(len(row["pred_score"]) == 4 for row in rows_of(source))


@pytest.mark.parametrize("data_type", ["open", "adjust"])
@pytest.mark.parametrize("response", ["", "  \n\t"])
def test_an_empty_response_costs_no_call(
    response: str, data_type: str, judge: Judge, tmp_path: Path, scripted_server: Any, write_jsonl: Any
) -> None:
    """It is judged NO throughout, and the line says that nobody was asked."""
    row = open_row(0, response) if data_type == "open" else adjust_row(0, response)
    path = write_jsonl(tmp_path / "file.jsonl", [row])
    assert judge(path, data_type=data_type) == 0
    assert scripted_server.calls == []
    (row,) = rows_of(path)
    assert len(row["pred_score"]) == 4
    (reply,) = set(row["pred_score"])
    if data_type == "open":
        assert replies.read_open_reply(reply) == (False, False)
    else:
        assert replies.read_adjust_reply(reply) == replies.AdjustVote(False, False, False)
    assert "without a call" in row["judge"]["skipped"]


def test_unanswered_items_keep_no_replies(
    judge: Judge,
    tmp_path: Path,
    scripted_server: Any,
    write_jsonl: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A null response, or none at all, is nobody's answer: no call, no pred_score (an older one goes), counted."""
    missing = open_row(2)
    del missing["response"]
    null = open_row(1, None, error="audio not found: en/1.wav", pred_score=["old"], judge={"model": "old"})
    path = write_jsonl(tmp_path / "open.jsonl", [open_row(0), null, missing])
    assert judge(path) == 0
    assert asked_keys(scripted_server) == [0]
    rows = rows_of(path)
    assert ["pred_score" in row for row in rows] == [True, False, False]
    assert rows[1] == open_row(1, None, error="audio not found: en/1.wav")
    assert rows[2] == missing
    assert "1 judged by grader (1 asked now), 0 empty" in (err := capsys.readouterr().err)
    assert "2 without a response, 0 failed" in err


def test_the_same_request_twice_is_asked_once(
    judge: Judge, tmp_path: Path, scripted_server: Any, write_jsonl: Any
) -> None:
    """Renderings of one prompt with one answer share their replies, also while both are in flight."""
    rows = [{**open_row(0), "audio_path": f"en/{number}.wav"} for number in range(5)]
    path = write_jsonl(tmp_path / "open.jsonl", rows)
    assert judge(path) == 0
    assert len(scripted_server.calls) == 1
    assert len({tuple(row["pred_score"]) for row in rows_of(path)}) == 1


def test_everything_else_on_a_line_survives(judge: Judge, tmp_path: Path, scripted_server: Any) -> None:
    """A byte order mark, unknown fields in their order, lone surrogates and odd separators come through."""
    line = (
        b'{"odd": {"nested": [null, 1.5, "\\udc00"]}, "key": 1, "prompt": "Ask 1. \\ud800", '
        b'"decomposed_questions": ["a\\u2028b?"], "audio_path": "a.wav", "response": "so \\udfff so", "zz": "\xc3\xa4"}'
    )
    path = tmp_path / "open.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\n")
    fields = json.loads(line)
    assert judge(path) == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")
    (row,) = rows_of(path)
    assert {name: value for name, value in row.items() if name not in ("pred_score", "judge")} == fields
    assert list(row)[: len(fields)] == list(fields)
    (call,) = scripted_server.calls
    assert "so \\udfff so" in call.body["messages"][1]["content"]
    assert judge(path) == 0
    assert len(scripted_server.calls) == 1


def test_surrogates_in_a_reply_survive(judge: Judge, source: Path, scripted_server: Any) -> None:
    """A grader may cut a character in half; its reply is kept as it came."""
    scripted_server.react = lambda _: scripted_server.Reaction(body=scripted_server.completion(*["\ud83d no"] * 4))
    assert judge(source) == 0
    assert rows_of(source)[0]["pred_score"] == ["\ud83d no"] * 4


@pytest.mark.parametrize("data_type", ["open", "adjust"])
def test_placeholders_in_a_response_are_not_filled(
    data_type: str, judge: Judge, tmp_path: Path, scripted_server: Any, write_jsonl: Any
) -> None:
    """Braces in what people say reach the grader as braces."""
    row = (open_row if data_type == "open" else adjust_row)(0, "see {request} and {response} and {questions}")
    judge(write_jsonl(tmp_path / "file.jsonl", [row]), data_type=data_type)
    text = scripted_server.calls[0].body["messages"][1]["content"]
    assert "see {request} and {response} and {questions}" in text
    assert "Ask 0. and" not in text


def test_several_files(judge: Judge, tmp_path: Path, scripted_server: Any, write_jsonl: Any) -> None:
    """Several files are judged in one run, each in place, and named on stdout."""
    paths = [
        write_jsonl(tmp_path / f"adjustment_{lang}.jsonl", [adjust_row(key) for key in keys])
        for lang, keys in (("en", (1, 2)), ("cn", (3,)))
    ]
    assert judge(*paths, data_type="adjustment") == 0
    assert len(scripted_server.calls) == 3
    assert [len(rows_of(path)) for path in paths] == [2, 1]
    assert all(len(row["pred_score"]) == 4 for path in paths for row in rows_of(path))


def test_an_output_file_leaves_the_source_alone(
    judge: Judge, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --output_file the judged lines go there."""
    before = source.read_bytes()
    target = tmp_path / "new" / "judged.jsonl"
    assert judge(source, flags=f"--output_file {target}") == 0
    assert source.read_bytes() == before
    assert all("pred_score" in row for row in rows_of(target))
    assert capsys.readouterr().out == f"{target}\n"


def test_the_source_stands_whole_until_the_end(judge: Judge, source: Path, scripted_server: Any) -> None:
    """While the grader is asked, the file is what it was; no half file is left beside it."""
    before = source.read_bytes()
    seen: list[bytes] = []

    def react(call: Any) -> Any:
        seen.append(source.read_bytes())
        return numbered(scripted_server, call)

    scripted_server.react = react
    judge(source)
    assert set(seen) == {before}
    assert source.read_bytes() != before
    assert not list(source.parent.glob("*.tmp*"))


@pytest.mark.parametrize("status", [401, 404, 307])
def test_a_grader_that_cannot_be_used_changes_nothing(
    status: int,
    judge: Judge,
    source: Path,
    scripted_server: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No access or no such model: exit 1, one line, the file as it was."""
    before = source.read_bytes()
    scripted_server.react = lambda _: failing(scripted_server, status)
    assert judge(source) == 1
    assert source.read_bytes() == before
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]) == 1


def test_a_used_up_quota_keeps_what_was_paid(judge: Judge, source: Path, scripted_server: Any) -> None:
    """When the account runs dry in the middle, the file waits and the replies are in the ledger."""

    def react(call: Any) -> Any:
        if len(scripted_server.calls) <= 3:
            return numbered(scripted_server, call)
        return scripted_server.Reaction(status=429, body={"error": {"message": "m", "code": "insufficient_quota"}})

    scripted_server.react = react
    before = source.read_bytes()
    assert judge(source, flags="--concurrency 1") == 1
    assert source.read_bytes() == before
    scripted_server.calls.clear()
    scripted_server.react = lambda call: numbered(scripted_server, call)
    assert judge(source) == 0
    assert sorted(asked_keys(scripted_server)) == [3, 4, 5]


CLOSED = {"key": 1, "prompt": "Ask 1.", "instruction_id_list": ["a:b"], "kwargs": [{}], "response": "x"}


@pytest.mark.parametrize(
    ("data_type", "rows", "part"),
    [
        ("open", [adjust_row(1)], ":1: field 'decomposed_questions': missing or without questions"),
        ("adjust", [open_row(1)], ":1: field 'decomposed_questions': is no field of adjust items"),
        ("open", [CLOSED], ":1: field 'instruction_id_list': is no field of open items"),
        ("adjust", [adjust_row(1), CLOSED], ":2: field 'instruction_id_list': is no field of adjust items"),
        ("open", [open_row(1), {"response": "x"}], ":2: field 'prompt': missing"),
        ("open", [open_row(1), open_row(1)], ":2: the same item as line 1"),
        ("open", [{"prompt": "a", "decomposed_questions": ["b"]}] * 2, "field 'response': missing on every line"),
        ("adjust", [{"prompt": "a"}], "field 'response': missing on every line; run inference.py first"),
        ("open", [open_row(1, 5)], ":1: field 'response': must be text or null"),
        ("open", [], "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_judged(
    data_type: str,
    rows: list[dict[str, Any]],
    part: str,
    judge: Judge,
    tmp_path: Path,
    scripted_server: Any,
    write_jsonl: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong or broken file gets one line and exit 2 before anything is sent, also behind a good one."""
    good = open_row(7) if data_type == "open" else adjust_row(7)
    paths = [write_jsonl(tmp_path / f"{name}.jsonl", rows_) for name, rows_ in (("good", [good]), ("bad", rows))]
    before = [path.read_bytes() for path in paths]
    assert judge(*paths, data_type=data_type) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {paths[1]}")
    assert part in err
    assert err.count("\n") == 1
    assert scripted_server.calls == []
    assert [path.read_bytes() for path in paths] == before
    assert not (tmp_path / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("--data_type close", "closed-ended responses are scored by rules: python evaluate.py --evaluator close"),
        ("--data_type all", "unknown subset 'all'"),
        ("--src_file a.jsonl a.jsonl", "--src_file names a file twice"),
        ("--src_file a.jsonl b.jsonl --output_file c.jsonl", "--output_file takes one --src_file"),
        ("--src_file nowhere.jsonl", "nowhere.jsonl: no such file"),
        ("--src_file .", ".: no file of open answers (open_ended_*.jsonl) lies in this folder"),
        ("--prompt_file nowhere.txt", "nowhere.txt: prompt file cannot be read"),
        ("--base_url localhost:8000", "the server's address cannot be one"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    flags: str, part: str, judge: Judge, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong value ends with exit 2, one line and no call."""
    assert judge(source, flags=flags) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert part in err
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("target", ["folder", "file/below"])
def test_an_unwritable_output_costs_no_call(
    target: str, judge: Judge, source: Path, tmp_path: Path, scripted_server: Any
) -> None:
    """A folder for a file, or a place that cannot be, is found before the grader is asked."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    assert judge(source, flags=f"--output_file {tmp_path / target}") == 2
    assert scripted_server.calls == []


def test_a_prompt_of_one_s_own(judge: Judge, source: Path, tmp_path: Path, scripted_server: Any) -> None:
    """--prompt_file is what is sent, its id stands on the lines, and edited words are asked anew."""
    prompt = tmp_path / "mine.txt"
    prompt.write_text("\ufeffAsk 0. {response}? {questions}\n")
    judge(source, flags=f"--prompt_file {prompt}")
    asked = scripted_server.calls[0].body["messages"][1]["content"]
    assert re.sub(" [0-9a-f]{12}>", ">", asked) == (
        "Ask 0. <response>\na good answer\n</response>? <questions>\n1. Is it a?\n2. Is it b?\n</questions>"
    )
    first = rows_of(source)[0]["judge"]["prompt_id"]
    assert first.startswith("mine@")
    prompt.write_text("Ask 0. {response}! {questions}\n")
    scripted_server.calls.clear()
    judge(source, flags=f"--prompt_file {prompt}")
    assert scripted_server.calls
    assert rows_of(source)[0]["judge"]["prompt_id"] != first


def test_a_prompt_with_an_unknown_placeholder(
    judge: Judge, source: Path, tmp_path: Path, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A placeholder that has no value is named before anything is sent."""
    (tmp_path / "mine.txt").write_text("{response} {questions} {rubric}")
    assert judge(source, flags=f"--prompt_file {tmp_path / 'mine.txt'}") == 2
    assert "unknown placeholder {rubric}; known: {request}, {response}" in capsys.readouterr().err
    assert scripted_server.calls == []


def test_a_prompt_that_hides_the_answer_is_refused(
    judge: Judge, source: Path, tmp_path: Path, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A prompt without the response or the questions would grade nothing: it is refused before anything is sent."""
    (tmp_path / "mine.txt").write_text("{request} {questions}")
    assert judge(source, flags=f"--prompt_file {tmp_path / 'mine.txt'}") == 2
    assert "lacks {response}" in capsys.readouterr().err
    assert scripted_server.calls == []


@pytest.mark.parametrize("key", [None, "", " \n"])
@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "MY_KEY"])
@pytest.mark.parametrize("url", [None, "https://api.openai.com/v1/"])
def test_no_key_is_said_first(
    url: str | None,
    name: str,
    key: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a key for the default server one line names the variable, before any file is read."""
    if key is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, key)
    flags = ["--data_type", "open", "--src_file", str(tmp_path / "nowhere.jsonl"), "--api_key_env", name]
    assert cli.main([*flags, *(["--base_url", url] if url else [])]) == 2
    err = capsys.readouterr().err
    assert f"set {name} " in err
    assert "--judge_model embedded" in err
    assert err.count("\n") == 1


def test_a_key_is_sent_and_never_kept(
    judge: Judge,
    source: Path,
    scripted_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The key of the named variable is the bearer token; it stands in no file and no line."""
    monkeypatch.setenv("MY_KEY", "sk-very-secret\n")
    scripted_server.react = lambda call: (
        failing(scripted_server, 400, "sk-very-secret is no good")
        if "Ask 3." in call.body["messages"][1]["content"]
        else numbered(scripted_server, call)
    )
    judge(source, flags="--api_key_env MY_KEY")
    headers = {name.lower(): value for name, value in scripted_server.calls[0].headers.items()}
    assert headers["authorization"] == "Bearer sk-very-secret"
    assert "sk-very" not in "".join(capsys.readouterr())
    assert not any(b"sk-very" in path.read_bytes() for path in source.parent.rglob("*") if path.is_file())


def test_a_second_process_is_refused(judge: Judge, source: Path, scripted_server: Any) -> None:
    """While a file is being judged, or written by inference, another command gets one line."""
    with jsonl.only_process(source):
        assert judge(source) == 2
    assert scripted_server.calls == []
    assert judge(source) == 0


def test_a_damaged_ledger_is_said(judge: Judge, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger of another form ends with exit 2 and one line, not with a traceback."""
    with sqlite3.connect(source.parent / "ledger.sqlite") as connection:
        connection.execute("CREATE TABLE replies (something TEXT)")
    assert judge(source) == 2
    assert "cannot be read as ledger" in capsys.readouterr().err


def start(source: Path, base_url: str) -> subprocess.Popen[str]:
    """Start the script itself on a file."""
    flags = ["--data_type", "open", "--input_file", str(source), "--base_url", base_url, "--judge_model", "grader"]
    command = [sys.executable, "api_judge.py", *flags, "--concurrency", "3", "--max_rejudge", "0"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def replies_kept(folder: Path) -> int:
    """Return how many requests have a reply in a folder's ledger."""
    with sqlite3.connect(folder / "ledger.sqlite", timeout=60) as connection:
        return int(connection.execute("SELECT count(DISTINCT request) FROM replies").fetchone()[0])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_judge_is_continued(
    number: signal.Signals, tmp_path: Path, scripted_server: Any, write_jsonl: Any
) -> None:
    """Whenever the process is ended, the file is as it was and a rerun asks only what was never received."""
    source = write_jsonl(tmp_path / "open_ended_en.jsonl", [open_row(key) for key in range(40)])
    before = source.read_bytes()
    hold, reached = threading.Event(), threading.Event()

    def react(call: Any) -> Any:
        reaction = numbered(scripted_server, call)
        if asked_key(call) >= 15:
            reached.set()
            hold.wait(60)
        return reaction

    scripted_server.react = react
    process = start(source, scripted_server.base_url)
    assert reached.wait(60)
    deadline = time.monotonic() + 60
    while replies_kept(tmp_path) < 15 and time.monotonic() < deadline:  # those that were not held back
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    hold.set()
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), said
    assert "Traceback" not in said
    assert source.read_bytes() == before
    first = set(asked_keys(scripted_server))
    kept = replies_kept(tmp_path)
    assert len(first) - 3 <= kept == 15
    scripted_server.calls.clear()
    scripted_server.react = lambda call: numbered(scripted_server, call)
    again = start(source, scripted_server.base_url)
    out, said = again.communicate(timeout=60)
    assert (again.returncode, out) == (0, f"{source}\n"), said
    assert len(asked_keys(scripted_server)) == len(set(asked_keys(scripted_server))) == 40 - kept
    rows = rows_of(source)
    assert [row["key"] for row in rows] == list(range(40))
    assert all(len(row["pred_score"]) == 4 for row in rows)


@pytest.fixture
def embedded_judge(embedded_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], int]:
    """A function that judges a file with the real embedded model, whose server all tests share."""
    monkeypatch.setattr(embedded, "LlamaServer", lambda *_, **__: embedded_server)

    def run(path: Path, data_type: str) -> int:
        flags = ["--data_type", data_type, "--src_file", str(path), "--judge_model", "embedded", "--n", "2"]
        return cli.main(flags)

    return run


def test_the_embedded_judge_is_asked_one_request_at_a_time(
    source: Path, scripted_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All replies to a response are one seeded call with the reply's schema, so that a run can be repeated."""
    monkeypatch.setattr(embedded, "LlamaServer", lambda *_, **__: scripted_server)
    flags = ["--data_type", "open", "--src_file", str(source), "--judge_model", "embedded", "--concurrency", "9"]
    in_flight, most = 0, 0

    def react(call: Any) -> Any:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        time.sleep(0.02)
        in_flight -= 1
        return scripted_server.Reaction(body=scripted_server.completion(*[YES_NO] * call.body["n"]))

    scripted_server.react = react
    assert cli.main(flags) == 0
    assert most == 1
    bodies = [call.body for call in scripted_server.calls]
    assert len(bodies) == 6
    for body in bodies:
        assert (body["seed"], body["n"]) == (0, 4)
        assert body["cache_prompt"] is False
        assert body["response_format"]["json_schema"]["schema"]["properties"]["verdicts"]["minItems"] == 2


ANSWERS = ("Fried rice: crack the eggs, fry the onion.", 'He said: "{response}" ```json [YES')


@pytest.mark.parametrize(("data_type", "answers"), [("open", ANSWERS), ("adjust", ANSWERS[1:])], ids=["open", "adjust"])
def test_the_embedded_judge_is_always_readable(
    data_type: str,
    answers: tuple[str, ...],
    embedded_judge: Any,
    tmp_path: Path,
    write_jsonl: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every reply is a full verdict, read either way; a fresh ledger gets the same ones, the old one asks nothing."""
    rows = [(open_row if data_type == "open" else adjust_row)(key, answer) for key, answer in enumerate(answers)]
    path = write_jsonl(tmp_path / "first" / "file.jsonl", rows)
    assert embedded_judge(path, data_type) == 0
    judged = rows_of(path)
    assert [len(row["pred_score"]) for row in judged] == [2] * len(rows)
    for reply in (reply for row in judged for reply in row["pred_score"]):
        if data_type == "open":
            votes = replies.read_open_reply(reply)
            assert votes is not None
            assert len(votes) == 2
            assert [word == "YES" for word in ast.literal_eval(reply)] == list(votes)
        else:
            assert replies.read_adjust_reply(reply) is not None
            assert json.loads(reply).keys() == set(replies.ADJUST_KEYS)
    note = judged[0]["judge"]
    assert (note["model"], note["label"], note["served"]) == ("embedded", "smoke-test model", embedded.LLM_NAME)
    assert f"{len(rows)} judged by embedded ({len(rows)} asked now)" in capsys.readouterr().err

    ledger = received(path)
    assert len(ledger) == 2 * len(rows)
    whole = path.read_bytes()
    assert embedded_judge(path, data_type) == 0  # its server has another port in each run
    assert (path.read_bytes(), received(path)) == (whole, ledger)

    alone = write_jsonl(tmp_path / "second" / "file.jsonl", rows[-1:])
    assert embedded_judge(alone, data_type) == 0
    assert [row["pred_score"] for row in rows_of(alone)] == [judged[-1]["pred_score"]]


def received(path: Path) -> list[tuple[Any, ...]]:
    """Return what the ledger beside a file holds, with the time at which each reply came."""
    with sqlite3.connect(path.parent / "ledger.sqlite") as connection:
        return connection.execute("SELECT request, sample, received FROM replies").fetchall()


def test_more_replies_later_get_seeds_of_their_own(
    source: Path, scripted_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raising --n asks for the further replies only, with seeds that were not used before."""
    monkeypatch.setattr(embedded, "LlamaServer", lambda *_, **__: scripted_server)
    flags = ["--data_type", "open", "--src_file", str(source), "--judge_model", "embedded", "--n"]
    assert cli.main([*flags, "2"]) == 0
    scripted_server.calls.clear()
    assert cli.main([*flags, "5"]) == 0
    assert {(call.body["seed"], call.body["n"]) for call in scripted_server.calls} == {(2, 3)}


def test_equal_requests_are_asked_once_and_counted_once(
    judge: Judge, tmp_path: Path, write_jsonl: Any, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Items with one request share its replies, and the progress still reaches its total."""
    rows = [open_row(key) for key in range(3)]
    for row in rows:
        row["prompt"] = "Ask."
    path = write_jsonl(tmp_path / "open_ended_en.jsonl", rows)
    assert judge(path) == 0
    assert len(scripted_server.calls) == 1
    assert len({tuple(row["pred_score"]) for row in rows_of(path)}) == 1
    said = capsys.readouterr().err
    assert "judging: 3/3" in said
    assert "3 judged" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_protected_target_is_named_before_any_call(
    judge: Judge, source: Path, scripted_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be written in the end is refused before anything is paid."""
    source.chmod(0o444)
    assert judge(source) == 2
    assert "write-protected" in capsys.readouterr().err
    assert scripted_server.calls == []


def test_the_ledger_lies_beside_the_target(judge: Judge, source: Path, tmp_path: Path) -> None:
    """With --output_file nothing is written beside the source."""
    target = tmp_path / "elsewhere" / "judged.jsonl"
    before = sorted(path.name for path in source.parent.iterdir())
    assert judge(source, flags=f"--output_file {target}") == 0
    assert (target.parent / "ledger.sqlite").is_file()
    assert sorted(path.name for path in source.parent.iterdir() if path.name != "elsewhere") == before
