"""Instances on disk are read as lines of our layout, and what is wrong with them is told with its line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.dataset import AudioFinder, DatasetFile, dataset_files
from data.dynamic_superb import rows
from data.errors import DataError, UsageError
from data.suites import SUITES

ROW = {"file": "a1", "instruction": "Is it? The answer could be yes or no.", "label": "yes"}
NAME = "SpeechDetection_LJSpeech"


def table(folder: Path, entries: dict[str, dict[str, Any]], *, kind: str = "json", name: str = NAME) -> Path:
    """Write an instance, with a file for each recording that it names; return its table."""
    path = folder / name / f"metadata.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    for audio in entries:
        (path.parent / audio).write_bytes(b"RIFF")
    if kind == "json":
        path.write_text(json.dumps(entries, indent=1))
        return path
    columns = ["file_name", *dict.fromkeys(field for row in entries.values() for field in row)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({"file_name": audio, **row} for audio, row in entries.items())
    return path


def fields(path: Path) -> list[dict[str, Any]]:
    """Return the lines' fields."""
    return [line.fields for line in rows.read(path)]


# --- what a row becomes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_row_becomes_a_line(tmp_path: Path, kind: str) -> None:
    """Its own fields stay, ours are added."""
    path = table(tmp_path, {"a1.wav": ROW, "b.wav": {**ROW, "file": "b", "label": "no"}}, kind=kind)
    expected = {"key": "a1", "audio_path": "a1.wav", "prompt": ROW["instruction"], "written": True}
    assert fields(path)[0] == {**ROW, **expected}
    (file,) = dataset_files(tmp_path)
    items = list(file.items())
    assert [(item.id.key, item.audios, item.written) for item in items] == [
        ("a1", ("a1.wav",), True),
        ("b", ("b.wav",), True),
    ]
    assert items[1].fields["label"] == "no"


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_further_recordings_lie_beside_the_first(tmp_path: Path, kind: str) -> None:
    """Numbered without a gap; or the row names them, in their numbers' order."""
    path = table(tmp_path, {"a.b.wav": ROW}, kind=kind)
    for name in ("a.b_pair2.wav", "a.b_pair3.wav", "a.b_pair5.wav", "a_pair2.wav"):
        (path.parent / name).write_bytes(b"RIFF")
    assert fields(path)[0]["audio_paths"] == ["a.b.wav", "a.b_pair2.wav", "a.b_pair3.wav"]
    named = {**ROW, "audio10": "d.wav", "audio2": "c.wav"}
    path = table(tmp_path, {"a.b.wav": named}, kind=kind)
    assert fields(path)[0]["audio_paths"] == ["a.b.wav", "c.wav", "d.wav"]


def test_what_names_no_recording_is_none(tmp_path: Path) -> None:
    """A field `audio2` of the hub's own form (bytes) is no name; the files beside count then."""
    path = table(tmp_path, {"a.wav": {**ROW, "audio2": {"bytes": None}}, "b": ROW})
    (path.parent / "a_pair2.wav").write_bytes(b"RIFF")
    assert fields(path)[0]["audio_paths"] == ["a.wav", "a_pair2.wav"]
    assert "audio_paths" not in fields(path)[1]


def test_an_empty_cell_hides_no_other_recording(tmp_path: Path) -> None:
    """In a table some rows name one recording more than others do."""
    path = table(tmp_path, {"a.wav": {**ROW, "audio2": "", "audio3": "c.wav"}, "b.wav": ROW}, kind="csv")
    assert [line.get("audio_paths") for line in fields(path)] == [["a.wav", "c.wav"], None]


@pytest.mark.parametrize(
    ("texts", "prompt"),
    [
        ({"text": "said"}, "said"),
        ({"text2": "b", "text": "a", "text10": "c"}, "a\n\nb\n\nc"),
        ({"text": None, "text2": "b"}, "b"),
        ({"text": " \n", "text2": "b"}, "b"),
    ],
)
def test_texts_stand_under_the_instruction(tmp_path: Path, texts: dict[str, Any], prompt: str) -> None:
    """In their numbers' order; an empty one is left out."""
    line = fields(table(tmp_path, {"a.wav": {**ROW, **texts}}))[0]
    assert line["prompt"] == f"{ROW['instruction']}\n\n{prompt}"
    assert {name: line[name] for name in texts} == texts


