"""The file of answers: what is asked again, what is refused, and what the finished file holds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.dataset import DatasetFile
from data.errors import DataError
from data.records import Item, Response
from inference.responses import ADDED_FIELDS, ResponseFile

NAME = "closed_standard_en.jsonl"
ROWS = [
    {
        "key": key,
        "prompt": f"Prompt {key % 2}",
        "audio_path": f"en/{key}.wav",
        "kwargs": [{"n": None}],
        "own": "\ud800é",
    }
    for key in (5, 3, 4, 1)
]
OTHER = {"key": 99, "prompt": "p", "audio_path": "x"}


@pytest.fixture
def source(tmp_path: Path, write_jsonl: Callable[[Path, list[dict[str, Any]]], Path]) -> DatasetFile:
    """A data-set file of four items, whose keys are in no order."""
    return DatasetFile(write_jsonl(tmp_path / "bench" / NAME, ROWS), None, tmp_path / "bench")


def opened(source: DatasetFile, *, limit: int | None = None, overwrite: bool = False) -> ResponseFile:
    """Open the file of answers in the folder `run` beside the data set."""
    return ResponseFile(source, source.root.parent / "run", limit=limit, overwrite=overwrite)


def keys(file: ResponseFile) -> list[object]:
    """Return the keys of what is still to be asked."""
    return [item.id.key for item in file.pending()]


def answered(key: int, **added: Any) -> bytes:
    """Return one line of the file of answers."""
    row = next((row for row in ROWS if row["key"] == key), OTHER)
    return json.dumps({**row, **(added or {"response": f"answer {key}"})}).encode() + b"\n"


def put(source: DatasetFile, *lines: bytes) -> Path:
    """Lay down a file of answers as an earlier run left it."""
    path = source.root.parent / "run" / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read the file of answers."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def answer_all(file: ResponseFile, order: Callable[[list[Item]], None] = lambda _: None) -> None:
    """Answer everything pending in an order."""
    items = list(file.pending())
    order(items)
    for item in items:
        file.append(item, Response(item.id, f"new {item.id.key}"))


# --- what is asked --------------------------------------------------------------------------------------------------


def test_without_answers_everything_is_asked_in_order(source: DatasetFile) -> None:
    """A first run asks each item, in the data set's order, and writes nothing before it is opened."""
    file = opened(source)
    assert (file.total, file.answered, keys(file)) == (4, 0, [5, 3, 4, 1])
    assert not file.path.exists()
    file.open()
    assert file.path.read_bytes() == b""
    assert file.settle() == (0, 0, 0)


@pytest.mark.parametrize(
    ("added", "again"),
    [
        ({"response": "x"}, False),
        ({"response": ""}, False),
        ({"response": "x", "pred_score": ["YES"], "judge": {"model": "m"}}, False),
        ({"response": "x", "pred_scores": {"m": ["YES"]}, "judges": {"m": {"model": "m"}}}, False),
        ({"response": "x", "asr_transcript": "t"}, False),
        ({"response": None, "error": "audio unreadable", "error_permanent": True}, False),
        ({"response": None, "error": "busy", "error_permanent": False}, True),
        ({"response": None, "error": "busy"}, True),
        ({"response": None}, True),
        ({"error": "busy"}, True),
        ({"asr_transcript": "t"}, True),
    ],
)
def test_an_item_is_asked_again_unless_settled(source: DatasetFile, added: dict[str, Any], again: bool) -> None:
    """An answer, even an empty one, and a permanent error settle an item; a passing error does not."""
    put(source, answered(3, **added))
    file = opened(source)
    assert keys(file) == ([5, 3, 4, 1] if again else [5, 4, 1])
    assert (file.total, file.answered) == (4, 0 if again else 1)


@pytest.mark.parametrize(
    ("lines", "again"),
    [
        ((("a", False), ("b", True)), False),
        ((("a", True), ("b", False)), True),
        ((("a", False), ("b", False)), True),
    ],
)
def test_a_later_line_wins(source: DatasetFile, lines: tuple[tuple[str, bool], ...], again: bool) -> None:
    """Of several lines of one item the last says whether it is settled, and the last is kept."""
    path = put(
        source,
        *(answered(3, response=text) if good else answered(3, response=None, error=text) for text, good in lines),
    )
    file = opened(source)
    assert (3 in keys(file)) == again
    assert file.settle() == ((0, 1, 0) if again else (1, 0, 0))
    (line,) = lines_of(path)
    assert (line.get("error") if again else line["response"]) == "b"


