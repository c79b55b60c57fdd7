"""The flags of `python inference.py`: names, aliases, refusals, and what --help costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data import dataset
from data.errors import ModelError
from inference import cli, models, run
from inference.chat import Sampling
from prompts import templates

ROOT = Path(__file__).parents[2]
# What has no place in a command's start: it costs seconds, or is not installed everywhere.
HEAVY = {"torch", "transformers", "openai", "numpy", "soundfile", "soxr", "xllamacpp", "faster_whisper", "gguf", "nltk"}


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[run.Options]:
    """The options that the command was run with; nothing is asked."""
    kept: list[run.Options] = []

    def fake(options: run.Options, **_: Any) -> run.Outcome:
        kept.append(options)
        return run.Outcome([Path("a.jsonl")], 2, 2, 0)

    monkeypatch.setattr(run, "run", fake)
    return kept


def test_a_bare_command_works(chosen: list[run.Options]) -> None:
    """Every flag has a default: the sample, the embedded model, greedy, our system line."""
    assert cli.main([]) == 0
    (options,) = chosen
    assert options == run.Options(
        dataset=dataset.SAMPLE,
        suite=None,
        variant=None,
        lang=None,
        limit=None,
        model_name="embedded",
        model=models.chosen(models.Choice())[1],
        output_dir=Path("results"),
        run_name="embedded",
        sampling=Sampling(0.0, 1.0, 512, 0),  # the embedded model's own limit
        system=templates.bundled("system"),
        concurrency=2,
        preflight=True,
    )


def test_every_flag_arrives(chosen: list[run.Options], tmp_path: Path) -> None:
    """What is typed is what is run."""
    line = tmp_path / "line.txt"
    line.write_text("Be brief.\n")
    flags = f"--dataset {tmp_path} --subset open --variant accent --lang en --limit 3 --output_dir out --run_name mine "
    flags += f"--temperature 0.5 --top_p 0.9 --max_tokens 7 --seed 5 --system_prompt {line} --concurrency 9 "
    assert cli.main([*flags.split(), "--overwrite", "--allow_outside_audio"]) == 0
    (options,) = chosen
    assert (options.dataset, options.suite and options.suite.name, options.variant) == (tmp_path, "open", "accent")
    assert (options.lang, options.limit, options.concurrency) == ("en", 3, 9)
    assert options.folder == Path("out/mine")
    assert options.sampling == Sampling(0.5, 0.9, 7, 5)
    assert options.system is not None
    assert options.system.text == "Be brief."
    assert options.overwrite
    assert options.allow_outside_audio
    assert not options.dry_run


@pytest.mark.parametrize(
    ("names", "suite"),
    [
        (("close", "closed", "closed-ended", "Closed"), "closed"),
        (("open", "open_ended", "open-ended"), "open"),
        (("adjust", "adjustment"), "adjustment"),
    ],
)
def test_subset_aliases(names: tuple[str, ...], suite: str, chosen: list[run.Options]) -> None:
    """All the names by which people call a subset mean it."""
    for name in names:
        cli.main(["--subset", name])
    assert [options.suite and options.suite.name for options in chosen] == [suite] * len(names)


@pytest.mark.parametrize(("name", "lang"), [("en", "en"), ("zh", "zh"), ("cn", "zh"), ("CN", "zh")])
def test_language_aliases(name: str, lang: str, chosen: list[run.Options]) -> None:
    """`cn` is what the files say, `zh` what the language is called."""
    cli.main(["--lang", name])
    assert chosen[0].lang == lang


def test_no_system_line(chosen: list[run.Options]) -> None:
    """`--system_prompt none` sends none."""
    cli.main(["--system_prompt", "none"])
    assert chosen[0].system is None


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("--model gpt-9", "unknown model 'gpt-9': give its server with --base_url"),
        ("--subset opened", "unknown subset 'opened'; known: close"),
        ("--lang french", "unknown language 'french'; give a two-letter code"),
        ("--run_name a/b", "--run_name 'a/b' is no folder name"),
        ("--run_name ..", "--run_name '..' is no folder name"),
        ("--system_prompt nowhere.txt", "nowhere.txt: prompt file cannot be read"),
        ("--dataset nowhere", "nowhere: no such folder or file"),
        ("--variant nothing", "no file is left by --subset, --variant and --lang"),
        ("--subset open --variant accent", "no file is left by --subset, --variant and --lang"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    flags: str, part: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong value ends with exit 2, one line on stderr that names it, nothing on stdout and nothing written."""
    output = tmp_path / "results"
    assert cli.main([*flags.split(), "--output_dir", str(output)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert part in err
    assert err.count("\n") == 1
    assert out == ""
    assert not output.exists()


@pytest.mark.parametrize(
    "flags",
    [
        "--limit 0",
        "--limit -1",
        "--limit many",
        "--temperature -0.1",
        "--temperature nan",
        "--temperature inf",
        "--top_p 0",
        "--top_p 1.5",
        "--max_tokens 0",
        "--concurrency 0",
        "--seed x",
        "--unknown",
        "--over",
        "stray",
        "--model",
    ],
)
def test_flags_that_argparse_refuses(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that is none, is shortened, or has an impossible value ends with exit 2 and a line that names it."""
    with pytest.raises(SystemExit) as caught:
        cli.main(flags.split())
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert flags.split()[0] in line


def test_a_data_set_with_a_fault_is_named_by_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A line that is no JSON is found before anything is written or any model loaded."""
    path = tmp_path / "open_ended_en.jsonl"
    path.write_text('{"key": 1, "prompt": "a", "audio_path": "a.wav"}\nnot JSON\n')
    assert cli.main(["--dataset", str(path), "--output_dir", str(tmp_path / "results")]) == 2
    assert f"{path}:2: not JSON" in capsys.readouterr().err
    assert not list(tmp_path.glob("results/*/*.jsonl"))


def test_the_end_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Label, counts and the next command go to stderr, the files to stdout."""
    outcome = run.Outcome([Path("results/embedded/a.jsonl")], 3, 2, 1)
    monkeypatch.setattr(run, "run", lambda *_, **__: outcome)
    assert cli.main([]) == 0
    out, err = capsys.readouterr()
    assert out == "results/embedded/a.jsonl\n"
    assert err.startswith("embedded (smoke-test model): 2 responses, 1 failed; ")
    assert "evaluate.py --results results/embedded" in err


@pytest.mark.parametrize(
    ("failed", "permanent", "end"),
    [
        (0, 0, "--results results/embedded"),
        (3, 0, "; run the same command again to ask the failed ones"),
        (3, 1, "; run the same command again to ask 2 of the failed ones, the others failed for good"),
        (3, 3, "; asking the failed ones again cannot help: their lines say why (error)"),
    ],
)
def test_a_rerun_is_offered_where_it_can_help(
    failed: int, permanent: int, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line says how many of the failed items the same command would ask again."""
    monkeypatch.setattr(run, "run", lambda *_, **__: run.Outcome([], 9, 9 - failed, failed, permanent))
    assert cli.main([]) == 0
    assert capsys.readouterr().err.endswith(f"{end}\n")


@pytest.mark.parametrize(("answered", "failed", "code"), [(3, 0, 0), (2, 1, 0), (0, 3, 1), (0, 0, 0)])
def test_exit_codes(answered: int, failed: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which every item failed is no success."""
    monkeypatch.setattr(run, "run", lambda *_, **__: run.Outcome([], answered + failed, answered, failed))
    assert cli.main([]) == code


@pytest.mark.parametrize(
    ("error", "code", "start"),
    [(ModelError("no weights"), 1, "error: no weights"), (KeyboardInterrupt(), 130, "interrupted: ")],
)
def test_a_run_that_fails_says_one_line(
    error: BaseException,
    code: int,
    start: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A failure of the run, or Ctrl-C, is one line and an exit code of its own."""

    def fail(*_: Any, **__: Any) -> run.Outcome:
        raise error

    monkeypatch.setattr(run, "run", fail)
    assert cli.main([]) == code
    err = capsys.readouterr().err
    assert err.startswith(start)
    assert err.count("\n") == 1


def imported(script: str, *flags: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run a command; return what came of it and the top-level modules that it imported."""
    command = [sys.executable, "-X", "importtime", script, *flags]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    return ended, {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("script", ["inference.py", "api_judge.py"])
def test_help_imports_nothing_heavy(script: str) -> None:
    """--help answers before any model runtime, numeric library or client is imported."""
    ended, modules = imported(script, "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"usage: {script}")
    assert not modules & HEAVY


def test_help_names_every_flag() -> None:
    """Each flag stands in --help with words of its own."""
    ended, _ = imported("inference.py", "--help")
    for flag in (
        *("--dataset", "--subset", "--variant", "--lang", "--limit", "--model", "--output_dir", "--run_name"),
        *("--temperature", "--top_p", "--max_tokens", "--seed", "--system_prompt", "--concurrency", "--overwrite"),
        *("--dry_run", "--allow_outside_audio"),
    ):
        assert f"\n  {flag} " in ended.stdout or f"\n  {flag}\n" in ended.stdout, flag


@pytest.mark.parametrize("flags", [["--model", "x"], ["--limit", "0"], ["--dataset", "nowhere"]])
def test_the_script_never_shows_a_traceback(flags: list[str]) -> None:
    """The command itself ends with exit 2 and no traceback."""
    ended = subprocess.run(
        [sys.executable, "inference.py", *flags], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_dry_run_loads_no_model(tmp_path: Path) -> None:
    """The script's dry run over the sample shows the files and the first prompt without any heavy import."""
    if not list(dataset.SAMPLE.glob("*/*.jsonl")):
        pytest.skip("the sample is not built")
    ended, modules = imported("inference.py", "--dry_run", "--lang", "en", "--output_dir", str(tmp_path / "out"))
    assert ended.returncode == 0
    assert "open_ended_en.jsonl: " in ended.stdout
    assert '"role": "system"' in ended.stdout
    assert not modules & HEAVY
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--temperature 0.7", "--top_p 0.9", "--max_tokens 2048", "--seed 5"])
def test_a_flag_wins_over_the_model_s_own_sampling(chosen: list[run.Options], flag: str) -> None:
    """What is given on the command line replaces the model's default; the rest of it stays."""
    assert cli.main(flag.split()) == 0
    name, value = flag.removeprefix("--").split()
    wanted = {
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 512,
        "seed": 0,
        name: type(cli.DEFAULT_SAMPLING[name])(value),
    }
    assert chosen[0].sampling == Sampling(**wanted)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--backend cascade --asr embedded", "needs both --asr and --llm"),
        ("--llm embedded-llm", "--llm needs --backend cascade"),
        ("--asr embedded", "--asr needs --backend cascade or --modality transcript"),
        ("--modality transcript", "--modality transcript needs --asr"),
        ("--backend nonsense --model x", "unknown back end 'nonsense'"),
        ("--backend no.such:Model", "--backend no.such:Model: No module named"),
        ("--backend json:NoSuchClass", "has no attribute 'NoSuchClass'"),
        ("--backend json:JSONDecoder", "has no method 'answer'"),
        ("--backend cascade --asr nonsense --llm embedded-llm", "unknown recogniser 'nonsense'"),
        ("--modality transcript --asr transformers: --dry_run", "unknown recogniser 'transformers:'"),
        ("--modality transcript --asr openai:whisper-1", "set OPENAI_API_KEY, or name another server with --asr_base"),
        ("--modality transcript --asr openai:m --asr_base_url nowhere", "the server's address cannot be one"),
        ("--modality transcript --asr embedded --asr_base_url http://h/v1", "need --asr openai:MODEL"),
        ("--asr_api_key_env KEY", "need --asr openai:MODEL"),
        ("--asr_language en", "--asr_language needs --asr"),
    ],
)
def test_models_that_cannot_be_are_said_in_one_line(
    flags: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A model that cannot be reached so is named before anything is asked."""
    assert cli.main([*flags.split(), "--limit", "1", "--output_dir", str(tmp_path)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert says in line


CUSTOM = """
class Parrot:
    def answer(self, samples, rate, text, system, sampling):
        if samples is not None and len(samples) > 7 * rate:
            raise ValueError("too long for a parrot")
        return f"heard {len(samples) / rate:.1f} s" if text is None else text.upper()

class Hasty(Parrot):
    async def answer(self, samples, rate, text, system, sampling):
        return 7
"""


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_a_class_of_one_s_own(
    modality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--backend module:Class runs a class with one method; what it raises is that item's error."""
    (tmp_path / "birds.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    flags = f"--backend birds:Parrot --subset adjust --lang en --modality {modality} --output_dir {tmp_path}"
    assert cli.main(flags.split()) == 0
    name = "Parrot" if modality == "audio" else "Parrot-text"
    rows = [json.loads(line) for line in (tmp_path / name / "adjustment_en.jsonl").read_text().splitlines()]
    if modality == "text":
        assert all(row["response"] == row["prompt"].upper() for row in rows)
    else:
        assert any(str(row["response"]).startswith("heard ") for row in rows)
        assert all(row["response"] or row["error"] == "ValueError: too long for a parrot" for row in rows)


def test_the_transcript_control_gives_what_was_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--modality transcript hands a model what a recogniser heard, and keeps it on the line."""
    (tmp_path / "birds.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    flags = "--backend birds:Parrot --modality transcript --asr embedded --subset adjust --lang en --limit 2"
    assert cli.main([*flags.split(), "--output_dir", str(tmp_path)]) == 0
    path = tmp_path / "Parrot-transcript" / "adjustment_en.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(row["response"] == row["asr_transcript"].upper() != "" for row in rows)


def test_the_known_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """--list_models shows every row of models.toml with its back end."""
    assert cli.main(["--list_models"]) == 0
    shown = capsys.readouterr().out
    for name, row in models.known_models().items():
        assert any(line.split()[:2] == [name, row["backend"]] for line in shown.splitlines())
