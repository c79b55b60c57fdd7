"""Speech models in this process through transformers: batches by length, on a GPU where there is one, else the CPU.

What is asked of a checkpoint, and nothing else:

- **Prompt.** Its own chat template, over a system line (where there is one) and a user turn: the decoded samples.
- **Sampling.** The request's alone. Of the checkpoint's generation_config only the token ids (begin, end, padding)
  stay: what it says of repetition_penalty, top_k, num_beams and the like would move scores without standing in the
  manifest, and no other back end applies it. Greedy is therefore plain greedy. Whoever wants such a setting names it:
  `engine = { generation = { repetition_penalty = 1.05 } }`.
- **Length of the audio.** Feature extractors cut by default (Whisper's at 30 s); that is switched off. A model that
  takes longer clips gets them whole (Voxtral, in chunks of 30 s); with one that does not the item fails, and says why.
  Cutting is the run's affair (`max_audio_seconds`), where it is counted.
- **Options.** Where answers are given, their likelihood is computed and nothing is written (see `likelihood`).
- **Batches.** Requests that wait at the same time go together, similar lengths first, padded on the left. Kernels add
  in another order for another batch size: in float32 that is some 1e-6 and greedy answers are the same; in bfloat16 a
  near tie between two tokens may fall either way. Sampled answers depend on the batch always, which is seeded as a
  whole, and who shares a batch depends on who waits.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import inspect
import io
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from data.audio import Clip
from data.errors import ModelError, UsageError
from inference.backends import Answer, Request, likelihood
from inference.backends.checkpoints import check_rate, described, is_out_of_memory, load_failure, place_of, revision_of
from inference.chat import Sampling, messages_of, text_part

BATCH_SIZE = 8
GATHERING_SECONDS = 0.02  # as long as requests keep coming in at this pace, a batch waits for more of them
DEFAULT_SAMPLING_RATE = 16_000  # Hz; what the run decodes to where a model's row names nothing else
# What `engine` may hold; the rest of transformers' many arguments belongs into the checkpoint's own config.
LOADING_SETTINGS = ("attn_implementation", "device_map", "max_memory")
ENGINE_SETTINGS = ("batch_size", "device", "dtype", "generation", *LOADING_SETTINGS)
MODEL_CLASSES = ("AutoModelForMultimodalLM", "AutoModelForCausalLM", "AutoModel")


@dataclass(frozen=True, slots=True, eq=False)  # two equal requests are still two
class _Waiting:
    """A request and where its answer goes."""

    request: Request
    future: asyncio.Future[Answer]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A checkpoint in memory.

    Attributes:
        model: the module that generates text.
        processor: templates and tokenises, and computes features; the tokeniser itself for text-only models.
        tokenizer: the processor's tokeniser.
        extractor: computes features of audio; None for models that take none.
        end_ids: tokens that end an answer.
    """

    model: Any
    processor: Any
    tokenizer: Any
    extractor: Any
    end_ids: frozenset[int]

    @property
    def is_mistral(self) -> bool:
        """Return whether mistral_common templates the prompt: it takes encoded audio only, and shows no template."""
        return "MistralCommon" in type(self.tokenizer).__name__


