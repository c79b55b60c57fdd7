"""The transformers back end on real engines with tiny random weights, made here: nothing is downloaded."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import Clip
from data.errors import ModelError, UsageError
from inference.backends import Answer, Request, load_backend
from inference.backends.transformers_model import TransformersModel
from inference.chat import Sampling

MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    # Looked for, not imported: torch would cost every run of the tests its seconds, also those without slow ones.
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)} (pip extra 'transformers')"),
]

RATE = 16_000
GREEDY = Sampling(0.0, 1.0, 12)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}<|audio_bos|><|AUDIO|><|audio_eos|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,  # answers of smaller random weights hardly depend on the prompt
}
# Beside its tokens nothing of a checkpoint's generation_config may reach an answer: this one would change every one.
MISLEADING = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "num_beams": 3, "min_new_tokens": 3}
# What mistral_common's seventh format calls its control tokens, by number.
TEKKEN_SPECIAL = dict(enumerate(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]))
TEKKEN_SPECIAL |= dict(enumerate(["[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"], 5))
TEKKEN_SPECIAL |= dict(enumerate(["[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]"], 9))
TEKKEN_SPECIAL |= dict(enumerate(["[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"], 15))
TEKKEN_SPECIAL |= {24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}


def clip(seconds: float, pitch: float = 440.0) -> Clip:
    """Return a vibrating tone."""
    moment = np.arange(round(seconds * RATE)) / RATE
    samples = 0.5 * np.sin(2 * np.pi * pitch * moment + 3 * np.sin(2 * np.pi * 4 * moment))
    return Clip(samples.astype(np.float32), RATE, seconds)


def speech(seconds: float = 1.0, pitch: float = 440.0, system: str | None = None, **sampling: Any) -> Request:
    """Return a request whose turn is audio."""
    return Request((clip(seconds, pitch),), None, system, replace(GREEDY, **sampling))


def text(words: str, system: str | None = None, **sampling: Any) -> Request:
    """Return a request whose turn is text."""
    return Request((), words, system, replace(GREEDY, **sampling))


def ask(model: TransformersModel, *requests: Request) -> list[Answer]:
    """Ask everything at once."""

    async def together() -> list[Answer]:
        return list(await asyncio.gather(*(model.answer(request) for request in requests)))

    return asyncio.run(together())


def byte_tokenizer() -> Any:
    """Return a tokeniser whose tokens are the 256 bytes, behind the special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bytewise = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=bytewise,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL[1:]),
        chat_template=TEMPLATE,
    )


def text_sizes(tokenizer: Any) -> dict[str, Any]:
    """Return the sizes of a tiny decoder with that tokeniser."""
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    return {**TEXT_SIZES, **ids, "vocab_size": len(tokenizer)}


def save(model: Any, folder: Path) -> Path:
    """Write a model, with generation defaults that must have no effect."""
    model.save_pretrained(folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | MISLEADING))
    return folder


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Set what keeps the hub's client from asking anybody, before it is imported, and the weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import torch

        torch.manual_seed(1)
        yield


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny-qwen2")
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(folder)
    return save(Qwen2ForCausalLM(Qwen2Config(**text_sizes(tokenizer))), folder)


