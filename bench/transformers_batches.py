"""How much of transformers' own speed the transformers back end keeps, on a tiny model with random weights.

    python bench/transformers_batches.py             # needs torch and transformers

The bare loop runs over batches of the back end's size, cut from the clips sorted by length (the best that one can do
knowing all of them), decoded beforehand: processor, `generate`, decoding of the tokens. The back end is given the same
clips as 64 concurrent requests, in the data set's order, and makes its own batches. A second bare loop has its tensors
made beforehand as well and only generates: more than a run could do, and what remains if features cost nothing.
Alternating rounds, whose first takes turns. A ratio of 1 means that the back end costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from data import audio
from data.dataset import SAMPLE
from inference.backends import Request
from inference.backends.transformers_model import BATCH_SIZE, TransformersModel
from inference.chat import Sampling

ROOT = Path(__file__).parent.parent
CLIPS = 64
ROUNDS = 8
WARM_UP = 1  # further rounds, not counted
SAMPLING = Sampling(0.0, 1.0, 32, 0)
Round = Callable[[], list[str]]


class Bare:
    """transformers as its documentation shows it: a processor, a model, and batches sorted by length."""

    def __init__(self, model: str, clips: list[audio.Clip]) -> None:
        from transformers import AutoModelForMultimodalLM, AutoProcessor

        self._processor = AutoProcessor.from_pretrained(model)
        self._processor.tokenizer.padding_side = "left"
        self._model = AutoModelForMultimodalLM.from_pretrained(model, dtype="float32").eval()
        by_length = sorted(range(len(clips)), key=lambda number: len(clips[number].samples))
        self._batches = [by_length[start : start + BATCH_SIZE] for start in range(0, len(clips), BATCH_SIZE)]
        self._clips = clips
        self._ready = [self._inputs(batch) for batch in self._batches]

    def whole(self) -> list[str]:
        """Return the texts, with the tensors made batch by batch."""
        return self._texts([self._generated(self._inputs(batch)) for batch in self._batches])

    def generation_alone(self) -> list[str]:
        """Return the texts, from tensors that were ready."""
        return self._texts([self._generated(inputs) for inputs in self._ready])

    def _inputs(self, batch: list[int]) -> Any:
        conversations = [
            [{"role": "user", "content": [{"type": "audio", "audio": self._clips[number].samples}]}] for number in batch
        ]
        return self._processor.apply_chat_template(
            conversations,
            tokenize=True,
            return_dict=True,
            add_generation_prompt=True,
            processor_kwargs={
                "return_tensors": "pt",
                "text_kwargs": {"padding": True},
                "audio_kwargs": {"sampling_rate": self._clips[0].rate},
            },
        )

    def _generated(self, inputs: Any) -> list[str]:
        import torch

        with torch.inference_mode():
            tokens = self._model.generate(**inputs, do_sample=False, max_new_tokens=SAMPLING.max_tokens)
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        return list(self._processor.batch_decode(answers, skip_special_tokens=True))

    def _texts(self, batches: list[list[str]]) -> list[str]:
        texts = [""] * len(self._clips)
        for batch, answers in zip(self._batches, batches, strict=True):
            for number, text in zip(batch, answers, strict=True):
                texts[number] = text
        return texts


def measure(model: str) -> None:
    """Print the rounds and the median ratios."""
    paths = sorted(SAMPLE.rglob("*.ogg"))[:CLIPS]
    requests = [Request((audio.clip(path, 16_000),), None, None, SAMPLING) for path in paths]
    bare = Bare(model, [request.clips[0] for request in requests])
    with asyncio.Runner() as runner:
        backend = TransformersModel({"id": model, "engine": {"device": "cpu"}})

        async def answers() -> list[str]:
            answered = await asyncio.gather(*(backend.answer(request) for request in requests))
            return [answer.text or "" for answer in answered]

        ways: dict[str, Round] = {
            "back end": lambda: runner.run(answers()),
            "bare": bare.whole,
            "generate alone": bare.generation_alone,
        }
        ratios: dict[str, list[float]] = {"bare": [], "generate alone": []}
        for number in range(-WARM_UP, ROUNDS):
            seconds, texts = {}, {}
            for name in list(ways) if number % 2 else reversed(ways):
                began = time.perf_counter()
                texts[name] = ways[name]()
                seconds[name] = time.perf_counter() - began
            same = sum(text == other for text, other in zip(texts["back end"], texts["bare"], strict=True))
            speeds = "   ".join(f"{name} {CLIPS / seconds[name]:6.1f} clips/s" for name in ways)
            print(f"{'warm-up' if number < 0 else f'round {number + 1}':8} {speeds}   {same} of {CLIPS} texts alike")
            for name, kept in ratios.items():
                if number >= 0:
                    kept.append(seconds[name] / seconds["back end"])
        for name, kept in ratios.items():
            low, high = min(kept), max(kept)
            print(f"back end / {name}: median ratio {statistics.median(kept):.3f} ({low:.3f} to {high:.3f})")
        runner.run(backend.close())


def main() -> None:
    """Make the tiny model, and measure."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as folder:
        maker = ROOT / "tests" / "inference" / "make_tiny_models.py"
        subprocess.run([sys.executable, maker, folder], check=True)
        measure(str(Path(folder) / "tiny-qwen2-audio"))


if __name__ == "__main__":
    main()
