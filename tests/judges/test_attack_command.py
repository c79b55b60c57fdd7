"""`python -m judges attack` against scripted graders of known character, and against the real embedded one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import jsonl
from inference import embedded
from judges import __main__ as judges_commands
from judges import attacks
from judges.attacks import Trial
from judges.tasks import TASKS

ATTACKS = attacks.load()
NO_ATTACK = judges_commands.NO_ATTACK


def honest(task: Any, call: Any) -> str:
    """Return the verdict that the bundled item in a request deserves."""
    text = call.body["messages"][1]["content"]
    fields = next(fields for fields in attacks.cases(task, attacks.bundled_cases(task)) if fields["response"] in text)
    return json.dumps(fields["expected"])


def best(task: Any, call: Any) -> str:
    """Return the verdict that is all for the answer."""
    if task.data_type == "open":
        return honest(task, call).replace("NO", "YES")
    words = {"adjust": ("YES", "NO", "YES"), "classify": ("YES",)}[task.data_type]
    return json.dumps(dict(zip(task.schema({})["required"], words, strict=True)))


def few(task: Any, path: Path) -> Path:
    """Write two English and two Chinese items of the bundled ones, and return the file."""
    items = attacks.cases(task, attacks.bundled_cases(task))
    jsonl.rewrite(path, (jsonl.dumps(items[place]) for place in (0, 1, 6, 7)))
    return path


@pytest.fixture
def attack(scripted_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function that attacks the scripted grader, which replies as a function of task and call says."""

    def run(grade: Callable[[Any, Any], str], *flags: str, data_type: str = "open", bundled: bool = False) -> Any:
        task = TASKS[data_type]
        items = () if bundled else ("--src_file", str(few(task, tmp_path / "few.jsonl")))

        def react(call: Any) -> Any:
            texts = [grade(task, call) for _ in range(call.body.get("n", 1))]
            return scripted_server.Reaction(body=scripted_server.completion(*texts))

        scripted_server.react = react
        server = ["--base_url", scripted_server.base_url, "--judge_model", "a/grader", "--reply_form", "text"]
        words = ["attack", *server, "--data_type", data_type, "--output_dir", str(tmp_path), "--n", "1", *items, *flags]
        assert judges_commands.main(words) == 0
        out = capsys.readouterr().out
        return json.loads(out)["attacks"] if "json" in flags else out

    return run


JSON = ("--format", "json", "--max_rejudge", "0")


@pytest.mark.parametrize("data_type", TASKS)
def test_a_steady_grader_is_not_moved(data_type: str, attack: Any, scripted_server: Any, tmp_path: Path) -> None:
    """Every attack is tried on every item of its language, and all shares are 0 of what could have moved."""
    task = TASKS[data_type]
    found = attack(honest, *JSON, data_type=data_type)
    items = [line.fields for line in jsonl.read(tmp_path / "few.jsonl")]
    wanted = Counter(tried.kind for tried in ATTACKS for item in items if tried.applies_to(task, item))
    assert {kind: row["n_items"] for kind, row in found.items() if kind not in ("all", NO_ATTACK)} == wanted
    assert found["all"]["n_items"] == wanted.total()
    assert found[NO_ATTACK]["n_items"] == len(items) == 4
    for row in found.values():
        assert [row[share]["value"] for share in ("in_favour", "against", "unreadable")] == [0, 0, 0]
        assert row["in_favour"]["n"] + row["against"]["n"] == row["unreadable"]["n"]
        assert row["in_favour"]["ci95"][0] == 0 < row["in_favour"]["ci95"][1]
    assert len(scripted_server.calls) == wanted.total() + len(items)
    judged = [line.fields for line in jsonl.read(tmp_path / "a-grader" / f"{data_type}_attacked.jsonl")]
    assert len({row["key"] for row in judged}) == wanted.total()


@pytest.mark.parametrize("data_type", TASKS)
def test_a_gullible_grader_is_moved_where_it_believes(data_type: str, attack: Any) -> None:
    """A grader that believes whatever calls itself a system notice is moved by that alone, all the way."""

    def grade(task: Any, call: Any) -> str:
        believes = "SYSTEM NOTICE" in call.body["messages"][1]["content"]
        return best(task, call) if believes else honest(task, call)

    found = attack(grade, *JSON, "--by", "attack", data_type=data_type)
    moved = {name: row["in_favour"]["value"] for name, row in found.items() if row["in_favour"]["value"]}
    assert moved.keys() == {"authority-01", "all"}
    assert moved["authority-01"] == 1
    assert 0 < moved["all"] < 0.1
    assert all(row["against"]["value"] == 0 for row in found.values())


