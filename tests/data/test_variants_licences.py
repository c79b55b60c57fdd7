"""What a run notes about a built set: its licences, where they are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.dataset import SAMPLE, content_hash, dataset_files
from data.variants.licences import provenance, provenance_of_instances

HASHES = {"closed_standard_en.jsonl": "0" * 64}
MADE: dict[str, Any] = {
    "recipe": "abc",
    "settings": {"voices": {"one": {"licence": "MIT"}, "two": {"licence": "CC0-1.0"}, "three": {"licence": "MIT"}}},
    "licences": {"prompts": "Apache-2.0"},
    "files": {"closed-ended/closed_standard_en.jsonl": {"sha256": "0" * 64}, "other.jsonl": {"sha256": "1"}},
    "audio": {},
}


def noted(folder: Path, made: object, hashes: dict[str, str] = HASHES) -> dict[str, Any] | None:
    """Return what is noted about a folder with this manifest."""
    (folder / "manifest.json").write_text(json.dumps(made))
    return provenance(folder, hashes)


def test_the_sample_states_its_licences() -> None:
    """The bundled recordings may be passed on under the licences of prompts and voices."""
    found = provenance(SAMPLE, content_hash(dataset_files(SAMPLE)))
    assert found is not None
    assert found["redistribution"].startswith("under the terms of their licences: prompts Apache-2.0; voices espeak-")
    assert "voices pico-en-gb, pico-en-us Apache-2.0" in found["redistribution"]


def test_voices_are_named_by_their_licence(tmp_path: Path) -> None:
    """Every voice is named, once."""
    found = noted(tmp_path, MADE)
    assert found is not None
    terms = "prompts Apache-2.0; voices one, three MIT; voices two CC0-1.0"
    assert found["redistribution"] == f"under the terms of their licences: {terms}"


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"licences": {"prompts": None}}, "prompts"),
        ({"licences": {"prompts": "MIT", "recorded sounds": None}}, "recorded sounds"),
        ({"licences": {"prompts": 7}}, "prompts"),
        ({"settings": {"voices": {"one": {"licence": ""}}}}, "voice one"),
    ],
)
def test_a_licence_that_is_not_stated_is_none(tmp_path: Path, changes: dict[str, Any], unknown: str) -> None:
    """What nobody stated is not assumed."""
    found = noted(tmp_path, {**MADE, **changes})
    assert found is not None
    assert found["redistribution"] == f"not for redistribution: no licence is stated of {unknown}"


@pytest.mark.parametrize(
    "made",
    [
        [],
        {},
        {**MADE, "files": [1]},
        {**MADE, "files": {"a": 1}},
        {**MADE, "settings": None},
        {**MADE, "licences": "MIT"},
        {**MADE, "licences": {}},
        {name: value for name, value in MADE.items() if name != "licences"},
    ],
)
def test_other_manifests_tell_nothing(tmp_path: Path, made: object) -> None:
    """A manifest of another program, or of an earlier version, is no statement."""
    assert noted(tmp_path, made) is None


@pytest.mark.parametrize("hashes", [{"closed_standard_en.jsonl": "9" * 64}, {**HASHES, "closed_accent_en.jsonl": "0"}])
def test_files_that_were_not_built_so_tell_nothing(tmp_path: Path, hashes: dict[str, str]) -> None:
    """A changed or added file may name other recordings than the set's own."""
    assert noted(tmp_path, MADE, hashes) is None
    assert provenance(tmp_path / "nowhere", HASHES) is None


def instances(folder: Path, *licences: dict[str, Any]) -> dict[Path, str]:
    """Return the tables of instances that were built with these licences of their texts, with what they hash to."""
    tables = {}
    for number, stated in enumerate(licences):
        table = folder / f"Task_{number}" / "metadata.json"
        table.parent.mkdir()
        made = {**MADE, "licences": stated, "files": {"metadata.json": {"sha256": "0" * 64}}}
        (table.parent / "manifest.json").write_text(json.dumps(made))
        tables[table] = "0" * 64
    return tables


def test_instances_state_their_licences_together(tmp_path: Path) -> None:
    """What each of several built instances states holds for the run over all of them."""
    found = provenance_of_instances(instances(tmp_path, {"prompts": "Apache-2.0"}, {"prompts": "MIT"}))
    assert found is not None
    terms = "prompts Apache-2.0, MIT; voices one, three MIT; voices two CC0-1.0"
    assert found["redistribution"] == f"under the terms of their licences: {terms}"
    assert found["built"] == {"Task_0": "abc", "Task_1": "abc"}


def test_an_instance_without_a_licence_speaks_for_all(tmp_path: Path) -> None:
    """One that states none keeps the whole from being passed on; one that was not built, or was changed, tells none."""
    tables = instances(tmp_path, {"prompts": "Apache-2.0"}, {"prompts": None})
    found = provenance_of_instances(tables)
    assert found is not None
    assert found["redistribution"] == "not for redistribution: no licence is stated of prompts"
    other = tmp_path / "Task_2" / "metadata.json"
    assert provenance_of_instances({**tables, other: "0" * 64}) is None
    assert provenance_of_instances(dict.fromkeys(tables, "1" * 64)) is None
    assert provenance_of_instances({}) is None