def test_a_torn_last_line_is_asked_again(source: DatasetFile) -> None:
    """A kill in the middle of a line costs that item only, wherever the line is torn."""
    last = answered(4)
    for cut in range(len(last)):
        path = put(source, answered(5), answered(3), last[:cut])
        file = opened(source)
        assert (file.answered, keys(file)) == (2, [4, 1])
        file.open()
        answer_all(file)
        assert file.settle() == (4, 0, 0)
        assert [line["response"] for line in lines_of(path)] == ["answer 5", "answer 3", "new 4", "new 1"]


def test_answers_are_carried_over_from_run_to_run(source: DatasetFile) -> None:
    """What a run appended and did not settle is there for the next; nothing is asked twice."""
    asked: list[object] = []
    for _ in range(5):
        file = opened(source)
        file.open()
        for item in list(file.pending())[:1]:
            asked.append(item.id.key)
            file.append(item, Response(item.id, "x"))
        file.close()
    assert asked == [5, 3, 4, 1]


# --- limit and overwrite --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "total", "before", "pending"),
    [
        (0, 0, 0, []),
        (1, 1, 0, [5]),
        (2, 2, 1, [5]),
        (3, 3, 1, [5, 4]),
        (4, 4, 2, [5, 4]),
        (9, 4, 2, [5, 4]),
        (None, 4, 2, [5, 4]),
    ],
)
def test_a_limit_takes_the_first_items(
    source: DatasetFile, limit: int | None, total: int, before: int, pending: list[int]
) -> None:
    """The limit counts items of the data set, answered or not."""
    put(source, answered(3), answered(1))
    file = opened(source, limit=limit)
    assert (file.total, file.answered, keys(file)) == (total, before, pending)


def test_a_limit_keeps_answers_beyond_it(source: DatasetFile) -> None:
    """A smaller limit on a rerun drops nothing and counts its own items only; a larger one goes on."""
    path = put(source, answered(1, response=None, error="busy"), answered(3))
    file = opened(source, limit=1)
    file.open()
    answer_all(file)
    assert file.settle() == (1, 0, 0)
    assert [line["key"] for line in lines_of(path)] == [5, 3, 1]
    assert keys(opened(source, limit=3)) == [4]


def test_overwrite_starts_anew_but_only_when_opened(source: DatasetFile) -> None:
    """Earlier answers are ignored, yet stand until the run really starts."""
    path = put(source, answered(5), answered(3))
    file = opened(source, overwrite=True)
    assert (file.answered, keys(file)) == (0, [5, 3, 4, 1])
    assert len(lines_of(path)) == 2
    file.open()
    answer_all(file)
    assert file.settle() == (4, 0, 0)
    assert [line["response"] for line in lines_of(path)] == ["new 5", "new 3", "new 4", "new 1"]


@pytest.mark.parametrize("broken", [b"not json\n", b"[]\n", answered(99), b"{}\n", b"\xff\n"])
def test_overwrite_helps_against_a_broken_file(source: DatasetFile, broken: bytes) -> None:
    """What --overwrite is recommended for, it cures."""
    put(source, broken)
    with pytest.raises(DataError):
        opened(source)
    file = opened(source, overwrite=True)
    file.open()
    answer_all(file)
    assert file.settle() == (4, 0, 0)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Another"},
        {"key": 77},
        {"key": "3"},
        {"audio_path": "en/33.wav"},
        {"kwargs": [{"n": 1}]},
        {"kwargs": []},
        {"own": None},
        {"more": 1},
    ],
)
def test_answers_to_other_data_are_refused(source: DatasetFile, change: dict[str, Any]) -> None:
    """An answer to an item that is not, or is no longer so, in the data set stops the run, and nothing is changed."""
    line = json.dumps({**ROWS[1], "response": "x", **change}).encode() + b"\n"
    path = put(source, answered(5), line)
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        opened(source)
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ")
    assert str(source.path) in message
    assert "--run_name" in message
    assert "--overwrite" in message
    assert path.read_bytes() == before


def test_a_field_that_went_away_is_refused(source: DatasetFile) -> None:
    """A line that lacks one of the item's fields answers another item."""
    row = {name: value for name, value in ROWS[0].items() if name != "own"}
    path = put(source, json.dumps({**row, "response": "x"}).encode() + b"\n")
    with pytest.raises(DataError, match=rf"{NAME}:1: .*--overwrite"):
        opened(source)
    assert path.exists()