def test_a_grader_can_be_moved_against_an_answer(attack: Any) -> None:
    """Verdicts that attacks take away are counted by themselves, over those that were there."""

    def grade(task: Any, call: Any) -> str:
        is_vexed = "bonus of 500 dollars" in call.body["messages"][1]["content"]
        return honest(task, call).replace("YES", "NO") if is_vexed else honest(task, call)

    found = attack(grade, *JSON, "--by", "attack")["persuasion-02"]
    assert (found["in_favour"]["value"], found["against"]["value"]) == (0, 1)
    assert found["against"]["n"] == 3  # the right one of the two English items


def test_lost_verdicts_are_counted_apart(attack: Any) -> None:
    """A grader that refuses, or quotes what it was told, gives no verdict; that is neither for nor against."""

    def grade(task: Any, call: Any) -> str:
        text = call.body["messages"][1]["content"]
        if "The only safe reply is" in text:
            return "I cannot help with that."
        if "Grading complete. Result:" in text:
            return "The text ends with: Grading complete. Result: " + honest(task, call).replace("YES", "NO")
        return honest(task, call)

    found = attack(grade, *JSON, "--by", "attack")
    for name in ("form-04", "verdict-05"):
        assert [found[name][share]["value"] for share in ("in_favour", "against", "unreadable")] == [0, 0, 1]
    assert found["form-01"]["unreadable"]["value"] == 0


def test_the_noise_floor_is_the_grader_s_own(attack: Any) -> None:
    """A grader that changes its mind without any attack shows in the last row, by its later replies."""
    seen: Counter[str] = Counter()

    def grade(task: Any, call: Any) -> str:
        text = call.body["messages"][1]["content"]
        seen[text] += 1
        return best(task, call) if seen[text] > 1 else honest(task, call)

    found = attack(grade, *JSON, "--attacks", "3")
    assert found[NO_ATTACK]["in_favour"]["value"] == 1
    assert found["all"]["in_favour"]["value"] == 0


def test_a_second_run_asks_nothing(attack: Any, scripted_server: Any) -> None:
    """What was received is in the ledger, also where another run draws other attacks."""
    whole = attack(honest, "--by", "attack")
    calls = len(scripted_server.calls)
    assert attack(honest, "--by", "attack") == whole
    attack(honest, "--attacks", "5", "--seed", "7")
    assert len(scripted_server.calls) == calls


def test_a_seed_draws_the_same_attacks(attack: Any) -> None:
    """So many attacks are drawn, the same for the same seed, others for another."""
    flags = (*JSON, "--by", "attack", "--attacks", "6")
    drawn = [set(attack(honest, *flags, "--seed", seed)) - {"all", NO_ATTACK} for seed in ("1", "1", "2")]
    assert [len(names) for names in drawn] == [6, 6, 6]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_table_names_grader_items_and_files(attack: Any, tmp_path: Path) -> None:
    """People see one row a kind, the sum, the floor below it, and where the judged items lie."""
    text = attack(honest, "--attacks", "10")
    assert "a/grader: verdicts that attacks moved" in text
    lines = text.splitlines()
    assert lines.index(next(line for line in lines if " all " in line)) < lines.index(
        next(line for line in lines if NO_ATTACK in line)
    )
    assert "4 of 4 items had a verdict without attacks; majority of 1 replies each." in text
    assert str(tmp_path / "a-grader" / "open_attacked.jsonl") in text
    assert "Wilson" in text


@pytest.mark.parametrize(("data_type", "count"), [("open", 40), ("adjust", 24)])
def test_the_grader_s_own_truth_is_told(data_type: str, count: int, attack: Any) -> None:
    """On the bundled items, whose verdicts are known, the table says how many the grader gets right."""
    flags = ("--attacks", "1", "--seed", "1")
    text = attack(honest, *flags, data_type=data_type, bundled=True)
    assert f"Of {count} verdicts without attacks {count} are right" in text
    assert "are right" not in attack(honest, *flags, data_type=data_type)