def test_our_own_fields_are_not_taken_from_a_row(tmp_path: Path) -> None:
    """A row that has fields of our names cannot speak for us."""
    row = {**ROW, "audio_paths": ["/etc/passwd"], "written": False, "prompt": "no", "key": 7, "audio_path": "x"}
    line = fields(table(tmp_path, {"a.wav": row}))[0]
    assert line == {**ROW, "key": "a1", "audio_path": "a.wav", "prompt": ROW["instruction"], "written": True}


@pytest.mark.parametrize("file", [None, "", "absent"])
def test_a_row_without_an_id_is_its_recording(tmp_path: Path, file: str | None) -> None:
    """`file` may be missing in one's own data."""
    row = {name: value for name, value in ROW.items() if name != "file"} | ({} if file == "absent" else {"file": file})
    assert fields(table(tmp_path, {"a.wav": row}))[0]["key"] == "a.wav"


# --- what is wrong --------------------------------------------------------------------------------------------------

GOOD = json.dumps(ROW)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: expected {"),
        ("[]", ":1: expected {"),
        ("{}", ": holds no rows"),
        ('{"a.wav": ' + GOOD, ":1: expected , or }"),
        ('{"a.wav": ' + GOOD + ",\n}", ':2: expected "'),
        ('{"a.wav": ' + GOOD + "}\n\nmore", ":3: text after the end"),
        ('{"a.wav": ' + GOOD + "}}", ":1: text after the end"),
        ('{"a.wav" ' + GOOD + "}", ":1: expected :"),
        ('{\n"a.wav": {"file": }}', ":2: not JSON"),
        ('{\n"a.wav": [1]}', ":2: the entry of 'a.wav' must be an object"),
        ('{\n"a.wav": ' + "[" * 100_000 + "}", ":2: not usable JSON"),
        ('{\n"a.wav": {"label": ' + "1" * 5000 + "}}", ":2: not usable JSON"),
        ('{\n"a.wav": ' + GOOD + ',\n"a.wav": ' + GOOD + "}", ":3: 'a.wav' has an entry in line 2 already"),
        ('{\n"a.wav": {"label": "a",\n"label": "b"}}', ":2: the entry has two fields 'label'"),
        ('{\n"a.wav": {"label": "yes"}}', ":2: field 'instruction': missing"),
        ('{\n"a.wav": {"instruction": "x", "label": 1}}', ":2: field 'label': must be text"),
        ('{\n"a.wav": {"instruction": " ", "label": "x"}}', ":2: field 'instruction': must be text"),
        ('{\n"a.wav": {"instruction": "x", "label": "x", "text2": 1}}', ":2: field 'text2': must be text"),
        ('{\n"a.wav": {"instruction": "x", "label": "x", "audio2": 1}}', ":2: field 'audio2': must be text"),
        ('{\n"a.wav": {"instruction": "x", "label": "x", "audio3": ["b.wav"]}}', ":2: field 'audio3': must be text"),
        (
            '{\n"a.wav": {"instruction": "x", "label": "x", "file": [1]}}',
            ":2: field 'file': must be text or an integer",
        ),
        ('{\n"a.wav": {"instruction": "x", "label": "x", "file": true}}', ":2: field 'file': must be text or an"),
    ],
)
def test_a_broken_table_names_its_line(tmp_path: Path, text: str, told: str) -> None:
    """Before any of it is used as something else."""
    path = tmp_path / "metadata.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        list(rows.read(path))
    assert f"{path}{told}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: field 'file_name': missing"),
        ("file,instruction\n", ":1: field 'file_name': missing"),
        ("file_name,label,label\n", ":1: two columns have the same name"),
        ("file_name,instruction,label\n", ": holds no rows"),
        ("file_name,instruction,label\na.wav,x\n", ":2: not as many cells"),
        ('file_name,instruction,label\na.wav,"x\ny",yes\nb.wav,x,y,z\n', ":4: not as many cells"),
        ('file_name,instruction,label\na.wav,"x"y,z\n', ":2: not CSV"),
        ("file_name,instruction,label\na.wav,x,\n", ":2: field 'label': must be text"),
    ],
)
def test_a_broken_csv_names_its_line(tmp_path: Path, text: str, told: str) -> None:
    """Also behind cells of several lines."""
    path = tmp_path / "metadata.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        list(rows.read(path))
    assert f"{path}{told}" in str(caught.value)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """No file, or no UTF-8; a byte order mark does no harm."""
    with pytest.raises(DataError, match="cannot be read"):
        list(rows.read(tmp_path / "metadata.json"))
    (tmp_path / "metadata.json").write_bytes(b'{"a.wav": "\xff"}')
    with pytest.raises(DataError, match="not UTF-8"):
        list(rows.read(tmp_path / "metadata.json"))
    (tmp_path / "metadata.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a.wav": ROW}).encode())
    assert len(fields(tmp_path / "metadata.json")) == 1


