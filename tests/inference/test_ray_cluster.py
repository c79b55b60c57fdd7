"""Replicas on a Ray cluster: the same files as without, and nothing lost when a process of it is killed.

What needs Ray runs the command itself, as a process, on two cores: on a cluster started here, or on the run's own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import Clip
from data.dataset import SAMPLE
from data.errors import ModelError, UsageError
from inference import cli, run
from inference.backends import Request, load_backend, ray_cluster
from inference.backends.ray_cluster import NEW, RayCluster
from inference.chat import Sampling
from inference.options import RayOptions

ROOT = Path(__file__).parents[2]
# Lies in the folder where the command is typed. What an item's answer is depends on every sample that arrives.
MODELS = """
import asyncio, hashlib, os, signal

class Hears:
    def __init__(self):
        print("made on standard output")
        self.asks = os.open("asks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def answer(self, samples, rate, text, system, sampling):
        name = hashlib.sha256(samples.tobytes()).hexdigest()[:16]
        os.write(self.asks, f"{os.getpid()} {name} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n".encode())
        samples *= 0  # it is this model's to write to
        await asyncio.sleep(0.1)
        return f"{name} {len(samples)} {rate} {system} {sampling}"

class DiesLoading:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def answer(self, samples, rate, text, system, sampling):
        return "never"

class CannotLoad(DiesLoading):
    def __init__(self):
        raise OSError("no weights here")

class DiesOfOne:
    async def answer(self, samples, rate, text, system, sampling):
        if os.path.exists("deadly") and open("deadly").read() in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return text.upper()
"""


def real(test: Any) -> Any:
    """Mark a test that needs Ray itself."""
    missing = importlib.util.find_spec("ray") is None
    return pytest.mark.slow(pytest.mark.skipif(missing, reason="needs ray: pip install -e '.[ray]'")(test))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder in which the command is typed, with the models of one's own."""
    (tmp_path / "mine.py").write_text(MODELS)
    return tmp_path


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """An environment in which Ray finds no other cluster, asks for a token, and leaves its files nowhere else."""
    place = tempfile.mkdtemp(prefix="r", dir="/tmp")  # short: sockets lie in it
    yield {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "OPENAI_"))},
        "RAY_TMPDIR": place,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    shutil.rmtree(place)


@pytest.fixture
def alone() -> Iterator[dict[str, str]]:
    """The environment of whoever has no cluster."""
    with environment() as made:
        yield made


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The environment of whoever uses the cluster that runs here: two cores, and two GPUs that Ray is told of."""
    flags = ["--head", "--port=0", "--num-cpus=2", "--num-gpus=2", "--include-dashboard=false", "--block"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *flags]
    with environment() as made:
        process = subprocess.Popen(command, env=made, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        note = Path(made["RAY_TMPDIR"]) / "ray" / "ray_current_cluster"
        until = time.monotonic() + 120
        while not note.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        yield made
        process.terminate()
        process.wait(timeout=60)


def start(folder: Path, environment: Mapping[str, str], flags: str) -> subprocess.Popen[str]:
    """Start the command."""
    command = [sys.executable, str(ROOT / "inference.py"), *flags.split()]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command's end; return its exit code, what it wrote on standard output, and what it said."""
    out, said = process.communicate(timeout=240)
    return process.returncode, out, said


def untimed(folder: Path) -> dict[str, bytes]:
    """Return the files of a run as they stand, without what differs from run to run."""
    kept = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert all(row.pop("latency_seconds") >= 0 for row in rows if row["response"] is not None)
        kept[path.name] = "\n".join(map(json.dumps, rows)).encode()
    return kept


def answers(folder: Path) -> list[str]:
    """Return the responses that stand in a run's files, torn lines aside."""
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    return [row["response"] for row in map(json.loads, lines) if row["response"] is not None]


