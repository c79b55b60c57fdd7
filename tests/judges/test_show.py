"""`python -m judges show`: what was sent, what came back and how it was read, as it really was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judges import __main__ as judges_commands
from judges import cli
from judges.tasks import TASKS

GOOD = '["YES", "NO"]'
FRAMED = '{"verdicts": ["YES", "NO"]}'
ADJUST = json.dumps(dict(zip(TASKS["adjust"].schema({})["required"], ("YES", "NO", "YES"), strict=True)))


def open_row(key: Any, response: str | None = "an answer", **more: Any) -> dict[str, Any]:
    """Return a line of an open file with two questions."""
    row = {"key": key, "prompt": f"Ask {key}.", "decomposed_questions": ["Is it a?", "Is it b?"]}
    return {**row, "audio_path": f"en/{key}.wav", "response": response, **more}


@pytest.fixture
def judged(scripted_server: Any, tmp_path: Path, write_jsonl: Any) -> Callable[..., Path]:
    """A function that has rows judged by the scripted grader, whose replies are the texts in turn."""

    def run(rows: list[dict[str, Any]], *texts: str | None, flags: str = "", data_type: str = "open") -> Path:
        given = list(texts)

        def react(call: Any) -> Any:
            count = call.body.get("n", 1)
            chosen = [given.pop(0) if len(given) > 1 else given[0] for _ in range(count)]
            return scripted_server.Reaction(body=scripted_server.completion(*chosen))

        scripted_server.react = react
        path = Path(write_jsonl(tmp_path / "judged.jsonl", rows))
        server = ["--base_url", scripted_server.base_url, "--judge_model", "grader", "--concurrency", "1", "--n", "2"]
        assert cli.main(["--data_type", data_type, "--src_file", str(path), *server, *flags.split()]) == 0
        return path

    return run


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs the command and returns what it prints."""

    def run(path: Path, key: str, *flags: str, code: int = 0) -> str:
        capsys.readouterr()
        assert judges_commands.main(["show", str(path), key, *flags]) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return run


def barred(text: str) -> list[str]:
    """Return the lines that are shown behind a bar."""
    return [line.removeprefix("│ ") for line in text.split("\n") if line.startswith("│ ")]


@pytest.mark.parametrize("form", ["text", "json_object", "json_schema"])
def test_the_very_request_is_shown(form: str, judged: Any, show: Any, scripted_server: Any) -> None:
    """Message by message and field by field what the server got, also where it took a weaker form than was wanted."""
    path = judged([open_row(1), open_row(2)], GOOD, flags=f"--reply_form {form} --temperature 0.25")
    text = show(path, "2")
    body = scripted_server.calls[-1].body
    messages = body.pop("messages")
    assert "\n".join(barred(text)).startswith("\n".join(message["content"] for message in messages))
    assert json.loads(next(line for line in barred(text) if line.startswith('{"model"'))) == body
    assert "changed since" not in text


def test_every_reply_is_shown_with_where_it_came_from(judged: Any, show: Any) -> None:
    """Raw text, served model, fingerprint and why it ended, then both readings and the votes."""
    text = show(judged([open_row("k")], f"<think>Hm.</think>{FRAMED}", '["NO", "NO"]'), "k")
    origin = "served by scripted-1, fingerprint fp_scripted, ended by stop:"
    assert f"reply 1 of 2, {origin}\n│ <think>Hm.</think>{FRAMED}\nread as:\n│ {GOOD}\n" in text
    assert f'reply 2 of 2, {origin}\n│ ["NO", "NO"]\nprofile fixed reads: NO, NO; ' in text
    assert "profile fixed reads: YES, NO; profile reference reads: ['YES', 'NO']" in text
    assert "counted in profile fixed:\nnot met: Is it a? (1 of 2 YES)\nnot met: Is it b? (0 of 2 YES)" in text
    assert "counted in profile reference:\nmet: Is it a? (1 of 2 YES)" in text


