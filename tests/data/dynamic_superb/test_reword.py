"""Instances are reworded beside themselves: the same recordings and ids, other words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from data.__main__ import main as data_main
from data.dataset import AudioFinder, dataset_files
from data.dynamic_superb import labels, options
from data.dynamic_superb.instances import INSTANCES, KINDS
from data.dynamic_superb.reword import GENERAL, WITH_TEXT, WORDS
from data.records import Item

NOISE, PAIRS, ODD = "NoiseDetection_Mine", "SpeakerVerification_Mine", "ChordClassification_Mine"
EMOTIONS = "anger, disgust, fear, sadness, happiness, surprise, or no emotion"


def write(root: Path, name: str, entries: dict[str, dict[str, Any]]) -> None:
    """Write an instance and its recordings."""
    (root / name).mkdir(parents=True)
    (root / name / "metadata.json").write_text(json.dumps(entries, indent=1))
    for audio in entries:
        (root / name / audio).write_bytes(b"RIFF")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three instances: one with synonyms, one of two recordings a row without ids, one whose labels have none."""
    folder = tmp_path / "own"
    write(
        folder,
        NOISE,
        {
            f"{number}.wav": {
                "file": f"n{number}",
                "instruction": f"Is there noise ({number})? The answer could be noisy or clean.",
                "label": "noisy" if number % 2 else "Clean",
            }
            for number in range(8)
        },
    )
    write(
        folder,
        PAIRS,
        {
            "a.wav": {"instruction": "Same speaker? The answer could be 'yes' or 'no'.", "label": "yes"},
            "b.wav": {
                "instruction": "Is the speaker of “x” the same? The answer could be yes or no.",
                "label": "no",
            },
        },
    )
    for name in ("a_pair2.wav", "b_pair2.wav"):
        (folder / PAIRS / name).write_bytes(b"RIFF")
    write(
        folder,
        ODD,
        {
            f"{number}.wav": {
                "file": str(number),
                "instruction": "Which chord? The answer could be major, minor, or diminished.",
                "label": "minor",
                "audio2": "other.wav",
            }
            for number in range(5)
        },
    )
    (folder / ODD / "other.wav").write_bytes(b"RIFF")
    return folder


def items(root: Path, name: str) -> list[Item]:
    """Return an instance's items, whose recordings are all found."""
    (file,) = dataset_files(root, variant=name)
    finder = AudioFinder(file.root)
    found = list(file.items())
    for item in found:
        for audio in item.audios:
            assert finder.find(audio, file.path).is_file()
    return found


def reword(*words: object, code: int = 0) -> None:
    """Run the command."""
    assert data_main(["reword", *map(str, words)]) == code


