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
OPTIONS = ("yes", "no")  # for runs that score options; whether they make sense matters to nobody
MAX_TOKENS = 48


async def check(
    backend: Backend, request: Request, rate: int, say: Callable[[str], None], *, together: bool = False
) -> None:
    """Ask two known clips (or, for a run on text, one text) with the run's own system line and sampling.

    Args:
        backend: the loaded model.
        request: a request of the run; all of it is used but for what is asked.
        rate: the model's sampling rate in Hz.
        say: is told when a recogniser hears nothing, or the model answers two different clips alike: it may not hear at
            all.
        together: whether turns of the run hold several recordings: then one that holds both is asked, too.

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
    alike = (first.text, first.option_scores) == (second.text, second.option_scores)
    if alike and first.prompt_tokens == second.prompt_tokens:
        say(
            "warning: two different recordings got the same answer"
            + (f" and the same {first.prompt_tokens} prompt tokens" if first.prompt_tokens else "")
            + "; this model may not hear the audio at all"
        )
    if together:
        await _answered(
            backend, replace(asked, clips=tuple(clips)), "two known recordings in one turn", "--max_clips 1 joins them"
        )


async def _answered(
    backend: Backend,
    request: Request,
    what: str = "a known recording",
    remedy: str = "--skip_preflight goes on",
) -> Answer:
    answer = await backend.answer(request)
    if answer.error is not None:
        raise ModelError(f"the model does not answer {what}: {answer.error} ({remedy})")
    return answer