@pytest.fixture(scope="module")
def audio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-Audio."""
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    folder = tmp_path_factory.mktemp("tiny-qwen2-audio")
    tokenizer = byte_tokenizer()
    extractor = WhisperFeatureExtractor(feature_size=80)
    Qwen2AudioProcessor(extractor, tokenizer, chat_template=TEMPLATE).save_pretrained(folder)
    heard = {
        "model_type": "qwen2_audio_encoder",
        "num_mel_bins": 80,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 128,
        "d_model": 64,
        "initializer_range": 0.2,
    }
    config = Qwen2AudioConfig(
        audio_config=heard,
        text_config={"model_type": "qwen2", **text_sizes(tokenizer)},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    return save(Qwen2AudioForConditionalGeneration(config), folder)


@pytest.fixture(scope="module")
def voxtral_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Voxtral, whose prompts mistral_common writes."""
    pytest.importorskip("mistral_common", reason="Voxtral's tokeniser needs mistral_common")
    from transformers import (
        MistralCommonBackend,
        VoxtralConfig,
        VoxtralForConditionalGeneration,
        VoxtralProcessor,
        WhisperFeatureExtractor,
    )

    folder = tmp_path_factory.mktemp("tiny-voxtral")
    size = len(write_tekken(folder / "tekken.json"))
    tokenizer = MistralCommonBackend(tokenizer_path=str(folder / "tekken.json"))
    VoxtralProcessor(WhisperFeatureExtractor(feature_size=128), tokenizer).save_pretrained(folder)
    heard = {
        "model_type": "voxtral_encoder",
        "hidden_size": 64,
        "intermediate_size": 256,  # four frames of the encoder are one of the decoder
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "initializer_range": 0.2,
    }
    ids = {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11}
    config = VoxtralConfig(
        audio_config=heard,
        text_config={"model_type": "llama", "head_dim": 32, **TEXT_SIZES, **ids},
        audio_token_id=24,
    )
    return save(VoxtralForConditionalGeneration(config), folder)


def write_tekken(path: Path) -> list[dict[str, Any]]:
    """Write a tokeniser of the 256 bytes as mistral_common reads it; return all its tokens."""
    special = [
        {"rank": number, "token_str": TEKKEN_SPECIAL.get(number, f"<SPECIAL_{number}>"), "is_control": True}
        for number in range(40)
    ]
    bytewise = [
        {"rank": value, "token_bytes": base64.b64encode(bytes([value])).decode(), "token_str": None}
        for value in range(256)
    ]
    config = {
        "pattern": r"\p{L}+|\p{N}|[^\p{L}\p{N}]+",
        "num_vocab_tokens": len(bytewise),
        "default_vocab_size": len(bytewise) + len(special),
        "default_num_special_tokens": len(special),
        "version": "v7",
    }
    audio = {
        "sampling_rate": RATE,
        "frame_rate": 12.5,
        "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
        "chunk_length_s": 30.0,
    }
    parts = {"config": config, "vocab": bytewise, "special_tokens": special, "audio": audio}
    path.write_text(json.dumps({**parts, "version": 1, "type": "Tekken"}))
    return [*special, *bytewise]


@pytest.fixture(scope="module")
def hearing(audio_folder: Path) -> TransformersModel:
    """The tiny Qwen2-Audio, loaded."""
    model = load_backend({"backend": "transformers", "id": str(audio_folder)})
    assert isinstance(model, TransformersModel)
    return model


@pytest.fixture(scope="module")
def voxtral(voxtral_folder: Path) -> TransformersModel:
    """The tiny Voxtral, loaded; its models take no system line."""
    return TransformersModel({"id": str(voxtral_folder), "system_line": "folded"})


@pytest.fixture(scope="module")
def reading(text_folder: Path) -> TransformersModel:
    """The tiny Qwen2, loaded."""
    return TransformersModel({"id": str(text_folder)})


@pytest.fixture(params=["hearing", "voxtral"])
def model(request: pytest.FixtureRequest) -> Any:
    """Each of the two that hear."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def greedy_tokens(audio_folder: Path) -> Callable[[Request], list[int]]:
    """A function that returns what bare transformers answers to the tiny Qwen2-Audio's prompt, as token ids."""
    from transformers import AutoProcessor, GenerationConfig, Qwen2AudioForConditionalGeneration

    processor = AutoProcessor.from_pretrained(audio_folder)
    bare = Qwen2AudioForConditionalGeneration.from_pretrained(audio_folder)
    bare.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)

    def generate(request: Request) -> list[int]:
        prompt = "<|im_start|>user\n<|audio_bos|><|AUDIO|><|audio_eos|><|im_end|>\n<|im_start|>assistant\n"
        inputs = processor(
            text=prompt, audio=[clip.samples for clip in request.clips], sampling_rate=RATE, return_tensors="pt"
        )
        tokens = bare.generate(**inputs, do_sample=False, max_new_tokens=request.sampling.max_tokens)
        return [int(token) for token in tokens[0, inputs["input_ids"].shape[1] :]]

    return generate


