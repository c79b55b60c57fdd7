"""Data sets on disk: their layout, what an item is, and where its audio may lie."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import dataset, jsonl
from data.dataset import AudioFinder, AudioNotFound, DatasetFile, dataset_files
from data.errors import DataError, UsageError
from data.records import ItemId
from data.suites import SUITES

WriteJsonl = Callable[[Path, list[dict[str, Any]]], Path]
ROW = {"key": 1, "prompt": "Say hi.", "audio_path": "en/1.wav"}

LAYOUT = (
    "closed-ended/closed_standard_en.jsonl",
    "closed-ended/closed_background_en.jsonl",
    "closed-ended/closed_accent_en.jsonl",
    "closed-ended/closed_whisper_en.jsonl",
    "closed-ended/closed_standard_cn.jsonl",
    "open-ended/open_ended_en.jsonl",
    "open-ended/open_ended_zh.jsonl",
    "adjustment/adjustment_en.jsonl",
    "adjustment/adjustment_cn.jsonl",
)


@pytest.fixture
def layout(tmp_path: Path, write_jsonl: WriteJsonl) -> Path:
    """A data set in the hub's layout, with files beside it that are none of it."""
    root = tmp_path / "bench"
    others = (
        "closed-ended/notes.jsonl",
        "closed-ended/closed_standard_en.jsonl.bak",
        "elsewhere/closed_standard_en.jsonl",
        "open-ended/closed_accent_cn.jsonl",
        "bench/adjustment_zh.jsonl",
        "closed-ended/en/closed_accent_cn.jsonl",
    )
    for name in (*LAYOUT, *others):
        write_jsonl(root / name, [ROW])
    return root


def found(files: list[DatasetFile], root: Path) -> list[str]:
    """Name files by their path under the root."""
    return [file.path.relative_to(root).as_posix() for file in files]


def items(path: Path) -> list[dict[str, Any]]:
    """Return the fields of all items of a file."""
    return [dict(item.fields) for item in DatasetFile(path, None, path.parent).items()]


# --- discovery ------------------------------------------------------------------------------------------------------


def test_the_layout_is_found_in_the_order_of_tables(layout: Path) -> None:
    """Exactly the files of the hub's layout, every variant that is there, in order."""
    assert found(dataset_files(layout), layout) == list(LAYOUT)
    assert {file.root for file in dataset_files(layout)} == {layout}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"suite": "closed"}, LAYOUT[:5]),
        ({"suite": "open"}, LAYOUT[5:7]),
        ({"variant": "accent"}, LAYOUT[2:3]),
        ({"variant": "standard", "lang": "zh"}, (LAYOUT[4], LAYOUT[6], LAYOUT[8])),
        ({"lang": "en", "suite": "adjustment"}, LAYOUT[7:8]),
    ],
)
def test_a_choice_leaves_its_files(layout: Path, choice: dict[str, str], names: tuple[str, ...]) -> None:
    """Subset, variant and language choose together; `cn` files are Chinese."""
    suite = SUITES[choice["suite"]] if "suite" in choice else None
    files = dataset_files(layout, suite=suite, variant=choice.get("variant"), lang=choice.get("lang"))
    assert found(files, layout) == list(names)


def test_a_choice_that_leaves_nothing_names_what_there_is(layout: Path) -> None:
    """The error names flags and files."""
    with pytest.raises(UsageError) as caught:
        dataset_files(layout, variant="accent", lang="zh")
    assert str(caught.value).startswith(f"{layout}: no file is left by --subset, --variant and --lang")
    assert all(Path(name).name in str(caught.value) for name in LAYOUT)