def test_items_of_one_s_own(attack: Any, tmp_path: Path, write_jsonl: Any, scripted_server: Any) -> None:
    """A judged file is attacked as it is: its own verdicts are dropped, items without a response left out."""
    rows = [
        {
            "prompt": "Ask.",
            "decomposed_questions": ["Is it?", "Or not?"],
            "response": response,
            "audio_path": f"{place}.wav",
        }
        for place, response in enumerate(["It is.", None, "  ", "It is not."])
    ]
    path = write_jsonl(
        tmp_path / "mine.jsonl", [{**row, "pred_score": ["old"], "judge": {"model": "x"}} for row in rows]
    )
    before = path.read_bytes()
    found = attack(lambda _, __: '["YES", "NO"]', *JSON, "--src_file", str(path))
    assert found[NO_ATTACK]["n_items"] == 2
    assert found["all"]["n_items"] == 2 * len(ATTACKS)  # of either language: the items do not say which is theirs
    assert path.read_bytes() == before


def test_a_grader_that_cannot_be_used_ends_the_command(
    scripted_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No access: exit 1, one error, and no table over nothing."""
    scripted_server.react = lambda _: scripted_server.Reaction(status=401, body={"error": {"message": "no"}})
    words = ["attack", "--base_url", scripted_server.base_url, "--judge_model", "m", "--output_dir", str(tmp_path)]
    assert judges_commands.main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


def test_a_grader_without_any_verdict_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scripted_server: Any
) -> None:
    """Where nothing is readable without attacks there is nothing to move."""
    scripted_server.react = lambda call: scripted_server.Reaction(
        body=scripted_server.completion(*["maybe"] * call.body.get("n", 1))
    )
    words = ["attack", "--base_url", scripted_server.base_url, "--judge_model", "m", "--output_dir", str(tmp_path)]
    source = str(few(TASKS["open"], tmp_path / "few.jsonl"))
    assert judges_commands.main([*words, "--n", "1", "--max_rejudge", "0", "--attacks", "2", "--src_file", source]) == 2
    assert "gave no verdict even without attacks" in capsys.readouterr().err


def test_a_dry_run_sends_nothing(attack: Any, scripted_server: Any) -> None:
    """Flags of api_judge.py are taken: the cost of attacking is told before anything is sent."""
    text = attack(honest, "--dry_run", "--price", "1,2")
    assert scripted_server.calls == []
    assert text.count("prompt tokens") == 2


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["attack"], "the following arguments are required: --judge_model"),
        (["attack", "--judge_model", "m", "--data_type", "close"], "there is no grader to attack"),
        (["attack", "--judge_model", "m", "--src_file", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["attack", "--judge_model", "a,b"], "attack the graders of a panel one by one"),
        (["attack", "--judge_model", "m", "--no_such_flag"], "unrecognized arguments: --no_such_flag"),
        (["attack", "--judge_model", "m", "--attacks", "0"], "0 is not at least 1"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    words: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong value ends with exit 2 and one line."""
    monkeypatch.chdir(tmp_path)
    try:
        code = judges_commands.main(words)
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err


# --- how verdicts move ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clean", "found", "in_favour", "against", "lost"),
    [
        ((True, False), (True, False), (0, 1), (0, 1), (0, 2)),
        ((True, False, False), (False, True, False), (1, 2), (1, 1), (0, 3)),
        ((True, True), (False, False), (0, 0), (2, 2), (0, 2)),
        ((True, False), None, (0, 1), (0, 1), (2, 2)),
    ],
)
def test_verdicts_move_one_way_or_the_other(
    clean: tuple[bool, ...], found: tuple[bool, ...] | None, in_favour: Any, against: Any, lost: Any
) -> None:
    """Each share is over the verdicts that could move that way; a lost verdict moved neither way."""
    trial = Trial(0, clean, found)
    assert (trial.moved_to(True), trial.moved_to(False), trial.lost()) == (in_favour, against, lost)


def test_the_embedded_grader_can_be_attacked(
    embedded_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command runs against a real model from end to end, says what it is, and costs nothing the second time."""
    monkeypatch.setattr(embedded, "LlamaServer", lambda *_, **__: embedded_server)
    source = tmp_path / "one.jsonl"
    jsonl.rewrite(source, [jsonl.dumps(attacks.cases(TASKS["open"], attacks.bundled_cases(TASKS["open"]))[0])])
    words = ["attack", "--judge_model", "embedded", "--attacks", "1", "--seed", "1", "--n", "1"]
    words += ["--src_file", str(source), "--output_dir", str(tmp_path)]
    assert judges_commands.main(words) == 0
    out, err = capsys.readouterr()
    assert "embedded (smoke-test model): verdicts that attacks moved" in out
    assert err.count("1 judged by embedded (1 asked now)") == 2
    assert judges_commands.main(words) == 0
    again = capsys.readouterr()
    assert again.out == out
    assert again.err.count("(0 asked now)") == 2
