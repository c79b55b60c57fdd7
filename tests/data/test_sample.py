"""The committed sample: layout, fields, sound and manifest."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from data.__main__ import main
from data.dataset import SAMPLE
from data.variants import recipe, tts, voices
from data.variants.level import active, decibels
from data.variants.manifest import check, decode, differences, samples_sha256
from data.variants.plan import plan

RECIPE = SAMPLE / "recipe.toml"
VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")
CLOSED = [f"closed-ended/closed_{variant}_en.jsonl" for variant in VARIANTS] + ["closed-ended/closed_standard_cn.jsonl"]
OPEN = ["open-ended/open_ended_en.jsonl", "open-ended/open_ended_cn.jsonl"]
ADJUSTMENT = ["adjustment/adjustment_en.jsonl", "adjustment/adjustment_cn.jsonl"]
FILES = [*CLOSED, *OPEN, *ADJUSTMENT]
FEWEST = dict(zip(FILES, [24, 24, 24, 24, 24, 12, 12, 6, 12, 6], strict=True))

RELATION, COUNT, TEXT, TEXTS = "relation", "count", "text", "texts"
RULES = {
    "keywords:existence": {"keywords": TEXTS},
    "keywords:frequency": {"keyword": TEXT, "frequency": COUNT, "relation": RELATION},
    "keywords:forbidden_words": {"forbidden_words": TEXTS},
    "keywords:letter_frequency": {"letter": TEXT, "let_frequency": COUNT, "let_relation": RELATION},
    "language:response_language": {"language": TEXT},
    "length_constraints:number_sentences": {"num_sentences": COUNT, "relation": RELATION},
    "length_constraints:number_paragraphs": {"num_paragraphs": COUNT},
    "length_constraints:number_words": {"num_words": COUNT, "relation": RELATION},
    "length_constraints:nth_paragraph_first_word": {
        "num_paragraphs": COUNT,
        "nth_paragraph": COUNT,
        "first_word": TEXT,
    },
    "detectable_content:number_placeholders": {"num_placeholders": COUNT},
    "detectable_content:postscript": {"postscript_marker": TEXT},
    "detectable_format:number_bullet_lists": {"num_bullets": COUNT},
    "detectable_format:constrained_response": {},
    "detectable_format:number_highlighted_sections": {"num_highlights": COUNT},
    "detectable_format:multiple_sections": {"section_spliter": TEXT, "num_sections": COUNT},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "combination:repeat_prompt": {"prompt_to_repeat": TEXT},
    "startend:end_checker": {"end_phrase": TEXT},
    "change_case:capital_word_frequency": {"capital_frequency": COUNT, "capital_relation": RELATION},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "punctuation:no_comma": {},
    "startend:quotation": {},
}


@cache
def lines(file: str) -> list[dict[str, Any]]:
    """Return the lines of one JSONL file."""
    return [json.loads(text) for text in (SAMPLE / file).read_text(encoding="utf-8").splitlines()]


@cache
def manifest() -> dict[str, Any]:
    """Return the committed manifest."""
    loaded: dict[str, Any] = json.loads((SAMPLE / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def fits(value: object, kind: str) -> bool:
    """Tell whether an argument is usable in both scoring profiles."""
    if kind == COUNT:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    if kind == RELATION:
        return value in ("less than", "at least")
    if kind == TEXT:
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, list) and bool(value) and all(isinstance(entry, str) and entry.strip() for entry in value)


@pytest.mark.parametrize("file", FILES)
def test_file_has_enough_lines_and_unique_keys(file: str) -> None:
    """Every file of the layout is there."""
    keys = [line["key"] for line in lines(file)]
    assert len(keys) >= FEWEST[file]
    assert len(set(keys)) == len(keys)


def test_no_file_beside_the_layout() -> None:
    """The folders hold the expected JSONL files only."""
    there = {path.relative_to(SAMPLE).as_posix() for path in SAMPLE.rglob("*.jsonl")}
    assert {path for path in there if not path.startswith("prompts/")} == set(FILES)


def test_english_closed_covers_every_rule() -> None:
    """All 25 instruction kinds occur, and in all variants alike."""
    assert len(RULES) == 25
    assert {rule for line in lines(CLOSED[0]) for rule in line["instruction_id_list"]} == set(RULES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_the_same_items(variant: str) -> None:
    """Keys, prompts, instructions and arguments agree with the standard variant, and the audio does not."""
    fields = ("key", "prompt", "instruction_id_list", "kwargs")
    file = f"closed-ended/closed_{variant}_en.jsonl"
    assert [[line[f] for f in fields] for line in lines(file)] == [
        [line[f] for f in fields] for line in lines(CLOSED[0])
    ]
    assert {line["audio_path"].split("/")[:2] == ["en", variant] for line in lines(file)} == {True}


@pytest.mark.parametrize("file", CLOSED)
def test_kwargs_hold_exactly_the_needed_arguments(file: str) -> None:
    """One object for each instruction, with usable values."""
    for line in lines(file):
        assert len(line["kwargs"]) == len(line["instruction_id_list"]) > 0
        for rule, given in zip(line["instruction_id_list"], line["kwargs"], strict=True):
            assert given.keys() == RULES[rule].keys(), (file, line["key"], rule)
            for argument, kind in RULES[rule].items():
                assert fits(given[argument], kind), (file, line["key"], rule, argument)


@pytest.mark.parametrize("file", CLOSED)
def test_prompt_says_its_arguments(file: str) -> None:
    """Words that an argument names occur in the prompt."""
    for line in lines(file):
        for given in line["kwargs"]:
            for name, value in given.items():
                if name in ("keywords", "forbidden_words", "keyword", "first_word", "end_phrase", "prompt_to_repeat"):
                    for word in value if isinstance(value, list) else [value]:
                        assert word.lower() in line["prompt"].lower(), (line["key"], word)


@pytest.mark.parametrize("file", OPEN)
def test_open_items_have_questions(file: str) -> None:
    """Two to five questions each, none twice."""
    for line in lines(file):
        questions = line["decomposed_questions"]
        assert 2 <= len(questions) == len(set(questions)) <= 5
        assert all(question.endswith(("?", "？")) for question in questions)


@pytest.mark.parametrize("file", FILES)
def test_lines_say_how_they_were_spoken(file: str) -> None:
    """Voice, accent and language are those of the voice table."""
    for line in lines(file):
        assert line["accent"] == voices.VOICES[line["voice"]].tag
        assert line["language"] == ("zh" if file.endswith("_cn.jsonl") else "en")
        assert line.get("spoken_text") != line["prompt"]


@pytest.mark.parametrize("file", FILES)
def test_audio_is_sound(file: str) -> None:
    """Mono, 16 kHz, neither silent nor clipped, and as long as speech of its words takes."""
    for line in lines(file):
        path = SAMPLE / Path(file).parent / line["audio_path"]
        info = sf.info(path)
        samples, rate = decode(path)
        assert (info.format, info.subtype, info.channels, rate) == ("OGG", "VORBIS", 1, 16000)
        assert 2.0 < len(samples) / rate < 25.0, path
        assert 0.01 < float(np.abs(samples).max()) < 0.999, path
        assert decibels(samples, active(samples, rate)) > -45.0, path


def test_no_audio_is_used_twice() -> None:
    """Every line has a file of its own."""
    named = [Path(file).parent / line["audio_path"] for file in FILES for line in lines(file)]
    assert len(set(named)) == len(named) == len(manifest()["audio"])
    assert len({entry["samples_sha256"] for entry in manifest()["audio"].values()}) == len(named)


def test_background_lines_differ_in_noise_and_ratio() -> None:
    """Four noises from 5 to 15 dB."""
    found = lines("closed-ended/closed_background_en.jsonl")
    assert {line["noise"] for line in found} == {"pink", "brown", "hum", "babble"}
    assert {line["snr_db"] for line in found} == {5.0, 10.0, 15.0}


def test_disfluency_lines_keep_the_fluent_words() -> None:
    """Every line hesitates, every kind occurs, and without what was added the fluent words are left."""
    fluent = {line["key"]: line.get("spoken_text", line["prompt"]) for line in lines(CLOSED[0])}
    for line in lines("closed-ended/closed_disfluency_en.jsonl"):
        rest = line["spoken_text"].split()
        for event in reversed(line["disfluency"]):
            start = event["before"] + sum(
                len(other["added"].split()) for other in line["disfluency"] if other["before"] < event["before"]
            )
            added = event["added"].split()
            assert rest[start : start + len(added)] == added
            del rest[start : start + len(added)]
        assert line["disfluency"]
        assert " ".join(rest) == fluent[line["key"]]
        assert line["fluent_text"] == fluent[line["key"]]
    found = lines("closed-ended/closed_disfluency_en.jsonl")
    kinds = {event["kind"] for line in found for event in line["disfluency"]}
    assert kinds == {"restart", "repetition", "filled_pause"}


def test_size() -> None:
    """The sample stays small enough to be committed."""
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 10_000_000


def test_manifest_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    """The command finds no mismatch in the committed files."""
    assert main(["build", "--check", "--out", str(SAMPLE)]) == 0, capsys.readouterr().out


def test_check_names_every_mismatch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Changed, missing, broken and surplus files get a line each, and the exit code is 1."""
    copy = tmp_path / "sample"
    shutil.copytree(SAMPLE, copy)
    english = copy / "adjustment" / "en"
    samples, rate = decode(english / "adjustment_001.ogg")
    sf.write(english / "adjustment_001.ogg", samples * 0.5, rate, format="OGG", subtype="VORBIS")
    (english / "adjustment_002.ogg").unlink()
    (english / "adjustment_003.ogg").write_bytes(b"no sound")
    (english / "adjustment_999.ogg").write_bytes(b"")
    with (copy / ADJUSTMENT[1]).open("a", encoding="utf-8") as stream:
        stream.write('{"key": 99}\n')
    assert main(["build", "--check", "--out", str(copy)]) == 1
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 6, said
    for piece in (
        "001.ogg: samples differ",
        "002.ogg: missing",
        "003.ogg: cannot be",
        "999.ogg: not in",
        "cn.jsonl: content",
    ):
        assert piece in said


