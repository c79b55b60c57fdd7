"""Shards of a job array become one run again, or it is said in one line why not."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import jsonl
from data.__main__ import main
from data.errors import DataError, UsageError
from data.merge import merge
from inference import run
from inference.backends import Answer, Request
from inference.chat import Sampling

ROOT = Path(__file__).parents[2]
SIZES = {"closed_standard_en.jsonl": 7, "open_ended_en.jsonl": 2, "adjustment_en.jsonl": 2100}
Make = Callable[..., Path]


def line(name: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return an answered line."""
    return {"key": number, "prompt": name, "audio_path": f"{number}.wav", "response": f"answer {number}", **fields}


def manifest(number: int, **fields: Any) -> dict[str, Any]:
    """Return a shard's run.json."""
    return {
        "run_name": "try",
        "model": {"name": "made-up", "backend": "x:Y"},
        "sampling": {"temperature": 0.0, "seed": 0},
        "data": {"root": "/data", "sha256": dict.fromkeys(SIZES, "0")},
        "started": f"2026-01-01T00:00:0{number}+00:00",
        "status": "complete",
        "duration_seconds": number + 0.5,
        "engine": {"name": "ray", "address": f"10.0.0.{number}:6379"},
        "first_prompt": {"item": str(number)},
        "asked": {"one.jsonl": number},
        "counts": {"items": 1, "answered": 1, "failed": 0},
        **fields,
    }


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that makes a sharded run and returns its folder; keywords change single manifests."""

    def make(count: int = 3, sizes: dict[str, int] = SIZES, **changes: dict[str, Any]) -> Path:
        folder = tmp_path / "try"
        for number in range(1, count + 1):
            shard = folder / "shards" / f"{number}-of-{count}"
            shard.mkdir(parents=True)
            (shard / "run.json").write_text(json.dumps(manifest(number, **changes.get(f"shard_{number}", {}))))
            for name, size in sizes.items():
                rows = [line(name, item) for item in range(number - 1, size, count)]
                (shard / name).write_bytes(b"".join(jsonl.dumps(row) for row in rows))
        return folder

    return make


def keys(path: Path) -> list[int]:
    """Return the keys of a file's items in order."""
    return [found.fields["key"] for found in jsonl.read(path)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_order_is_restored(make: Make, count: int) -> None:
    """Uneven parts of several files, one of them smaller than the number of shards, interleave again."""
    folder = make(count)
    merged = merge(folder)
    assert [path.name for path in merged.files] == sorted(SIZES)
    for name, size in SIZES.items():
        assert keys(folder / name) == list(range(size))
    assert (merged.items, merged.answered, merged.missing) == (sum(SIZES.values()), sum(SIZES.values()), [])


def test_lines_are_copied_as_they_stand(make: Make) -> None:
    """A line's bytes are the shard's, escapes included."""
    folder = make(2, {"one.jsonl": 2})
    odd = b'{"key": 1, "prompt": "\\u00e9\\u2028", "audio_path": "1.wav",  "response": "\\ud800"}\n'
    (folder / "shards" / "2-of-2" / "one.jsonl").write_bytes(odd)
    merge(folder)
    assert (folder / "one.jsonl").read_bytes().endswith(odd)


def test_joined_manifest(make: Make) -> None:
    """Settings are the shards'; counts are those of all lines, durations are listed."""
    folder = make(3, {"one.jsonl": 4})
    failed = line("one.jsonl", 1, response=None, error="too long", error_permanent=True)
    (folder / "shards" / "2-of-3" / "one.jsonl").write_bytes(jsonl.dumps(failed))
    merge(folder)
    fields = json.loads((folder / "run.json").read_bytes())
    assert fields["model"] == {"name": "made-up", "backend": "x:Y"}
    assert fields["started"] == "2026-01-01T00:00:01+00:00"
    assert fields["status"] == "complete"
    assert fields["counts"] == {"items": 4, "answered": 3, "failed": 1}
    assert fields["asked"] == {"one.jsonl": 6}
    assert fields["duration_seconds"] == 7.5
    assert fields["shards"] == {"count": 3, "joined": [1, 2, 3], "duration_seconds": [1.5, 2.5, 3.5]}
    assert fields["first_prompt"] == {"item": "1"}


def test_an_array_of_the_real_command_equals_a_run_in_one_piece(tmp_path: Path, write_jsonl: Any) -> None:
    """What --shard writes comes together as what the same run writes without it."""

    class Echo:
        async def answer(self, request: Request) -> Answer:
            if request.text == "text 4":
                return Answer(None, "refused", permanent=True)
            return Answer(f"heard {request.text}")

        def rendered(self, request: Request) -> str:
            return str(request.text)

        async def close(self) -> None:
            pass

    class Quiet:
        def __enter__(self) -> Quiet:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def advance(self, *, failed: bool) -> None:
            pass

    rows = [{"key": item, "prompt": f"text {item}", "audio_path": f"{item}.wav"} for item in range(11)]
    data = write_jsonl(tmp_path / "mine.jsonl", rows)

    def start(name: str, shard: tuple[int, int] | None) -> None:
        options = run.Options(
            data, None, None, None, 10, "made-up", {}, tmp_path, name, Sampling(0.0, 1.0, 64, 0), None, 4,
            modality="text", shard=shard,
        )  # fmt: skip
        run.run(options, say=print, show=print, progress=lambda *_: Quiet(), load=lambda _: Echo())

    start("whole", None)
    for number in (2, 3, 1, 4):
        start("array", (number, 4))
    merge(tmp_path / "array")

    def answers(name: str) -> list[dict[str, Any]]:
        found = [dict(at.fields) for at in jsonl.read(tmp_path / name / "mine.jsonl")]
        return [{field: value for field, value in row.items() if field != "latency_seconds"} for row in found]

    assert answers("array") == answers("whole")
    counts = [json.loads((tmp_path / name / "run.json").read_bytes())["counts"] for name in ("array", "whole")]
    assert counts[0] == counts[1] == {"items": 10, "answered": 9, "failed": 1}
    for name in ("array", "whole"):  # ten of eleven, whether it was asked in one piece or in four
        fields = json.loads((tmp_path / name / "run.json").read_bytes())
        assert (fields["asked"], fields["data"]["items"]) == ({"mine.jsonl": 10}, {"mine.jsonl": 11})
    start("array", None)  # the joined run is continued like any other: whatever failed could be asked again
    assert answers("array") == answers("whole")


def test_missing_and_unfinished_shards_are_named(make: Make) -> None:
    """One line names every shard that is not there, has not begun, or has not finished."""
    folder = make(5, shard_2={"status": "interrupted"}, shard_4={"status": "running"})
    shutil.rmtree(folder / "shards" / "3-of-5")
    (folder / "shards" / "5-of-5" / "run.json").unlink()
    with pytest.raises(UsageError) as refused:
        merge(folder)
    message = str(refused.value)
    for part in ("shard 3 of 5 missing", "shard 2 of 5 interrupted", "shard 4 of 5 running", "shard 5 of 5 not begun"):
        assert part in message
    assert "--partial" in message and "\n" not in message
    assert not (folder / "run.json").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sampling": {"temperature": 0.7, "seed": 0}}, "sampling.temperature"),
        ({"model": {"name": "another", "backend": "x:Y"}}, "model.name"),
        ({"packages": {"numpy": "2"}}, "packages.numpy"),
        ({"data": {"root": "/data", "sha256": {}}}, "data.sha256.closed_standard_en.jsonl"),
        ({"revisions": {"asr": "second"}}, "revisions.asr"),
    ],
)
def test_other_settings_are_named(make: Make, change: dict[str, Any], named: str) -> None:
    """Shards that were not run alike do not become one run, not even partially."""
    folder = make(3, shard_1={"revisions": {"asr": "first"}}, shard_2=change)
    for partial in (False, True):
        with pytest.raises(UsageError, match=named):
            merge(folder, partial=partial)
    assert not (folder / "run.json").exists()


