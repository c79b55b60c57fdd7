"""Judging with vLLM's own OpenAI-compatible server, on the CPU: a random-weight model whose replies a schema holds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytest.importorskip("vllm", reason="the extra 'vllm' is not installed")

from judges import cli
from prompts.replies import read_open_reply

pytestmark = pytest.mark.slow

TINY = Path(__file__).parents[1] / "inference" / "make_tiny_models.py"
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
LENGTH = 2048  # tokens; all that the tiny model has
PROMPT = "{request}\n{response}\n{questions}\n"  # its tokenizer has few words: the usual prompt would not fit


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the tiny Qwen2-Audio."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, TINY, folder], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--max-model-len", str(LENGTH), "--dtype", "float32", "--enforce-eager", "--gpu-memory-utilization", "0.1"]
    flags += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"]
    # Random weights would fill the reply with the blanks that JSON allows anywhere.
    flags += ["--structured-outputs-config", json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder / "tiny-qwen2-audio")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT})
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(health: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server is up."""
    deadline = time.monotonic() + 240
    with httpx2.Client(timeout=10, trust_env=False) as client:
        while True:
            assert server.poll() is None and time.monotonic() < deadline, "the server does not come up"
            try:
                if client.get(health).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.5)


@pytest.mark.parametrize("form", ["json_schema", "text"])
def test_vllm_judges(form: str, address: str, tmp_path: Path, write_jsonl: Any) -> None:
    """With a schema even random weights give verdicts; without one they are asked again and stay unreadable."""
    rows = [
        {
            "key": key,
            "prompt": "Name a bird.",
            "decomposed_questions": ["Is it one?", "Does it fly?"],
            "response": f"{key}",
        }
        for key in range(3)
    ]
    path = Path(write_jsonl(tmp_path / "open_ended_en.jsonl", rows))
    (tmp_path / "short.txt").write_text(PROMPT)
    flags = ["--data_type", "open", "--src_file", str(path), "--base_url", address, "--judge_model", "tiny"]
    flags += ["--prompt_file", str(tmp_path / "short.txt")]
    assert cli.main([*flags, "--n", "2", "--max_tokens", "64", "--reply_form", form, "--max_rejudge", "1"]) == 0
    judged = [json.loads(line) for line in path.read_text().splitlines()]
    read = [read_open_reply(reply) for row in judged for reply in row["pred_score"]]
    assert len(read) == 6
    if form == "json_schema":
        assert all(verdicts is not None and len(verdicts) == 2 for verdicts in read)
    manifest = json.loads(path.with_name("open_ended_en.judge.json").read_text())["judges"][0]
    assert manifest["not_taken"] == {}
    assert manifest["served"][0]["model"] == "tiny"
    assert manifest["tokens"]["live"]["prompt"] > 0
    before = path.read_bytes()
    assert cli.main([*flags, "--n", "2", "--max_tokens", "64", "--reply_form", form, "--max_rejudge", "1"]) == 0
    assert path.read_bytes() == before
