"""Hearing or obeying: every failed item has its place, and runs that do not belong together are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from evaluators import stats
from evaluators.__main__ import main
from evaluators.decompose import PLACES, decompose
from inference.responses import ADDED_FIELDS

Write = Callable[[Path, list[dict[str, Any]]], Path]
Rows = list[dict[str, Any]]
# One item each way in which speech, text and transcript can come out; the first speech run, then the repeat.
WAYS = list(product((True, False), repeat=4))


def rows(
    passes: list[bool | None], *, variant: str = "standard", key: Callable[[int], int] = lambda place: place
) -> Rows:
    """Return closed answers, right or wrong; None is an item without an answer."""
    return [
        {
            "key": key(place),
            "prompt": f"P{key(place)}",
            "audio_path": f"{variant}/{place}.wav",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{}],
            "response": None if right is None else "right" if right else "wrong, of course",
        }
        for place, right in enumerate(passes)
    ]


@pytest.fixture
def run(tmp_path: Path, write_jsonl: Write) -> Callable[..., Path]:
    """A function that writes a run's folder with its run.json."""

    def write(name: str, modality: str | None, *, model: str = "m", **files: Rows) -> Path:
        folder = tmp_path / name
        for file, lines in files.items():
            write_jsonl(folder / f"{file}.jsonl", lines)
        manifest = {"model": {"name": model}, "sampling": {"seed": 1}, "data": {}, "modality": modality}
        (folder / "run.json").write_text(json.dumps(manifest))
        return folder

    return write


@pytest.fixture
def four_runs(run: Callable[..., Path]) -> list[Path]:
    """Speech, text, transcript and speech again, over five copies of every way they can come out."""
    columns = [list(column) * 5 for column in zip(*WAYS, strict=True)]
    modalities = {"speech": "audio", "read": "text", "heard": "transcript", "again": "audio"}
    return [
        run(name, modality, closed_standard_en=rows(list(column)))
        for (name, modality), column in zip(modalities.items(), columns, strict=True)
    ]


@pytest.mark.parametrize("profile", ["reference", "fixed"])
def test_every_failed_item_has_its_place(four_runs: list[Path], profile: str) -> None:
    """All four ways in which the controls can come out, ten items each; half of everything changes when repeated."""
    found = decompose(four_runs, profile, added_fields=ADDED_FIELDS)
    (places,) = found.files
    assert (places.scored, places.failed, places.unplaced) == (80, 40, 0)
    assert {place: share.value for place, share in places.shares.items()} == dict.fromkeys(PLACES.values(), 0.25)
    for share in places.shares.values():
        assert (share.n, share.method) == (40, stats.WILSON)
        assert share.ci95 == stats.wilson(0.25, 40)
    assert [share.value for share in (places.again, places.again_lost, places.flips) if share] == [0.5, 0.5, 0.5]
    assert [share.n for share in (places.again, places.again_lost, places.flips) if share] == [40, 10, 40]
    assert found.differing == ()


@pytest.mark.parametrize(
    ("read", "heard", "place"),
    [
        (False, False, "not obeyed"),
        (True, False, "hard to hear"),
        (True, True, "lost in the audio path"),
        (False, True, "inconsistent"),
    ],
)
def test_places(run: Callable[..., Path], read: bool, heard: bool, place: str) -> None:
    """What fails as speech is placed by how text and transcript came out."""
    runs = [
        run(name, modality, closed_accent_en=rows([right]))
        for name, modality, right in (("a", "audio", False), ("b", "text", read), ("c", "transcript", heard))
    ]
    (places,) = decompose(runs, "fixed", added_fields=ADDED_FIELDS).files
    assert {name for name, share in places.shares.items() if share.value == 1} == {place}
    assert (places.again, places.flips) == (None, None)


def test_renderings_of_a_key_are_a_cluster(run: Callable[..., Path]) -> None:
    """Shares over several renderings of one request have a bootstrap interval."""
    half: list[bool | None] = [True, True, False, False] * 30
    runs = [
        run(name, modality, closed_accent_en=rows(right, key=lambda place: place // 2))
        for name, modality, right in (("a", "audio", [False] * 120), ("b", "text", half), ("c", "transcript", half))
    ]
    (places,) = decompose(runs, "fixed", added_fields=ADDED_FIELDS).files
    share = places.shares["not obeyed"]
    assert (share.value, share.n, share.method) == (0.5, 120, stats.BOOTSTRAP)
    assert share.ci95 is not None
    assert share.ci95[1] - share.ci95[0] > 1.3 * (stats.wilson(0.5, 120)[1] - stats.wilson(0.5, 120)[0])


def test_text_of_the_standard_rendering_serves_the_variants(run: Callable[..., Path]) -> None:
    """A variant that was not asked as text takes the standard's answer to the same words, and to no others."""
    spoken = rows([False, False, False], variant="accent")
    other = rows([True, True, True])
    other[1]["prompt"] = "another request under the same key"
    runs = [
        run("a", "audio", closed_accent_en=spoken),
        run("b", "text", closed_standard_en=other),
        run("c", "transcript", closed_accent_en=rows([False, True, None], variant="accent")),
    ]
    (places,) = decompose(runs, "fixed", added_fields=ADDED_FIELDS).files
    assert (places.failed, places.unplaced) == (3, 2)
    assert places.shares["hard to hear"].value == 1


def test_the_command(four_runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Every form holds the shares and the noise floor."""
    paths = [str(folder) for folder in four_runs]
    assert main(["decompose", *paths, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    (file,) = shown["files"]
    assert shown["runs"] == {"audio": "speech", "text": "read", "transcript": "heard"}
    assert (shown["repeat"], file["n_failed"], file["shares"]["hard to hear"]["value"]) == ("again", 40, 0.25)
    assert file["repeat"]["audio_path_now_right"]["n"] == 10
    for form in ("table", "markdown", "latex", "csv"):
        assert main(["decompose", *paths, "--format", form]) == 0
        text = capsys.readouterr().out
        assert "40/80" in text
        assert "25.00" in text
        assert "audio path, now right" in text
        assert ("noise floor" in text) == (form != "csv")  # CSV is for programs: it has no notes
    assert main(["decompose", *paths[:3]]) == 0
    assert "A second run on speech would show" in capsys.readouterr().out


def test_runs_that_do_not_belong_together(
    run: Callable[..., Path], four_runs: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Other models, missing modalities, other data and folders that are no runs: one line, exit code 2."""
    speech, read, heard, _ = map(str, four_runs)
    answers = rows([True] * 80)
    other_model = run("n", "transcript", model="n", closed_standard_en=answers)
    other_data = run("o", "transcript", closed_standard_en=[{**row, "prompt": "x"} for row in answers])
    no_run = tmp_path / "folder"
    no_run.mkdir()
    other_files = run("p", "transcript", open_ended_en=[])
    for folders, says in (
        ([speech, read], "one run each of modality audio, text and transcript"),
        ([speech, read, heard, read], "named twice"),
        ([speech, read, heard, str(run("t", "text", closed_standard_en=answers))], "one run each"),
        ([speech, read, str(run("x", None, closed_standard_en=answers))], "one run each"),
        ([speech, read, str(other_model)], "different models: m, n"),
        ([speech, read, str(other_data)], "made from other data"),
        ([speech, read, str(no_run)], "no run.json"),
        ([speech, read, str(other_files)], "no scored file in common"),
    ):
        assert main(["decompose", *folders]) == 2
        shown = capsys.readouterr()
        assert says in shown.err
        assert (shown.out, shown.err.count("\n")) == ("", 1)