def test_two_rows_of_one_id_are_two_items(tmp_path: Path) -> None:
    """Their recordings tell them apart; the same recording twice in a CSV is one item twice."""
    table(tmp_path, {"a.wav": ROW, "b.wav": ROW})
    (file,) = dataset_files(tmp_path)
    assert len(list(file.items())) == 2
    path = tmp_path / NAME / "metadata.csv"
    (tmp_path / NAME / "metadata.json").unlink()
    path.write_text("file_name,file,instruction,label\na.wav,a,x,y\na.wav,a,x,y\n")
    (file,) = dataset_files(tmp_path)
    with pytest.raises(DataError, match=r":3: the same item as line 2"):
        list(file.items())


# --- any text -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for examples."""
    return tmp_path_factory.mktemp("rows")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=20) | st.sampled_from(
    ["", ".", "..", "/", "a/b.wav", "../x.wav", "a\0.wav", "x" * 300 + ".wav"]
)
AUDIO = st.none() | st.text() | st.fixed_dictionaries({"bytes": st.none(), "path": st.text()})


@settings(max_examples=100, deadline=None)
@given(
    entries=st.dictionaries(
        NAMES,
        st.fixed_dictionaries(
            {"instruction": st.text().filter(str.strip), "label": st.text().filter(str.strip)},
            optional={"file": st.text() | st.integers(), "text": st.text() | st.none(), "audio2": AUDIO, "note": JSON},
        ),
        min_size=1,
        max_size=4,
    ),
    indent=st.sampled_from([None, 1]),
)
def test_any_rows_survive(folder: Path, entries: dict[str, dict[str, Any]], indent: int | None) -> None:
    """Whatever their fields and names hold: they are read as they are, each on its line, and written so."""
    path = folder / "metadata.json"
    text = json.dumps(entries, indent=indent)
    path.write_text(text)
    assert [(audio, row) for _, _, audio, row in rows.raw_rows(path)] == list(entries.items())
    for number, offset, audio, _ in rows.raw_rows(path):
        assert text[offset:].startswith(json.dumps(audio))
        assert text.count("\n", 0, offset) + 1 == number
    lines = list(rows.read(path))
    for line, row in zip(lines, entries.values(), strict=True):
        assert {name: line.fields[name] for name in row} == row
    path.write_bytes(rows.dumps(entries.items()))
    assert [line.fields for line in rows.read(path)] == [line.fields for line in lines]
    assert [line.number for line in rows.read(path)] == list(range(2, len(entries) + 2))


def test_what_utf_8_cannot_hold_is_written_as_an_escape(tmp_path: Path) -> None:
    """Half of a surrogate pair, which JSON may name, survives; all other letters stand as they are."""
    path = tmp_path / "metadata.json"
    entries = [("ü\ud800.wav", {"instruction": "Größe, \\\udc00?", "label": "是"})]
    path.write_bytes(rows.dumps(entries))
    assert "Größe" in path.read_text(encoding="utf-8")
    assert [(audio, row) for _, _, audio, row in rows.raw_rows(path)] == entries


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.builds(lambda head, tail: head + tail, st.sampled_from(['{"a": ', '{"a": {}, ']), st.text()))
def test_any_text_is_rows_or_one_error(folder: Path, text: str) -> None:
    """Of our own kind, with the file's name."""
    for name in rows.TABLES:
        path = folder / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            list(rows.read(path))
        except DataError as error:
            assert str(path) in str(error)


