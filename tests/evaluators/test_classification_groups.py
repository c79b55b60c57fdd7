"""Rows by instance and by group, wordings, and the forms in which they are shown."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.__main__ import main as data_command
from data.dataset import dataset_files
from data.dynamic_superb.instances import DIMENSIONS, INSTANCES
from data.dynamic_superb.options import read
from data.suites import SUITES
from evaluators import stats
from evaluators.bundle import bundle, verify
from evaluators.classification import groups, wordings
from evaluators.cli import main
from evaluators.count import FileResult, count_file
from evaluators.report import classification
from evaluators.robustness import robustness

Answer = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
YES_NO = ("yes", "no")
LANGUAGES = ("German", "English", "French")
DRESS = ("{}", "It is {}.", "{}, I am sure", "who knows")
SET = {
    "SpeechDetection_LJSpeech": (YES_NO, 30),
    "SpeechTextMatching_LJSpeech": (YES_NO, 50),
    "LanguageIdentification_VoxForge": (LANGUAGES, 40),
    "SpeakerVerification_VCTK": (YES_NO, 25),
    "NoiseDetection_Built-Gaussian": (("noisy", "clean"), 30),
}


@pytest.fixture
def run_folder(answer: Answer, write_answers: Write, tmp_path: Path) -> Path:
    """A run over four of the paper's instances and an own one; one of them is reworded in two ways."""
    draw = random.Random(7)
    folder = tmp_path / "run"
    for name, (options, count) in SET.items():
        said, labels = [], []
        for _ in range(count):
            labels.append(draw.choice(options))
            said.append(labels[-1] if draw.random() < 0.6 else draw.choice(options))

        def lines(names: dict[str, str], labels: list[str] = labels, said: list[str] = said) -> list[dict[str, Any]]:
            return [
                answer(
                    f"k{place}",
                    [*names.values()],
                    names[label],
                    DRESS[place % 4].format(names[choice]),
                    pred_score=["YES" if label == choice else "NO"],
                    judge={"model": "grader", "prompt_id": "judge_classify@1"},
                )
                for place, (label, choice) in enumerate(zip(labels, said, strict=True))
            ]

        write_answers(folder, name, lines({option: option for option in options}))
        if options == LANGUAGES:
            write_answers(folder, f"{name}.order", lines({option: option for option in reversed(options)}))
            synonyms = dict(zip(options, ("Deutsch", "British", "Gallic"), strict=True))
            reworded = lines(synonyms)
            reworded[0]["response"] = "British" if "Deutsch" in reworded[0]["response"] else "Deutsch"
            write_answers(folder, f"{name}.synonyms", reworded)
    return folder


def counted(folder: Path) -> list[FileResult]:
    """Return the files of a run."""
    return [
        count_file(path, SUITES["classification"], "reference", keep_outcomes=True)
        for path in sorted(folder.glob("*.jsonl"))
    ]


def shown_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what the command says as JSON."""
    assert main(["--evaluator", "classify", "--results", str(folder), "--format", "json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_means_are_those_of_the_rows(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every macro mean is the mean of its instances' values, every micro one that of their items."""
    shown = shown_json(run_folder, capsys)
    (found,) = shown["classification"]
    files = {one["file"]: one["metrics"] for one in shown["files"]}
    of_instance = {one["instance"]: files[one["file"]] for one in found["instances"]}
    assert set(of_instance) == set(SET)  # a reworded instance is in none
    members = {one["group"]: one["instances"] for one in found["groups"]}
    expected = defaultdict(list)
    for name in SET:
        known = INSTANCES.get(name)
        expected["all"].append(name)
        expected["degradation" if known is None else known.dimension].append(name)
        if known is not None:
            split = "seen" if known.seen else "unseen"
            expected[split].append(name)
            expected[f"{split} {known.dimension}"].append(name)
    assert {group: sorted(names) for group, names in members.items()} == {g: sorted(n) for g, n in expected.items()}
    for group in found["groups"]:
        for tier in ("strict", "stripped", "option", "judge"):
            cells = [of_instance[name][tier] for name in group["instances"]]
            macro, micro = group["macro"][tier], group["micro"][tier]
            assert macro["value"] == pytest.approx(np.mean([cell["value"] for cell in cells]))
            items = sum(cell["n"] for cell in cells)
            assert micro["n"] == macro["n"] == items
            assert micro["value"] == pytest.approx(sum(cell["value"] * cell["n"] for cell in cells) / items)
            assert macro["ci95"][0] < macro["value"] < macro["ci95"][1]
        assert group["macro"]["likelihood"]["value"] is None
    partial = {group["group"]: (group["partial"], group["of_published"]) for group in found["groups"]}
    assert partial["seen content"] == (True, 9)
    assert partial["unseen"] == (True, 31)
    assert partial["all"] == (False, None)