def test_check_accepts_the_same_sound_in_other_bytes(tmp_path: Path) -> None:
    """Only the decoded samples count: OGG bytes change from one writing to the next."""
    copy = tmp_path / "sample"
    shutil.copytree(SAMPLE, copy)
    path = copy / "adjustment" / "en" / "adjustment_001.ogg"
    # The serial number of an OGG stream is random; a comment page would do as well. Here a FLAC stands in for it.
    samples, rate = decode(path)
    path.unlink()
    sf.write(path, np.rint(samples * 32768).astype(np.int16), rate, format="FLAC")
    assert samples_sha256(decode(path)[0]) == samples_sha256(samples)
    assert check(copy) == []


def test_check_without_manifest_is_a_data_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder ends in one line and exit code 2."""
    assert main(["build", "--check", "--out", str(tmp_path)]) == 2
    assert "no readable manifest" in capsys.readouterr().err


def test_lines_record_how_they_were_made() -> None:
    """Every line names seed, recipe and the hash of the prompt that it comes from; the recipe is the manifest's."""
    for file in FILES:
        for index, line in enumerate(lines(file)):
            assert line["seed"] == manifest()["settings"]["seed"] + index
            assert line["recipe"] == manifest()["recipe"]
            assert len(line["source_sha256"]) == 64