QUESTION = "Is it a tone? The answer could be yes, no, or rather a whistle."
OPTIONS = ("yes", "no", "rather a whistle", "n")
HEARD = "<|audio_bos|><|AUDIO|><|audio_eos|>"


def scored(*pitches: float, words: str | None = QUESTION) -> Request:
    """Return a request to score options, with a recording of each pitch; of 1, 2, ... seconds."""
    clips = tuple(clip(seconds, pitch) for seconds, pitch in enumerate(pitches, 1))
    return Request(clips, words, "Listen.", GREEDY, options=OPTIONS)


def by_hand(folder: Path, request: Request) -> dict[str, float]:
    """Return the options' scores from one plain pass each over prompt and option, with what transformers has alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoProcessor, AutoTokenizer, Qwen2AudioForConditionalGeneration

    turn = HEARD * len(request.clips) + (request.text or "")
    prompt = f"<|im_start|>system\nListen.<|im_end|>\n<|im_start|>user\n{turn}<|im_end|>\n<|im_start|>assistant\n"
    more: dict[str, Any] = {}
    if request.clips:
        model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
        reader = AutoProcessor.from_pretrained(folder)
        more = {"audio": [clip.samples for clip in request.clips], "sampling_rate": RATE}
    else:
        model, reader = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    scores = {}
    for option in request.options:
        inputs = reader(text=prompt + option, return_tensors="pt", **more)
        with torch.inference_mode():
            logarithms = torch.log_softmax(model(**inputs).logits[0].double(), dim=-1)
        count = len(option.encode())  # tokens are bytes
        tokens = inputs["input_ids"][0, -count:]
        scores[option] = float(logarithms[-count - 1 : -1].gather(1, tokens[:, None]).sum()) / count
    return scores


@pytest.mark.parametrize("request_of", [(), (220,), (220, 900)], ids=["text", "a recording", "two recordings"])
def test_scores_are_those_of_a_plain_pass(
    request_of: tuple[float, ...], audio_folder: Path, text_folder: Path, hearing: Any, reading: Any
) -> None:
    """Every option's score is its mean log-probability, computed without cache, padding and this code, to 1e-4."""
    for words in (QUESTION, None) if request_of else (QUESTION,):
        request = scored(*request_of, words=words)
        answer = ask(hearing if request_of else reading, request)[0]
        expected = by_hand(audio_folder if request_of else text_folder, request)
        assert answer.option_scores == pytest.approx(expected, abs=1e-4)
        assert list(answer.option_scores or ()) == list(OPTIONS)
        assert answer.text == max(expected, key=lambda option: expected[option])
        assert len({round(score, 3) for score in expected.values()}) == len(OPTIONS)


def test_scores_do_not_depend_on_who_waits(model: TransformersModel) -> None:
    """Asked together with others, longer and of other kinds, or alone: the same scores; other speech, other scores."""
    requests = [scored(220), scored(900, 330), speech(2.0), scored(500, words=None)]
    requests = [replace(request, system=None) for request in requests]
    together = ask(model, *requests)
    for request, answer in zip(requests, together, strict=True):
        (alone,) = ask(model, request)
        assert answer.error is None
        assert answer.text == alone.text
        assert (answer.option_scores or {}) == pytest.approx(alone.option_scores or {}, abs=1e-6)
    assert together[0].option_scores != together[3].option_scores


