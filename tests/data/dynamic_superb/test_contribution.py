"""The check of a contribution: every review rule is found where it is broken, with its place, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.__main__ import main
from data.dynamic_superb import contribution, options
from data.dynamic_superb.licences import FORBIDS, PERMITS
from data.validate.findings import CHECKS, as_json, as_text

RATE = 16_000
NAME = "LaughterDetection_MySpeech"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OPTIONS = options.sentence(("yes", "no"))
INSTRUCTIONS = [f"Way {number} to ask whether somebody laughs. {OPTIONS}" for number in range(10)]
Rows = dict[str, dict[str, Any]]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task's folder with its README and one instance of 40 examples, without a fault."""
    folder = tmp_path / "LaughterDetection"
    (folder / NAME).mkdir(parents=True)
    (folder / "README.md").write_text("# LaughterDetection\n\nLicence: CC-BY-4.0.\n")
    rows = {}
    for number in range(40):
        sound(folder / NAME / f"{number:02}.wav", number)
        rows[f"{number:02}.wav"] = {
            "file": f"laugh_{number:02}",
            "instruction": INSTRUCTIONS[number % 10],
            "label": ("yes", "no")[number // 10 % 2],
        }
    write(folder / NAME, rows)
    describe(folder / NAME)
    return folder


def sound(path: Path, seed: int, seconds: float = 0.5, gain: float = 0.05) -> None:
    """Write noise as a WAV file."""
    sf.write(path, gain * np.random.default_rng(seed).standard_normal(round(seconds * RATE)), RATE, subtype="PCM_16")


def write(instance: Path, rows: Rows) -> None:
    """Write a table with a row a line, the first in line 2."""
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    (instance / "metadata.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def rows_of(instance: Path) -> Rows:
    """Return a table's rows."""
    rows: Rows = json.loads((instance / "metadata.json").read_text())
    return rows


def describe(instance: Path, **fields: Any) -> None:
    """Write instance.json, `name` in line 2; a field that is `...` is left out."""
    told = {
        "name": NAME,
        "description": "Tell whether somebody laughs.",
        "keywords": ["speech", "laughter"],
        "metrics": ["accuracy"],
        "path": f"DynamicSuperb/{NAME}",
        "version": COMMIT,
        **fields,
    }
    shown = {name: value for name, value in told.items() if value is not ...}
    (instance / "instance.json").write_text(json.dumps(shown, indent=1))


def found(path: Path) -> list[tuple[str, str]]:
    """Return (check, file:line) of every finding, without folders."""
    return [
        (finding.check, f"{finding.path.name}:{finding.line}" if finding.line else finding.path.name)
        for finding in contribution.validate(path).findings
    ]


# --- what is well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["instance", "task", "tasks"])
def test_a_sound_contribution_has_no_finding(task: Path, place: str) -> None:
    """From the folder of an instance, of a task, and of several tasks."""
    path = {"instance": task / NAME, "task": task, "tasks": task.parent}[place]
    report = contribution.validate(path)
    assert list(report.findings) == []
    assert (report.files, report.items, report.seconds) == (1, 40, pytest.approx(20.0))


def test_a_csv_table_is_checked_as_well(task: Path) -> None:
    """metadata.csv with the column file_name; a fault is found at its line."""
    table = task / NAME / "metadata.json"
    lines = ["file_name,file,instruction,label"]
    lines += [
        f'{name},{row["file"]},"{row["instruction"]}",{row["label"]}' for name, row in rows_of(task / NAME).items()
    ]
    lines[3] = lines[3].replace("laugh_02", "laugh_01")
    table.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    table.unlink()
    assert found(task) == [("id-twice", "metadata.csv:4")]


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"file": 7}, "row-field"),
        ({"file": ...}, "row-field"),
        ({"file": " "}, "row-field"),
        ({"instruction": ["Is it?"]}, "row-field"),
        ({"label": True}, "row-field"),
        ({"text": ["a"]}, "row-field"),
        ({"audio2": 7}, "row-field"),
        ({"file": "laugh_00"}, "id-twice"),
        ({"audio": "a", "audio1": "b"}, "field-twice"),
        ({"text": "a", "text1": "b"}, "field-twice"),
        ({"label1": "no"}, "field-twice"),
        ({"split": "train"}, "split-other"),
        ({"label": "perhaps"}, "label-not-offered"),
        ({"instruction": "Does somebody laugh?"}, "label-not-offered"),
    ],
)
def test_a_row_against_the_rules(task: Path, change: dict[str, Any], check: str) -> None:
    """One fault in the fifth row is found in its line, as an error."""
    rows = rows_of(task / NAME)
    rows["04.wav"] = {name: value for name, value in {**rows["04.wav"], **change}.items() if value is not ...}
    write(task / NAME, rows)
    assert (check, "metadata.json:6") in found(task)
    assert {name for name, place in found(task) if place == "metadata.json:6"} == {check}
    assert CHECKS[check].severity == "error"