def test_a_shard_that_loaded_nothing_fits(make: Make) -> None:
    """Where there was nothing to ask, no weights were loaded whose revision could be known."""
    merge(make(3, shard_1={"revisions": {"asr": "first"}}, shard_3={"revisions": {"asr": "first"}}))


def test_shards_of_two_arrays_are_refused(make: Make) -> None:
    """2-of-3 beside 1-of-2 may be of any data: nothing is guessed."""
    folder = make(3)
    (folder / "shards" / "1-of-2").mkdir()
    with pytest.raises(UsageError, match="of 2 and of 3"):
        merge(folder, partial=True)


def test_impossible_shard_is_refused(make: Make) -> None:
    """There is no shard 4 of 3."""
    folder = make(3)
    (folder / "shards" / "4-of-3").mkdir()
    with pytest.raises(UsageError, match="4-of-3"):
        merge(folder)


@pytest.mark.parametrize("sizes", [[3, 3, 1], [2, 3, 3], [3, 0, 2]])
def test_parts_of_impossible_lengths_are_refused(make: Make, sizes: list[int]) -> None:
    """Lengths that no split gives show that a shard was run with another --limit, or lost lines."""
    folder = make(3, {})
    for number, size in enumerate(sizes, start=1):
        rows = [line("one.jsonl", number + 3 * item) for item in range(size)]
        path = folder / "shards" / f"{number}-of-3" / "one.jsonl"
        if rows:
            path.write_bytes(b"".join(jsonl.dumps(row) for row in rows))
    with pytest.raises(UsageError, match=", ".join(map(str, sizes))):
        merge(folder)


