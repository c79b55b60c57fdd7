"""A run of inference with a made-up model over a small data set of real WAV files."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from data import dataset, jsonl
from data.errors import DataError, ModelError, UsageError
from data.suites import suite_named
from inference import run
from inference.backends import Answer, Request
from inference.chat import Sampling
from prompts.templates import Template

ROOT = Path(__file__).parents[2]
OPEN = "open_ended_en.jsonl"
CLOSED = "closed_standard_en.jsonl"
CHINESE = "open_ended_cn.jsonl"


class Fake:
    """A model that decodes the audio and answers with the file's name, later items first."""

    def __init__(self, answers: Mapping[str, Answer | BaseException] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.closed = 0

    async def answer(self, request: Request) -> Answer:
        """Answer what the test put down for this file, or the file's name."""
        name = "known recording" if request.id is None else Path(str(request.id.audio)).stem
        self.asked.append(name)
        self.requests.append(request)
        await asyncio.sleep(0.002 * (3 - len(self.asked) % 4))
        answer = self.answers.get(name, Answer(f"answer to {name}", transcript=f"heard {name}"))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def rendered(self, request: Request) -> str:
        """Return the item's name."""
        return f"prompt of {request.id}"

    async def close(self) -> None:
        """Count the closing."""
        self.closed += 1


class Shown(AbstractContextManager["Shown"]):
    """A progress display that only counts."""

    def __init__(self, total: int, done: int) -> None:
        self.start = (total, done)
        self.failures: list[bool] = []

    def advance(self, *, failed: bool) -> None:
        """Count one."""
        self.failures.append(failed)

    def __exit__(self, *_: object) -> None:
        """End the display."""


class Said(list[str]):
    """What a run said, what it showed, and its progress display."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[str] = []
        self.displays: list[Shown] = []

    def progress(self, total: int, done: int) -> Shown:
        """Make a display."""
        self.displays.append(Shown(total, done))
        return self.displays[-1]


@pytest.fixture
def said() -> Said:
    """What the run says."""
    return Said()


@pytest.fixture
def data(tmp_path: Path, write_jsonl: Any) -> Path:
    """A data set in the hub's layout: five open items, three closed ones, two Chinese ones."""
    root = tmp_path / "speech"
    for file, folder, names in (
        (OPEN, "open-ended", [f"o{number}" for number in range(5)]),
        (CLOSED, "closed-ended", [f"c{number}" for number in range(3)]),
        (CHINESE, "open-ended", ["z0", "z1"]),
    ):
        rows = []
        for number, name in enumerate(names):
            path = root / folder / "clips" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.full(160, 0.1 * number, dtype="float32"), 16_000)
            rows.append(
                {"key": number, "prompt": f"Say {name}.", "audio_path": f"clips/{name}.wav", "note": {"kept": [name]}}
            )
        write_jsonl(root / folder / file, rows)
    return root


@pytest.fixture
def options(data: Path, tmp_path: Path) -> run.Options:
    """Options that run the open items with three in flight."""
    return run.Options(
        dataset=data,
        suite=suite_named("open"),
        variant=None,
        lang="en",
        limit=None,
        model_name="made-up",
        model={"backend": "fake", "size": "small"},
        output_dir=tmp_path / "results",
        run_name="try",
        sampling=Sampling(0.0, 1.0, 64, 0),
        system=Template("system", "Listen well."),
        concurrency=3,
    )


Go = Callable[..., run.Outcome]


@pytest.fixture
def go(said: Said) -> Go:
    """A function that runs options with a model."""

    def start(options: run.Options, fake: Fake | None = None, **changes: Any) -> run.Outcome:
        return run.run(
            replace(options, **changes),
            say=said.append,
            show=said.results.append,
            progress=said.progress,
            load=lambda _: fake or Fake(),
        )

    return start


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a finished file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def responses(options: run.Options, name: str = OPEN) -> list[str | None]:
    """Return a file's responses, in its order."""
    return [row["response"] for row in rows_of(options.folder / name)]


