"""Built tasks of Dynamic-SUPERB: rows and recordings are whole, and their labels are right and not given away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.built_labels import ORACLES, Row, accuracy, rows_of
from data.__main__ import main
from data.dataset import dataset_files
from data.dynamic_superb import contribution, options
from data.dynamic_superb.build.examples import Cast, Example, sentences, translations
from data.dynamic_superb.build.planning import MOST, TABLE, Order, instructions, plan
from data.dynamic_superb.build.tasks import TASKS
from data.errors import UsageError
from data.variants import manifest, tts
from data.variants.voices import VOICES

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("english_voices")
FAST = ("NoiseDetection", "SpeechDetection")
EXAMPLES = 60


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of speech that all builds of this file share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def built(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two built tasks of 60 examples."""
    out = tmp_path_factory.mktemp("built")
    assert main(command(out, cache, "--tasks", *FAST, "--examples", str(EXAMPLES))) == 0
    return out


@pytest.fixture(scope="module")
def everything(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all tasks whose voices are here, of 60 examples."""
    out = tmp_path_factory.mktemp("everything")
    assert main(command(out, cache)[:-2]) == 0
    return out


def command(out: Path, cache: Path, *flags: str) -> list[str]:
    """Return the arguments of a build."""
    given = ["build", "--as", "dynamic-superb", "--out", str(out), "--cache", str(cache)]
    return [*given, *flags, "--workers", "1"]


def planned(task: str, examples: int = EXAMPLES, seed: int = 7) -> list[dict[str, Any]]:
    """Return a task's rows without making recordings; skip where its voices or rooms are missing."""
    try:
        return [dict(item.fields) for item in plan(TASKS[task], Order(examples, seed)).files[TABLE] if item.fields]
    except UsageError as error:
        pytest.skip(str(error))


def examples_of(task: str, count: int = EXAMPLES) -> list[Example]:
    """Return a task's examples; skip where its voices or rooms are missing."""
    row = TASKS[task]
    try:
        return list(islice(row.make(Cast(row.cast(row.voices), Random(1))), count))
    except UsageError as error:
        pytest.skip(str(error))


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_built_task_is_read_as_any_instance(built: Path) -> None:
    """Rows become items with instruction, label and a recording that is there; the manifest holds them all."""
    files = dataset_files(built)
    assert {file.name.split("_")[1] for file in files} == set(FAST)
    for file in files:
        items = list(file.items())
        assert len(items) == EXAMPLES
        for item in items:
            assert item.written
            assert item.fields["label"] in options.read(item.prompt)
            assert (file.path.parent / item.audios[0]).is_file()
    assert main(["build", "--as", "dynamic-superb", "--check", "--out", str(built)]) == 0


def test_a_built_task_passes_the_review(built: Path) -> None:
    """No finding at all, and far less than an hour."""
    report = contribution.validate(built)
    assert list(report.findings) == []
    assert (report.files, report.items) == (len(FAST), EXAMPLES * len(FAST))


def test_a_built_task_names_voices_and_licences(built: Path) -> None:
    """The README says how labels arise and whose voices are heard, and the description pins what is there."""
    (folder,) = built.glob("NoiseDetection_*")
    card = (folder / "README.md").read_text(encoding="utf-8")
    told = json.loads((folder / "instance.json").read_text(encoding="utf-8"))
    for voice in {row["voice"] for row in planned("NoiseDetection")}:
        assert f"`{voice}`" in card
        assert VOICES[voice].licence in card
    assert told["name"] == folder.name == told["path"].rpartition("/")[2]
    assert len(told["version"]) == 40


def test_the_same_seed_gives_the_same_task(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With an empty cache and two processes the manifest is the same, byte for byte; with another seed it is not."""
    (first,) = built.glob("NoiseDetection_*")
    flags = ["--tasks", "NoiseDetection", "--examples", str(EXAMPLES)]
    assert main([*command(tmp_path / "out", tmp_path / "empty", *flags)[:-1], "2"]) == 0
    for name in (manifest.MANIFEST, TABLE, "instance.json"):
        assert (first / name).read_bytes() == (tmp_path / "out" / first.name / name).read_bytes()
    assert planned("NoiseDetection", seed=8) != planned("NoiseDetection")
    capsys.readouterr()


def test_a_second_build_makes_what_is_missing(built: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lost recording is made again, and only that; then nothing is left to do."""
    (folder,) = built.glob("SpeechDetection_*")
    before = json.loads((folder / manifest.MANIFEST).read_text(encoding="utf-8"))
    lost = folder / next(iter(before["audio"]))
    lost.unlink()
    (folder / manifest.MANIFEST).unlink()  # as a build that was stopped leaves it
    (folder / ".build.jsonl").write_text(
        "\n".join(
            json.dumps(line)
            for line in [{"recipe": before["recipe"]}, *({"path": k, **entry} for k, entry in before["audio"].items())]
        )
        + "\n"
    )
    flags = command(built, cache, "--tasks", *FAST, "--examples", str(EXAMPLES))
    for made in (1, 0):
        assert main(flags) == 0
        assert f"{made} made now" in capsys.readouterr().err
    assert json.loads((folder / manifest.MANIFEST).read_text(encoding="utf-8")) == before


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--tasks", "BirdSong"], "no task 'BirdSong'"),
        (["--examples", "31"], "from 32 to 200"),
        (["--examples", "201"], "from 32 to 200"),
        (["--variants", "accent"], "leave out variants"),
        (["--seed", "-1"], "seed -1"),
    ],
)
def test_what_cannot_be_built_is_refused(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, nothing written."""
    assert main(command(tmp_path / "out", tmp_path, *flags)) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_voices_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was named is refused; of all of them those that can be are built, and the others are named."""
    monkeypatch.setattr(tts, "missing", lambda voice: "gone" if voice.engine != "flite" else None)
    with pytest.raises(UsageError, match="several accents: gone"):
        plan(TASKS["AccentClassification"], Order())
    with pytest.raises(UsageError, match="needs 4 English voices, and 3 are installed"):
        plan(TASKS["SpeakerCounting"], Order())
    assert plan(TASKS["SpeakerVerification"], Order()).files


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", FAST)
def test_oracle_and_constant_answer(task: str, built: Path) -> None:
    """A listener that knows only sound finds the label; a constant answer scores what chance does."""
    rows = rows_of(built, task)
    assert accuracy(ORACLES[task](rows, built), rows) >= 0.95
    for label in TASKS[task].labels:
        assert accuracy([label] * len(rows), rows) == 1 / len(TASKS[task].labels)


def test_oracles_notice_wrong_labels(built: Path) -> None:
    """With labels exchanged, the same listeners find next to none right."""
    for task in FAST:
        other = dict(zip(TASKS[task].labels, reversed(TASKS[task].labels), strict=True))
        rows = [
            Row(row.sounds, row.paths, {**row.fields, "label": other[row.fields["label"]]})
            for row in rows_of(built, task)
        ]
        assert accuracy(ORACLES[task](rows, built), rows) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("task", ORACLES)
def test_every_oracle(task: str, everything: Path) -> None:
    """All tasks at their usual size: 60 examples; the recogniser hears them all."""
    if not list(everything.glob(f"{task}_*")):
        pytest.skip("its voices or rooms are missing")
    rows = rows_of(everything, task)
    assert accuracy(ORACLES[task](rows, everything), rows) >= 0.85


@pytest.mark.slow
def test_all_built_tasks_pass_the_review(everything: Path) -> None:
    """No finding in any of at least ten tasks."""
    report = contribution.validate(everything)
    assert list(report.findings) == []
    assert report.files >= 10


@pytest.mark.parametrize("task", TASKS)
def test_labels_and_instructions_are_spread_evenly(task: str) -> None:
    """Each label and each of at least ten instructions as often as any other, also within a label."""
    rows = planned(task)
    labels = Counter(row["label"] for row in rows)
    asked = Counter(row["instruction"] for row in rows)
    assert set(labels) == set(TASKS[task].labels)
    assert len(rows) == EXAMPLES
    assert set(labels.values()) == {EXAMPLES // len(labels)}
    assert len(asked) >= 10
    assert max(asked.values()) - min(asked.values()) <= 1
    both = Counter((row["label"], row["instruction"]) for row in rows)
    assert max(both.values()) <= -(-EXAMPLES // len(labels) // 10)
    assert len({row["file"] for row in rows}) == EXAMPLES


@pytest.mark.parametrize("task", TASKS)
def test_no_shortcut_gives_the_label_away(task: str) -> None:
    """Within a group, each label has the same sentences, and the voice that comes first is the same."""
    kinds = len(TASKS[task].labels)
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in examples_of(task):
        by_label[example.label].append(example)
    if task == "SpeechCommandRecognition":  # the word is the label; the voices are what has to be the same
        first = {tuple(one.sounds[0].said[0].voice.name for one in group) for group in by_label.values()}
        assert len(first) == 1
        return
    if task not in ("LanguageIdentification",):
        said = {
            label: Counter(part.text for one in group for heard in one.sounds for part in heard.said)
            for label, group in by_label.items()
        }
        assert all(counted == said[TASKS[task].labels[0]] for counted in said.values())
    if TASKS[task].name not in ("LanguageIdentification", "AccentClassification"):
        begins = [Counter(one.sounds[0].said[0].voice.name for one in group) for group in by_label.values()]
        assert all(counted == begins[0] for counted in begins)
    texts = [Counter(one.text for one in group) for group in by_label.values()]
    assert all(counted == texts[0] for counted in texts)
    assert len({len(group) for group in by_label.values()}) == 1
    assert len(by_label) == kinds


def test_accents_are_said_by_the_same_speakers() -> None:
    """Whatever the accent or the language, the speakers are the same."""
    for task in ("LanguageIdentification", "AccentClassification"):
        speakers = defaultdict(list)
        for example in examples_of(task):
            voice = example.sounds[0].said[0].voice
            speakers[example.label].append((voice.engine, voice.setting.partition("+")[2]))
        assert len({tuple(each) for each in speakers.values()}) == 1


def test_a_term_is_said_in_its_sentence_only() -> None:
    """No term is a word of another sentence; sentences and terms are all different."""
    table = sentences()
    assert len({line for line, _ in table}) == len({term for _, term in table}) == len(table) == 60
    for _, term in table:
        assert sum(term in line.lower().strip(".").split() for line, _ in table) == 1


def test_written_words_are_complete() -> None:
    """Ten instructions for every task, without the options, which are added; five languages in every line."""
    assert instructions().keys() == TASKS.keys()
    for texts in instructions().values():
        assert len(set(texts)) == 10
        assert not any(options.read(text) for text in texts)
    assert {len(line) for line in translations()} == {5}
    for task in TASKS.values():
        assert options.read(options.sentence(task.labels)) == task.labels


@pytest.mark.parametrize("task", TASKS)
def test_the_largest_order_is_refused_or_has_no_row_twice(task: str) -> None:
    """Where the voices do not give 200 different examples, that is said; otherwise all are different."""
    try:
        rows = [item.fields for item in plan(TASKS[task], Order(MOST)).files[TABLE] if item.fields]
    except UsageError as error:
        assert "different examples" in str(error) or "need" in str(error)
        return
    assert len(rows) == MOST


@pytest.mark.slow
def test_a_build_that_is_stopped_goes_on(cache: Path, tmp_path: Path) -> None:
    """Ctrl-C leaves no table; the same command finishes the task and keeps what was made."""
    arguments = [sys.executable, "-m", "data", *command(tmp_path / "out", tmp_path / "cache", "--tasks", FAST[0])]
    running = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    (tmp_path / "out").mkdir(exist_ok=True)
    while len(list((tmp_path / "out").glob("*/*.wav"))) < 2 and running.poll() is None:
        pass  # until one is finished for certain: the other may be at its last line
    running.send_signal(2)
    assert running.wait() == 130
    assert not list((tmp_path / "out").glob(f"*/{TABLE}"))
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "are there already" in done.stderr
    assert list((tmp_path / "out").glob(f"*/{TABLE}"))