def test_every_kind_is_an_instance_of_its_own(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the original, over its recordings, joined by `file`, with what it was."""
    reword(root)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 8
    assert captured.err.splitlines() == [
        f"{ODD} is left out of synonyms: there is no synonym for the label 'major' (line 2)"
    ]
    for name in (NOISE, PAIRS, ODD):
        before = items(root, name)
        for kind in KINDS if name != ODD else ("order", "paraphrase"):
            after = items(root, f"{name}.{kind}")
            assert [item.id.key for item in after] == [item.id.key for item in before]
            for old, new in zip(before, after, strict=True):
                assert new.audios == tuple(f"../{name}/{audio}" for audio in old.audios)
                assert new.fields["rewording"] == {
                    "kind": kind,
                    "instruction": old.fields["instruction"],
                    "label": old.fields["label"],
                }
                assert new.fields["instruction"] != old.fields["instruction"]
            (file,) = dataset_files(root, variant=f"{name}.{kind}")
            assert labels.not_offered(file.lines()) == []


def test_options_stand_in_another_order(root: Path) -> None:
    """Never the same one; the label and the rest stay."""
    reword(root, "--kinds", "order")
    before, after = items(root, ODD), items(root, f"{ODD}.order")
    for old, new in zip(before, after, strict=True):
        told = options.read(new.fields["instruction"])
        assert sorted(told) == sorted(options.read(old.fields["instruction"]))
        assert told != options.read(old.fields["instruction"])
        assert new.fields["label"] == old.fields["label"]
    assert len({options.read(item.fields["instruction"]) for item in after}) > 1
    assert items(root, f"{PAIRS}.order")[0].prompt == "Same speaker? The answer could be 'no' or 'yes'."


def test_labels_are_exchanged_with_their_options(root: Path) -> None:
    """One synonym for each, in the label's own case."""
    reword(root / NOISE, "--kinds", "synonyms")
    first, second = items(root, f"{NOISE}.synonyms")[:2]
    assert first.prompt == "Is there noise (0)? The answer could be with noise or free of noise."
    assert (first.fields["label"], second.fields["label"]) == ("Free of noise", "with noise")


def test_requests_are_paraphrased_by_task(root: Path) -> None:
    """The sentence with the options stays; what is quoted in a request is kept, in general words around it."""
    reword(root, "--kinds", "paraphrase")
    templates = tomllib.loads(WORDS.read_text())["paraphrase"]
    told = {item.prompt for item in items(root, f"{NOISE}.paraphrase")}
    assert told <= {f"{words} The answer could be noisy or clean." for words in templates["NoiseDetection"]}
    assert len(told) > 1
    own, quoted = items(root, f"{PAIRS}.paraphrase")
    assert own.prompt in {f"{words} The answer could be 'yes' or 'no'." for words in templates["SpeakerVerification"]}
    assert "Is the speaker of “x” the same? The answer could be yes or no." in quoted.prompt


def test_a_text_that_only_the_instruction_holds_is_kept(tmp_path: Path) -> None:
    """Words about "the text below" are for rows that have one."""
    row = {"file": "a", "instruction": "Is the term cat said? The answer could be yes or no.", "label": "yes"}
    write(tmp_path, "SpokenTermDetection_A", {"a.wav": {**row, "text": "cat"}, "b.wav": {**row, "file": "b"}})
    reword(tmp_path, "--kinds", "paraphrase")
    with_text, without = items(tmp_path, "SpokenTermDetection_A.paraphrase")
    assert "Is the term cat said?" not in with_text.prompt
    assert with_text.prompt.endswith("\n\ncat")
    assert "Is the term cat said?" in without.prompt


def test_the_same_command_writes_the_same(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reworded instances are not reworded again; another seed is other content, which is not replaced unasked."""
    reword(root)
    tables = sorted(root.glob("*.*/metadata.json"))
    before = [path.read_bytes() for path in tables]
    reword(root)
    assert [path.read_bytes() for path in tables] == before
    assert sorted(root.glob("*.*/metadata.json")) == tables
    capsys.readouterr()
    reword(root, "--seed", 1, code=2)
    assert "holds something else; --overwrite replaces it" in capsys.readouterr().err
    assert [path.read_bytes() for path in tables] == before
    reword(root, "--seed", 1, "--overwrite")
    assert [path.read_bytes() for path in tables] != before
    assert not [path for path in root.rglob(".*") if path.name.endswith(".tmp")]


def test_reworded_instances_can_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    """Their recordings are still the originals', which a run follows only when it is told to."""
    reword(root / NOISE, "--out", tmp_path / "else", "--kinds", "order")
    (file,) = dataset_files(tmp_path / "else")
    item = next(file.items())
    assert item.audios == (f"../../own/{NOISE}/0.wav",)
    assert AudioFinder(file.root, allow_outside=True).find(item.audios[0], file.path).is_file()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"instruction": "Is it so?", "label": "yes"}, "could be reworded"),
        ({"instruction": "The answer could be yes or no."}, "field 'label': missing"),
    ],
)
def test_what_cannot_be_reworded_is_told(
    tmp_path: Path, row: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line; nothing is written."""
    write(tmp_path, NOISE, {"a.wav": row})
    reword(tmp_path, code=2)
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("*.*"))


def test_labels_that_could_be_mistaken_keep_their_instance_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A synonym that is another label of the row, or of two of them."""
    for place, told in enumerate(("happiness, joy, or fear", "yes, no, or true")):
        write(
            tmp_path / str(place),
            "EmotionRecognition_A",
            {"a.wav": {"instruction": f"The answer could be {told}.", "label": told.split(",")[0]}},
        )
        reword(tmp_path / str(place), "--kinds", "synonyms", code=2)
        assert "could be mistaken for each other" in capsys.readouterr().err


def test_an_id_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row whose `file` is neither text nor an integer is named by file, line and field; nothing is written."""
    row = {"file": ["a"], "instruction": "Noise? The answer could be noisy or clean.", "label": "clean"}
    write(tmp_path, NOISE, {"a.wav": row})
    reword(tmp_path, code=2)
    assert f"{NOISE}/metadata.json:2: field 'file': must be text or an integer" in capsys.readouterr().err
    assert [folder.name for folder in tmp_path.iterdir()] == [NOISE]


def test_other_data_sets_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """They hold no instances."""
    reword(Path(__file__).parents[3] / "data/sample", code=2)
    assert "holds no instance of Dynamic-SUPERB" in capsys.readouterr().err


# --- the words ------------------------------------------------------------------------------------------------------


def test_every_task_has_words_of_its_own() -> None:
    """Several, without options of their own; general ones keep the instruction."""
    templates = tomllib.loads(WORDS.read_text())["paraphrase"]
    for name, one in INSTANCES.items():
        own = templates.get(name) or templates[one.task]
        assert len(set(own)) >= 3
        assert not any(options.read(words) for words in own)
    assert all(words.count("{instruction}") == 1 for words in templates[GENERAL])
    assert set(templates) - {GENERAL} <= {one.task for one in INSTANCES.values()} | set(INSTANCES)
    assert set(WITH_TEXT) <= set(templates)


def test_synonyms_are_other_words() -> None:
    """A synonym is written so that it is read as one option."""
    for table in tomllib.loads(WORDS.read_text())["synonyms"].values():
        for label, synonym in table.items():
            assert label == label.lower()
            assert synonym.lower() != label
            assert options.read(options.sentence([label, synonym])) == (label, synonym)
    general = tomllib.loads(WORDS.read_text())["synonyms"][GENERAL]
    told = [general[label.removeprefix("or ")] for label in EMOTIONS.split(", ")]
    assert len(set(told)) == len(told)