def test_sample_is_what_its_recipe_plans() -> None:
    """The recipe and the prompts give the lines that are committed, but for what was measured on the sound."""
    for name in {line["voice"] for file in FILES for line in lines(file)}:
        if reason := tts.missing(voices.VOICES[name]):
            pytest.skip(reason)
    planned = plan(recipe.read(RECIPE), {})
    assert planned.recipe_id == manifest()["recipe"]
    assert list(planned.files) == FILES
    for file in FILES:
        measured = [{name: line.get(name) for name in ("snr_db",) if name in line} for line in lines(file)]
        made = [
            {**item.fields, **more, "recipe": planned.recipe_id}
            for item, more in zip(planned.files[file], measured, strict=True)
        ]
        assert made == lines(file)


@pytest.mark.slow
def test_one_command_rebuilds_the_sample(tmp_path: Path) -> None:
    """A rebuild has the committed samples; with other engines or libraries, their lengths, levels and ratios."""
    for row in voices.VOICES.values():
        if row.name in manifest()["settings"]["voices"] and (reason := tts.missing(row)):
            pytest.skip(reason)
    flags = ["--out", str(tmp_path / "set"), "--cache", str(tmp_path / "cache"), "--asr", "none"]
    assert main(["build", str(RECIPE), *flags]) == 0
    rebuilt = json.loads((tmp_path / "set" / "manifest.json").read_text(encoding="utf-8"))
    assert differences(rebuilt, manifest()) == []
    if rebuilt["tools"] == manifest()["tools"]:
        assert rebuilt["files"] == manifest()["files"]