@pytest.mark.parametrize("way", ["absolute", "relative", "here"])
def test_one_folder_of_the_layout_can_be_given(layout: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subset's own folder is a data set whose root is still the whole one."""
    monkeypatch.chdir(layout / "open-ended" if way == "here" else layout.parent)
    given_path = {"absolute": layout / "open-ended", "relative": Path("bench/open-ended"), "here": Path()}[way]
    files = dataset_files(given_path)
    assert [file.path.name for file in files][-2:] == ["open_ended_en.jsonl", "open_ended_zh.jsonl"]
    assert {file.root.resolve() for file in files} == {layout}


def test_files_without_folders_are_a_data_set_too(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    """A flat folder of files with the hub's names is read; the folder is the root."""
    write_jsonl(tmp_path / "adjustment_en.jsonl", [ROW])
    write_jsonl(tmp_path / "closed_standard_en.jsonl", [ROW])
    files = dataset_files(tmp_path)
    assert found(files, tmp_path) == ["closed_standard_en.jsonl", "adjustment_en.jsonl"]
    assert {file.root for file in files} == {tmp_path}


@pytest.mark.parametrize(
    ("name", "kind", "root"),
    [
        ("bench/closed-ended/closed_accent_cn.jsonl", ("closed", "accent", "zh"), "bench"),
        ("bench/closed_accent_cn.jsonl", ("closed", "accent", "zh"), "bench"),
        ("bench/closed-ended/mine.jsonl", None, "bench/closed-ended"),
        ("mine.txt", None, ""),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_single_file_is_a_data_set(
    tmp_path: Path,
    write_jsonl: WriteJsonl,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: tuple[str, str, str] | None,
    root: str,
    relative: bool,
) -> None:
    """One file of any name is read; in the hub's layout its root is the whole data set's, from wherever it is named."""
    path = write_jsonl(tmp_path / name, [ROW])
    monkeypatch.chdir(path.parent)
    (file,) = dataset_files(Path(path.name) if relative else path)
    assert file.path.resolve() == path
    assert file.root.resolve() == (tmp_path / root)
    assert (file.kind and (file.kind.suite.name, file.kind.variant, file.kind.lang)) == kind


def test_a_choice_counts_for_a_single_file_whose_name_tells(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    """--lang zh with an English file leaves nothing; a name that tells nothing is taken as it is."""
    english = write_jsonl(tmp_path / "closed_accent_en.jsonl", [ROW])
    for choice in ({"lang": "zh"}, {"variant": "standard"}, {"suite": SUITES["open"]}):
        with pytest.raises(UsageError, match=r"no file is left.*there are: closed_accent_en\.jsonl"):
            dataset_files(english, **choice)
    assert len(dataset_files(english, lang="en", variant="accent", suite=SUITES["closed"])) == 1
    assert len(dataset_files(write_jsonl(tmp_path / "mine.jsonl", [ROW]), lang="zh")) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such folder or file; give a data set's folder or one JSONL file"),
        ("empty", "no benchmark files; expected closed-ended/closed_<variant>_<lang>.jsonl"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_data_set_is_named(tmp_path: Path, name: str, words: str) -> None:
    """The error holds the path and what is expected there."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        dataset_files(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


def test_the_content_hash_is_of_the_bytes(layout: Path) -> None:
    """Every file is hashed under its name, and one changed byte changes its hash only."""
    files = dataset_files(layout, lang="en")
    before = dataset.content_hash(files)
    assert before["adjustment_en.jsonl"] == hashlib.sha256((json.dumps(ROW) + "\n").encode()).hexdigest()
    with files[0].path.open("a") as file:
        file.write(" ")
    after = dataset.content_hash(files)
    assert [name for name in before if before[name] != after[name]] == [files[0].path.name]


# --- items ----------------------------------------------------------------------------------------------------------


def test_everything_on_a_line_is_kept(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    """Unknown fields, nulls, both forms of questions and lone surrogates stand in `fields` as read."""
    rows = [
        {**ROW, "kwargs": [{"num_words": None}], "x": {"y": [1, 2.5, None]}, "decomposed_questions": "1. Is it?"},
        {**ROW, "key": "1", "decomposed_questions": ["Is it?"], "odd\ud800": "\udfff"},
        {**ROW, "key": 2, "prompt": ""},
    ]
    assert items(write_jsonl(tmp_path / "a.jsonl", rows)) == rows


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        (ROW, ItemId("a.jsonl", 1, "en/1.wav")),
        ({"id": "q7", "prompt": "p", "audio_path": "x"}, ItemId("a.jsonl", "q7", "x")),
        ({"id": 5, "key": 7, "prompt": "p", "audio_path": "x"}, ItemId("a.jsonl", 7, "x")),
        ({"prompt": "p", "audio_path": "x"}, ItemId("a.jsonl", None, "x")),
        ({"key": -(10**30), "prompt": "p"}, ItemId("a.jsonl", -(10**30), None)),
        ({"key": None, "prompt": "p", "audio_path": None}, ItemId("a.jsonl", None, None)),
    ],
)
def test_the_identity_of_an_item(row: dict[str, Any], identity: ItemId) -> None:
    """File name, `key` (or `id`) and `audio_path` make an item itself; messages name it by them."""
    item = dataset.item_of(row, Path("folder/a.jsonl"), 1)
    assert item.id == identity
    assert str(item.id).startswith("a.jsonl[")
    assert all(str(part) in str(item.id) for part in (identity.key, identity.audio) if part is not None)
    assert "None" not in str(item.id)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"prompt": ...}, "prompt", "missing; every item needs its request as text"),
        ({"prompt": None}, "prompt", "must be text"),
        ({"prompt": 7}, "prompt", "must be text"),
        ({"prompt": ["a"]}, "prompt", "must be text"),
        ({"key": 1.0}, "key", "must be an integer or text"),
        ({"key": True}, "key", "must be an integer or text"),
        ({"key": [1]}, "key", "must be an integer or text"),
        ({"key": ..., "id": {}}, "key", "must be an integer or text"),
        ({"audio_path": ...}, "audio_path", "missing; name the item's audio file"),
        ({"audio_path": None}, "audio_path", "missing; name the item's audio file"),
        ({"audio_path": 7}, "audio_path", "must be text"),
        ({"audio_path": False}, "audio_path", "must be text"),
        ({"audio_path": {"path": "a.wav"}}, "audio_path", "must be text"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_line(
    tmp_path: Path, write_jsonl: WriteJsonl, change: dict[str, Any], field: str, words: str
) -> None:
    """The error holds file:line, the field and what it must be."""
    changed = {name: value for name, value in {**ROW, "key": 2, **change}.items() if value is not ...}
    path = write_jsonl(tmp_path / "a.jsonl", [ROW, changed])
    with pytest.raises(DataError) as caught:
        items(path)
    assert str(caught.value) == f"{path}:2: field '{field}': {words}"


@pytest.mark.parametrize(
    "other",
    [
        {"key": 2},
        {"audio_path": "en/2.wav"},
        {"key": "1"},
        {"key": None},
        {"audio_path": "./en/1.wav"},
    ],
)
def test_only_key_and_audio_together_make_a_duplicate(
    tmp_path: Path, write_jsonl: WriteJsonl, other: dict[str, Any]
) -> None:
    """Several renderings of one key, or several keys of one recording, are several items, the same prompt or not."""
    assert len(items(write_jsonl(tmp_path / "a.jsonl", [ROW, {**ROW, **other}]))) == 2


@pytest.mark.parametrize(
    "row",
    [ROW, {"prompt": "a", "audio_path": "x.wav"}, {"prompt": "a", "id": "\ud800", "audio_path": "x"}],
)
def test_a_duplicate_names_both_lines(tmp_path: Path, write_jsonl: WriteJsonl, row: dict[str, Any]) -> None:
    """The second of two lines of one item is refused, even when other fields differ."""
    path = write_jsonl(tmp_path / "a.jsonl", [{**ROW, "key": 99}, row, {**ROW, "key": 98}, {**row, "prompt": "b"}])
    with pytest.raises(DataError) as caught:
        items(path)
    assert str(caught.value).startswith(f"{path}:4: the same item as line 2 (key and audio_path alike); remove one")


def test_lines_without_key_and_audio_are_never_the_same(tmp_path: Path) -> None:
    """Where nothing identifies a line, as in text-only files, repeated prompts are several items."""
    lines = [jsonl.Line(number, 0, {"prompt": "same"}) for number in (1, 2)]
    assert len(list(dataset.with_identity(tmp_path / "a.jsonl", lines))) == 2


KEYS = st.none() | st.integers() | st.text(st.characters(), max_size=5)
AUDIO = st.none() | st.text(st.characters(), max_size=5)


@given(st.tuples(KEYS, AUDIO), st.tuples(KEYS, AUDIO))
def test_digests_are_alike_exactly_for_the_same_item(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Digests stand for key and audio, whatever characters these hold."""
    digests = [dataset.identity_digest(ItemId("a.jsonl", *pair)) for pair in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)
    assert len(digests[0]) == 16


# --- audio ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A data set's root with audio files (found by name only, so one byte will do), and one beside the root."""
    root = tmp_path / "bench"
    for name in ("closed-ended/en/1.wav", "en/2.wav", "closed-ended/en/standard/3.wav", "deep/cn/a b 你好.FLAC"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "outside.wav").write_bytes(b"x")
    return root


def find(root: Path, audio: str, **options: bool) -> str:
    """Find audio for a file in the root's folder closed-ended; return its path under the root's parent."""
    path = AudioFinder(root, **options).find(audio, root / "closed-ended" / "closed_standard_en.jsonl")
    assert path.is_file()
    return path.relative_to(root.parent).as_posix()


@pytest.mark.parametrize(
    ("audio", "where"),
    [
        ("en/1.wav", "bench/closed-ended/en/1.wav"),
        ("./en/1.wav", "bench/closed-ended/en/1.wav"),
        ("en//1.wav", "bench/closed-ended/en/1.wav"),
        ("en\\1.wav", "bench/closed-ended/en/1.wav"),
        ("closed-ended/en/1.wav", "bench/closed-ended/en/1.wav"),
        ("en/2.wav", "bench/en/2.wav"),
        ("../en/2.wav", "bench/en/2.wav"),
        ("en/../en/1.wav", "bench/closed-ended/en/1.wav"),
        ("deep/cn/a b 你好.FLAC", "bench/deep/cn/a b 你好.FLAC"),
    ],
)
def test_audio_is_tried_in_three_folders(sounds: Path, audio: str, where: str) -> None:
    """The JSONL's folder, its parent and the root are tried, and nothing is counted as a guess."""
    finder = AudioFinder(sounds)
    path = finder.find(audio, sounds / "closed-ended" / "a.jsonl")
    assert path.relative_to(sounds.parent).as_posix() == where
    assert finder.matched_by_tail == 0


def test_the_root_is_the_third_folder(sounds: Path) -> None:
    """Below a deeper JSONL, audio relative to the root is still found."""
    finder = AudioFinder(sounds)
    path = finder.find("en/2.wav", sounds / "closed-ended" / "en" / "standard" / "a.jsonl")
    assert path == sounds / "en" / "2.wav"
    assert finder.matched_by_tail == 0


def test_the_parent_of_the_folder_is_the_second(sounds: Path) -> None:
    """Below the root, the parent of the JSONL's folder is tried although it is not the root."""
    finder = AudioFinder(sounds)
    path = finder.find("1.wav", sounds / "closed-ended" / "en" / "standard" / "a.jsonl")
    assert path == sounds / "closed-ended" / "en" / "1.wav"
    assert finder.matched_by_tail == 0


def test_the_parent_of_the_working_folder_is_known(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSONL named without any folder has a parent's folder all the same."""
    monkeypatch.chdir(sounds / "closed-ended")
    with pytest.raises(AudioNotFound, match="outside"):
        AudioFinder(Path()).find("en/2.wav", Path("mine.jsonl"))
    finder = AudioFinder(Path(), allow_outside=True)
    assert finder.find("en/2.wav", Path("mine.jsonl")) == sounds / "en" / "2.wav"


def test_the_nearest_folder_wins(sounds: Path) -> None:
    """A file in the JSONL's own folder comes before the root's of the same name."""
    (sounds / "closed-ended" / "en" / "2.wav").write_bytes(b"x")
    assert find(sounds, "en/2.wav") == "bench/closed-ended/en/2.wav"


@pytest.mark.parametrize(
    ("folder", "name"), [("bench/closed-ended", "a.jsonl"), ("bench", "closed-ended/a.jsonl"), ("", "bench/a.jsonl")]
)
def test_relative_paths_are_taken_from_the_working_folder(
    sounds: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    """A data set named relatively gives the same audio, also when the JSONL is in the working folder."""
    monkeypatch.chdir(sounds.parent / folder)
    finder = AudioFinder(Path(os.path.relpath(sounds)))
    assert finder.find("en/2.wav", Path(name)).resolve() == sounds / "en" / "2.wav"
    assert finder.matched_by_tail == 0


@pytest.mark.parametrize(
    ("audio", "where"),
    [
        ("/home/author/data/en/1.wav", "bench/closed-ended/en/1.wav"),
        ("/somewhere/standard/3.wav", "bench/closed-ended/en/standard/3.wav"),
        ("C:\\author\\en\\2.wav", "bench/en/2.wav"),
        ("C:\\author\\cn\\a b 你好.FLAC", "bench/deep/cn/a b 你好.FLAC"),
        ("\\\\server\\share\\standard\\3.wav", "bench/closed-ended/en/standard/3.wav"),
        ("../../../elsewhere/en/2.wav", "bench/en/2.wav"),
    ],
)
def test_an_authors_path_is_matched_by_its_tail(sounds: Path, audio: str, where: str) -> None:
    """Absolute paths of another machine, Windows' too, are found by their end, and counted."""
    finder = AudioFinder(sounds)
    path = finder.find(audio, sounds / "closed-ended" / "a.jsonl")
    assert path.relative_to(sounds.parent).as_posix() == where
    assert finder.matched_by_tail == 1


def test_the_longest_tail_wins_and_two_alike_are_an_error(sounds: Path) -> None:
    """The file that shares most of the path's end is taken; of two that share as much, none is."""
    for name in ("a/en/7.wav", "b/en/7.wav", "b/cn/7.wav"):
        (sounds / name).parent.mkdir(parents=True, exist_ok=True)
        (sounds / name).write_bytes(b"x")
    assert find(sounds, "/author/b/en/7.wav") == "bench/b/en/7.wav"
    assert find(sounds, "/author/cn/7.wav") == "bench/b/cn/7.wav"
    finder = AudioFinder(sounds)
    with pytest.raises(AudioNotFound, match=r"two files match its end equally well: a/en/7\.wav and b/en/7\.wav"):
        finder.find("/author/en/7.wav", sounds / "a.jsonl")
    assert finder.matched_by_tail == 0


def test_a_relative_path_never_takes_another_folders_recording(sounds: Path) -> None:
    """Of a half-fetched data set, en/accent/3.wav is missing: en/standard/3.wav is another recording."""
    finder = AudioFinder(sounds)
    with pytest.raises(AudioNotFound, match="audio not found"):
        finder.find("en/accent/3.wav", sounds / "closed-ended" / "a.jsonl")
    assert find(sounds, "3.wav") == "bench/closed-ended/en/standard/3.wav"
    assert find(sounds, "audio/standard/3.wav") == "bench/closed-ended/en/standard/3.wav"


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two files of one name would share one file of answers."""
    for folder in ("", "closed-ended"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "closed_standard_en.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"two files are called closed_standard_en\.jsonl"):
        dataset_files(tmp_path)


@pytest.mark.parametrize(
    "audio",
    [
        "en/missing.wav",
        "/author/missing.wav",
        "en",
        ".",
        "./",
        "..",
        "/",
        "\\",
        "~",
        "x" * 5000,
        "x/" * 3000 + "1.mp3",
        "en/\ud800.wav",
        "en/1.wav\n",
        "http://example.org/9.wav",
    ],
    ids=lambda audio: ascii(audio[:20]),
)
def test_what_is_nowhere_is_said_so(sounds: Path, audio: str) -> None:
    """Missing files, folders and impossible names are reasons for the item's line, never a crash."""
    with pytest.raises(AudioNotFound, match="audio not found: "):
        find(sounds, audio)
    with pytest.raises(AudioNotFound, match="audio not found: "):
        find(sounds, audio, allow_outside=True)


@pytest.mark.parametrize("audio", ["", " ", "\n", "en/1\0.wav", "\0"], ids=ascii)
def test_a_path_that_names_no_file_is_said_so(sounds: Path, audio: str) -> None:
    """Blank paths and NUL characters never reach the file system."""
    with pytest.raises(AudioNotFound, match="audio_path names no file"):
        find(sounds, audio)


@given(audio=st.text(st.characters() | st.sampled_from("./\\\0 ~"), max_size=12))
def test_any_path_is_found_or_refused(tmp_path_factory: pytest.TempPathFactory, audio: str) -> None:
    """No `audio_path` breaks the search or leads out of the root."""
    root = tmp_path_factory.getbasetemp() / "any"
    (root / "en").mkdir(parents=True, exist_ok=True)
    (root / "en" / "a.wav").write_bytes(b"x")
    try:
        path = AudioFinder(root).find(audio, root / "en" / "a.jsonl")
    except AudioNotFound:
        return
    assert path.resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("form", ["absolute", "dots", "many dots", "inside and out"])
def test_audio_outside_the_root_needs_leave(sounds: Path, form: str) -> None:
    """A path that leads out of the data set is refused with the flag that permits it, and followed with the flag."""
    audio = {
        "absolute": str(sounds.parent / "outside.wav"),
        "dots": "../../outside.wav",
        "many dots": "../" * 40 + str(sounds.parent / "outside.wav").lstrip("/"),
        "inside and out": "en/../../../outside.wav",
    }[form]
    with pytest.raises(AudioNotFound, match=r"audio outside the data set's folder: .* \(--allow_outside_audio"):
        find(sounds, audio)
    assert find(sounds, audio, allow_outside=True) == "outside.wav"


def test_a_sibling_with_the_roots_name_in_front_is_outside(sounds: Path) -> None:
    """`bench2` is not inside `bench`."""
    sibling = sounds.with_name("bench2") / "1.ogg"
    sibling.parent.mkdir()
    sibling.write_bytes(b"x")
    with pytest.raises(AudioNotFound, match="outside"):
        find(sounds, "../../bench2/1.ogg")


def test_an_absolute_path_inside_the_root_is_plain(sounds: Path) -> None:
    """What is written absolutely but lies inside is found without leave."""
    assert find(sounds, str(sounds / "en" / "2.wav")) == "bench/en/2.wav"


@pytest.mark.parametrize("audio", ["en/link.wav", "linked/outside.wav", "/author/en/link.wav"])
def test_a_link_out_of_the_root_is_refused(sounds: Path, audio: str) -> None:
    """A symbolic link, of a file or a folder, does not lead out of the data set without leave."""
    (sounds / "en" / "link.wav").symlink_to(sounds.parent / "outside.wav")
    (sounds / "linked").symlink_to(sounds.parent)
    with pytest.raises(AudioNotFound):
        find(sounds, audio)
    AudioFinder(sounds, allow_outside=True).find(audio, sounds / "closed-ended" / "a.jsonl")


def test_a_link_within_the_root_is_followed(sounds: Path) -> None:
    """Links that stay inside are ordinary files."""
    (sounds / "en" / "link.wav").symlink_to(sounds / "closed-ended" / "en" / "1.wav")
    assert find(sounds, "en/link.wav") == "bench/en/link.wav"


def test_a_dangling_link_is_not_found(sounds: Path) -> None:
    """A link to nothing is no audio, neither by its place nor by its tail."""
    (sounds / "en" / "gone.wav").symlink_to("nowhere.wav")
    finder = AudioFinder(sounds)
    with pytest.raises(AudioNotFound, match=r"audio not found: en/gone\.wav"):
        finder.find("en/gone.wav", sounds / "a.jsonl")
    assert finder.matched_by_tail == 0


def test_a_root_that_is_a_link_works(sounds: Path) -> None:
    """A data set that is reached through a link keeps its inside and its outside."""
    link = sounds.parent / "link"
    link.symlink_to(sounds)
    assert find(link, "en/2.wav") == "link/en/2.wav"
    with pytest.raises(AudioNotFound, match="outside"):
        find(link, "../../outside.wav")


@pytest.mark.parametrize("given_path", ["", "closed-ended", "closed-ended/closed_standard_en.jsonl"])
def test_the_hubs_cache_of_links_is_read(tmp_path: Path, write_jsonl: WriteJsonl, given_path: str) -> None:
    """A snapshot's links into its own `blobs`, or those of all repositories, are inside; links elsewhere are not."""
    repository = tmp_path / "datasets--someone--bench"
    snapshot = repository / "snapshots" / "0123abc"
    audio = snapshot / "closed-ended" / "en"
    audio.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "feed").write_bytes(b"x")
    (repository / "secret").write_bytes(b"x")
    (audio / "1.wav").symlink_to("../../../../blobs/feed")
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    (tmp_path / "blobs" / "ab" / "abcd").write_bytes(b"x")
    (repository / "blobs" / "dead").symlink_to("../../blobs/ab/abcd")
    (audio / "3.wav").symlink_to("../../../../blobs/dead")
    (audio / "2.wav").symlink_to("../../../../secret")
    write_jsonl(repository / "blobs" / "beef", [ROW])
    (snapshot / "closed-ended" / "closed_standard_en.jsonl").symlink_to("../../../blobs/beef")
    (file,) = dataset_files(snapshot / given_path)
    finder = AudioFinder(file.root)
    assert [finder.find(item.id.audio or "", file.path) for item in file.items()] == [audio / "1.wav"]
    assert finder.find("en/3.wav", file.path) == audio / "3.wav"
    assert finder.matched_by_tail == 0
    with pytest.raises(AudioNotFound, match="outside"):
        finder.find("en/2.wav", file.path)
    with pytest.raises(AudioNotFound, match="outside"):
        finder.find("../../../blobs/feed", file.path)  # only by a link of the snapshot


def test_a_folder_called_blobs_elsewhere_is_outside(sounds: Path) -> None:
    """Only a snapshot's own `blobs` count as inside."""
    blobs = sounds.parent.parent / "blobs"
    blobs.mkdir(exist_ok=True)
    (blobs / "feed").write_bytes(b"x")
    (sounds / "en" / "link.wav").symlink_to(blobs / "feed")
    with pytest.raises(AudioNotFound, match="outside"):
        find(sounds, "en/link.wav")
