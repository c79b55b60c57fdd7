"""Plans: what is taken in turn, what is drawn from the seed, and recipes in files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.variants import recipe, rooms
from data.variants.jobs import Item, Plan
from data.variants.languages import BOUND, REASONS, refused
from data.variants.plan import _file_stem, plan
from data.variants.recipe import PromptSet, Recipe
from evaluators.rules import RULES

COUNT = 48


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans start no engine: it is enough that programs seem to be there."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/nowhere/{name}")


@pytest.fixture
def prompts(tmp_path: Path, write_jsonl: Callable[[Path, list[dict[str, Any]]], Path]) -> Path:
    """Return a file of prompts in plain words."""
    rows = [{"prompt": f"Tell me about the river and the {'old ' * n}bridge."} for n in range(COUNT)]
    return write_jsonl(tmp_path / "prompts.jsonl", rows)


def planned(prompts: Path, seed: int = 7, **changes: Any) -> Plan:
    """Plan the background variant of prompts, by flite."""
    fixed = {"voices": ("flite-slt", "flite-rms", "flite-awb"), "variants": ("background",)}
    return plan(Recipe((PromptSet((prompts,), **{**fixed, **changes}),), seed=seed), {})


def items(made: Plan) -> list[Item]:
    """Return the items of the only file."""
    (found,) = made.files.values()
    return list(found)


def test_conditions_are_balanced_and_meet_every_voice(prompts: Path) -> None:
    """Each noise at each ratio equally often; no condition belongs to one voice; other seeds, other orders."""
    conditions = (("pink", 5.0), ("hum", 5.0), ("pink", 10.0), ("hum", 10.0))
    made = items(planned(prompts, conditions=conditions))
    found = [(item.job.surroundings.noise, item.job.surroundings.snr_db) for item in made if item.job.surroundings]
    assert Counter(found) == dict.fromkeys(conditions, COUNT // 4)
    for start in range(0, COUNT, 4):
        assert set(found[start : start + 4]) == set(conditions)
    pairs = {(condition, item.fields["voice"]) for condition, item in zip(found, made, strict=True)}
    assert len(pairs) == len(conditions) * 3
    other = items(planned(prompts, seed=8, conditions=conditions))
    assert [item.fields["noise"] for item in other] != [item.fields["noise"] for item in made]


def test_babble_is_other_prompts_speech(prompts: Path) -> None:
    """Six others, in their own voices, never the prompt itself."""
    for item in items(planned(prompts, conditions=(("babble", 5.0),))):
        around = item.job.surroundings
        assert around is not None
        assert (len(around.talkers), around.among) == (6, COUNT - 1)
        assert item.job.utterance.text not in {talker.text for talker in around.talkers}


def test_rooms_go_round(prompts: Path) -> None:
    """A pool of a few rooms serves all items, and each line says which it is."""
    pytest.importorskip("pyroomacoustics", reason="the extra 'speech' is not installed")
    one = PromptSet((prompts,), voices=("flite-slt",), variants=("background",))
    made = items(plan(Recipe((one,), rooms=3), {}))
    used = Counter(item.job.surroundings.room for item in made if item.job.surroundings)
    assert sorted(used.values()) == [COUNT // 3] * 3
    assert set(used) == set(rooms.pool(3, 7))
    assert all(item.fields["simulated_room"]["rt60_s"] > 0 for item in made)


def test_digest_tells_what_decides_on_the_sound(prompts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, voice, manner, noise and engine do; where a recording lies does not."""
    job = items(planned(prompts, conditions=(("pink", 5.0),)))[0].job
    assert job.surroundings is not None
    noisy = replace(job, surroundings=replace(job.surroundings, recording="/a/b.wav", recording_sha256="0"))
    moved = replace(job, surroundings=replace(job.surroundings, recording="/c/b.wav", recording_sha256="0"))
    assert noisy.digest() == moved.digest() != job.digest()
    for changed in (
        replace(job, level_dbfs=-20.0),
        replace(job, utterance=replace(job.utterance, text="Other words.")),
        replace(job, utterance=replace(job.utterance, style="fast")),
        replace(job, surroundings=replace(job.surroundings, seed=1)),
    ):
        assert changed.digest() != job.digest()
    before = job.digest()
    monkeypatch.setattr("data.variants.engines._version", lambda _: "9.9")
    assert job.digest() != before