# --- folders --------------------------------------------------------------------------------------------------------

OTHERS = ("NoiseDetection_Mine", "SpeechDetection_LJSpeech.order")


@pytest.fixture
def instances(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes three instances into a folder, as they may lie, and returns it."""

    def write(shape: str) -> Path:
        root = tmp_path / shape
        for name in (NAME, *OTHERS):
            folder = root / name.partition("_")[0] if shape == "nested" else root
            entries = {"../SpeechDetection_LJSpeech/a.wav" if name.endswith("order") else "a.wav": ROW}
            table(folder, entries, name=name, kind="csv" if name in OTHERS[:1] else "json")
        return root

    return write


@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_instances_are_found_in_folders(instances: Callable[[str], Path], shape: str) -> None:
    """Side by side or in a folder for each task; answers are named after them; recordings are found from the root."""
    root = instances(shape)
    files = dataset_files(root)
    assert [file.name for file in files] == [f"classify_{name}_en.jsonl" for name in sorted((NAME, *OTHERS))]
    assert {file.root for file in files} == {root}
    assert {file.kind.suite.name for file in files if file.kind} == {"classification"}
    finder = AudioFinder(root)
    for file in files:
        for item in file.items():
            assert finder.find(str(item.id.audio), file.path).is_file()


@pytest.mark.parametrize("way", ["folder", "table", "here"])
def test_one_instance_can_be_given(instances: Callable[[str], Path], way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its folder or its table; a reworded one still finds the recordings of the one beside it."""
    folder = instances("flat") / OTHERS[1]
    monkeypatch.chdir(folder)
    given_path = {"folder": folder, "table": folder / "metadata.json", "here": Path()}[way]
    (file,) = dataset_files(given_path)
    assert file.name == f"classify_{OTHERS[1]}_en.jsonl"
    assert file.root.resolve() == folder.parent
    (item,) = file.items()
    assert AudioFinder(file.root).find(str(item.id.audio), file.path).is_file()


def test_an_instance_is_chosen_like_a_variant(instances: Callable[[str], Path]) -> None:
    """`--variant NAME`, with `--subset classify` or without."""
    root = instances("flat")
    for suite in (None, SUITES["classification"]):
        (file,) = dataset_files(root, variant=NAME, suite=suite)
        assert file.path.parent.name == NAME
    assert len(dataset_files(root, lang="en")) == 3
    with pytest.raises(UsageError, match=re.escape(f"classify_{NAME}_en.jsonl")):
        dataset_files(root, variant="elsewhere")


def test_hidden_folders_hold_no_instances(instances: Callable[[str], Path]) -> None:
    """Such as what a kill left behind."""
    root = instances("flat")
    (root / NAME).rename(root / f".{NAME}.old")
    assert [file.path.parent.name for file in dataset_files(root)] == sorted(OTHERS)


def test_a_folder_that_cannot_name_an_instance_is_told(tmp_path: Path) -> None:
    """Its name would become a file's."""
    table(tmp_path, {"a.wav": ROW}, name="my task!")
    with pytest.raises(DataError, match="'my task!' cannot be an instance's"):
        dataset_files(tmp_path)


def test_two_tables_of_one_instance_are_told(tmp_path: Path) -> None:
    """Their answers would mix."""
    table(tmp_path, {"a.wav": ROW})
    table(tmp_path, {"a.wav": ROW}, kind="csv")
    with pytest.raises(DataError, match="two files are called classify_"):
        dataset_files(tmp_path)


def test_the_files_name_is_only_for_instances(tmp_path: Path) -> None:
    """A file of answers keeps its own."""
    path = tmp_path / f"classify_{NAME}_en.jsonl"
    path.write_text(json.dumps({**ROW, "prompt": "x", "audio_path": "a.wav", "key": 1}) + "\n")
    (file,) = dataset_files(path)
    assert (file.name, file.kind and file.kind.variant) == (path.name, NAME)
    assert isinstance(file, DatasetFile)