class TransformersModel:
    """A checkpoint of the hub, or of a folder, that this process runs itself."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the checkpoint.

        Args:
            settings: `id`, a hub id or a folder; `engine`, with `batch_size` (default 8), `device` (default: a GPU
                where there is one), `dtype` (default: the checkpoint's own on a GPU, float32 on the CPU), `device_map`,
                `max_memory`, `attn_implementation` and `generation` (more fields of transformers' GenerationConfig);
                `trust_remote_code` (default false); `system_line`, `given` or `folded` (put in front of the user turn);
                `stop`, texts, and `stop_token_ids`, which end an answer; `sampling_rate` of the clips in Hz.

        Raises:
            UsageError: a setting that does not exist, or cannot work.
            ModelError: torch, transformers or the checkpoint is missing, or the checkpoint cannot be used.
        """
        engine = dict(settings.get("engine") or {})
        _check_engine(engine)
        self._batch_size = int(engine.get("batch_size", BATCH_SIZE))
        self._generation = dict(engine.get("generation") or {})
        self._stop = tuple(settings.get("stop") or ())
        self._folded = settings.get("system_line") == "folded"
        self._loaded = _load(settings, engine)
        check_rate(self._loaded.extractor, settings.get("sampling_rate", DEFAULT_SAMPLING_RATE))
        revision = revision_of(place_of(str(settings["id"])))
        self.revisions = {} if revision is None else {"model": revision}
        self._waiting: list[_Waiting] = []
        self._serving: asyncio.Task[None] | None = None
        # Features of the next batch are computed while the model writes the answers of this one. A tokeniser written in
        # Rust must not be set up for padding in one thread while it is used in another: "Already borrowed".
        self._preparer = ThreadPoolExecutor(1, "prepare")
        self._worker = ThreadPoolExecutor(1, "generate")
        self._tokenizing = threading.Lock()
        self._check_template(settings["id"])

    async def answer(self, request: Request) -> Answer:
        """Answer one request, together with others that wait at the same time."""
        if request.clips and self._loaded.extractor is None:
            return Answer(None, "the model takes no audio", permanent=True)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await waiting.future

    def rendered(self, request: Request) -> str:
        """Return the prompt as the checkpoint's chat template writes it, the audio as one placeholder."""
        if not self._loaded.is_mistral:
            conversation = self._conversation(request)
            template = self._loaded.processor.apply_chat_template
            return str(template(conversation, tokenize=False, add_generation_prompt=True))
        text = str(self._loaded.tokenizer.decode(self._encode([request])["input_ids"][0], skip_special_tokens=False))
        return re.sub(r"(\[AUDIO\])+", "[AUDIO]", text)

    async def close(self) -> None:
        """Stop serving and give the memory back; requests that still wait are cancelled."""
        for waiting in self._waiting:
            waiting.future.cancel()
        self._waiting.clear()
        if self._serving is not None and not self._serving.done():
            await asyncio.wait([self._serving])
        self._preparer.shutdown()
        self._worker.shutdown()
        on_gpu = self._loaded.model.device.type == "cuda"
        del self._loaded
        if on_gpu:
            importlib.import_module("torch").cuda.empty_cache()

    # On the event loop: which requests go together.

    async def _serve(self) -> None:
        """Answer what waits, batch by batch, preparing one while another is generated."""
        running: asyncio.Task[None] | None = None
        while self._waiting:
            await self._gather()
            if running is not None and len(self._waiting) < self._batch_size:
                await running  # its answers bring new requests, which fill the next batch
                await self._gather()
            batch = self._pick()
            prepared = asyncio.get_running_loop().run_in_executor(
                self._preparer, self._prepared, [waiting.request for waiting in batch]
            )
            await asyncio.wait([prepared])
            if running is not None:
                await running
            running = asyncio.create_task(self._generate_batch(batch, prepared.result()))
            if not self._waiting:
                await running

    async def _gather(self) -> None:
        """Wait until a batch is full, or nobody else joins."""
        count = -1
        while count < len(self._waiting) < self._batch_size:
            count = len(self._waiting)
            await asyncio.sleep(GATHERING_SECONDS)

    def _pick(self) -> list[_Waiting]:
        """Take the request that has waited longest, and those of its kind that are nearest to it in length."""
        self._waiting = [waiting for waiting in self._waiting if not waiting.future.done()]
        if not self._waiting:
            return []
        first = self._waiting[0].request
        alike = [waiting for waiting in self._waiting if _kind(waiting.request) == _kind(first)]
        alike.sort(key=lambda waiting: abs(_length(waiting.request) - _length(first)))
        batch = alike[: 1 if first.options else self._batch_size]
        self._waiting = [waiting for waiting in self._waiting if waiting not in batch]
        return batch

    async def _generate_batch(self, batch: list[_Waiting], inputs: dict[str, Any] | None) -> None:
        requests = [waiting.request for waiting in batch]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._worker, self._answers, requests, inputs)
        except Exception as error:  # whatever it is, nobody may wait for ever
            answers = [Answer(None, described(error))] * len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(answer)

    # In the threads: tensors.

    def _prepared(self, requests: list[Request]) -> dict[str, Any] | None:
        """Return the model's inputs; None where one of the requests cannot be prepared, which is found out later."""
        try:
            return self._encode(requests) if requests else None
        except Exception:  # told item by item, in `_answers`
            return None

    def _encode(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Return the tensors of a batch, on the CPU: input_ids and attention_mask (n, tokens), and the features."""
        loaded = self._loaded
        conversations = [self._conversation(request) for request in requests]
        options: dict[str, Any] = {"tokenize": True, "return_dict": True}
        if loaded.processor is loaded.tokenizer:
            options |= {"add_generation_prompt": True, "return_tensors": "pt", "padding": True}
        elif loaded.is_mistral:
            options["return_tensors"] = "pt"
        else:
            options["add_generation_prompt"] = True
            options["processor_kwargs"] = {
                "return_tensors": "pt",
                "text_kwargs": {"padding": True},
                **({"audio_kwargs": self._audio_options(requests[0].clips[0])} if requests[0].clips else {}),
            }
        with self._tokenizing:
            return dict(loaded.processor.apply_chat_template(conversations, **options))

    def _audio_options(self, clip: Clip) -> dict[str, Any]:
        options: dict[str, Any] = {"sampling_rate": clip.rate}
        if "truncation" in inspect.signature(self._loaded.extractor.__call__).parameters:
            options["truncation"] = False
        return options

    def _answers(self, requests: list[Request], inputs: dict[str, Any] | None) -> list[Answer]:
        """Answer a batch; where it fails, its parts, so that one bad item does not take the others with it."""
        if not requests:
            return []
        try:
            return self._generate(requests, inputs if inputs is not None else self._encode(requests))
        except Exception as error:  # transformers, torch and code of the checkpoint raise anything
            # Only words are kept: the error's traceback holds the tensors that did not fit.
            reason, exhausted = described(error), is_out_of_memory(error)
            permanent = isinstance(error, ValueError)
        del inputs
        if len(requests) == 1:
            return [Answer(None, self._reason(requests[0], reason), permanent=permanent)]
        part = 1
        if exhausted:
            importlib.import_module("torch").cuda.empty_cache()  # does nothing where there is no GPU
            part = self._batch_size = max(1, len(requests) // 2)
        return [
            answer
            for start in range(0, len(requests), part)
            for answer in self._answers(requests[start : start + part], None)
        ]

    def _reason(self, request: Request, reason: str) -> str:
        """Return why an item failed, with the likely cause where its audio is longer than the features of a model."""
        samples = getattr(self._loaded.extractor, "n_samples", None)
        longest = max(request.clips, key=lambda clip: len(clip.samples), default=None)
        if longest is None or not samples or len(longest.samples) <= samples:
            return reason
        seconds = samples / longest.rate
        return (
            f"audio of {longest.seconds_used:.1f} s; the model's features hold {seconds:g} s "
            f"(max_audio_seconds = {seconds:g} cuts, and counts): {reason}"
        )

    def _generate(self, requests: Sequence[Request], inputs: dict[str, Any]) -> list[Answer]:
        """Return the answers to a prepared batch."""
        import torch

        if requests[0].options:
            return [self._scored(requests[0], inputs)]
        loaded, sampling = self._loaded, requests[0].sampling
        torch.manual_seed(sampling.seed or 0)
        with torch.inference_mode():
            tokens = loaded.model.generate(
                **_on_device(inputs, loaded.model),
                generation_config=self._generation_config(sampling),
                **({"tokenizer": loaded.tokenizer} if self._stop else {}),
            )
        prompt_length = inputs["input_ids"].shape[1]
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        with self._tokenizing:
            return [
                self._answer(row, count, sampling.max_tokens)
                for row, count in zip(tokens[:, prompt_length:].tolist(), prompt_tokens, strict=True)
            ]

    def _scored(self, request: Request, inputs: dict[str, Any]) -> Answer:
        """Return how likely a prompt's options are: the prompt goes through the model once, then all options together.

        No item shares a batch with another, so that a score depends on nothing else. The options are padded behind
        their ends, where no token of theirs can look.
        """
        import torch

        loaded = self._loaded
        with self._tokenizing:
            options = self._option_tokens(request)
        prompt = _on_device(inputs, loaded.model)
        width = max(map(len, options))
        rows = torch.tensor([tokens + tokens[:1] * (width - len(tokens)) for tokens in options])
        only_last = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters
        with torch.inference_mode():
            read = loaded.model(**prompt, use_cache=True, **({"logits_to_keep": 1} if only_last else {}))
            logits = read.logits[:, -1:].expand(len(options), -1, -1)
            if width > 1:
                read.past_key_values.batch_repeat_interleave(len(options))
                # Without a mask, every model counts on from the cache; given one, some place the tokens by it anew.
                # An option's last token is foretold, and tells nothing more.
                shown = rows[:, :-1].to(loaded.model.device)
                going_on = loaded.model(input_ids=shown, past_key_values=read.past_key_values, use_cache=True)
                logits = torch.cat([logits, going_on.logits], dim=1)
            chosen = rows.to(logits.device)[:, :, None]
            logarithms = logits.float().log_softmax(dim=-1).gather(2, chosen)[:, :, 0].tolist()
        scores = {
            option: sum(row[: len(tokens)]) / len(tokens)
            for option, tokens, row in zip(request.options, options, logarithms, strict=True)
        }
        return likelihood.answer_of(scores, int(inputs["attention_mask"].sum()))

    def _option_tokens(self, request: Request) -> list[list[int]]:
        loaded = self._loaded
        encode = likelihood.encoder(loaded.tokenizer)

        def answered(option: str) -> str:
            turn = option if loaded.processor is loaded.tokenizer else [text_part(option)]
            messages = [*self._conversation(request), {"role": "assistant", "content": turn}]
            return str(loaded.processor.apply_chat_template(messages, tokenize=False, continue_final_message=True))

        if loaded.is_mistral:
            return likelihood.option_tokens(request.options, encode)
        return likelihood.option_tokens(request.options, encode, self.rendered(request), answered)

    def _answer(self, row: list[int], prompt_tokens: int, max_tokens: int) -> Answer:
        """Return one answer from its tokens, which padding follows where others of the batch are longer."""
        end = next((place for place, token in enumerate(row) if token in self._loaded.end_ids), None)
        tokens = row if end is None else row[:end]
        text = self._loaded.tokenizer.decode(tokens, skip_special_tokens=True)
        stopped, count = end is not None, len(row) if end is None else end + 1
        if self._stop and end is None:
            stopped, count = self._stopped(row)
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        return Answer(
            text[: min(places)] if places else text,
            finish_reason="stop" if stopped or len(row) < max_tokens else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=count,
        )

    def _stopped(self, row: list[int]) -> tuple[bool, int]:
        """Return whether a stop text stands in an answer, and how many tokens there are up to it."""
        decode = self._loaded.tokenizer.decode
        for count in range(1, len(row) + 1):
            # A stop text is short: what ends in it is found in the last few tokens, each at least one byte of it.
            tail = decode(row[max(0, count - 4 * max(map(len, self._stop))) : count], skip_special_tokens=False)
            if any(stop in tail for stop in self._stop):
                return True, count
        return False, len(row)

    def _generation_config(self, sampling: Sampling) -> Any:
        """Return the whole of what generation is told; `_load` has taken the checkpoint's own defaults away."""
        from transformers import GenerationConfig

        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        own = self._loaded.model.generation_config
        return GenerationConfig(
            **{
                "do_sample": sampling.temperature > 0,
                "max_new_tokens": sampling.max_tokens,
                "bos_token_id": own.bos_token_id,
                "eos_token_id": own.eos_token_id,
                "pad_token_id": own.pad_token_id,
                **(drawn if sampling.temperature > 0 else {}),
                **({"stop_strings": list(self._stop)} if self._stop else {}),
                **self._generation,
            }
        )

    def _conversation(self, request: Request) -> list[dict[str, Any]]:
        """Return a request as the messages that its chat template takes."""
        system, folded = (None, request.system) if self._folded else (request.system, None)
        text = request.text or ""
        if not request.clips:
            text = f"{folded}\n\n{text}" if folded else text
            single = self._loaded.processor is self._loaded.tokenizer
            return messages_of(system, text if single else [text_part(text)])
        parts = [text_part(f"{folded}\n\n")] if folded else []
        parts += map(self._audio_part, request.clips)
        return messages_of(system, [*parts, text_part(text)] if text else parts)

    def _audio_part(self, clip: Clip) -> dict[str, Any]:
        if not self._loaded.is_mistral:
            return {"type": "audio", "audio": clip.samples}
        return {"type": "audio", "base64": base64.b64encode(_wav(clip)).decode("ascii")}

    def _check_template(self, name: str) -> None:
        """Raise the error of a checkpoint that has no chat template: a base model follows no instructions."""
        try:
            self.rendered(Request((), "Hello.", None, Sampling(0.0, 1.0, 1)))
        except Exception as error:  # templates and tokenisers raise anything
            raise ModelError(f"{name} has no usable chat template ({described(error)}); is it a base model?") from None


def _kind(request: Request) -> tuple[bool, bool, Sampling]:
    """Return what requests of one batch must share."""
    return bool(request.clips), bool(request.options), request.sampling


def _length(request: Request) -> int:
    """Return a request's size, comparable among requests of one kind: samples, or characters."""
    return sum(len(clip.samples) for clip in request.clips) or len(request.text or "")


def _wav(clip: Clip) -> bytes:
    """Return a clip as a WAV file in memory, of float samples, so that nothing is rounded."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, clip.samples, clip.rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def _on_device(inputs: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return the inputs that a model takes, where and in the precision in which it computes."""
    moved = {}
    for name, value in inputs.items():
        if name == "token_type_ids" and name not in inspect.signature(model.forward).parameters:
            continue  # general tokenisers add them to everything
        if hasattr(value, "is_floating_point"):
            value = value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        moved[name] = value
    return moved


def _check_engine(engine: Mapping[str, Any]) -> None:
    unknown = sorted(set(engine) - set(ENGINE_SETTINGS))
    if unknown:
        raise UsageError(
            f"the transformers back end has no engine setting '{unknown[0]}'; it has {', '.join(ENGINE_SETTINGS)}"
        )
    size = engine.get("batch_size", BATCH_SIZE)
    if not isinstance(size, int) or size < 1:
        raise UsageError(f"engine setting batch_size is {size!r}; expected a whole number above 0")


def _load(settings: Mapping[str, Any], engine: Mapping[str, Any]) -> _Loaded:
    """Return the checkpoint that the settings name.

    Raises:
        ModelError: it cannot be loaded; the message says what to do.
    """
    try:
        import torch  # noqa: F401  # transformers alone does not import any model
        import transformers
    except ImportError as error:
        raise ModelError(
            f"the transformers back end needs torch and transformers ({error}): pip install -e '.[transformers]'"
        ) from None
    name = str(settings["id"])
    place = place_of(name)
    trusted = bool(settings.get("trust_remote_code", False))
    try:
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=trusted)
        class_name = _class_name(config, transformers)
        processor = _processor(place, config, class_name, trusted)
        model = _model(place, config, class_name, trusted, engine)
    except ModelError:
        raise
    except Exception as error:  # transformers, the hub's client and a checkpoint's own code raise anything
        raise ModelError(load_failure(name, error)) from error
    model.eval()
    tokenizer = getattr(processor, "tokenizer", processor)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"  # a decoder continues its prompt: padding must not stand between the two
    ends = _token_ids(model, tokenizer) | {int(token) for token in settings.get("stop_token_ids") or ()}
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=model.generation_config.bos_token_id,
        eos_token_id=sorted(ends) or None,
        pad_token_id=tokenizer.pad_token_id,
    )
    extractor = getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None)
    return _Loaded(model, processor, tokenizer, extractor, frozenset(ends))