def test_settings_hold_no_path_of_this_machine(prompts: Path, tmp_path: Path) -> None:
    """Files stand in the manifest by name and hash."""
    told = json.dumps(dict(planned(prompts).settings))
    assert str(tmp_path) not in told
    assert '"file": "prompts.jsonl"' in told


def test_a_tag_stands_for_its_voices(prompts: Path) -> None:
    """Voices can be named by accent."""
    made = plan(
        Recipe((PromptSet((prompts,), variants=("accent",), voices=("en-us",), accents=("en-gb-scotland",)),)), {}
    )
    assert {item.fields["voice"] for item in items(made)} == {"flite-awb"}


def test_two_lists_cannot_make_one_file(prompts: Path) -> None:
    """They would mix."""
    one = PromptSet((prompts,), voices=("flite-slt",), variants=("standard",))
    with pytest.raises(UsageError, match=r"two lists of prompts make open-ended/open_ended_en\.jsonl"):
        plan(Recipe((one, one)), {})


@given(st.lists(st.one_of(st.integers(), st.text(min_size=1)), unique=True, max_size=30))
def test_keys_become_distinct_file_names(keys: list[int | str]) -> None:
    """Whatever the keys are, no two recordings share a file, and no key leads out of the folder."""
    stems = [_file_stem(key) for key in keys]
    assert len(set(stems)) == len(keys)
    assert not any(set(stem) & set("/\\\0 ") or stem.startswith(".") for stem in stems)


def test_rules_bound_to_a_language() -> None:
    """Each is a rule, has a reason, and can be asked in English."""
    assert set(BOUND) == set(REASONS) <= set(RULES)
    for rule in RULES:
        assert refused([rule], "en") is None
    assert refused(["punctuation:no_comma", "length_constraints:number_words"], "th") == (
        "length_constraints:number_words cannot be asked in 'th': this language puts no blanks between words"
    )


GOOD = """
seed = 3
rooms = 0
level_dbfs = -20

[[sets]]
prompts = ["p.jsonl"]
lang = "en"
variants = ["standard"]
voices = ["flite-slt"]
conditions = [["pink", 5], ["hum", 10.5]]
"""


def test_a_recipe_is_read(tmp_path: Path) -> None:
    """Paths are relative to its folder, the rest is what it says."""
    path = tmp_path / "recipe.toml"
    path.write_text(GOOD)
    made = recipe.read(path)
    (only,) = made.sets
    assert (made.seed, made.level_dbfs) == (3, -20.0)
    assert only.prompts == (tmp_path / "p.jsonl",)
    assert only.conditions == (("pink", 5.0), ("hum", 10.5))


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("seed = ", DataError, "not TOML"),
        ("seed = 1", DataError, r"field 'sets': a recipe needs \[\[sets\]\]"),
        (GOOD.replace('prompts = ["p.jsonl"]\n', ""), DataError, "field 'prompts': missing"),
        (GOOD.replace("seed = 3", "seed = true"), DataError, "field 'seed': must be a whole number"),
        (GOOD.replace("seed = 3", "sed = 3"), DataError, "field 'sed': unknown; known: sets, seed"),
        (GOOD.replace('["standard"]', '"standard"'), DataError, "field 'variants': must be a list of texts"),
        (GOOD.replace('["pink", 5]', '["pink"]'), DataError, "field 'conditions': must be a list of pairs"),
        (GOOD.replace('["pink", 5]', '["pink", "x"]'), DataError, "field 'conditions': must be a list of pairs"),
        (GOOD.replace('["p.jsonl"]', "[]"), UsageError, "needs files and variants"),
        (GOOD.replace("5]", "500]"), UsageError, "500.0 dB cannot be reached"),
        (GOOD.replace("level_dbfs = -20", "level_dbfs = 3"), UsageError, "a level of 3.0 dBFS"),
        (GOOD.replace("rooms = 0", 'rooms = 2\nimpulse_responses = "x"'), UsageError, "not both"),
        (GOOD.replace('"en"', '"cn"'), UsageError, "'cn' is called 'zh'"),
        (GOOD.replace("rooms = 0", 'about = "none.md"'), DataError, r"none\.md: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(text: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    """File and field, or the value."""
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(error, match=said):
        recipe.read(path)