def test_an_item_in_two_shards_is_refused(make: Make) -> None:
    """No item is counted twice."""
    folder = make(2, {"one.jsonl": 4})
    shutil.copy(folder / "shards/1-of-2/one.jsonl", folder / "shards/2-of-2/one.jsonl")
    with pytest.raises(DataError, match="another shard"):
        merge(folder)


def test_nothing_to_join(tmp_path: Path, make: Make) -> None:
    """No folder, no shards, no answers: each is said."""
    with pytest.raises(UsageError, match="no shards"):
        merge(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="answered"):
        merge(make(2, {}))


@pytest.mark.parametrize("text", ["{", "[]", '{"duration_seconds": "long"}'])
def test_broken_manifest_is_named(make: Make, text: str) -> None:
    """A run.json that is none is refused with its path."""
    folder = make(2)
    (folder / "shards" / "2-of-2" / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"2-of-2/run\.json"):
        merge(folder)


def test_partial_joins_what_is_there(make: Make) -> None:
    """A torn line is left out, an item that was asked again counts once, and the manifest says `partial`."""
    folder = make(3, {"one.jsonl": 9}, shard_2={"status": "running"})
    shutil.rmtree(folder / "shards" / "3-of-3")
    growing = [line("one.jsonl", 1, response=None, error="busy"), line("one.jsonl", 4), line("one.jsonl", 1)]
    torn = b"".join(jsonl.dumps(row) for row in growing) + b'{"key": 7, "pro'
    (folder / "shards" / "2-of-3" / "one.jsonl").write_bytes(torn)
    merged = merge(folder, partial=True)
    assert keys(folder / "one.jsonl") == [0, 1, 3, 4, 6]
    assert (merged.items, merged.answered) == (5, 5)
    assert merged.missing == ["shard 3 of 3 missing", "shard 2 of 3 running"]
    fields = json.loads((folder / "run.json").read_bytes())
    assert fields["status"] == "partial"
    assert fields["shards"]["joined"] == [1, 2]


def test_other_answers_are_not_overwritten(make: Make) -> None:
    """A joined file with other answers stays, and so do all others, until --overwrite."""
    folder = make(3)
    precious = jsonl.dumps(line("open_ended_en.jsonl", 0, response="from before"))
    (folder / "open_ended_en.jsonl").write_bytes(precious)
    with pytest.raises(UsageError, match=r"open_ended_en\.jsonl.*--overwrite"):
        merge(folder)
    assert (folder / "open_ended_en.jsonl").read_bytes() == precious
    assert not (folder / "closed_standard_en.jsonl").exists()
    assert merge(folder, overwrite=True).unchanged == []
    assert keys(folder / "open_ended_en.jsonl") == [0, 1]