def test_rows_of_an_instance(run_folder: Path) -> None:
    """Chance, majority, N/A and the two kinds of failure, each counted anew from the lines."""
    rows = {row.instance.name: row for row in groups.rows(counted(run_folder))}
    assert [rows[name].chance for name in SET] == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 2, 1 / 2])
    for name, row in rows.items():
        lines = [json.loads(line) for line in (run_folder / f"classify_{name}_en.jsonl").read_text().splitlines()]
        labels = [line["label"] for line in lines]
        assert row.majority == max(map(labels.count, labels)) / len(labels)
        assert row.not_answered["option"] == (sum(line["response"] == "who knows" for line in lines), len(lines))
        strict = sum(line["response"].lower() == line["label"].lower() for line in lines)
        assert strict + row.wrong_format + row.wrong_answer == row.told == len(lines)
        assert row.cells["strict"].value == strict / len(lines)
        assert row.wrong_format > 0


def test_labels_that_are_no_option_are_told(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """An instance whose options cannot be read, or do not hold a label, is named in the notes."""
    lines = [answer(f"k{place}", YES_NO, "yes", "yes") for place in range(20)]
    lines[3]["label"] = "maybe"
    lines[4]["instruction"] = "Say something."
    write_answers(tmp_path, "SpeechDetection_LJSpeech", lines)
    _, notes = classification.tables_and_notes(counted(tmp_path), [])
    expected = "SpeechDetection_LJSpeech: of 20 rows 1 name no options that can be read and 1 do not offer their label"
    assert any(note.startswith(expected) for note in notes)
    (row,) = groups.rows(counted(tmp_path))
    assert row.cells["option"].n == 18
    assert row.cells["strict"].n == 20


@pytest.mark.parametrize(("names", "right"), [(2, 0.9), (3, 0.5), (6, 0.3), (2, 0.5)])
def test_kappa_is_that_of_statsmodels(names: int, right: float) -> None:
    """Cohen's kappa among many names, with one that only the second rater gives."""
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    draw = random.Random(names)
    first = [draw.randrange(names) for _ in range(200)]
    second = [one if draw.random() < right else draw.randrange(names + 1) for one in first]
    counts = np.zeros((names + 1, names + 1))
    np.add.at(counts, (first, second), 1)
    found = stats.kappa_of_names(stats.kappa_table(first, second, range(200)))
    assert found.value == pytest.approx(inter_rater.cohens_kappa(counts, return_results=False))
    assert found.n == 200
    assert found.ci95 is not None
    assert found.ci95[0] < found.value < found.ci95[1]


def test_kappa_of_a_constant_answer_is_zero() -> None:
    """Agreement by chance is no agreement; where nothing can differ there is no number."""
    labels = ["a", "b"] * 15
    assert stats.kappa_of_names(stats.kappa_table(labels, ["a"] * 30, range(30))).value == pytest.approx(0)
    assert stats.kappa_of_names(stats.kappa_table(["a"] * 30, ["a"] * 30, range(30))).value is None
    assert stats.kappa_of_names(stats.kappa_table([], [], [])).value is None


def test_mean_of_instances() -> None:
    """Its interval has the width that theory gives; one instance is a proportion; few items are added up."""
    draw = np.random.default_rng(3)
    strata = [(draw.binomial(1, share, 400).astype(float), np.ones(400)) for share in (0.2, 0.5, 0.7)]
    found = stats.mean_proportion(strata)
    shares = [float(met.mean()) for met, _ in strata]
    assert found.value == pytest.approx(np.mean(shares))
    assert found.method == stats.STRATIFIED
    half = stats.Z * np.sqrt(sum(share * (1 - share) / 400 for share in shares)) / 3
    assert found.ci95 == pytest.approx((found.value - half, found.value + half), abs=0.003)
    assert stats.mean_proportion(strata[:1]) == stats.proportion(*strata[0])
    added = stats.mean_proportion([*strata, (np.ones(400), np.ones(400))])  # resamples of it would not differ
    assert added.method == stats.ADDED
    assert added.ci95 is not None
    assert added.ci95[0] < added.value < added.ci95[1] < 1
    assert stats.mean_proportion([(np.zeros(0), np.zeros(0))]) == stats.NOTHING


def test_instances_are_drawn_on_their_own() -> None:
    """Two data sets with the same answers are two data sets: the mean of both is surer than either."""
    met = np.tile([0.0, 1.0], 100)
    one, two = stats.mean_proportion([(met, np.ones(200))]), stats.mean_proportion([(met, np.ones(200))] * 2)
    assert one.ci95 is not None
    assert two.ci95 is not None
    width = [ends[1] - ends[0] for ends in (one.ci95, two.ci95)]
    assert width[1] / width[0] == pytest.approx(0.5**0.5, abs=0.05)


def test_published_means_fit_each_other() -> None:
    """The counts are those of our list of instances, and the splits' means those of their dimensions."""
    means = classification.published()["means"]
    for seen, split in ((True, "seen"), (False, "unseen")):
        parts = {name: row for name, row in means.items() if name.startswith(f"{split} ")}
        for name, row in parts.items():
            own = [one for one in INSTANCES.values() if one.seen is seen and one.dimension == name.split()[1]]
            assert row["instances"] == len(own)
        count = sum(row["instances"] for row in parts.values())
        assert means[split]["instances"] == count
        for place, whole in enumerate(means[split]["values"]):
            mean = sum(row["instances"] * row["values"][place] for row in parts.values()) / count
            assert whole == pytest.approx(mean, abs=0.16)  # published to one decimal, each
    assert {name.split()[-1] for name in means} == {*DIMENSIONS, "seen", "unseen"}


def test_wordings_are_joined_by_key(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another order moves nothing here, synonyms one answer; the spread is the highest share minus the lowest."""
    shown = shown_json(run_folder, capsys)
    (one,) = shown["classification"][0]["wordings"]
    assert one["instance"] == "LanguageIdentification_VoxForge"
    found = {wording["wording"]: wording for wording in one["wordings"]}
    assert list(found) == ["original", "order", "synonyms"]
    assert found["order"]["moved"]["value"] == 0
    assert found["order"]["moved"]["n"] == 40
    assert found["synonyms"]["moved"]["value"] == 1 / 40
    files = {entry["file"]: entry["metrics"]["option"]["value"] for entry in shown["files"]}
    shares = [files[wording["file"]] for wording in one["wordings"]]
    assert one["spread"] == pytest.approx(max(shares) - min(shares))
    changes = {one["variant"]: one["metrics"] for one in shown["robustness"]}
    base = "LanguageIdentification_VoxForge"
    assert set(changes) == {f"{base}.order", f"{base}.synonyms"}
    assert changes[f"{base}.order"]["option"]["difference"] == 0
    assert changes[f"{base}.synonyms"]["option"]["n"] == 40


def test_instances_that_were_really_reworded(answer: Answer, tmp_path: Path, write_answers: Write) -> None:
    """What `python -m data reword` writes joins its original: who goes by place moves with the order alone."""
    moods = ("anger", "joy", "sadness")
    draw = random.Random(5)
    table = {}
    for place in range(30):
        row = answer(f"k{place}", moods, draw.choice(moods), None)
        table[f"k{place}.wav"] = {name: row[name] for name in ("file", "instruction", "label")}
    folder = tmp_path / "data" / "EmotionRecognition_Own"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(table))
    assert data_command(["reword", str(tmp_path / "data")]) == 0
    for file in dataset_files(tmp_path / "data"):
        lines = [line.fields for line in file.lines()]
        write_answers(
            tmp_path / "run",
            file.name.removeprefix("classify_").removesuffix("_en.jsonl"),
            [{**line, "response": f"It is {read(line['instruction'])[0]}."} for line in lines],
        )
    results = counted(tmp_path / "run")
    (one,) = wordings.instances(results, robustness(results))
    moved = {wording.name: wording.moved.value for wording in one.wordings}
    assert moved["synonyms"] == moved["paraphrase"] == 0
    assert moved["order"] is not None
    assert moved["order"] > 0.3
    assert one.tier == "option"
    for wording in one.wordings[1:]:
        assert wording.change is not None
        assert wording.change.coverage == 1


@pytest.mark.parametrize("by", ["label", "file"])
def test_parts_of_an_instance(run_folder: Path, capsys: pytest.CaptureFixture[str], by: str) -> None:
    """`--by FIELD` has a column a tier that was filled."""
    assert main(["--results", str(run_folder), "--by", by, "--format", "csv"]) == 0
    rows = [row for row in csv.reader(io.StringIO(capsys.readouterr().out)) if row]
    heads = next(row for row in rows if row[1:5] == ["subset", "variant", "lang", by])
    assert heads[5:] == ["items", "scored", "strict", "stripped", "option", "judge"]


def test_forms(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every form shows the same rows; groups that lack instances say so beside the published mean."""
    flags = ["--results", str(run_folder), "--format"]
    outputs = {}
    for form in ("table", "markdown", "latex", "csv"):
        assert main([*flags, form]) == 0
        outputs[form] = capsys.readouterr().out
    assert "| seen content | partial: 2 of 9 |" in outputs["markdown"]
    assert r"SpeakerVerification\_VCTK" in outputs["latex"]
    rows = [row for row in csv.reader(io.StringIO(outputs["csv"])) if row]
    heads = next(row for row in rows if "Whisper (published)" in row)
    (line,) = (row for row in rows[rows.index(heads) :] if row[1] == "seen content")
    assert line[heads.index("instances")] == "partial: 2 of 9"
    assert line[heads.index("Whisper (published)")] == "95.3"
    assert "not comparable: no run.json" in outputs["table"]
    for text in outputs.values():
        assert "P. Acc" not in text
        assert "GLM-4-Voice" not in text


def test_tables_fit_a_terminal(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns no number is cut, however long an instance's name is."""
    from evaluators.report import table

    name = max(INSTANCES, key=len)
    source = run_folder / "classify_SpeakerVerification_VCTK_en.jsonl"
    (run_folder / f"classify_{name}_en.jsonl").write_bytes(source.read_bytes())
    tables, notes = classification.tables_and_notes(counted(run_folder), [], folded=True)
    text = table.for_terminal("title", [shown for _, shown in tables], notes, width=80)
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 80
    assert "…" not in plain.split("·")[0]
    for _, shown in tables:
        for row in shown.rows:
            for cell in row[shown.text_columns :]:
                assert all(part in plain for part in cell.split("\n"))


def test_a_bundle_holds(run_folder: Path, tmp_path: Path) -> None:
    """What is packed counts the same anew, and a changed answer is named."""
    bundle(run_folder, tmp_path / "run.zip")
    assert verify(tmp_path / "run.zip") == []


def test_likelihood_runs_have_one_tier(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """Only likelihood is filled, with its kappa, and nothing stands beside the published means."""
    scores = [{"yes": -0.1, "no": -2.0}, {"yes": -3.0, "no": -1.0}]
    for name in ("SpeechDetection_LJSpeech", "SpeakerVerification_VCTK"):
        lines = [
            answer(f"k{place}", YES_NO, YES_NO[place % 3 % 2], "yes", option_scores=scores[place % 2])
            for place in range(30)
        ]
        write_answers(tmp_path, name, lines)
    tables = dict(classification.tables_and_notes(counted(tmp_path), [])[0])
    assert tables["Instances"].headers == ["instance", "group", "items", "scored", "likelihood"]
    assert tables["Chance and format"].headers == ["instance", "kappa", "chance", "majority"]
    assert "Beside the published means" not in tables
    (first, _) = groups.rows(counted(tmp_path))
    assert first.kappa.value == pytest.approx(0.0)


def columns(table: Sequence[Sequence[str]], place: int) -> list[str]:
    """Return one column of a table."""
    return [row[place] for row in table]


def test_a_panel_has_a_row_a_judge(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """Below the panel's vote stand its judges, with their own shares."""
    lines = [
        answer(f"k{place}", YES_NO, "yes", "hm", pred_scores={"a": ["YES"], "b": ["NO"], "c": ["YES"]})
        for place in range(20)
    ]
    write_answers(tmp_path, "SpeechDetection_LJSpeech", lines)
    tables = dict(classification.tables_and_notes(counted(tmp_path), [])[0])
    place = tables["Instances"].headers.index("judge")
    assert columns(tables["Instances"].rows, 0)[1:] == ["  a", "  b", "  c"]
    assert [cell.split("\n")[0] for cell in columns(tables["Instances"].rows, place)] == [
        "100.00",
        "100.00",
        "0.00",
        "100.00",
    ]


def test_rows_of_one_id_are_paired_by_their_recordings(answer: Answer, write_answers: Write, tmp_path: Path) -> None:
    """Two rows of one id, answered differently but alike in both wordings: nothing moves, breaks or is mended."""
    answers = {"a.wav": "yes", "b.wav": "no"}
    for name, folder, options in (("", "", ("yes", "no")), (".order", "../SpeechDetection_Own/", ("no", "yes"))):
        lines = [
            answer(f"k{key}", options, "yes", said) | {"audio_path": f"{folder}{audio}"}
            for key in range(30)
            for audio, said in answers.items()
        ]
        write_answers(tmp_path, f"SpeechDetection_Own{name}", lines)
    results = counted(tmp_path)
    (one,) = wordings.instances(results, robustness(results))
    change = one.wordings[1].change
    assert (one.wordings[1].moved.value, one.wordings[1].moved.n) == (0, 60)
    assert change is not None
    assert change.joined == 60
    difference = change.changes["option"].difference
    assert (difference.value, difference.broke, difference.mended) == (0, 0, 0)