def test_replies_that_were_asked_for_again_are_shown_in_turn(judged: Any, show: Any) -> None:
    """Each step with what was wrong with it."""
    text = show(judged([open_row(1)], "no idea", '["YES"]', GOOD, flags="--max_rejudge 3"), "1")
    first = text.index("reply 1 of 2, served")
    again = text.index("reply 1 of 2, asked for again (1)")
    second = text.index("reply 2 of 2, served")
    assert first < again < second < text.index("reply 2 of 2, asked for again (1)")
    assert '│ no idea\nnot taken: It holds no list of 2 entries, each "YES" or "NO".' in text[first:again]
    assert "not taken: It holds 1 entries, but there are 2 questions." in text[second:]
    told = "│ That reply cannot be used. It holds no list of 2 entries, "
    assert first < text.index(told) < again


def test_a_quotation_is_told_from_a_vote(judged: Any, show: Any) -> None:
    """The reply that the file has as null is shown as it came, with the reason."""
    path = judged([open_row(1, f"Say {GOOD}!")], f"It says {GOOD}.", flags="--max_rejudge 0")
    text = show(path, "1")
    assert f"│ It says {GOOD}.\nnot taken: Its verdicts stand in the graded texts too" in text
    assert "counted in profile fixed: no readable vote" in text


def test_adjustment_items_are_shown(judged: Any, show: Any) -> None:
    """Three verdicts by name, and the two marks made of them."""
    row = {"key": 1, "prompt": "Two. No, three.", "audio_path": "a.wav", "response": "Three."}
    text = show(judged([row], ADJUST, data_type="adjust"), "1")
    assert "follow_after_adjust YES, follow_before_adjust NO, after_adjust_content_correct YES" in text
    assert "follow_after_adjust 'YES'" in text
    assert "not met: the superseded request is still followed (better when not)" in text


def test_a_label_does_not_make_a_classification(judged: Any, show: Any) -> None:
    """A data set's own field of that name leaves an adjustment item what it is, judged and shown."""
    row = {"key": 1, "prompt": "Two. No, three.", "audio_path": "1.wav", "response": "three", "label": "easy"}
    text = show(judged([row], ADJUST, data_type="adjust"), "1")
    assert "follow_after_adjust" in text
    assert "changed since" not in text


def test_a_panel_is_shown_grader_by_grader(
    judged: Any, show: Any, scripted_server: Any, tmp_path: Path, write_jsonl: Any
) -> None:
    """Every grader of a panel has its own request and replies."""
    own = tmp_path / "own.toml"
    own.write_text(
        "\n".join(
            f'[{name}]\nbase_url = "{scripted_server.base_url}"\nmodel = "{name}-model"' for name in ("one", "two")
        )
    )
    path = write_jsonl(tmp_path / "panel.jsonl", [open_row(1)])
    scripted_server.react = lambda call: scripted_server.Reaction(
        body=scripted_server.completion(*[GOOD] * call.body["n"], model=call.body["model"])
    )
    flags = ["--judges", str(own), "--judge_model", "one,two", "--n", "2"]
    assert cli.main(["--src_file", str(path), *flags]) == 0
    text = show(path, "1")
    assert text.index("grader one") < text.index("served by one-model") < text.index("grader two")
    assert text.count("served by two-model") == 2


def test_nothing_of_it_steers_a_terminal(judged: Any, show: Any) -> None:
    """Control characters of items and graders come out as escapes, and none of their lines passes for ours."""
    hostile = "\x1b[2J\x9b\u202e\rgrader nobody\nreply 1 of 1, served by nobody:"
    row = open_row("k\x1b", hostile, prompt=hostile, decomposed_questions=[hostile, "Is it?"])
    text = show(judged([row], f"{hostile} \ud800 {GOOD}"), "k\x1b")
    assert all(character.isprintable() or character == "\n" for character in text)
    assert len([line for line in text.split("\n") if line.startswith("grader ")]) == 1
    assert len([line for line in text.split("\n") if line.startswith("reply 1 of")]) == 1


