"""vLLM's own engine, without a server: every request in flight is handed over at once, so that its batch stays full.

The prompt is what vLLM's chat endpoint would make of the same messages: the model's chat template, with the model's
placeholder where the audio stands. The clip itself goes to the engine as samples. Seen working with vLLM 0.32.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.audio import Clip
from data.errors import ModelError, UsageError
from inference.backends import Answer, Request, likelihood
from inference.chat import Sampling, messages_of, text_part

# Only where the user has not said otherwise; vLLM logs to standard output unless told, and that is for results.
ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_NO_USAGE_STATS": "1"}
# A run asks every clip once, so features kept for a second time would only fill the memory.
ENGINE_DEFAULTS: Mapping[str, Any] = {
    "mm_processor_cache_gb": 0,
    "disable_log_stats": True,
    "use_tqdm_on_load": False,
}
HOW_TO_INSTALL = "install it with: pip install -e '.[vllm]'"
GAVE_UP = ("abort", "error")  # reasons why an answer ended that are none
SHUTDOWN_SECONDS = 10.0
LONGEST_REASON = 300  # characters of one of vLLM's messages, which may go on for pages


class VllmEngine:
    """A model in vLLM's asynchronous engine; tensor and data parallel as its engine arguments say."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the weights and start the engine's processes.

        Args:
            settings: `id`, the model's name on the hub or its folder; `clips_per_turn`, the most recordings that a
                request will have (default: 1); `engine`, vLLM's engine arguments by their Python
                names (dtype, max_model_len, tensor_parallel_size, ...); `trust_remote_code`; `system_line`, `given` or
                `folded` into the user turn; `placeholder`, the prompt text that stands for the audio where the chat
                template does not write it; `stop` and `stop_token_ids`; `lora`, a folder of the model that holds the
                adapter to use.

        Raises:
            UsageError: there is no such engine argument, or `id` is missing.
            ModelError: vLLM is missing, or it cannot load the model.
        """
        if not settings.get("id"):
            raise UsageError("the vllm back end needs a model: --model with a hub id or a folder")
        self._id = str(settings["id"])
        self._folded = settings.get("system_line", "given") == "folded"
        self._placeholder: str | None = settings.get("placeholder")
        self._stops = {name: settings[name] for name in ("stop", "stop_token_ids") if settings.get(name)}
        self._numbers = itertools.count()
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with _standard_output_on_error():
            _import("vllm")
            self._lora = _lora_request(self._id, settings["lora"]) if settings.get("lora") else None
            self._engine = _start(self._id, settings)
        self._encoded_audio = _import("vllm.utils.mistral").is_mistral_tokenizer(self._engine.renderer.tokenizer)

    async def answer(self, request: Request) -> Answer:
        """Answer one request; a prompt or clip that vLLM refuses is that item's permanent failure.

        Raises:
            ModelError: the engine has died.
        """
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            prompt = await self._prompt(request)
            sampling = self._sampling(request.sampling)
            options = self._option_tokens(request)
        except Exception as error:  # each model's processor raises its own; the engine has not seen the item yet
            return Answer(None, _reason(error), permanent=not isinstance(error, TimeoutError))
        try:
            if options:
                return await self._scored(prompt, options)
            output = await self._generate(prompt, sampling)
        except EngineDeadError:
            raise ModelError(
                f"vllm's engine for '{self._id}' has died; its own message stands above (out of memory? lower "
                "max_model_len or gpu_memory_utilization with --engine_args); the same command continues the run"
            ) from None
        except VLLMError as error:
            return Answer(None, _reason(error.__cause__ or error), permanent=isinstance(error, VLLMClientError))
        return _answer(output)

    def rendered(self, request: Request) -> str:
        """Return the prompt as the chat template made it; the model's placeholder stands for the audio."""
        _, prompt = self._engine.renderer.render_messages(self._messages(request), self._chat_parameters())
        if "prompt" in prompt:
            return str(prompt["prompt"])
        tokenizer = self._engine.renderer.tokenizer
        return str(tokenizer.decode(prompt["prompt_token_ids"], skip_special_tokens=False))

    async def close(self) -> None:
        """End the engine's processes, by force where they do not end in time."""
        engine, self._engine = self._engine, None  # vLLM also shuts down when the last reference goes; let that be now
        if engine is not None:
            engine.shutdown(timeout=SHUTDOWN_SECONDS)  # not in a thread: its reader would take the end for a crash

    async def _generate(self, prompt: Any, sampling: Any) -> Any:
        """Return vLLM's final RequestOutput; the sampling asks for no others."""
        last = None
        number = str(next(self._numbers))
        async for output in self._engine.generate(prompt, sampling, number, lora_request=self._lora):
            last = output
        return last

    async def _scored(self, prompt: Any, options: Mapping[str, Sequence[int]]) -> Answer:
        """Return how likely options are: of each beginning that some of them share, one step that says what may follow.

        The prompt is read once: vLLM keeps what it computed of it for the other steps (its prefix cache).
        """
        following: dict[tuple[int, ...], set[int]] = {}
        for tokens in options.values():
            for place, token in enumerate(tokens):
                following.setdefault(tuple(tokens[:place]), set()).add(token)
        first = await self._step(prompt, (), following.pop(()))
        others = await asyncio.gather(*(self._step(prompt, start, tokens) for start, tokens in following.items()))
        steps = dict(zip([(), *following], [first, *others], strict=True))
        for output in steps.values():
            if output.outputs[0].finish_reason in GAVE_UP:
                return _answer(output)

        def logarithm(tokens: Sequence[int], place: int) -> float:
            return float(steps[tuple(tokens[:place])].outputs[0].logprobs[0][tokens[place]].logprob)

        means = {
            option: sum(logarithm(tokens, place) for place in range(len(tokens))) / len(tokens)
            for option, tokens in options.items()
        }
        return likelihood.answer_of(means, len(first.prompt_token_ids or ()))

    async def _step(self, prompt: Any, start: Sequence[int], following: Iterable[int]) -> Any:
        """Return vLLM's output for a prompt that goes on with some tokens, with the probabilities of the next ones."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=sorted(following),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        tokens = [*prompt["prompt_token_ids"], *start]
        return await self._generate({**prompt, "prompt_token_ids": tokens}, sampling)

    def _option_tokens(self, request: Request) -> dict[str, list[int]]:
        """Return each of the request's options with its tokens behind the prompt."""
        if not request.options:
            return {}
        renderer = self._engine.renderer
        encode = likelihood.encoder(renderer.tokenizer)

        def answered(option: str) -> str:
            messages = [*self._messages(request), {"role": "assistant", "content": option}]
            return str(renderer.render_messages(messages, self._chat_parameters(answered=True))[1]["prompt"])

        if self._encoded_audio:
            tokens = likelihood.option_tokens(request.options, encode)
        else:
            tokens = likelihood.option_tokens(request.options, encode, self.rendered(request), answered)
        return dict(zip(request.options, tokens, strict=True))

    async def _prompt(self, request: Request) -> Any:
        """Return the request as vLLM's engine takes it: tokens, and the features of the audio.

        Both are computed in vLLM's own threads, so that other requests go on meanwhile.
        """
        renderer = self._engine.renderer
        _, prompt = await renderer.render_messages_async(self._messages(request), self._chat_parameters())
        if request.clips:
            # In place of the stand-ins that `_audio_part` gave the template.
            prompt["multi_modal_data"] = {"audio": [(clip.samples, clip.rate) for clip in request.clips]}
            prompt.pop("multi_modal_uuids", None)
        # The template has written the special tokens already.
        tokens = renderer.default_chat_tok_params.with_kwargs(add_special_tokens=False)
        (prepared,) = await renderer.render_cmpl_async([prompt], tokens)
        return prepared

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        """Return the conversation; a folded system line is the first part of the user turn."""
        system = None if self._folded else request.system
        text = request.text or ""
        turn: str | list[dict[str, Any]]
        if not request.clips:
            turn = text
        elif self._placeholder is not None:
            turn = self._placeholder * len(request.clips) + text
        else:
            turn = [self._audio_part(clip, number) for number, clip in enumerate(request.clips)]
            turn += [text_part(text)] if text else []
        if self._folded and request.system:
            turn = f"{request.system}\n\n{turn}" if isinstance(turn, str) else [text_part(request.system), *turn]
        return messages_of(system, turn)

    def _audio_part(self, clip: Clip, number: int) -> dict[str, Any]:
        """Return the content part that stands for a recording, by its number in the turn.

        vLLM lets a part name audio that it already holds, and then decodes nothing: the template needs no more than
        that. Mistral's tokenizer counts the samples itself and has to be given them.
        """
        if self._encoded_audio:
            return {"type": "input_audio", "input_audio": {"data": _wav(clip), "format": "wav"}}
        return {"type": "input_audio", "input_audio": {}, "uuid": f"speech-{number}"}

    def _chat_parameters(self, *, answered: bool = False) -> Any:
        from vllm.renderers import ChatParams

        keywords = {
            "add_generation_prompt": not answered,
            "continue_final_message": answered,
            "tokenize": self._encoded_audio,
        }
        return ChatParams(chat_template_kwargs=keywords)

    def _sampling(self, sampling: Sampling) -> Any:
        """Return vLLM's parameters; what is not named here is neutral, whatever the model's own defaults are."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=sampling.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,  # nothing is streamed, so no step costs this process a turn
            **self._stops,
        )


def engine_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's engine for a model's settings."""
    lora = {"enable_lora": True} if settings.get("lora") else {}
    engine = settings.get("engine", {})
    return {
        **ENGINE_DEFAULTS,
        **lora,
        **engine,
        "limit_mm_per_prompt": {"audio": settings.get("clips_per_turn", 1), **engine.get("limit_mm_per_prompt", {})},
        "model": str(settings["id"]),
        "trust_remote_code": bool(settings.get("trust_remote_code", False)),
        "generation_config": "vllm",  # no sampling defaults of the model's; its end-of-text tokens are kept
    }