def _class_name(config: Any, transformers: Any) -> str:
    """Return the auto class that loads a checkpoint: the one its own code names, or the one that knows its config.

    Raises:
        ModelError: none does.
    """
    own_code = getattr(config, "auto_map", None) or {}
    known = {
        "AutoModelForMultimodalLM": transformers.MODEL_FOR_MULTIMODAL_LM_MAPPING,
        "AutoModelForCausalLM": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
    }
    for name in MODEL_CLASSES:
        if type(config) in known.get(name, ()) or name in own_code:
            return name
    raise ModelError(f"'{config.model_type}' is no model that transformers {transformers.__version__} writes text with")


def _processor(place: str, config: Any, class_name: str, trusted: bool) -> Any:
    """Return a checkpoint's processor; the tokeniser of one that has text only."""
    from transformers import AutoProcessor, AutoTokenizer

    own_code = getattr(config, "auto_map", None) or {}
    text_only = class_name == "AutoModelForCausalLM" and "AutoProcessor" not in own_code
    return (AutoTokenizer if text_only else AutoProcessor).from_pretrained(place, trust_remote_code=trusted)


def _model(place: str, config: Any, class_name: str, trusted: bool, engine: Mapping[str, Any]) -> Any:
    """Return a checkpoint's weights where they are to compute; of a model that also speaks, the half that writes."""
    import torch
    import transformers

    device = engine.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    on_cpu = "device_map" not in engine and str(device) == "cpu"
    passed = {name: engine[name] for name in LOADING_SETTINGS if engine.get(name) is not None}
    if hasattr(config, "enable_audio_output"):
        config.enable_audio_output = False
    model = getattr(transformers, class_name).from_pretrained(
        place,
        config=config,
        dtype=engine.get("dtype") or ("float32" if on_cpu else "auto"),
        trust_remote_code=trusted,
        **passed,
    )
    model = getattr(model, "thinker", model)
    return model if "device_map" in passed else model.to(device)


def _token_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end an answer, as the checkpoint and its tokeniser name them."""
    named = model.generation_config.eos_token_id
    ends = set(named if isinstance(named, list | tuple) else [named])
    return {int(token) for token in ends | {tokenizer.eos_token_id} if token is not None}