def test_scores_of_mistral_s_templates(voxtral: TransformersModel) -> None:
    """Where a prompt is known in tokens only, scores are those of a plain pass over its tokens and the option's."""
    import torch

    request = replace(scored(220, 900), system=None)
    (answer,) = ask(voxtral, request)
    inputs = voxtral._encode([request])
    for option, score in (answer.option_scores or {}).items():
        tokens = voxtral._loaded.tokenizer.encode(option, add_special_tokens=False)
        whole = torch.cat([inputs["input_ids"], torch.tensor([tokens])], dim=1)
        with torch.inference_mode():
            logits = voxtral._loaded.model(input_ids=whole, input_features=inputs["input_features"]).logits[0]
        logarithms = logits.double().log_softmax(dim=-1)[-len(tokens) - 1 : -1]
        assert score == pytest.approx(float(logarithms.gather(1, torch.tensor(tokens)[:, None]).mean()), abs=1e-4)
    assert list(answer.option_scores or ()) == list(OPTIONS)


def test_recordings_come_first_and_the_question_behind_them(model: TransformersModel) -> None:
    """A written question stands behind the recordings, in the prompt of every template."""
    shown = model.rendered(replace(scored(220, 900), options=(), system=None))
    audio = "[AUDIO]" if model._loaded.is_mistral else "<|AUDIO|>"
    assert shown.count(audio) == 2
    assert shown.rindex(audio) < shown.index(QUESTION)
    one, two = ask(model, *(replace(scored(*pitches), options=(), system=None) for pitches in ((220,), (220, 900))))
    assert one.error is None and two.error is None
    assert one.text != two.text


def test_speech_decides_the_answer(model: TransformersModel) -> None:
    """Two clips get two answers, and the same clip twice the same one."""
    low, high, again = (ask(model, speech(20, pitch))[0] for pitch in (150, 900, 150))
    assert low.error is None
    assert low.text != high.text
    assert low == again


def test_a_batch_answers_as_its_items_do(model: TransformersModel) -> None:
    """Mixed lengths in one batch are answered, and counted, as one by one: padding does not leak (float32, CPU)."""
    requests = [speech(seconds, 100 + 90 * seconds) for seconds in (1.0, 9.5, 0.3, 28.0, 4.0)]
    assert ask(model, *requests) == [ask(model, request)[0] for request in requests]