def asks(folder: Path) -> list[list[str]]:
    """Return [process, item, its GPU] of everything that was asked."""
    path = folder / "asks"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def left_of(made: Mapping[str, str]) -> list[str]:
    """Return the commands of the processes that were started in this environment and still run."""
    mark = f"RAY_TMPDIR={made['RAY_TMPDIR']}".encode()
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                left.append((process / "cmdline").read_text().replace("\0", " ")[:100])
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
    return left


@real
def test_the_same_files_as_without(folder: Path, alone: Mapping[str, str]) -> None:
    """A run on a Ray of its own goes on where one without it stopped, and ends with the same files; nothing is left."""
    flags = "--backend mine:Hears --concurrency 3 --limit"
    code, _, said = finish(start(folder, alone, f"{flags} 3 --run_name plain"))
    assert code == 0, said
    code, _, said = finish(start(folder, alone, f"{flags} 1 --run_name both"))
    assert code == 0, said
    first = len(answers(folder / "results" / "both"))
    (folder / "asks").unlink()
    on_ray = f"{flags} 3 --run_name both --engine ray --ray_replicas 2"
    code, out, said = finish(start(folder, alone, on_ray))
    assert code == 0, said
    assert untimed(folder / "results" / "both") == untimed(folder / "results" / "plain")
    assert set(out.split()) == {f"results/both/{name}" for name in untimed(folder / "results" / "both")}
    assert "made on standard output" in said
    assert len(asks(folder)) == 2 * first + 2, "two files' items in three, and two known recordings"
    manifest = json.loads((folder / "results" / "both" / "run.json").read_bytes())
    engine = manifest["engine"]
    assert (engine["name"], engine["replicas"], engine["resources"]) == ("ray", 2, {"CPU": 1})
    assert engine["version"] == importlib.import_module("ray").__version__
    assert manifest["status"] == "complete"
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["first_prompt"]["rendered"].endswith("<audio>")
    assert left_of(alone) == []
    code, _, said = finish(start(folder, alone, f"{flags} 3 --run_name both"))
    assert (code, "nothing is asked" in said) == (0, True)
    assert json.loads((folder / "results" / "both" / "run.json").read_bytes())["engine"] == engine