def test_fields_in_another_order_are_the_same_item(source: DatasetFile) -> None:
    """Only what fields hold counts, not how another program wrote the line."""
    row = {"response": "x", **dict(reversed(ROWS[0].items()))}
    put(source, json.dumps(row, ensure_ascii=True, indent=None, separators=(",", ":")).encode() + b"\r\n")
    assert keys(opened(source)) == [3, 4, 1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json\n", "not JSON"),
        (b"[]\n", "an object is expected"),
        (b'{"key": 3}\n', "field 'prompt': missing"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_a_broken_line_in_the_middle_is_refused(source: DatasetFile, line: bytes, words: str) -> None:
    """Only the last line may be torn; another broken one is named and stays."""
    path = put(source, answered(5), line, answered(3))
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        opened(source)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert words in str(caught.value)
    assert path.read_bytes() == before


def test_a_folder_in_the_files_place_is_refused(source: DatasetFile) -> None:
    """A folder of the file's name is one line, with and without --overwrite."""
    (source.root.parent / "run" / NAME).mkdir(parents=True)
    with pytest.raises(DataError, match="is a directory"):
        opened(source)
    with pytest.raises(DataError, match="cannot be written"):
        opened(source, overwrite=True).open()


def test_appending_before_opening_is_a_fault_of_ours(source: DatasetFile) -> None:
    """The order of calls is checked."""
    file = opened(source)
    item = next(file.pending())
    with pytest.raises(ValueError, match="open"):
        file.append(item, Response(item.id, "x"))


# --- the lines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "added"),
    [
        (("text", None, False, None), {"response": "text"}),
        (("", None, False, None), {"response": ""}),
        (("\udfff\n\u2028", None, False, None), {"response": "\udfff\n\u2028"}),
        (("text", None, False, {"asr_transcript": "said"}), {"response": "text", "asr_transcript": "said"}),
        ((None, "no audio", False, None), {"response": None, "error": "no audio", "error_permanent": False}),
        ((None, "too long", True, None), {"response": None, "error": "too long", "error_permanent": True}),
        (
            (None, "busy", False, {"asr_transcript": "said"}),
            {"response": None, "error": "busy", "error_permanent": False, "asr_transcript": "said"},
        ),
    ],
)
def test_a_line_is_the_item_and_what_was_answered(
    source: DatasetFile, response: tuple[Any, ...], added: dict[str, Any]
) -> None:
    """Every field of the item survives, unknown ones too, and exactly the answer's fields join it."""
    file = opened(source)
    file.open()
    item = next(file.pending())
    file.append(item, Response(item.id, *response))
    assert lines_of(file.path) == [{**ROWS[0], **added}]  # before anything is closed
    assert set(added) <= ADDED_FIELDS
    file.settle()
    assert lines_of(file.path) == [{**ROWS[0], **added}]
    assert opened(source).answered == int(response[0] is not None or response[2])


def test_judging_is_dropped_when_asked_again(source: DatasetFile) -> None:
    """A verdict about an earlier answer never stands beside a new one; those of kept answers stay."""
    kept = answered(5, response="x", pred_score=["YES"], judge={"model": "m"})
    gone = answered(3, response=None, error="busy", pred_score=["NO"], judge={"model": "m"}, asr_transcript="t")
    path = put(source, kept, gone)
    file = opened(source)
    file.open()
    answer_all(file)
    assert file.settle() == (4, 0, 0)
    first, second, *_ = lines_of(path)
    assert first == json.loads(kept)
    assert second == {**ROWS[1], "response": "new 3"}


def test_an_answered_file_can_be_a_data_set(tmp_path: Path, source: DatasetFile) -> None:
    """Answers, errors and verdicts that stand in the data set itself are not carried into a new run."""
    added = {
        "response": "old",
        "error": "e",
        "error_permanent": True,
        "asr_transcript": "t",
        "pred_score": [],
        "judge": {},
    }
    source.path.write_bytes(answered(5, **added) + answered(3))
    file = opened(source)
    file.open()
    answer_all(file)
    assert lines_of(file.path) == [{**ROWS[0], "response": "new 5"}, {**ROWS[1], "response": "new 3"}]
    assert opened(source).answered == 2


# --- the finished file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_finished_file_is_in_the_data_sets_order(source: DatasetFile, seed: int) -> None:
    """Answers come in any order; the finished file is in the data set's, each item once."""
    put(source, answered(1, response=None, error="busy"), answered(4))
    file = opened(source)
    file.open()
    answer_all(file, random.Random(seed).shuffle)
    assert file.settle() == (4, 0, 0)
    assert [(line["key"], line["response"]) for line in lines_of(file.path)] == [
        (5, "new 5"),
        (3, "new 3"),
        (4, "answer 4"),
        (1, "new 1"),
    ]
    assert [path.name for path in file.path.parent.iterdir()] == [NAME]


def test_a_file_in_order_is_not_touched(source: DatasetFile) -> None:
    """Settling what is in order writes nothing: the same file, the same time, odd formatting kept."""
    spaced = json.dumps({**ROWS[1], "response": "x"}, indent=None, separators=(" , ", " : ")).encode() + b"\n"
    path = put(source, answered(5), spaced, answered(1))
    before = path.stat()
    assert opened(source).settle() == (3, 0, 0)
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert path.read_bytes() == answered(5) + spaced + answered(1)


def test_settling_counts_failures_by_their_last_line(source: DatasetFile) -> None:
    """Answered and failed are counted over items, not over lines."""
    path = put(
        source,
        answered(1, response=None, error="busy"),
        answered(5, response=None, error="gone", error_permanent=True),
        answered(1),
        answered(4, response=""),
        answered(3, response=None, error="busy"),
        answered(3, response=None, error="busy still"),
    )
    assert opened(source).settle() == (2, 2, 1)
    assert [(line["key"], line.get("error")) for line in lines_of(path)] == [
        (5, "gone"),
        (3, "busy still"),
        (4, None),
        (1, None),
    ]


def test_a_file_that_cannot_be_rewritten_stays(source: DatasetFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """When bringing into order fails, every answer is still there, and the next run brings it to its end."""
    path = put(source, answered(1), answered(5), answered(3), answered(4))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        opened(source).settle()
    assert path.read_bytes() == before
    monkeypatch.undo()
    file = opened(source)
    assert keys(file) == []
    assert file.settle() == (4, 0, 0)
    assert [line["key"] for line in lines_of(path)] == [5, 3, 4, 1]


def test_a_torn_line_is_cut_off_also_where_nothing_is_asked(source: DatasetFile) -> None:
    """A rerun that finds everything answered leaves a whole file behind."""
    whole = b"".join(map(answered, (5, 3, 4, 1)))
    path = put(source, whole, answered(5)[:20])
    file = opened(source)
    assert keys(file) == []
    assert file.settle() == (4, 0, 0)
    assert path.read_bytes() == whole


def test_settling_what_never_began_makes_no_file(source: DatasetFile) -> None:
    """Where no answer was ever kept there is nothing to bring into order."""
    file = opened(source)
    assert file.settle() == (0, 0, 0)
    assert not file.path.exists()


@pytest.mark.parametrize("line", [answered(99), answered(3) + answered(5), b"not json\n", b'{"torn'])
def test_overwriting_that_never_began_leaves_the_old_answers(source: DatasetFile, line: bytes) -> None:
    """When the model cannot be loaded, --overwrite has dropped nothing, and no old line is even looked at."""
    path = put(source, line)
    file = opened(source, overwrite=True)
    assert file.settle() == (0, 0, 0)
    assert path.read_bytes() == line


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from((5, 3, 4, 1)), st.sampled_from(("answer", "passing", "permanent"))), max_size=12
    ),
    torn=st.integers(0, 60),
)
def test_any_history_ends_in_one_line_an_item(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], torn: int
) -> None:
    """Whatever was appended before, and however torn: exactly the unsettled are asked, and each item ends once."""
    folder = tmp_path_factory.mktemp("history")
    bench = folder / "bench" / NAME
    bench.parent.mkdir()
    bench.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS))
    source = DatasetFile(bench, None, bench.parent)
    added: dict[str, dict[str, Any]] = {
        "answer": {"response": "x"},
        "passing": {"response": None, "error": "e", "error_permanent": False},
        "permanent": {"response": None, "error": "e", "error_permanent": True},
    }
    path = put(source, *(answered(key, **added[state]) for key, state in steps), answered(5)[:torn])
    last = dict(steps)
    file = opened(source)
    assert keys(file) == [key for key in (5, 3, 4, 1) if last.get(key, "passing") == "passing"]
    file.open()
    answer_all(file)
    permanent = sum(state == "permanent" for state in last.values())
    assert file.settle() == (4 - permanent, permanent, permanent)
    assert [line["key"] for line in lines_of(path)] == [5, 3, 4, 1]
    assert keys(opened(source)) == []