def test_what_is_long_waits_for_its_like(hearing: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch takes what is nearest in length to the oldest request, and leaves the rest."""
    monkeypatch.setattr(hearing, "_batch_size", 2)
    sizes: list[list[int]] = []
    answers = hearing._answers
    monkeypatch.setattr(
        hearing,
        "_answers",
        lambda requests, inputs: (
            sizes.append([round(request.clips[0].seconds) for request in requests]) or answers(requests, inputs)
        ),
    )
    ask(hearing, *(speech(seconds) for seconds in (2, 20, 21, 3)))
    assert sizes == [[2, 3], [20, 21]]


def test_plain_greedy(hearing: TransformersModel, greedy_tokens: Callable[[Request], list[int]]) -> None:
    """The answer is bare transformers' greedy one; the checkpoint's generation defaults have no part in it."""
    request = speech(3.0, max_tokens=32)
    answer = ask(hearing, request)[0]
    tokens = greedy_tokens(request)
    assert answer.text == hearing._loaded.tokenizer.decode(tokens, skip_special_tokens=True)
    assert answer.completion_tokens == len(tokens)


def test_cut_at_max_tokens(model: TransformersModel) -> None:
    """An answer that reaches max_tokens says so."""
    answer = ask(model, speech(max_tokens=3))[0]
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 3)


def test_prompt_tokens_count_the_audio(hearing: TransformersModel) -> None:
    """Padding is not counted; audio is, at 25 tokens a second."""
    short, long = ask(hearing, speech(1.0), speech(5.0))
    assert short.prompt_tokens is not None and long.prompt_tokens is not None
    assert long.prompt_tokens - short.prompt_tokens == 100


def test_stop_tokens(audio_folder: Path, greedy_tokens: Callable[[Request], list[int]]) -> None:
    """A stop token ends the answer, is counted and is not shown, whoever else is in the batch."""
    request = speech(2.0)
    tokens = greedy_tokens(request)
    stop = tokens[2]
    model = TransformersModel({"id": str(audio_folder), "stop_token_ids": [stop]})
    answer, _ = ask(model, request, speech(9.0))
    before = tokens.index(stop)
    assert (answer.finish_reason, answer.completion_tokens) == ("stop", before + 1)
    assert answer.text == model._loaded.tokenizer.decode(tokens[:before], skip_special_tokens=True)


def test_stop_texts(audio_folder: Path, hearing: TransformersModel) -> None:
    """The answer ends before a stop text; tokens are counted up to it."""
    request = speech(2.0, max_tokens=48)
    whole = ask(hearing, request)[0].text or ""
    stop = next(letter for letter in whole[1:] if letter.isascii() and letter.isprintable() and letter != whole[0])
    model = TransformersModel({"id": str(audio_folder), "stop": [stop]})
    answer, other = ask(model, request, speech(9.0, max_tokens=48))
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"
    assert answer.completion_tokens is not None and answer.completion_tokens < 48
    assert stop not in (other.text or "")


def test_system_line_given(hearing: TransformersModel) -> None:
    """The system line is a turn of its own, and reaches the model."""
    request = speech(system="Be brief.")
    assert hearing.rendered(request) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<|audio_bos|><|AUDIO|><|audio_eos|><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    with_line, without = ask(hearing, request, speech())
    assert with_line.prompt_tokens == (without.prompt_tokens or 0) + len("_system\nBe brief._\n")


def test_system_line_folded(audio_folder: Path, voxtral: TransformersModel) -> None:
    """A model that takes no system line gets it in front of the user's audio."""
    folding = TransformersModel({"id": str(audio_folder), "system_line": "folded"})
    assert folding.rendered(speech(system="Be brief.")) == (
        "<|im_start|>user\nBe brief.\n\n<|audio_bos|><|AUDIO|><|audio_eos|><|im_end|>\n<|im_start|>assistant\n"
    )
    assert folding.rendered(text("Hello.", system="Be brief.")) == (
        "<|im_start|>user\nBe brief.\n\nHello.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert voxtral.rendered(speech(system="Be brief.")) == "<s>[INST]Be brief.\n\n[BEGIN_AUDIO][AUDIO][/INST]"


def test_a_text_turn_of_a_model_that_hears(model: TransformersModel) -> None:
    """The controls give the turn as text, together with others that are speech."""
    written, spoken = ask(model, text("Say hello."), speech())
    assert written.error is None and spoken.error is None
    assert "Say hello." in model.rendered(text("Say hello."))
    assert written == ask(model, text("Say hello."))[0]


def test_text_only_model(reading: TransformersModel) -> None:
    """A text model answers text, alike in a batch and alone, and refuses audio for good."""
    requests = [text("Hello."), text("Tell me a long story about the sea.", system="Be brief.")]
    answers = ask(reading, *requests)
    assert answers == [ask(reading, request)[0] for request in requests]
    assert answers[0].text != answers[1].text
    refusal = ask(reading, speech())[0]
    assert (refusal.text, refusal.error, refusal.permanent) == (None, "the model takes no audio", True)


def test_longer_than_the_model_hears(hearing: TransformersModel) -> None:
    """A clip beyond 30 s fails with the reason, is never cut in silence, and does not fail its neighbours."""
    fine, long = ask(hearing, speech(29.9), speech(31.0))
    assert fine == ask(hearing, speech(29.9))[0]
    assert fine.error is None
    assert long.text is None and long.permanent
    assert (long.error or "").startswith("audio of 31.0 s; the model's features hold 30 s")


def test_longer_clips_are_heard_whole(voxtral: TransformersModel) -> None:
    """Voxtral takes chunks of 30 s: what comes after the first is heard too."""
    one, two = ask(voxtral, speech(29.0), speech(31.0))
    assert (two.prompt_tokens or 0) - (one.prompt_tokens or 0) == 375


def test_sampling_is_seeded(hearing: TransformersModel) -> None:
    """The same seed draws the same answer, another one another."""
    first, again, other = (ask(hearing, speech(temperature=1.0, seed=seed))[0] for seed in (1, 1, 2))
    assert first == again
    assert first.text != other.text


def test_generation_settings_by_name(audio_folder: Path, hearing: TransformersModel) -> None:
    """What the request does not hold can be asked for by name."""
    engine = {"generation": {"repetition_penalty": 9.0}}
    punished = TransformersModel({"id": str(audio_folder), "engine": engine})
    request = speech(max_tokens=48)
    assert ask(punished, request)[0].text != ask(hearing, request)[0].text


def test_out_of_memory_halves_the_batch(audio_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit goes in halves, and later batches are small from the start."""
    import torch

    model = TransformersModel({"id": str(audio_folder)})
    generate, sizes = model._loaded.model.generate, []

    def small_only(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**inputs)

    monkeypatch.setattr(model._loaded.model, "generate", small_only)
    requests = [speech(1.0, 100.0 * place) for place in range(1, 5)]
    assert all(answer.error is None for answer in ask(model, *requests))
    assert sizes == [4, 2, 2]
    ask(model, *requests)
    assert sizes[3:] == [2, 2]


def test_memory_for_not_even_one(hearing: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """One item that does not fit fails, and may be asked again on a bigger machine."""

    def never(**inputs: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(hearing._loaded.model, "generate", never)
    answer = ask(hearing, speech())[0]
    assert (answer.error, answer.permanent) == ("MemoryError: no room", False)


def test_the_event_loop_stays_free(hearing: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model computes, files are read and written."""
    generate = hearing._loaded.model.generate

    def slow(**inputs: Any) -> Any:
        time.sleep(0.5)
        return generate(**inputs)

    monkeypatch.setattr(hearing._loaded.model, "generate", slow)

    async def count_while_asking() -> int:
        asking, ticks = asyncio.ensure_future(hearing.answer(speech())), 0
        while not asking.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(count_while_asking()) > 20


def test_no_network(audio_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is loaded and asked without a connection to anybody; closing gives everything back."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    model = TransformersModel({"id": str(audio_folder)})
    assert ask(model, speech())[0].error is None
    asyncio.run(model.close())


def test_the_hub_s_commit_is_known(text_folder: Path, tmp_path: Path) -> None:
    """What lies in the hub's cache has a revision, what lies elsewhere has none."""
    cached = shutil.copytree(text_folder, tmp_path / "snapshots" / "0123456789abcdef")
    assert TransformersModel({"id": str(cached)}).revisions == {"model": "0123456789abcdef"}
    assert TransformersModel({"id": str(text_folder)}).revisions == {}


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"id": "./no-such-folder"}, ModelError, "no such folder"),
        ({"id": "nobody/no-such-model"}, ModelError, "is no folder here, not in the local cache"),
        ({"engine": {"max_model_len": 8}}, UsageError, "no engine setting 'max_model_len'"),
        ({"engine": {"batch_size": 0}}, UsageError, "batch_size is 0"),
        ({"sampling_rate": 24_000}, UsageError, "set sampling_rate = 16000"),
    ],
)
def test_what_cannot_be_used(audio_folder: Path, settings: dict[str, Any], error: type[Exception], said: str) -> None:
    """Each mistake is one line that says what to do."""
    with pytest.raises(error, match=said) as raised:
        TransformersModel({"id": str(audio_folder), **settings})
    assert "\n" not in str(raised.value)


def test_code_of_the_checkpoint_is_not_run_unasked(tmp_path: Path) -> None:
    """A checkpoint that brings code is refused until somebody trusts it."""
    (tmp_path / "own.py").write_text("raise SystemExit('run after all')")
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="add --trust_remote_code"):
        TransformersModel({"id": str(tmp_path)})


def test_no_chat_template(text_folder: Path, tmp_path: Path) -> None:
    """A base model is refused before the run."""
    for path in text_folder.iterdir():
        if path.name != "chat_template.jinja":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="no usable chat template"):
        TransformersModel({"id": str(tmp_path)})


def test_not_installed(audio_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without transformers the message names the extra."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install -e '\.\[transformers\]'"):
        TransformersModel({"id": str(audio_folder)})