@real
def test_a_killed_replica_loses_nothing(folder: Path, cluster: Mapping[str, str]) -> None:
    """One replica a GPU, killed three times: complete, in order, and nothing that was kept is asked again."""
    flags = "--backend mine:Hears --concurrency 3 --limit 6 --skip_preflight --run_name"
    code, _, said = finish(start(folder, cluster, f"{flags} plain"))
    assert code == 0, said
    (folder / "asks").unlink()
    process = start(folder, cluster, f"{flags} killed --engine ray")
    total = len(answers(folder / "results" / "plain"))
    kept: list[tuple[set[str], int]] = []
    for moment in (total // 6, total // 2, total - 8):
        while len(asks(folder)) < moment and process.poll() is None:
            time.sleep(0.002)
        now = {text.split()[0] for text in answers(folder / "results" / "killed")}
        kept.append((now, len(asks(folder))))
        os.kill(int(asks(folder)[-1][0]), signal.SIGKILL)
    code, _, said = finish(process)
    assert code == 0, said
    assert said.count("it is started anew") == 3
    assert untimed(folder / "results" / "killed") == untimed(folder / "results" / "plain")
    assert {gpu for _, _, gpu in asks(folder)} == {"0", "1"}
    times = Counter(item for _, item, _ in asks(folder))
    assert len(times) == total
    assert times.total() <= total + 3 * 3, "what was in flight in a killed process, and nothing else"
    assert all(answered for answered, _ in kept)
    for answered, number in kept:
        assert not answered & {item for _, item, _ in asks(folder)[number:]}


@real
@pytest.mark.parametrize(
    ("model", "why"), [("DiesLoading", "died while it was loading"), ("CannotLoad", "OSError: no weights here")]
)
def test_no_replica_can_be_loaded(folder: Path, cluster: Mapping[str, str], model: str, why: str) -> None:
    """Where every replica dies, or says that it cannot, the run ends with one line and leaves earlier answers alone."""
    earlier = folder / "results" / "try" / "open_ended_en.jsonl"
    code, _, _ = finish(start(folder, cluster, "--backend mine:Hears --run_name try --limit 1 --subset open --lang en"))
    assert code == 0
    before = earlier.read_bytes()
    flags = f"--backend mine:{model} --run_name try --overwrite --engine ray --ray_replicas 2"
    code, out, said = finish(start(folder, cluster, flags))
    assert (code, out) == (1, "")
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert why in said
    assert earlier.read_bytes() == before


@real
def test_an_item_that_kills_is_the_items_failure(folder: Path, cluster: Mapping[str, str]) -> None:
    """An item that ends every process which hears it fails after three; all others are answered."""
    item = json.loads((SAMPLE / "closed-ended" / "closed_standard_en.jsonl").read_text().splitlines()[2])
    (folder / "deadly").write_text(item["prompt"])
    flags = "--backend mine:DiesOfOne --modality text --subset close --variant standard --lang en --limit 9"
    code, _, said = finish(
        start(folder, cluster, f"{flags} --run_name try --concurrency 1 --engine ray --ray_replicas 2")
    )
    assert code == 0, said
    rows = [json.loads(line) for line in (folder / "results/try/closed_standard_en.jsonl").read_text().splitlines()]
    assert [row["response"] == row["prompt"].upper() for row in rows] == [number != 2 for number in range(9)]
    assert rows[2]["response"] is None
    assert rows[2]["error"].startswith("3 replicas ended while they worked on it")
    assert not rows[2]["error_permanent"]


@real
@pytest.mark.parametrize("moment", ["loading", "answering"])
def test_sigterm_leaves_nothing_behind(folder: Path, alone: Mapping[str, str], moment: str) -> None:
    """A run that is ended takes its Ray with it; what was answered is kept, in order."""
    resources = "--ray_resources GPU=1" if moment == "loading" else "--ray_resources CPU=1"
    flags = f"--backend mine:Hears --concurrency 1 --run_name try --engine ray --ray_replicas 2 {resources}"
    process = start(folder, alone, flags)
    assert process.stderr is not None
    if moment == "loading":  # there is no GPU: it waits for one
        assert "room for 0 of 2" in process.stderr.readline()
    while moment == "answering" and len(asks(folder)) < 20 and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    code, _, said = finish(process)
    assert code == 130, said
    assert left_of(alone) == []
    if moment == "answering":
        assert len(answers(folder / "results" / "try")) > 5


@real
def test_the_embedded_model_on_ray(folder: Path, cluster: Mapping[str, str]) -> None:
    """Real weights answer the same in a replica."""
    flags = "--subset open --lang en --limit 2 --max_tokens 40 --run_name"
    code, _, said = finish(start(folder, cluster, f"{flags} plain"))
    assert code == 0, said
    code, _, said = finish(start(folder, cluster, f"{flags} replica --engine ray"))
    assert code == 0, said
    assert untimed(folder / "results" / "replica") == untimed(folder / "results" / "plain")


@pytest.mark.parametrize("flags", ["--ray_address auto", "--ray_replicas 2", "--ray_resources GPU=1"])
def test_flags_of_ray_need_it(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that would do nothing is refused."""
    assert cli.main(flags.split()) == 2
    assert capsys.readouterr().err == f"error: {flags.split()[0]} needs --engine ray\n"


@pytest.mark.parametrize("amount", ["x", "-1", "true", "[1]", "Infinity"])
def test_resources_are_amounts(amount: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no amount is refused before anything starts."""
    assert cli.main(["--engine", "ray", "--ray_resources", f"GPU={amount}"]) == 2
    assert "is no amount" in capsys.readouterr().err


def test_flags_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed is what is run; without --engine there is no Ray."""
    kept: list[run.Options] = []

    def fake(options: run.Options, **_: Any) -> run.Outcome:
        kept.append(options)
        return run.Outcome([], 1, 1, 0)

    monkeypatch.setattr(run, "run", fake)
    cli.main([])
    cli.main(["--engine", "ray"])
    flags = "--engine ray --ray_address head:6379 --ray_replicas 3 --ray_resources GPU=0.5 CPU=4"
    cli.main(flags.split())
    assert [options.ray for options in kept] == [
        None,
        RayOptions(resources={}),
        RayOptions("head:6379", 3, {"GPU": 0.5, "CPU": 4}),
    ]


def test_the_back_end_gets_the_models_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray wraps whatever back end the model has, which is told how many requests one replica gets."""
    seen: list[Mapping[str, Any]] = []

    class Stop(Exception):
        pass

    def load(settings: Mapping[str, Any]) -> Any:
        seen.append(settings)
        raise Stop

    options = run.Options(
        dataset=SAMPLE,
        suite=None,
        variant=None,
        lang="en",
        limit=1,
        model_name="made-up",
        model={"backend": "x:Y", "size": "small"},
        output_dir=tmp_path,
        run_name="try",
        sampling=Sampling(0.0, 1.0, 64, 0),
        system=None,
        concurrency=5,
    )
    for ray in (None, RayOptions("auto", 2, {"GPU": 1})):
        with pytest.raises(Stop):
            run.run(replace(options, ray=ray), say=print, show=print, progress=lambda *_: None, load=load)  # type: ignore[arg-type,return-value]
    model = {"backend": "x:Y", "size": "small", "concurrency": 5}
    assert seen == [
        model,
        {"backend": "ray", "model": model, "address": "auto", "replicas": 2, "resources": {"GPU": 1}},
    ]


def test_ray_is_no_back_end_of_its_own() -> None:
    """`--backend ray` says what is meant instead."""
    with pytest.raises(UsageError, match="add --engine ray"):
        load_backend({"backend": "ray", "id": "owner/name", "concurrency": 4})


def test_missing_ray_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"needs ray .*; install it with: pip install -e '\.\[ray\]'"):
        RayCluster({"model": {"backend": "x:Y", "concurrency": 4}})


def test_where_the_cluster_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An address wins over RAY_ADDRESS, that over Ray's note of a cluster of this machine; one that is dead is told."""
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        alive = f"127.0.0.1:{server.getsockname()[1]}"
        with socket.create_server(("127.0.0.1", 0)) as other:
            dead = f"127.0.0.1:{other.getsockname()[1]}"
        assert ray_cluster._address(None) == NEW
        assert ray_cluster._address("auto") == "auto"
        assert ray_cluster._address(f"ray://{alive}") == f"ray://{alive}"
        note.write_text(f"{alive}\n")
        assert ray_cluster._address(None) == "auto"
        note.write_text(dead)
        assert ray_cluster._address(None) == NEW
        with pytest.raises(ModelError, match="ray stop"):
            ray_cluster._address("auto")
        monkeypatch.setenv("RAY_ADDRESS", dead)
        assert ray_cluster._address(alive) == alive
        with pytest.raises(ModelError, match=f"at {dead} does not answer"):
            ray_cluster._address(None)
        with pytest.raises(ModelError, match=r"at ray://127[^@]* does not answer"):
            ray_cluster._address(f"ray://me:secret@{dead}")


NODES = [{"CPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}, {"GPU": 0.0}]


@pytest.mark.parametrize(
    ("settings", "resources", "replicas"),
    [
        ({"backend": "vllm"}, {"CPU": 1, "GPU": 1}, 6),
        (
            {"backend": "vllm", "engine": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}},
            {"CPU": 1, "GPU": 4},
            1,
        ),
        ({"backend": "vllm", "engine": {"data_parallel_size": 2}}, {"CPU": 1, "GPU": 2}, 3),
        ({"backend": "x:Y"}, {"CPU": 1, "GPU": 1}, 6),
        ({"backend": "transformers", "engine": {"device": "cpu"}}, {"CPU": 1}, 3),
        ({"backend": "openai"}, {"CPU": 1}, 3),
        ({"backend": "cascade", "asr": "embedded", "llm": {"backend": "embedded"}}, {"CPU": 1}, 3),
        ({"backend": "cascade", "asr": "embedded", "llm": {"backend": "vllm"}}, {"CPU": 1, "GPU": 1}, 6),
    ],
)
def test_one_replica_a_gpu(settings: dict[str, Any], resources: dict[str, float], replicas: int) -> None:
    """A replica gets the GPUs that its model is spread over; a model on the processor one replica a node."""
    assert ray_cluster._usual_resources(settings, NODES) == resources
    assert ray_cluster._replicas(None, resources, NODES) == replicas
    assert ray_cluster._usual_resources(settings, NODES[:1]) == {"CPU": 1}


def test_a_cluster_without_room(capsys: pytest.CaptureFixture[str]) -> None:
    """No room at all ends the run; whoever names a number of replicas waits for it, and is told."""
    with pytest.raises(ModelError, match=r"no node .* \(GPU=8\)"):
        ray_cluster._replicas(None, {"GPU": 8}, NODES)
    assert ray_cluster._replicas(2, {"GPU": 8}, NODES) == 2
    assert "room for 0 of 2" in capsys.readouterr().err
    with pytest.raises(ModelError, match=r"\(CPU=0.5, odd=1\)"):
        ray_cluster._replicas(None, {"CPU": 0.5, "odd": 1}, NODES)
    assert ray_cluster._replicas(None, {"GPU": 0.5}, NODES) == 12
    assert ray_cluster._replicas(12, {"GPU": 0.5}, NODES) == 12
    assert capsys.readouterr().err == ""


def test_what_travels_to_the_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This project's packages, and the module or package of a class of one's own, but nothing that is installed."""
    project = [str(ROOT / name) for name in ("data", "prompts", "inference")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "whole" / "part").mkdir(parents=True)
    assert ray_cluster._code({"backend": "vllm"}) == project
    assert ray_cluster._code({"backend": "json:Model"}) == project
    assert ray_cluster._code({"backend": "mine:Model"}) == [*project, str(tmp_path / "mine.py")]
    heard = {"backend": "cascade", "asr": "embedded", "llm": {"backend": "whole.part:Model"}}
    assert ray_cluster._code(heard) == [*project, str(tmp_path / "whole")]


def test_replicas_get_samples_of_their_own() -> None:
    """Ray hands arrays over write-protected; a model may write to its clip as it may without Ray."""
    samples = np.ones(4, dtype=np.float32)
    samples.flags.writeable = False
    request = Request((Clip(samples, 16_000, 0.5),), None, "Be brief.", Sampling(0.0, 1.0, 8))
    writable = ray_cluster._writable(request)
    (clip,) = writable.clips
    clip.samples[:] = 0
    assert replace(writable, clips=request.clips) == request
    assert (clip.rate, clip.seconds) == (16_000, 0.5)
    text = replace(request, clips=(), text="Hello.")
    assert ray_cluster._writable(text) == text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The actor died unexpectedly before finishing this task.\n\tclass_name: Replica\n\tactor_id: c677\n"
            "\tpid: 28347\n\tip: 192.0.2.2\nThe actor is dead because its worker process has died.",
            "process 28347 on 192.0.2.2: The actor is dead because its worker process has died.",
        ),
        ("The actor c90a is unavailable: Socket closed.", "The actor c90a is unavailable: Socket closed."),
        ("a\nb" + "c" * 1000, "b" + "c" * 299),
    ],
)
def test_why_a_replica_died(said: str, told: str) -> None:
    """Of Ray's page about a dead process, where it was and why it died are left."""
    assert ray_cluster._death(RuntimeError(said)) == told