def _start(model: str, settings: Mapping[str, Any]) -> Any:
    """Return vLLM's running AsyncLLM; it may be made outside the event loop that uses it."""
    arguments = _import("vllm.engine.arg_utils")
    engine = _import("vllm.v1.engine.async_llm")
    if _looks_like_a_path(model) and not Path(model).is_dir():
        raise ModelError(f"there is no model folder {model}")
    try:
        # Some versions look the model up while they read their arguments, others when the engine starts.
        return engine.AsyncLLM.from_engine_args(arguments.AsyncEngineArgs(**engine_arguments(settings)))
    except Exception as error:  # whatever configuration, hub, platform or worker process raises
        if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
            raise UsageError(f"vllm has no such engine argument ({_reason(error)})") from None
        raise ModelError(_why_not(model, error)) from error


def _import(module: str) -> Any:
    """Return a module of vLLM's.

    Raises:
        ModelError: it is not installed, or not for this machine.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == "vllm":
            raise ModelError(f"the vllm back end needs vllm; {HOW_TO_INSTALL}") from None
        raise ModelError(f"this vllm is not complete, or of another version ({error}); {HOW_TO_INSTALL}") from error
    except (ImportError, OSError, RuntimeError) as error:  # a library that only machines with a GPU have
        raise ModelError(f"vllm does not load on this machine ({_reason(error)}); {HOW_TO_INSTALL}") from error


def _lora_request(model: str, folder: str) -> Any:
    """Return the adapter that lies in a folder of the model; from the hub it is fetched first.

    Raises:
        ModelError: there is no such folder.
    """
    root = Path(model)
    if not root.is_dir() and not _looks_like_a_path(model):
        try:
            root = Path(_import("huggingface_hub").snapshot_download(model, allow_patterns=[f"{folder}/*"]))
        except Exception as error:  # the hub's own errors, and the network's
            raise ModelError(_why_not(model, error)) from error
    if not (root / folder).is_dir():
        raise ModelError(f"the model '{model}' has no adapter folder '{folder}' (its setting `lora`)")
    return _import("vllm.lora.request").LoRARequest(folder, 1, str(root / folder))


# What vLLM and the hub's client say, and what that means for whoever runs this; the first that fits counts.
WHY_NOT = (
    (("trust_remote_code",), "'{model}' brings code of its own; read it, then allow it with --trust_remote_code"),
    (
        ("infer device type", "No CUDA GPUs", "Found no NVIDIA driver"),
        "this vllm is built for a GPU and finds none here; use --backend transformers, or a server (--base_url)",
    ),
    (
        ("not a valid model identifier", "not a local folder", "outgoing traffic has been disabled", "offline mode"),
        "there is no model '{model}', neither as a folder nor on the hub as reached from here",
    ),
    (
        ("Engine core initialization failed",),
        "vllm's engine for '{model}' does not start; its own message stands above (--engine_args changes its settings)",
    ),
)


def _why_not(model: str, error: Exception) -> str:
    """Return one line that says why a model does not load, and what to do."""
    for signs, line in WHY_NOT:
        if any(sign in str(error) for sign in signs):
            return line.format(model=model)
    return f"vllm cannot load '{model}': {_reason(error)}"


def _looks_like_a_path(model: str) -> bool:
    """Tell whether a model's name can only be a folder: a hub id is `owner/name`."""
    return model.startswith(("/", "./", "../", "~")) or model.count("/") > 1


def _answer(output: Any) -> Answer:
    """Read vLLM's final RequestOutput."""
    reply = output.outputs[0]
    if reply.finish_reason in GAVE_UP:
        return Answer(None, f"vllm gave up on the request ({reply.stop_reason or reply.finish_reason})")
    return Answer(
        reply.text,
        finish_reason=reply.finish_reason,
        prompt_tokens=len(output.prompt_token_ids or ()),
        completion_tokens=len(reply.token_ids),
    )


def _reason(error: BaseException) -> str:
    """Return an error's first lines as one, with its kind where it says nothing else."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


def _wav(clip: Clip) -> str:
    """Return the clip as WAV in base64, its samples unchanged (32-bit floats)."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, clip.samples, clip.rate, format="WAV", subtype="FLOAT")
    return base64.b64encode(file.getvalue()).decode("ascii")


@contextmanager
def _standard_output_on_error() -> Iterator[None]:
    """Give processes that start meanwhile standard error as their output: their libraries print what is no result."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)