def test_a_broken_joined_file_is_replaced_on_request(make: Make) -> None:
    """A file that is no JSONL is in the way like any other."""
    folder = make(2, {"one.jsonl": 3})
    (folder / "one.jsonl").write_bytes(b"\xff not ours\n")
    with pytest.raises(UsageError, match="--overwrite"):
        merge(folder)
    merge(folder, overwrite=True)
    assert keys(folder / "one.jsonl") == [0, 1, 2]


def test_another_runs_manifest_is_not_overwritten(make: Make) -> None:
    """A run.json of a run with other settings stays until --overwrite."""
    folder = make(2)
    (folder / "run.json").write_text(json.dumps(manifest(1, modality="text")))
    with pytest.raises(UsageError, match="modality"):
        merge(folder)
    merge(folder, overwrite=True)
    assert "modality" not in json.loads((folder / "run.json").read_bytes())


def test_merging_again_keeps_verdicts(make: Make) -> None:
    """A joined file that was graded since holds the same answers: it is left as it is."""
    folder = make(2, {"open_ended_en.jsonl": 3})
    merge(folder)
    graded = [{**at.fields, "pred_score": ["YES"], "judge": {}} for at in jsonl.read(folder / "open_ended_en.jsonl")]
    (folder / "open_ended_en.jsonl").write_bytes(b"".join(jsonl.dumps(row) for row in graded))
    assert merge(folder).unchanged == [folder / "open_ended_en.jsonl"]
    assert all("pred_score" in at.fields for at in jsonl.read(folder / "open_ended_en.jsonl"))


def test_a_later_full_merge_replaces_a_partial_one(make: Make) -> None:
    """What was joined in part is joined wholly when the last shard is done, on request."""
    folder = make(2, {"one.jsonl": 4}, shard_2={"status": "running"})
    merge(folder, partial=True)
    (folder / "shards" / "2-of-2" / "run.json").write_text(json.dumps(manifest(2)))
    merge(folder, overwrite=True)
    assert json.loads((folder / "run.json").read_bytes())["status"] == "complete"


def test_two_merges_at_once_are_refused(make: Make) -> None:
    """A second process is kept out, as by a run."""
    folder = make(2)
    with jsonl.only_process(folder / "run"), pytest.raises(DataError, match="another process"):
        merge(folder)


KILLED_IN_THE_SECOND_FILE = """
import os, signal, sys
from pathlib import Path
from data import jsonl, merge
whole = jsonl.rewrite
def rewrite(path, lines):
    def until_killed():
        for number, line in enumerate(lines):
            if path.name == "closed_standard_en.jsonl" and number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield line
    whole(path, until_killed())
jsonl.rewrite = rewrite
merge.merge(Path(sys.argv[1]))
"""


def test_killed_half_way(make: Make) -> None:
    """A kill -9 leaves whole files only, no run.json, and the same command finishes the work."""
    folder = make(3)
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_THE_SECOND_FILE, str(folder)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert keys(folder / "adjustment_en.jsonl") == list(range(2100))
    assert not (folder / "closed_standard_en.jsonl").exists()
    assert not (folder / "run.json").exists()
    assert [path.name for path in merge(folder).unchanged] == ["adjustment_en.jsonl"]
    assert keys(folder / "closed_standard_en.jsonl") == list(range(7))


def test_command(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths go to stdout and talk to stderr; refusals are one line and exit code 2."""
    folder = make(2, {"one.jsonl": 3})
    assert main(["merge", str(folder)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{folder / 'one.jsonl'}\n"
    assert shown.err == f"3 responses, 0 failed; python evaluate.py --results {folder}\n"
    assert main(["merge", str(folder)]) == 0
    assert "left as it is" in capsys.readouterr().err
    shutil.rmtree(folder / "shards" / "2-of-2")
    assert main(["merge", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert main(["merge", str(folder), "--partial", "--overwrite"]) == 0
    assert "only in part: shard 2 of 2 missing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["join"], ["merge"], ["merge", "x", "--part"]])
def test_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line is one line and exit code 2."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_module_is_a_command() -> None:
    """`python -m data merge --help` answers."""
    command = [sys.executable, "-m", "data", "merge", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--partial" in done.stdout
