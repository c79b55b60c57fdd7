"""What is here is listed: the sample, what lies in the hub's cache, folders that are given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from data import hub
from data.__main__ import main
from data.dataset import SAMPLE
from data.hub import Fetched


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache of its own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path


def rows(*words: object, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what the command lists."""
    capsys.readouterr()
    assert main(["list", "--format", "json", *map(str, words)]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_sample_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Items, hours and size are those that its manifest has."""
    (sample,) = rows(capsys=capsys)
    manifest = json.loads((SAMPLE / "manifest.json").read_bytes())
    assert sum(sample["items"].values()) == sum(file["lines"] for file in manifest["files"].values())
    assert list(sample["items"]) == ["closed", "open", "adjustment"]
    assert sample["seconds"] == pytest.approx(manifest["seconds"], abs=0.1)
    assert sample["missing"] == 0
    assert sample["bytes"] == sum((SAMPLE / name).stat().st_size for name in (*manifest["audio"], *manifest["files"]))
    assert main(["list"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "items", "hours", "size", "where", "and", "what"]
    items = ", ".join(f"{number} {part}" for part, number in sample["items"].items())
    assert line.startswith(
        f"sample  {items}  {sample['seconds'] / 3600:.2f}   {sample['bytes'] / 1e6:.2f} MB  {SAMPLE}"
    )


def test_what_was_fetched_is_listed(empty_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its commit and terms; a snapshot brought otherwise stands beside it, a folder that is gone says so."""
    snapshots = empty_home / "hub/datasets--ddwang2000--SpeechInstructBench/snapshots"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(SAMPLE / "adjustment", snapshots / commit / "adjustment")
    (snapshots / ("a" * 40) / "adjustment/en/adjustment_001.ogg").unlink()
    (snapshots / ("c" * 40)).mkdir()
    fetched = Fetched(str(snapshots / ("a" * 40)), "x/y", "a" * 40, None, "folder", 1, {}, None, "2026-11-20")
    gone = Fetched(str(empty_home / "gone"), "x/y", "d" * 40, None, "parquet", 1, {}, "mit", "2026-11-20")
    hub.note("speechinstructbench", {"adjustment": fetched, "open": gone})
    _, missing, here, other = rows(capsys=capsys)
    lines = sum(len(path.read_bytes().splitlines()) for path in (SAMPLE / "adjustment").glob("*.jsonl"))
    assert (here["name"], here["items"], here["missing"]) == ("speechinstructbench", {"adjustment": lines}, 1)
    assert here["about"] == f"commit {'a' * 12}, folder; not for redistribution: the hub names no licence"
    assert other["name"] == str(snapshots / ("b" * 40))
    assert "not brought by" in other["about"]
    assert "under the terms of its licence: mit; " in missing["about"]
    assert "no such folder" in missing["about"]


def test_folders_are_listed(empty_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that cannot be read is listed with the reason."""
    (empty_home / "mine").mkdir()
    (empty_home / "mine" / "open_ended_en.jsonl").write_text('{"prompt": "a"}\n{"prompt": 7}\n')
    _, mine, nowhere = rows(empty_home / "mine", empty_home / "no\x1bwhere", capsys=capsys)
    assert mine["items"] == {}
    assert "audio_path" in mine["about"]
    assert "no such folder" in nowhere["about"]
    assert main(["list", str(empty_home / "no\x1bwhere")]) == 0
    assert "\x1b" not in capsys.readouterr().out
