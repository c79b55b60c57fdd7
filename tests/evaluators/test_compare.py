"""Runs beside each other: the same data or not, pairs, families of tests, and how they are shown."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators import stats
from evaluators.__main__ import main
from evaluators.compare import compare
from inference.responses import ADDED_FIELDS

Write = Callable[[Path, list[dict[str, Any]]], Path]
Rows = list[dict[str, Any]]
STANDARD, OPEN = "closed_standard_en.jsonl", "open_ended_en.jsonl"
INSTRUCTIONS = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
JUDGE = {"model": "m", "prompt_id": "judge_open@1"}


def asked(count: int) -> Rows:
    """Return closed items of a data set."""
    return [
        {"key": key, "prompt": f"P{key}", "audio_path": f"en/{key}.wav", "snr_db": 5.0, **INSTRUCTIONS}
        for key in range(count)
    ]


def closed(rows: Rows, share: float, seed: int) -> Rows:
    """Return answers, of which so many are right."""
    generator = random.Random(seed)
    return [{**row, "response": "fine" if generator.random() < share else "a, b", "latency_seconds": 1} for row in rows]


def judged(count: int, share: float, seed: int, judge: dict[str, str]) -> Rows:
    """Return open items with two questions each."""
    generator = random.Random(seed)
    lines = []
    for key in range(count):
        verdicts = ["YES" if generator.random() < share else "NO" for _ in range(2)]
        question = {"key": key, "prompt": "p", "audio_path": f"{key}", "decomposed_questions": ["a", "b"]}
        lines.append({**question, "response": "r", "pred_score": [json.dumps(verdicts)] * 4, "judge": judge})
    return lines


@pytest.fixture
def run(tmp_path: Path, write_jsonl: Write) -> Callable[..., Path]:
    """A function that writes a run's folder: its files, and a run.json with the hashes of their data."""

    def write(name: str, *, data: bytes | None = b"data", **files: Rows) -> Path:
        folder = tmp_path / name
        for file, rows in files.items():
            write_jsonl(folder / f"{file}.jsonl", rows)
        if data is not None:
            hashes = {f"{file}.jsonl": hashlib.sha256(data).hexdigest() for file in files}
            manifest = {"model": {"name": f"model of {name}"}, "sampling": {}, "data": {"sha256": hashes}}
            (folder / "run.json").write_text(json.dumps(manifest))
        return folder

    return write


def compared(*folders: Path, profile: str = "fixed") -> list[Any]:
    """Return the comparisons with the first folder."""
    return compare(folders[0], folders[1:], profile, added_fields=ADDED_FIELDS)


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_a_better_model_is_found(run: Callable[..., Path], profile: str) -> None:
    """The paired difference of every metric has its test, interval and least detectable size."""
    items = asked(150)
    a = run("a", closed_standard_en=closed(items, 0.5, 1), open_ended_en=judged(60, 0.6, 1, JUDGE))
    b = run("b", closed_standard_en=closed(items, 0.8, 2), open_ended_en=judged(60, 0.6, 1, JUDGE))
    first, second = compared(a, b, profile=profile)
    assert [first.baseline.path.name, second.baseline.path.name] == [STANDARD, OPEN]
    change = first.changes["strict-prompt"]
    values = [side.tally.cells()["strict-prompt"].value for side in (first.baseline, first.other)]
    assert (change.difference.first, change.difference.second) == pytest.approx(tuple(values))
    assert (first.paired, change.difference.test) == (150, stats.EXACT_MCNEMAR)
    assert change.p_family < 0.001
    assert change.difference.detectable is not None
    assert 0.1 < change.difference.detectable < 0.25
    same = second.changes["instruction"]
    assert (same.difference.value, same.difference.p, same.difference.detectable) == (0, 1, None)


def test_the_family_is_a_language_and_its_runs(run: Callable[..., Path]) -> None:
    """Holm's correction runs over the files of one language and all runs, metric by metric."""
    items = asked(100)
    folders = [
        run(
            f"run{seed}",
            closed_standard_en=closed(items, 0.5 + 0.1 * seed, seed),
            closed_accent_en=closed(items, 0.5, 10 + seed),
            closed_standard_cn=closed(items, 0.5, 20 + seed),
        )
        for seed in range(3)
    ]
    found = compared(*folders)
    assert len(found) == 6
    for lang, size in (("en", 4), ("zh", 2)):
        family = [one.changes["strict-prompt"] for one in found if one.baseline.kind.lang == lang]
        assert len(family) == size
        assert [change.p_family for change in family] == stats.holm([change.difference.p for change in family])


def test_only_what_both_have_is_paired(run: Callable[..., Path]) -> None:
    """Items that are missing or unscored on one side are counted, not compared."""
    items = asked(50)
    a, b = run("a", closed_standard_en=closed(items, 0.5, 1)), closed(items[5:], 0.5, 2)
    b[0]["response"] = None
    (found,) = compared(a, run("b", closed_standard_en=b))
    assert (found.paired, found.only_baseline, found.only_other, found.unscored) == (44, 5, 0, 1)


