"""Before the first real item: does the model answer at all, under these settings, and does it hear?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from data import audio
from data.dataset import SAMPLE
from data.errors import ModelError
from inference.backends import Answer, Backend, Request

# Two short recordings of the bundled sample that ask for different things.
CLIPS = tuple(SAMPLE / "closed-ended" / "en" / "standard" / f"closed_{number:03}.ogg" for number in (1, 3))
QUESTION = "What is said in the recording?"  # for runs whose items are asked in writing
MAX_TOKENS = 48


async def check(backend: Backend, request: Request, rate: int, say: Callable[[str], None]) -> None:
    """Ask two known clips (or, for a run on text, one text) with the run's own system line and sampling.

    Args:
        backend: the loaded model.
        request: a request of the run, whose system line and sampling are used.
        rate: the model's sampling rate in Hz.
        say: is told when a recogniser hears nothing, or the model answers two different clips alike: it may not hear at
            all.

    Raises:
        ModelError: the model does not answer.
    """
    sampling = replace(request.sampling, max_tokens=min(MAX_TOKENS, request.sampling.max_tokens))
    if not request.clips:
        await _answered(backend, replace(request, text="Say hello.", sampling=sampling))
        return
    asked = replace(request, text=None if request.text is None else QUESTION, sampling=sampling)
    clips = [audio.clip(path, rate) for path in CLIPS]
    first, second = [await _answered(backend, replace(asked, clips=(clip,))) for clip in clips]
    if "" in (first.transcript, second.transcript):
        say("warning: the recogniser heard nothing in a known recording")
    if first.text == second.text and first.prompt_tokens == second.prompt_tokens:
        say(
            "warning: two different recordings got the same answer"
            + (f" and the same {first.prompt_tokens} prompt tokens" if first.prompt_tokens else "")
            + "; this model may not hear the audio at all"
        )


async def _answered(backend: Backend, request: Request) -> Answer:
    answer = await backend.answer(request)
    if answer.error is not None:
        raise ModelError(f"the model does not answer a known recording: {answer.error} (--skip_preflight goes on)")
    return answer
