"""The commands bundle and verify: what a run claims, and whether its files say so."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators.__main__ import main

Write = Callable[[Path, list[dict[str, Any]]], Path]
Golden = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def packed(tmp_path: Path, write_jsonl: Write, golden: Golden) -> Path:
    """A bundle of a run with a closed file and a judged open one."""
    run = tmp_path / "run"
    closed = {
        "prompt": "p",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
        "audio_path": "a.wav",
    }
    write_jsonl(
        run / "closed_standard_en.jsonl",
        [{**closed, "key": key, "response": "a, b" if key % 2 else "a b"} for key in range(30)],
    )
    write_jsonl(
        run / "open_ended_en.jsonl",
        [{"key": 1, "prompt": "p", "response": "r", "decomposed_questions": ["q"], "pred_score": ['["YES"]'] * 4}],
    )
    manifest = {"model": {"name": "/home/me/m"}, "sampling": {}, "data": {"root": str(tmp_path)}}
    (run / "run.json").write_text(json.dumps(manifest))
    (run / "open_ended_en.judge.json").write_text('{"judges": [{"model": "/home/me/grader"}]}')
    (run / "notes.txt").write_text("not of the run")
    target = tmp_path / "bundle.zip"
    assert main(["bundle", str(run), "--out", str(target)]) == 0
    return target


def rewritten(
    path: Path, change: Callable[[str, bytes], bytes | None], further: dict[str, bytes] | None = None
) -> Path:
    """Return a copy of a bundle with changed files; None leaves one out."""
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name, content in (further or {}).items():
            new.writestr(name, content)
    return target


def test_a_bundle_holds_the_run_and_its_numbers(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Manifest, responses and replies, the same bytes from the same run, and every number is found again."""
    with zipfile.ZipFile(packed) as bundle:
        assert bundle.namelist() == [
            "bundle.json",
            "run.json",
            "open_ended_en.judge.json",
            "closed_standard_en.jsonl",
            "open_ended_en.jsonl",
        ]
        index = json.loads(bundle.read("bundle.json"))
    assert index["numbers"]["fixed"]["files"][0]["metrics"]["strict-prompt"]["value"] == 0.5
    again = packed.with_name("again.zip")
    assert main(["bundle", str(packed.with_name("run")), "--out", str(again)]) == 0
    assert again.read_bytes() == packed.read_bytes()
    capsys.readouterr()
    assert main(["verify", str(packed)]) == 0
    assert "every number is as packed" in capsys.readouterr().err


def test_no_folder_of_this_machine_is_packed(packed: Path, tmp_path: Path) -> None:
    """Manifests and numbers name data, models and graders without the folders in which they lie."""
    with zipfile.ZipFile(packed) as bundle:
        contents = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert json.loads(contents["run.json"])["data"] == {"root": tmp_path.name}
    assert json.loads(contents["bundle.json"])["numbers"]["fixed"]["files"][0]["model"] == "m"
    for content in contents.values():
        assert str(tmp_path) not in content
        assert "/home/me" not in content


def test_a_manifest_that_is_none_is_not_packed(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read cannot be cleared of folders: it is named, and nothing is written."""
    run = packed.with_name("run")
    (run / "open_ended_en.judge.json").write_text("{")
    assert main(["bundle", str(run), "--out", str(packed.with_name("again.zip"))]) == 2
    assert "open_ended_en.judge.json: cannot be read as a manifest" in capsys.readouterr().err
    assert not packed.with_name("again.zip").exists()


def test_changed_responses_are_found(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A nicer answer is named twice: the file is another one, and its numbers are."""
    changed = rewritten(packed, lambda _, content: content.replace(b"a, b", b"a b"))
    capsys.readouterr()
    assert main(["verify", str(changed)]) == 1
    shown = capsys.readouterr().out
    assert "closed_standard_en.jsonl: is not the file that was packed" in shown
    assert "fixed files closed_standard_en.jsonl metrics strict-prompt value: 0.5 was packed, 1.0 is found" in shown


def test_changed_numbers_and_missing_files_are_found(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An index that claims more, and a file that is left out, are named."""

    def change(name: str, content: bytes) -> bytes | None:
        if name == "bundle.json":
            return content.replace(b'"value": 0.5', b'"value": 0.75')
        return None if name == "open_ended_en.judge.json" else content

    assert main(["verify", str(rewritten(packed, change))]) == 1
    shown = capsys.readouterr().out
    assert "0.75 was packed, 0.5 is found" in shown
    assert "open_ended_en.judge.json: is not in the bundle" in shown


@pytest.mark.parametrize("name", ["../run.json", "/tmp/run.json", "a/closed_standard_en.jsonl", "evil.sh"])
def test_foreign_names_are_refused(packed: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle writes nothing but files of a run, and nowhere else."""
    changed = rewritten(packed, lambda _, content: content, {name: b"{}"})
    assert main(["verify", str(changed)]) == 2
    assert "which is no file of a run" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files, empty ones and empty archives are one line and exit code 2."""
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bundle_overwrites_no_file_of_its_run(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--out must not name what is packed."""
    run = packed.with_name("run")
    assert main(["bundle", str(run), "--out", str(run / "run.json")]) == 2
    assert "would overwrite" in capsys.readouterr().err