@pytest.mark.parametrize("hashes", [(b"one", b"two"), (None, None), (b"one", None)])
def test_other_data_are_refused_item_by_item(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str], hashes: tuple[bytes | None, bytes | None]
) -> None:
    """A run over items that differ in whatever the data set says about them is refused, and the items are named."""
    items = asked(20)
    other = asked(20)
    other[3]["prompt"] = "something else"
    for row in other[10:]:
        row["snr_db"] = 0.0
    a = run("a", data=hashes[0], closed_standard_en=closed(items, 0.5, 1))
    b = run("b", data=hashes[1], closed_standard_en=closed(other, 0.5, 1))
    assert main(["compare", str(a), str(b)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"{b / STANDARD}: made from other data than {a}: 11 items differ" in shown.err
    assert "key 3, audio en/3.wav: prompt; key 10, audio en/10.wav: snr_db; " in shown.err
    assert shown.err.rstrip().endswith("…)")


def test_other_items_are_other_data(run: Callable[..., Path]) -> None:
    """With unequal hashes, items that only one run has make it other data; without hashes it may be unfinished."""
    a, b = closed(asked(20), 0.5, 1), closed(asked(25)[3:], 0.5, 1)
    message = r"5 are only here \(key 20.*3 are only in .*key 0, audio en/0.wav"
    with pytest.raises(Exception, match=message):
        compared(run("a", data=b"1", closed_standard_en=a), run("b", data=b"2", closed_standard_en=b))
    (found,) = compared(run("c", data=None, closed_standard_en=a), run("d", data=None, closed_standard_en=b))
    assert (found.paired, found.only_baseline, found.only_other) == (17, 3, 5)
    (found,) = compared(run("e", data=b"1", closed_standard_en=a), run("f", data=b"2", closed_standard_en=a[::-1]))
    assert found.paired == 20  # the same items in another order


def test_other_judges_are_not_compared(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What different judges graded is left out, and so is what nobody graded."""
    other = {**JUDGE, "model": "n"}
    a = run("a", open_ended_en=judged(30, 0.6, 1, JUDGE))
    b = run("b", open_ended_en=judged(30, 0.9, 2, other))
    (found,) = compared(a, b)
    assert found.changes == {}
    assert main(["compare", str(a), str(b)]) == 0
    text = capsys.readouterr().out
    assert "judged by m, prompt judge_open@1 and by n, prompt judge_open@1" in text
    unjudged = [{k: v for k, v in row.items() if k != "pred_score"} for row in judged(30, 0.6, 1, JUDGE)]
    (found,) = compared(a, run("c", open_ended_en=unjudged))
    assert found.refusal == "not judged in both runs"


def test_the_command(run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every form names the runs, the baseline, the change and what could have been found."""
    items = asked(80)
    shares = {"weak": 0.4, "middle": 0.6, "strong": 0.9}
    folders = {
        name: run(name, closed_standard_en=closed(items, share, place))
        for place, (name, share) in enumerate(shares.items())
    }
    paths = [str(folder) for folder in folders.values()]
    assert main(["compare", *paths, "--baseline", paths[2], "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["baseline"], [one["run"] for one in shown["comparisons"]]) == ("strong", ["weak", "middle"])
    metric = shown["comparisons"][0]["metrics"]["mean-prompt"]
    assert metric["difference"] == pytest.approx(metric["second"] - metric["first"])
    assert metric["p_holm"] < 0.05
    assert main(["compare", *paths]) == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if "P. Acc." in line]
    assert [line.split()[3] for line in lines] == ["middle", "strong"]
    assert "model of weak" in text
    assert f"{100 * metric['first']:.2f}" in lines[1]
    target = tmp_path / "out.md"
    assert main(["compare", *paths[:2], "--format", "markdown", "--output_file", str(target)]) == 0
    assert "**middle beside weak · profile reference**" in target.read_text(encoding="utf-8")
    assert main(["compare", *paths, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["title"], row["run"]) for row in rows} == {
        ("middle, strong beside weak · profile reference", name) for name in ("middle", "strong")
    }
    assert f"{100 * metric['first']:.2f}" in {row["value"] for row in rows}
    assert main(["compare", *paths, "--format", "latex"]) == 0
    text = capsys.readouterr().out
    assert text.count(r"\begin{tabular}") == 1
    assert "closed standard en & strong & P. Acc. & 80 &" in text


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (["a"], "cannot be compared with itself"),
        (["a", "a"], "cannot be compared with itself"),
        (["a", "./a"], "cannot be compared with itself"),
        (["a", "missing"], "no such folder"),
        (["a", "empty"], "no file of answers in common"),
    ],
)
def test_bad_choices_are_named(
    run: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folders: list[str],
    says: str,
) -> None:
    """One line, exit code 2."""
    run("a", closed_standard_en=closed(asked(3), 0.5, 1))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *folders]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