@pytest.mark.parametrize("change", ["response", "prompt", "ledger", "manifest", "form"])
def test_what_is_gone_is_said(change: str, judged: Any, show: Any, write_jsonl: Any) -> None:
    """Without the request's parts the replies of the file are shown, and the command says what is missing."""
    path = judged([open_row(1)], GOOD)
    row = json.loads(path.read_text())
    if change == "response":
        write_jsonl(path, [{**row, "response": "another"}])
        wanted = "changed since: this is not what was sent"
    elif change == "prompt":
        write_jsonl(path, [{**row, "judge": {**row["judge"], "prompt_id": "mine@00000000"}}])
        wanted = "prompt mine@00000000 is not here; name its file with --prompt_file"
    elif change == "ledger":
        path.with_name("ledger.sqlite").unlink()
        wanted = "system:"
    elif change == "form":
        path.with_name("judged.judge.json").write_text('{"judges": [{"name": "grader", "n": 2}]}')
        wanted = "judged.judge.json is of another form"
    else:
        path.with_name("judged.judge.json").unlink()
        wanted = "no judged.judge.json beside the file tells how this grader was asked"
    text = show(path, "1")
    assert wanted in text
    assert f"reply 2, as the file has it:\n│ {GOOD}\nprofile fixed reads: YES, NO" in text
    assert not path.with_name("ledger.sqlite").exists() or change != "ledger"


def test_a_prompt_of_one_s_own_is_shown(judged: Any, show: Any, tmp_path: Path) -> None:
    """With --prompt_file the request is what was sent."""
    prompt = tmp_path / "mine.txt"
    prompt.write_text("Mine: {response} {questions}")
    path = judged([open_row(1)], GOOD, flags=f"--prompt_file {prompt}")
    assert "mine@" in show(path, "1")
    text = show(path, "1", "--prompt_file", str(prompt))
    assert "│ Mine: <response " in text
    assert "served by scripted-1" in text


def test_an_item_nobody_was_asked_about(judged: Any, show: Any, scripted_server: Any) -> None:
    """An empty response was judged without a call, and an item that failed says why."""
    path = judged([open_row(1, " "), open_row(2)], GOOD)
    text = show(path, "1")
    assert "not asked: empty response: judged without a call" in text
    assert 'reply 1, as the file has it:\n│ ["NO", "NO"]' in text
    scripted_server.react = lambda _: scripted_server.Reaction(status=400, body={"error": {"message": "will not"}})
    cli.main(["--src_file", str(path), "--base_url", scripted_server.base_url, "--judge_model", "other"])
    text = show(path, "2")
    assert "failed: HTTP 400: will not" in text
    assert "reply 4 of 4: not received" in text


def test_items_are_found_by_key_and_audio(judged: Any, show: Any) -> None:
    """Several renderings of one key need the audio; one without a key goes by it; a wrong name is one line."""
    rows = [open_row(1), open_row(1, "other", audio_path="b.wav"), {**open_row(0), "audio_path": "c.wav"}]
    del rows[2]["key"]
    path = judged([*rows, open_row(4, None)], GOOD)
    assert "2 items have key 1; choose by --audio_path: en/1.wav, b.wav" in show(path, "1", code=2)
    assert "│ other" in show(path, "1", "--audio_path", "b.wav")
    assert "│ Ask 0." in show(path, "c.wav")
    assert "no item with key 7" in show(path, "7", code=2)
    assert "no item with key 1 and audio_path d.wav" in show(path, "1", "--audio_path", "d.wav", code=2)
    assert "item 4 is not judged; python api_judge.py judges it" in show(path, "4", code=2)
    nowhere = path.with_name("nowhere.sqlite")
    assert f"{nowhere}: no such file" in show(path, "c.wav", "--ledger", str(nowhere), code=2)
    assert not nowhere.exists()


@pytest.mark.parametrize(
    "odd",
    [
        {"judge": {}},
        {"judges": 3, "pred_scores": 3},
        {"judges": {"grader": 3}, "pred_score": 3},
        {"judges": {"x": {"request": 1}}, "pred_scores": {"x": [1, None]}},
        {"judge": {"request": "0", "label": "\x1b", "model": ["a"]}},
        {"decomposed_questions": 7},
    ],
)
def test_odd_lines_are_shown_as_far_as_they_go(odd: dict[str, Any], judged: Any, show: Any, write_jsonl: Any) -> None:
    """Whatever a line's notes are, the command tells what it can."""
    path = judged([open_row(1)], GOOD)
    write_jsonl(path, [{**json.loads(path.read_text()), **odd}])
    assert "counted in profile fixed:" in show(path, "1")


def test_a_damaged_manifest_is_one_line(judged: Any, show: Any) -> None:
    """What is no manifest ends the command with its name."""
    path = judged([open_row(1)], GOOD)
    path.with_name("judged.judge.json").write_text('{"judges": 3}')
    assert "judged.judge.json: cannot be read as what api_judge.py writes" in show(path, "1", code=2)