def test_responses_stand_in_input_order(options: run.Options, go: Go, said: Said) -> None:
    """However answers came, the finished file has the data set's order, fields and one line an item."""
    model = Fake()
    outcome = go(options, model)
    rows = rows_of(options.folder / OPEN)
    assert [row["key"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[3].pop("latency_seconds") >= 0
    assert rows[3].pop("audio_seconds_used") > 0
    assert rows[3] == {
        "key": 3,
        "prompt": "Say o3.",
        "audio_path": "clips/o3.wav",
        "note": {"kept": ["o3"]},
        "response": "answer to o3",
        "asr_transcript": "heard o3",
    }
    assert outcome == run.Outcome([options.folder / OPEN], 5, 5, 0)
    assert model.closed == 1
    assert said.displays[0].start == (5, 0)
    assert said.displays[0].failures == [False] * 5


def test_the_model_gets_system_line_and_sampling(options: run.Options, go: Go) -> None:
    """What run.json says is what the model gets."""
    model = Fake()
    go(options, model, limit=1)
    (request,) = model.requests
    assert (request.system, request.sampling) == ("Listen well.", options.sampling)
    assert request.text is None
    (clip,) = request.clips
    assert clip.rate == 16_000
    assert len(clip.samples) == clip.seconds * 16_000


def test_bad_audio_becomes_an_error_on_its_line(options: run.Options, go: Go, data: Path, said: Said) -> None:
    """Missing, empty and unreadable audio: `response` null, a reason, counted; the others are answered."""
    clips = data / "open-ended" / "clips"
    (clips / "o0.wav").unlink()
    (clips / "o1.wav").write_bytes(b"")
    (clips / "o2.wav").write_bytes(b"this is no sound" * 50)
    soundfile.write(clips / "o3.wav", np.zeros(0, dtype="float32"), 16_000)
    model = Fake()
    outcome = go(options, model)
    rows = rows_of(options.folder / OPEN)
    assert [row["response"] for row in rows] == [None, None, None, None, "answer to o4"]
    assert rows[0]["error"] == "audio not found: clips/o0.wav"
    assert all(row["error"].startswith("audio ") for row in rows[:4])
    assert "error" not in rows[4]
    assert (outcome.items, outcome.answered, outcome.failed) == (5, 1, 4)
    assert sum(said.displays[0].failures) == 4
    assert "o0" not in model.asked


def test_a_rerun_asks_what_is_missing(options: run.Options, go: Go) -> None:
    """Answers stay; a passing error is asked again, a permanent one is not."""
    first = Fake({"o1": Answer(None, "busy"), "o2": Answer(None, "too long", permanent=True)})
    outcome = go(options, first)
    assert (outcome.failed, outcome.permanent) == (2, 1)
    again = Fake()
    outcome = go(options, again)
    assert again.asked == ["o1"]
    assert responses(options) == ["answer to o0", "answer to o1", None, "answer to o3", "answer to o4"]
    rows = rows_of(options.folder / OPEN)
    assert "error" not in rows[1]
    assert (rows[2]["error"], rows[2]["error_permanent"]) == ("too long", True)
    assert (outcome.items, outcome.answered, outcome.failed) == (5, 4, 1)


def test_a_finished_run_asks_nothing(options: run.Options, go: Go, said: Said) -> None:
    """The second time no model is loaded, and the user is told why nothing happens."""
    go(options)
    before = (options.folder / OPEN).read_bytes()

    def refuse(_: Mapping[str, Any]) -> Any:
        raise AssertionError("no model is needed")

    outcome = run.run(options, say=said.append, show=print, progress=said.progress, load=refuse)
    assert outcome.answered == 5
    assert (options.folder / OPEN).read_bytes() == before
    assert any("nothing is asked" in line for line in said)


def test_a_torn_last_line_is_repaired(options: run.Options, go: Go) -> None:
    """What a kill left of a line is cut off and its item asked again."""
    go(options)
    path = options.folder / OPEN
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n") + 20])
    model = Fake()
    go(options, model)
    assert model.asked == ["o4"]
    repaired = path.read_bytes().splitlines()
    assert repaired[:4] == whole.splitlines()[:4]
    assert json.loads(repaired[4])["response"] == "answer to o4"


def test_a_torn_line_behind_the_limit_is_repaired_too(options: run.Options, go: Go) -> None:
    """Also where nothing is to be asked, the finished file has whole lines only."""
    go(options)
    path = options.folder / OPEN
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    model = Fake()
    outcome = go(options, model, limit=2)
    assert model.asked == []
    assert path.read_bytes() == b"".join(lines[:3])
    assert (outcome.items, outcome.answered, outcome.failed) == (2, 2, 0)


def test_limit_takes_the_first_of_each_file(options: run.Options, go: Go) -> None:
    """`--limit` counts per file and in the data set's order; more later continues."""
    first, second = Fake(), Fake()
    outcome = go(options, first, limit=2, suite=None)
    assert sorted(first.asked) == ["c0", "c1", "o0", "o1"]
    assert [path.name for path in outcome.files] == [CLOSED, OPEN]
    go(options, second, limit=4)
    assert sorted(second.asked) == ["o2", "o3"]
    assert [row["key"] for row in rows_of(options.folder / OPEN)] == [0, 1, 2, 3]


def test_run_json_tells_which_part_of_the_data_set_was_asked(options: run.Options, go: Go) -> None:
    """Per file, what the run was ever about and what the data set has: a smaller limit later takes nothing back."""
    found = []
    for changes in ({"limit": 2}, {"limit": 4}, {"limit": 1}, {"suite": None}, {"shard": (2, 3)}):
        go(options, **changes)
        folder = replace(options, **changes).folder
        manifest = json.loads((folder / "run.json").read_text())
        found.append((manifest["asked"], manifest["data"]["items"]))
    assert found == [
        ({OPEN: 2}, {OPEN: 5}),
        ({OPEN: 4}, {OPEN: 5}),
        ({OPEN: 4}, {OPEN: 5}),
        ({OPEN: 5, CLOSED: 3}, {OPEN: 5, CLOSED: 3}),
        ({OPEN: 2}, {OPEN: 5}),
    ]


def test_run_json_tells_the_terms_of_a_built_set(options: run.Options, go: Go) -> None:
    """A run over the bundled sample knows its licences; one over recordings of unknown origin states nothing."""
    for name in (dataset.SAMPLE, options.dataset):
        go(options, dataset=name, limit=1, run_name=name.name)
    sample, other = (
        json.loads((options.output_dir / name.name / "run.json").read_text())["data"]
        for name in (dataset.SAMPLE, options.dataset)
    )
    assert "prompts Apache-2.0" in sample["source"]["redistribution"]
    assert "source" not in other


def test_counts_are_those_of_the_limit(options: run.Options, go: Go) -> None:
    """A smaller limit on a finished file counts the items that it is about, and drops none."""
    go(options, Fake({"o4": Answer(None, "busy")}))
    outcome = go(options, limit=3)
    assert (outcome.items, outcome.answered, outcome.failed) == (3, 3, 0)
    assert len(responses(options)) == 5


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sampling": Sampling(0.7, 1.0, 64, 0)}, "another sampling"),
        ({"sampling": Sampling(0.0, 1.0, 64, 1)}, "another sampling"),
        ({"system": Template("system", "Listen badly.")}, "another system prompt"),
        ({"system": None}, "another system prompt"),
        ({"model": {"backend": "fake", "size": "large"}}, "another model"),
        ({"model_name": "other"}, "another model"),
    ],
)
def test_other_settings_are_refused(changes: dict[str, Any], what: str, options: run.Options, go: Go) -> None:
    """Answers made under other settings are neither mixed with nor lost; --overwrite starts anew."""
    go(options, limit=2)
    before = (options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes()
    model = Fake()
    with pytest.raises(UsageError, match=what) as caught:
        go(options, model, **changes)
    assert "--overwrite" in str(caught.value)
    assert before == ((options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes())
    go(options, model, **changes, overwrite=True)
    assert len(model.asked) == 5


def test_other_weights_of_the_same_name_are_refused(options: run.Options, go: Go) -> None:
    """The hub's commits go into run.json; a run is not continued with others, unknown ones pass."""

    class Fetched(Fake):
        def __init__(self, **revisions: str) -> None:
            super().__init__()
            self.revisions = revisions

    go(options, Fetched(asr="first"), limit=2)
    before = (options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes()
    with pytest.raises(UsageError, match=r"revision first of the asr, not with second.*--overwrite"):
        go(options, Fetched(asr="second"))
    assert before == ((options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes())
    go(options, Fake(), limit=3)
    go(options, Fetched(asr="first", model="other"))
    assert json.loads((options.folder / "run.json").read_text())["revisions"] == {"asr": "first", "model": "other"}
    go(options, Fetched(asr="second"), overwrite=True)
    assert json.loads((options.folder / "run.json").read_text())["revisions"] == {"asr": "second"}


def test_settings_may_change_while_there_is_no_answer(options: run.Options, go: Go) -> None:
    """A run that failed before its first answer binds nobody."""
    with pytest.raises(ModelError):
        go(options, Fake({f"o{number}": ModelError("gone") for number in range(5)}))
    assert (options.folder / "run.json").exists()
    assert go(options, sampling=Sampling(0.5, 1.0, 64, 0)).answered == 5


def test_overwrite_keeps_the_answers_until_the_model_is_there(options: run.Options, go: Go) -> None:
    """A model that cannot be loaded costs nobody their earlier answers."""
    go(options)
    before = (options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes()

    def no_model(_: Mapping[str, Any]) -> Any:
        raise ModelError("not installed")

    with pytest.raises(ModelError):
        changed = replace(options, overwrite=True, system=None)
        run.run(changed, say=print, show=print, progress=Shown, load=no_model)
    assert before == ((options.folder / OPEN).read_bytes(), (options.folder / "run.json").read_bytes())


@pytest.mark.parametrize("change", ["reworded", "removed"])
def test_a_changed_data_set_is_refused(change: str, options: run.Options, go: Go, data: Path, write_jsonl: Any) -> None:
    """Answers to items that are not, or not so, in the data set any more are named with their line."""
    go(options)
    path = data / "open-ended" / OPEN
    rows = rows_of(path)
    if change == "removed":
        del rows[2]
    else:
        rows[2]["prompt"] = "Say something else."
    write_jsonl(path, rows)
    before = (options.folder / OPEN).read_bytes()
    with pytest.raises(DataError, match=rf"{OPEN}:3: answers an item that is not, or not so, in ") as caught:
        go(options)
    assert "--overwrite" in str(caught.value)
    assert (options.folder / OPEN).read_bytes() == before


def test_a_data_set_may_grow_and_move(options: run.Options, go: Go, data: Path, write_jsonl: Any) -> None:
    """New items and another order are no change of what was answered; the file follows the new order."""
    go(options, limit=4)
    path = data / "open-ended" / OPEN
    write_jsonl(path, list(reversed(rows_of(path))))
    model = Fake()
    go(options, model)
    assert model.asked == ["o4"]
    assert [row["key"] for row in rows_of(options.folder / OPEN)] == [4, 3, 2, 1, 0]


def test_run_json_tells_what_determined_the_answers(options: run.Options, go: Go, data: Path) -> None:
    """Model, prompt, sampling, data with hashes, versions, start, duration and counts are all there."""
    go(options, Fake({"o1": Answer(None, "busy")}))
    first = json.loads((options.folder / "run.json").read_text())
    assert first["run_name"] == "try"
    assert first["model"] == {"name": "made-up", "backend": "fake", "size": "small"}
    assert first["system_prompt"] == "Listen well."
    assert first["system_prompt_id"].startswith("system@")
    assert first["sampling"] == {"temperature": 0.0, "top_p": 1.0, "max_tokens": 64, "seed": 0}
    assert first["data"]["root"] == str(data.resolve())
    assert first["data"]["sha256"] == dataset.content_hash(dataset.dataset_files(data / "open-ended" / OPEN))
    assert first["packages"]["soundfile"] == soundfile.__version__
    assert first["status"] == "complete"
    assert first["counts"] == {"items": 5, "answered": 4, "failed": 1}
    go(options, suite=suite_named("closed"))
    second = json.loads((options.folder / "run.json").read_text())
    assert second["started"] == first["started"]
    assert second["duration_seconds"] >= first["duration_seconds"]
    assert second["data"]["sha256"].keys() == {OPEN, CLOSED}


def test_a_run_that_fails_says_so_in_run_json(options: run.Options, go: Go) -> None:
    """A lost server leaves what was answered, in order, and the status says that the run did not end."""
    model = Fake({"o4": ModelError("gone")})
    with pytest.raises(ModelError, match="gone"):
        go(options, model, concurrency=1)
    assert json.loads((options.folder / "run.json").read_text())["status"] == "interrupted"
    assert responses(options) == [f"answer to o{number}" for number in range(4)]
    assert model.closed == 1
    assert go(options).answered == 5


def test_an_interrupted_rerun_leaves_no_item_twice(options: run.Options, go: Go) -> None:
    """After Ctrl-C an item that failed before and was answered now has one line, the answered one."""
    go(options, Fake({name: Answer(None, "busy") for name in ("o1", "o3")}))

    class Interrupted(Fake):
        async def answer(self, request: Request) -> Answer:
            if Path(str(request.id and request.id.audio)).stem == "o3":
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(30)
            return await super().answer(request)

    with pytest.raises(KeyboardInterrupt):
        go(options, Interrupted(), concurrency=1)
    assert responses(options) == ["answer to o0", "answer to o1", "answer to o2", None, "answer to o4"]


def test_a_language_that_the_model_does_not_speak_is_skipped_once(options: run.Options, go: Go, said: Said) -> None:
    """Chinese files are left out of an English model's run, which is said in one line."""
    outcome = go(options, lang=None, suite=None, model={"backend": "fake", "languages": ["en"]})
    assert [path.name for path in outcome.files] == [CLOSED, OPEN]
    assert [line for line in said if "skipped" in line] == [
        "model 'made-up' speaks en only: 1 files in other languages are skipped"
    ]


def test_only_a_language_that_the_model_does_not_speak_is_an_error(options: run.Options, go: Go) -> None:
    """When nothing is left, that is no success."""
    with pytest.raises(UsageError, match="speaks en only; no file is left"):
        go(options, lang="zh", model={"backend": "fake", "languages": ["en"]})


@pytest.mark.parametrize("finished", [False, True])
def test_a_dry_run_writes_nothing(finished: bool, options: run.Options, go: Go, said: Said) -> None:
    """A dry run shows what would be asked and the first prompt, and leaves the disk as it was."""
    if finished:
        go(options)
    before = {path: path.read_bytes() for path in options.output_dir.rglob("*") if path.is_file()}
    model = Fake()
    go(options, model, dry_run=True)
    assert model.asked == []
    assert before == {path: path.read_bytes() for path in options.output_dir.rglob("*") if path.is_file()}
    assert finished or not options.output_dir.exists()
    shown = "\n".join(said.results)
    assert f"{OPEN}: 5 items, {0 if finished else 5} to ask" in shown
    prompt = json.loads(shown[shown.index("[\n") :])
    assert prompt[0] == {"role": "system", "content": "Listen well."}
    assert prompt[1]["content"][0]["audio"].endswith("clips/o0.wav")


def test_a_dry_run_names_audio_that_is_not_there(options: run.Options, go: Go, data: Path, said: Said) -> None:
    """The first item's missing audio is shown in its place."""
    (data / "open-ended" / "clips" / "o0.wav").unlink()
    go(options, dry_run=True)
    assert any("audio not found: clips/o0.wav" in line for line in said.results)


def test_a_dry_run_sends_nothing_to_the_terminal(options: run.Options, go: Go, data: Path, said: Said) -> None:
    """Control characters of an item's key and prompt are shown, not sent."""
    for path in (data / "open-ended").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(
            "".join(json.dumps({**line, "key": f"\x1b[2J{place}"}) + "\n" for place, line in enumerate(lines))
        )
    go(options, dry_run=True)
    shown = "\n".join(said.results)
    assert "\\x1b[2J0" in shown
    assert "\x1b" not in shown


def test_a_second_process_is_refused(options: run.Options, go: Go) -> None:
    """While one process writes a run, another gets one line and changes nothing."""
    code = (
        "import sys, time; from pathlib import Path; from data import jsonl\n"
        "with jsonl.only_process(Path(sys.argv[1]) / 'run'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(options.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="another process is writing here"):
            go(options)
        assert not (options.folder / OPEN).exists()
        process.kill()
    assert go(options).answered == 5


def test_nobody_replaces_a_file_that_grows(options: run.Options, go: Go) -> None:
    """A grader that wants to judge a file in place is refused while inference still writes it."""
    refused: list[str] = []

    class Curious(Fake):
        async def answer(self, request: Request) -> Answer:
            try:
                with jsonl.only_process(options.folder / OPEN):
                    pass
            except DataError as error:
                refused.append(str(error))
            return await super().answer(request)

    go(options, Curious())
    assert len(refused) == 5
    with jsonl.only_process(options.folder / OPEN):
        pass


def test_path_tails_are_said_once_with_a_count(
    options: run.Options, go: Go, data: Path, said: Said, write_jsonl: Any
) -> None:
    """Paths of somebody else's machine are matched by their end under the root; one line says how many."""
    path = data / "open-ended" / OPEN
    rows = rows_of(path)
    for row in rows[:3]:
        row["audio_path"] = "/somebody/else/" + row["audio_path"]
    write_jsonl(path, rows)
    assert go(options).answered == 5
    assert [line for line in said if "3 audio paths" in line] == [
        line for line in said if "matched by their end" in line
    ]
    assert sum("matched by their end" in line for line in said) == 1


def test_two_files_with_the_same_end_are_an_error(options: run.Options, go: Go, data: Path, write_jsonl: Any) -> None:
    """Where an end fits twice, nobody guesses."""
    for folder in ("left", "right"):
        soundfile.write((data / folder).mkdir() or data / folder / "same.wav", np.zeros(9), 16_000)
    path = data / "open-ended" / OPEN
    rows = rows_of(path)
    rows[0]["audio_path"] = "/elsewhere/same.wav"
    write_jsonl(path, rows)
    assert go(options).failed == 1
    assert "two files match its end equally well" in rows_of(options.folder / OPEN)[0]["error"]


@pytest.mark.parametrize("allowed", [False, True])
def test_audio_outside_the_data_set_needs_a_flag(
    allowed: bool, options: run.Options, go: Go, data: Path, tmp_path: Path, write_jsonl: Any
) -> None:
    """A path that leads out is an error on the line unless the user permits it."""
    soundfile.write(tmp_path / "outside.wav", np.zeros(9), 16_000)
    path = data / "open-ended" / OPEN
    rows = rows_of(path)
    rows[0]["audio_path"] = str(tmp_path / "outside.wav")
    write_jsonl(path, rows)
    assert go(options, allow_outside_audio=allowed).answered == 4 + allowed
    error = rows_of(options.folder / OPEN)[0].get("error", "")
    assert ("--allow_outside_audio" in error) is not allowed


def test_renderings_of_one_key_are_items_of_their_own(
    options: run.Options, go: Go, data: Path, write_jsonl: Any
) -> None:
    """Two recordings under one key are both asked, and resume knows them apart."""
    path = data / "open-ended" / OPEN
    rows = rows_of(path)
    for row in rows:
        row["key"] = 7
    write_jsonl(path, rows)
    go(options, Fake({"o3": Answer(None, "busy")}))
    again = Fake()
    assert go(options, again).answered == 5
    assert again.asked == ["o3"]
    assert responses(options) == [f"answer to o{number}" for number in range(5)]


def test_odd_text_survives(options: run.Options, go: Go, data: Path) -> None:
    """A byte order mark, lone surrogates and line separators come through into the response file."""
    path = data / "open-ended" / OPEN
    line = b'{"key": "\\ud800", "prompt": "a\\u2028b", "audio_path": "clips/o0.wav", "odd": "\\udc00"}\n'
    path.write_bytes(b"\xef\xbb\xbf" + line)
    model = Fake({"o0": Answer("lone \udfff\u2028")})
    assert go(options, model).answered == 1
    (row,) = jsonl.read(options.folder / OPEN)
    assert row.fields["odd"] == "\udc00"
    assert row.fields["key"] == "\ud800"
    assert row.fields["prompt"] == "a\u2028b"
    assert row.fields["response"] == "lone \udfff\u2028"
    assert go(options).answered == 1


def test_a_broken_manifest_is_not_overwritten(options: run.Options, go: Go) -> None:
    """Answers whose settings cannot be read are not continued."""
    go(options, limit=1)
    (options.folder / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json: is no run manifest"):
        go(options)


def test_an_output_that_cannot_be_written_costs_no_call(options: run.Options, go: Go, tmp_path: Path) -> None:
    """An output folder that is a file ends the run before the model is asked."""
    (tmp_path / "results").write_text("a file")
    model = Fake()
    with pytest.raises(DataError, match="cannot be written"):
        go(options, model)
    assert model.asked == []


@pytest.mark.parametrize(
    ("model", "data_name", "name"),
    [
        ("embedded", None, "embedded"),
        ("openai/gpt-4o mini", None, "openai_gpt-4o_mini"),
        ("embedded", "set-1.5", "embedded-set-1.5"),
        ("embedded", "closed_accent_en.jsonl", "embedded-closed_accent_en"),
        ("a:b", "größe", "a_b-gr__e"),
        ("/models/of mine/Qwen2-Audio/", None, "Qwen2-Audio"),
    ],
)
def test_default_run_name(model: str, data_name: str | None, name: str, tmp_path: Path) -> None:
    """The model's id, safe as a name, and the data set's name when that is not the sample."""
    path = dataset.SAMPLE if data_name is None else tmp_path / data_name
    if path.suffix == ".jsonl":
        path.write_text("")
    assert run.default_run_name(model, path) == name


def test_the_sample_is_the_sample_by_any_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming the bundled data set's folder is the same as naming none."""
    monkeypatch.chdir(ROOT)
    assert run.default_run_name("embedded", Path("data/sample")) == "embedded"


@given(st.text(min_size=1))
def test_default_run_names_are_safe(model: str) -> None:
    """Whatever a model is called, its run's folder has a plain name, of the same length if it is no path."""
    name = run.default_run_name(model, dataset.SAMPLE)
    assert len(name) == len(model) or "/" in model
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in name)


DRIVER = """
import json, resource, sys, types
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from data.errors import guarded
from inference import run
from inference.backends import Answer
from inference.chat import Sampling
from inference.progress import Progress, say

class Long:
    async def answer(self, request):
        return Answer(Path(request.id.audio).stem * 5000)
    def rendered(self, request):
        return ""
    async def close(self):
        pass

options = run.Options(Path(sys.argv[2]), None, None, "en", None, "made-up", {}, Path(sys.argv[3]), "try",
    Sampling(0.0, 1.0, 64, 0), None, 1)

def command():
    run.run(options, say=say, show=print, progress=lambda total, done: Progress("answering", total=total, done=done),
        load=lambda _: Long())
    return 0

limit = int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
sys.exit(guarded(command, say))
"""


def test_a_full_disk_loses_nothing(data: Path, tmp_path: Path, options: run.Options) -> None:
    """When the file cannot grow, the run ends with exit 2 and one line; what was written stands and is continued."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    command = [sys.executable, str(driver), str(ROOT), str(data / "open-ended" / OPEN), str(options.output_dir)]
    full = subprocess.run([*command, "25000"], capture_output=True, text=True, check=False)
    assert full.returncode == 2, full.stderr
    said = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert f"{OPEN}: cannot be written: File too large" in said[0]
    assert "Traceback" not in full.stderr
    assert responses(options) == ["o0" * 5000, "o1" * 5000]
    enough = subprocess.run([*command, str(resource.RLIM_INFINITY)], capture_output=True, text=True, check=False)
    assert enough.returncode == 0, enough.stderr
    assert responses(options) == [f"o{number}" * 5000 for number in range(5)]


def test_threads_of_the_caller_are_not_left_behind(options: run.Options, go: Go) -> None:
    """A run ends with as many threads and open files as it began with."""
    go(options, limit=1)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    go(options)
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def test_the_text_control_gives_the_prompt(options: run.Options, go: Go) -> None:
    """With modality text the model gets the prompt, and no audio is needed."""
    model = Fake()
    go(options, model, modality="text")
    assert [(request.clips, request.text) for request in model.requests] == [
        ((), f"Say o{number}.") for number in range(5)
    ]
    assert all("audio_seconds_used" not in row for row in rows_of(options.folder / OPEN))


def test_options_are_scored_where_they_can_be_read(options: run.Options, go: Go, data: Path, write_jsonl: Any) -> None:
    """The model gets an item's options; scores go onto its line; without readable options the item fails for good."""
    question = "Is it loud? The answer could be very loud, loud, or quiet."
    path = data / "open-ended" / OPEN
    rows = [json.loads(line) for line in path.read_text().splitlines()][:2]
    asked = [{**rows[0], "instruction": question, "written": True, "prompt": question}, rows[1]]
    write_jsonl(path, asked)
    scores = {"very loud": -1.23456789, "loud": -0.5, "quiet": -2.0}
    model = Fake({"o0": Answer("loud", option_scores=scores)})
    outcome = go(options, model, score="likelihood", model={"backend": "vllm"}, preflight=True)
    *known, request = model.requests
    assert request.options == tuple(scores)
    assert [len(one.options) for one in known] == [2, 2]
    loud, unread = rows_of(options.folder / OPEN)
    assert (loud["response"], loud["option_scores"]) == ("loud", {**scores, "very loud": -1.234568})
    assert (unread["response"], unread["error_permanent"]) == (None, True)
    assert unread["error"].startswith("no options to score")
    assert (outcome.answered, outcome.permanent) == (1, 1)
    assert json.loads((options.folder / "run.json").read_text())["score"] == "likelihood"
    with pytest.raises(UsageError, match="holds answers made with another score"):
        go(options, model={"backend": "vllm"})
    assert run.default_run_name("owner/m", data, "text", "likelihood") == "owner_m-text-likelihood-speech"


@pytest.mark.parametrize(("limit", "held"), [(None, 3), (5, 3), (2, 2), (1, 1)])
def test_the_back_end_is_told_how_many_recordings_a_turn_will_hold(
    options: run.Options, said: Said, data: Path, write_jsonl: Any, limit: int | None, held: int
) -> None:
    """Engines make room for as many as the data set's items have, or as the model takes; more are joined into one."""
    names = [f"clips/o{number}.wav" for number in range(3)]
    rows = [{"prompt": "?", "audio_path": names[0], "audio_paths": names[:count]} for count in (1, 2, 3)]
    write_jsonl(data / "open-ended" / OPEN, [{**row, "key": key} for key, row in enumerate(rows)])
    model, settings = Fake(), []

    def load(given: Mapping[str, Any]) -> Fake:
        settings.append(given)
        return model

    chosen = replace(options, model={"backend": "vllm", **({} if limit is None else {"max_clips": limit})})
    run.run(chosen, say=said.append, show=said.results.append, progress=said.progress, load=load)
    assert settings[0]["clips_per_turn"] == held
    counts = {request.id.key: len(request.clips) for request in model.requests if request.id}
    assert counts == {key: count if count <= (limit or 3) else 1 for key, count in enumerate((1, 2, 3))}


@pytest.mark.parametrize(("long_audio", "failed"), [("truncate", 0), ("error", 5)])
def test_long_audio_is_cut_or_refused_and_counted(
    options: run.Options, go: Go, said: Said, long_audio: str, failed: int
) -> None:
    """What a model cannot take is never cut without a word: each line says how much was used."""
    model = Fake()
    outcome = go(options, model, long_audio=long_audio, model={"max_audio_seconds": 0.001}, preflight=True)
    rows = rows_of(options.folder / OPEN)
    assert (outcome.failed, outcome.permanent) == (failed, failed)
    assert any("5 of 5 recordings exceed 0.001 s" in line for line in said)
    if failed:
        assert all("is beyond the model's 0.001 s" in row["error"] for row in rows)
    else:
        assert [row["audio_seconds_used"] for row in rows] == [0.001] * 5
        seconds = soundfile.info(str(options.dataset / "open-ended" / rows[0]["audio_path"])).duration
        assert rows[0]["audio_seconds_cut"] == pytest.approx(seconds - 0.001, abs=0.001)
        assert any("5 recordings were cut to 0.001 s" in line for line in said)


def test_failures_in_a_row_end_the_run(options: run.Options, go: Go) -> None:
    """A run in which everything fails stops early and says why; what was answered is kept."""
    model = Fake({f"o{number}": Answer(None, "out of order") for number in range(1, 5)})
    with pytest.raises(ModelError, match="3 items in a row failed, the last with: out of order"):
        go(options, model, max_failures=3, concurrency=1)
    assert model.asked == ["o0", "o1", "o2", "o3"]
    assert responses(options)[0] == "answer to o0"


def test_the_preflight_asks_known_recordings_first(options: run.Options, go: Go, said: Said) -> None:
    """Two recordings go first, under the run's settings; alike answers make it say that the model may not hear."""

    class Deaf(Fake):
        async def answer(self, request: Request) -> Answer:
            self.requests.append(request)
            return Answer("Hello!", prompt_tokens=7)

    model = Deaf()
    go(options, model, preflight=True, limit=1)
    first, second, item = model.requests
    assert first.id is None
    assert second.id is None
    assert item.id is not None
    assert first.system == item.system
    assert not np.array_equal(first.clips[0].samples[:8000], second.clips[0].samples[:8000])
    assert any("may not hear the audio at all" in line and "the same 7 prompt tokens" in line for line in said)


def test_a_model_that_fails_the_preflight_costs_nothing(options: run.Options, go: Go) -> None:
    """A model that does not answer a known recording ends the run before the first item."""

    class Broken(Fake):
        async def answer(self, request: Request) -> Answer:
            self.requests.append(request)
            return Answer(None, "HTTP 400: no audio here", permanent=True)

    model = Broken()
    with pytest.raises(ModelError, match=r"does not answer a known recording: HTTP 400: no audio here"):
        go(options, model, preflight=True)
    assert len(model.requests) == 1
    assert model.closed == 1
    assert not (options.folder / OPEN).exists()


def test_the_first_prompt_is_kept(options: run.Options, go: Go) -> None:
    """run.json keeps the exact prompt of the first item and its token count, also over a rerun."""
    go(options, Fake({"o0": Answer("yes", prompt_tokens=12)}), concurrency=5)
    go(options, Fake())
    manifest = json.loads((options.folder / "run.json").read_text())
    assert manifest["first_prompt"]["rendered"].startswith("prompt of ")
    assert manifest["first_prompt"]["item"] == f"{OPEN}[0, clips/o0.wav]"
    assert manifest["first_prompt"]["tokens"] == 12


def test_what_an_answer_cost_stands_on_its_line(options: run.Options, go: Go, said: Said) -> None:
    """Finish reason, tokens and reasoning are kept; thinking aloud is no answer; cut answers are counted."""
    long = Answer("<think>hm\nhm</think>\n\nyes", finish_reason="length", prompt_tokens=9, completion_tokens=5)
    go(options, Fake({"o0": long}), limit=1)
    (row,) = rows_of(options.folder / OPEN)
    assert (row["response"], row["reasoning"]) == ("yes", "hm\nhm")
    assert (row["finish_reason"], row["prompt_tokens"], row["completion_tokens"]) == ("length", 9, 5)
    assert any("1 answers were cut at" in line for line in said)


def test_shards_ask_every_item_once(options: run.Options, go: Go) -> None:
    """The shards of a job array have folders of their own, and together ask each item once, in order."""
    asked = []
    for part in (1, 2, 3):
        model = Fake()
        outcome = go(options, model, shard=(part, 3), concurrency=1)
        assert outcome.failed == 0
        asked.append(model.asked)
        assert (options.folder / "shards" / f"{part}-of-3" / OPEN).is_file()
    assert asked == [["o0", "o3"], ["o1", "o4"], ["o2"]]


def test_credentials_in_settings_reach_no_file(options: run.Options, go: Go) -> None:
    """A password in a server's address is not written down."""
    go(
        options,
        model={"base_url": ["http://user:secret@host/v1"], "llm": {"base_url": "http://u:secret@h/v1"}},
        limit=1,
    )
    assert "secret" not in (options.folder / "run.json").read_text()


def test_the_data_set_s_own_folder_is_refused(options: run.Options, go: Go, data: Path) -> None:
    """A run folder in which the data set lies would be written over it."""
    before = (data / "open-ended" / OPEN).read_bytes()
    with pytest.raises(UsageError, match="is where the data set lies"):
        go(options, output_dir=data, run_name="open-ended", overwrite=True)
    assert (data / "open-ended" / OPEN).read_bytes() == before


def test_a_file_without_an_answer_is_not_left_behind(options: run.Options, go: Go) -> None:
    """A run that is stopped before a file's first answer leaves no empty file, which nothing could read."""
    with pytest.raises(ModelError):
        go(options, Fake({"o0": ModelError("gone")}), concurrency=1)
    assert not (options.folder / OPEN).exists()


def test_bad_data_leave_no_folder(options: run.Options, go: Go, tmp_path: Path) -> None:
    """Nothing is written, not even a lock, when the data set is broken."""
    bad = tmp_path / "open_ended_en.jsonl"
    bad.write_text('{"key": 1, "prompt": "p"}\n')
    with pytest.raises(DataError, match="audio_path"):
        go(options, dataset=bad)
    assert not options.output_dir.exists()


def test_a_dry_run_refuses_what_the_run_would_refuse(options: run.Options, go: Go) -> None:
    """Other settings than those of the answers that are there are named by --dry_run too."""
    go(options)
    with pytest.raises(UsageError, match="another sampling"):
        go(options, dry_run=True, sampling=Sampling(0.7, 1.0, 64, 0))


def test_an_item_without_audio_is_not_the_first_prompt(options: run.Options, go: Go, data: Path) -> None:
    """The prompt that is kept is that of an item that was asked."""
    (data / "open-ended" / "clips" / "o0.wav").unlink(missing_ok=True)
    (data / "clips" / "o0.wav").unlink(missing_ok=True)
    go(options, concurrency=1)
    assert responses(options)[0] is None
    manifest = json.loads((options.folder / "run.json").read_text())
    assert manifest["first_prompt"]["item"] == f"{OPEN}[1, clips/o1.wav]"


def test_recordings_heard_as_nothing_are_counted(options: run.Options, go: Go, said: Said) -> None:
    """An empty transcript stays on its line, and is said once with the others."""
    go(options, Fake({"o1": Answer("what?", transcript=""), "o3": Answer(None, "refused", transcript="")}))
    assert [row["asr_transcript"] == "" for row in rows_of(options.folder / OPEN)] == [False, True, False, True, False]
    assert "2 recordings were heard as nothing: their transcripts are empty" in said