@pytest.mark.parametrize(
    ("count", "asked", "expected"),
    [
        (31, 10, ["examples-few"]),
        (32, 10, []),
        (40, 9, ["instructions-few"]),
        (200, 10, []),
        (201, 10, ["instructions-few"]),
        (201, 11, []),
    ],
)
def test_numbers(task: Path, count: int, asked: int, expected: list[str]) -> None:
    """At least 32 examples, and max(N / 20, 10) instructions: the quotient is not rounded down."""
    instance = task / NAME
    rows = {}
    for number in range(count):
        sound(instance / f"{number:02}.wav", number, 0.3)
        rows[f"{number:02}.wav"] = {
            "file": str(number),
            "instruction": f"Way {number % asked}. {OPTIONS}",
            "label": ("yes", "no")[number // asked % 2],
        }
    for path in instance.glob("*.wav"):
        if path.name not in rows:
            path.unlink()
    write(instance, rows)
    assert [check for check, _ in found(task)] == expected


def test_blanks_make_no_other_instruction(task: Path) -> None:
    """Instructions that differ in blanks alone are one."""
    rows = rows_of(task / NAME)
    for row in rows.values():
        row["instruction"] = row["instruction"].replace("Way 9", "Way 8 ").replace("Way 8", "Way  8").rstrip()
    write(task / NAME, rows)
    assert ("instructions-few", "metadata.json") in found(task)


def test_a_table_in_one_line(task: Path) -> None:
    """As json.dump writes it: rows are told apart all the same."""
    rows = rows_of(task / NAME)
    table = task / NAME / "metadata.json"
    table.write_text(json.dumps(rows))
    assert found(task) == []
    rows["07.wav"]["file"] = rows["06.wav"]["file"]
    table.write_text(json.dumps(rows))
    shutil.copy(task / NAME / "05.wav", task / NAME / "04.wav")
    assert found(task) == [("id-twice", "metadata.json:1"), ("sound-twice", "metadata.json:1")]


def test_uneven_instructions_and_labels(task: Path) -> None:
    """More than twice as many rows with one instruction, or label, as with another; what a constant answer scores."""
    rows = rows_of(task / NAME)
    for number, row in enumerate(rows.values()):
        row["instruction"] = INSTRUCTIONS[0 if number < 10 else number % 10]
        row["label"] = "yes" if number < 28 else "no"
    write(task / NAME, rows)
    report = contribution.validate(task)
    assert {finding.check for finding in report.findings} == {"instructions-uneven", "labels-uneven"}
    told = " ".join(finding.message for finding in report.findings)
    assert "a constant answer scores 70.0 %, chance is 50.0 %" in told


def test_a_label_that_never_comes_is_uneven(task: Path) -> None:
    """An option that no row has as its label."""
    rows = rows_of(task / NAME)
    for row in rows.values():
        row["label"] = "yes"
    write(task / NAME, rows)
    assert [check for check, _ in found(task)] == ["labels-uneven"]


def test_a_broken_table_is_one_finding(task: Path) -> None:
    """The line of the fault; the rows before it are checked, and no traceback comes."""
    table = task / NAME / "metadata.json"
    lines = table.read_text().splitlines()
    lines[20] = lines[20].replace('"label":', '"label"')
    table.write_text("\n".join(lines))
    assert ("table-broken", "metadata.json:21") in found(task)


# --- recordings -------------------------------------------------------------------------------------------------------


def test_recordings(task: Path) -> None:
    """Missing, silent, clipped, unreadable, heard twice, and not named by any row."""
    instance = task / NAME
    (instance / "00.wav").unlink()
    sound(instance / "01.wav", 1, gain=0.0)
    sf.write(instance / "02.wav", np.clip(3 * np.sin(np.arange(RATE // 2) / 10), -1, 1), RATE)
    (instance / "03.wav").write_bytes(b"no sound")
    shutil.copy(instance / "05.wav", instance / "04.wav")
    sound(instance / "spare.wav", 99)
    assert set(found(task)) == {
        ("audio-missing", "metadata.json:2"),
        ("audio-silent", "metadata.json:3"),
        ("audio-clipped", "metadata.json:4"),
        ("audio-unreadable", "metadata.json:5"),
        ("sound-twice", "metadata.json:7"),
        ("file-unused", "spare.wav"),
    }


def test_further_recordings_are_checked(task: Path) -> None:
    """The second of two, by its name, and it is no file without a row."""
    instance = task / NAME
    sound(instance / "00_pair2.wav", 50)
    sound(instance / "01_pair2.wav", 51, gain=0.0)
    assert found(task) == [("audio-silent", "metadata.json:3")]


def test_the_same_sound_with_another_text_is_meant(task: Path) -> None:
    """As in a task that gives two texts with one recording."""
    instance = task / NAME
    shutil.copy(instance / "05.wav", instance / "04.wav")
    rows = rows_of(instance)
    rows["04.wav"]["text"], rows["05.wav"]["text"] = "river", "stone"
    write(instance, rows)
    assert found(task) == []


def test_more_than_an_hour(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All recordings of an instance together, here against a limit that 20 seconds pass."""
    monkeypatch.setattr(contribution, "MOST_SECONDS", 19.9)
    assert found(task) == [("audio-hours", "metadata.json")]
    monkeypatch.setattr(contribution, "MOST_SECONDS", 20.0)
    assert found(task) == []


# --- description ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "check", "line"),
    [
        ({"name": "LaughterDetection_Other"}, "instance-name", 2),
        ({"path": "DynamicSuperb/Other"}, "instance-name", 11),
        ({"path": NAME}, "description-field", 11),
        ({"version": "main"}, "version-unpinned", 12),
        ({"version": COMMIT[:7]}, "version-unpinned", 12),
        ({"version": ...}, "description-field", None),
        ({"description": ""}, "description-field", 3),
        ({"keywords": []}, "description-field", 4),
        ({"metrics": "accuracy"}, "description-field", 8),
        ({"metrics": ["wer"]}, "metrics-other", 8),
        ({"split": "train"}, "split-other", 13),
    ],
)
def test_instance_json(task: Path, change: dict[str, Any], check: str, line: int | None) -> None:
    """Each fault at its line of the file."""
    describe(task / NAME, **change)
    place = f"instance.json:{line}" if line else "instance.json"
    assert (check, place) in found(task)


@pytest.mark.parametrize(
    ("content", "place"), [("{", "instance.json:1"), ("[]", "instance.json:1"), (None, "instance.json")]
)
def test_a_broken_description(task: Path, content: str | None, place: str) -> None:
    """No JSON, no object, no file."""
    path = task / NAME / "instance.json"
    path.unlink() if content is None else path.write_text(content)
    assert found(task) == [("description-broken", place)]


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        ("# Task\n\n## License\n\nApache License, Version 2.0\n", []),
        ("# Task\n\nThe recordings are in the public domain (licence: PDDL).\n", []),
        ("# Task\n\nWhoever knows, knows.\n", [("licence-missing", "README.md")]),
        ("# Task\n\nLicence: ask the author.\n", [("licence-unclear", "README.md:3")]),
        ("# Task\n\nLicence: CC-BY-4.0, but no redistribution.\n", [("licence-forbids", "README.md:3")]),
        (None, [("licence-missing", "README.md")]),
    ],
)
def test_licences(task: Path, readme: str | None, expected: list[tuple[str, str]]) -> None:
    """What the README of the task says, or does not say."""
    path = task / "README.md"
    path.unlink() if readme is None else path.write_text(readme)
    assert found(task) == expected


def test_a_licence_in_the_description(task: Path) -> None:
    """instance.json may name it."""
    (task / "README.md").unlink()
    describe(task / NAME, license="CC-BY-SA-4.0")
    assert found(task) == []


@pytest.mark.parametrize("name", ["CC0-1.0", "CC BY 4.0", "cc-by-nc-sa-3.0", "MIT", "BSD-3-Clause", "GPL-3.0-or-later"])
def test_known_licences(name: str) -> None:
    """Their usual names are known, and none of them is taken for a prohibition."""
    assert PERMITS.search(f"License: {name}.")
    assert not FORBIDS.search(f"License: {name}.")


@pytest.mark.parametrize("words", ["summit", "with limits, mit", "submitted", "for research only"])
def test_other_words_are_no_licences(words: str) -> None:
    """Parts of words, or the German "mit"."""
    assert not PERMITS.search(words)


def test_another_split_beside_the_test_split(task: Path) -> None:
    """A folder of the training split."""
    (task / NAME / "train").mkdir()
    assert found(task) == [("split-other", "train")]


def test_a_contribution_on_the_hub_alone(task: Path) -> None:
    """What can be checked is; that the rest was not is said."""
    shutil.rmtree(task / NAME)
    (task / NAME).mkdir()
    describe(task / NAME, version="main")
    assert found(task) == [("version-unpinned", "instance.json:12"), ("not-checked", "instance.json")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("file", "instruction", "label", "label1", "text", "text2", "audio2", "split")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.dictionaries(st.text(max_size=6), st.dictionaries(st.sampled_from(FIELDS), VALUES), max_size=4),
    told=st.dictionaries(st.sampled_from(("name", "keywords", "metrics", "path", "version", "split")), VALUES) | VALUES,
)
def test_whatever_is_written_is_a_finding(rows: Rows, told: Any, tmp_path: Path) -> None:
    """Any JSON in rows and description: findings, never a traceback, and all of them can be shown."""
    write(tmp_path, rows)
    (tmp_path / "instance.json").write_text(json.dumps(told))
    report = contribution.validate(tmp_path, processes=1)
    assert report.count("error")
    assert list(as_text(report))
    assert json.loads(as_json(report))["errors"] == report.count("error")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [["--as", "dynamic-superb"], []])
def test_the_command(task: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 where there is an error, 0 where there is none; as text and as JSON; --as may be left out."""
    assert main(["validate", *flags, str(task)]) == 0
    assert capsys.readouterr().out.startswith("0 errors, 0 warnings, 0 notes in 40 items of 1 file")
    describe(task / NAME, version="main")
    assert main(["validate", *flags, str(task), "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert (finding["check"], finding["severity"], finding["line"]) == ("version-unpinned", "error", 12)
    assert finding["file"].endswith("instance.json")
    assert finding["fix"]


def test_rows_that_are_no_contribution(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --as, rows without a description are checked as rows; with it the description is missed."""
    (task / NAME / "instance.json").unlink()
    assert main(["validate", str(task)]) == 0
    assert main(["validate", "--as", "dynamic-superb", str(task)]) == 1
    assert "description-broken" in capsys.readouterr().out


def test_an_instance_in_other_words(task: Path) -> None:
    """Its recordings are those of the instance beside it; as a contribution it does not count."""
    reworded = task / f"{NAME}.order"
    reworded.mkdir()
    asked = {"instruction": f"One way for all. {OPTIONS}"}  # which a contribution must not do
    write(reworded, {f"../{NAME}/{name}": {**row, **asked} for name, row in rows_of(task / NAME).items()})
    assert main(["validate", str(reworded)]) == 0
    assert contribution.validate(task, contributed=False).files == 2
    assert contribution.validate(task).files == 1


@pytest.mark.parametrize("there", [True, False])
def test_no_task_at_all(there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder, or none: one line, exit code 2."""
    if there:
        (tmp_path / "folder").mkdir()
    assert main(["validate", "--as", "dynamic-superb", str(tmp_path / "folder")]) == 2
    assert "holds no instance" in capsys.readouterr().err
