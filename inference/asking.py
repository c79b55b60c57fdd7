"""Asking the items of a run: speech is found, decoded and cut, answers are checked and kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from data import audio, dataset
from data.dynamic_superb.options import read as options_in
from data.errors import ModelError, printable
from data.records import Item, ItemId, Response
from inference import preflight
from inference.backends import Answer, Backend, Request, max_clips
from inference.manifest import Manifest
from inference.options import Options
from inference.reasoning import split_reasoning
from inference.responses import ResponseFile

DEFAULT_SAMPLING_RATE = 16_000  # Hz; what nearly every speech model takes
GAP_SECONDS = 1.0  # silence between recordings that are joined, for models that hear one a turn
READ_AHEAD = 16  # items whose clips are decoded while as many requests as may be are in flight


_Ready = tuple[ResponseFile, Item, Request | Response]


def options_of(item: Item) -> tuple[str, ...]:
    """Return what an item's answer is chosen from, as its instruction says; nothing where that cannot be read."""
    return options_in(str(item.fields.get("instruction", "")))


def several(model: Mapping[str, Any], most: int) -> dict[str, Any] | None:
    """Return how a model's turns hold the recordings of items that have several; None where no item has.

    Args:
        model: its settings.
        most: the most recordings that an item has.
    """
    if most < 2:
        return None
    limit = max_clips(model)
    joined = limit is not None and most > limit
    return {"joined": True, "gap_seconds": GAP_SECONDS} if joined else {"joined": False}


def pending(files: list[ResponseFile]) -> Iterator[tuple[ResponseFile, Item]]:
    """Yield what is still to be asked, file by file."""
    for file in files:
        for item in file.pending():
            yield file, item


class Asking:
    """Asks the items of one run: speech is found, decoded and cut here, answers are checked and kept.

    The recordings of an item come first in its turn, in their order, and behind them what is asked in writing. Where
    the model takes fewer, they are joined into one, with GAP_SECONDS of silence between each two.
    """

    def __init__(
        self,
        options: Options,
        files: list[ResponseFile],
        backend: Backend,
        manifest: Manifest,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._files = files
        self._backend = backend
        self._manifest = manifest
        self._say = say
        self._rate: int = options.model.get("sampling_rate", DEFAULT_SAMPLING_RATE)
        self._limit: float | None = options.model.get("max_audio_seconds")
        self._max_clips = max_clips(options.model)
        self._finder = dataset.AudioFinder(files[0].source.root, allow_outside=options.allow_outside_audio)
        self._first: ItemId | None = None
        self._failures_in_a_row = 0
        self._cut_answers = 0
        self._heard_as_nothing = 0
        self._cut_clips = 0

    async def check(self) -> None:
        """Ask known recordings before the first real item, and say how many of the real ones are too long."""
        clips = () if self._options.modality == "text" else (audio.clip(preflight.CLIPS[0], self._rate),)
        _, first = next(pending(self._files))
        options = preflight.OPTIONS if self._options.score else ()
        request = replace(self._request(clips, first), id=None, options=options)
        counts = (len(item.audios) for _, item in pending(self._files))
        together = bool(clips) and any(count > 1 and not self._joins(count) for count in counts)
        await preflight.check(self._backend, request, self._rate, self._say, together=together)
        if self._limit is not None and self._options.modality != "text":
            await asyncio.to_thread(self._count_long)

    def ahead(self) -> Iterator[asyncio.Task[_Ready]]:
        """Yield what is still to be asked, in order; the next READ_AHEAD clips are being decoded meanwhile."""
        waiting: deque[asyncio.Task[_Ready]] = deque()
        for file, item in pending(self._files):
            self._first = self._first or item.id
            waiting.append(asyncio.create_task(self._ready(file, item)))
            if len(waiting) > READ_AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    async def ask(self, preparing: asyncio.Task[_Ready]) -> tuple[ResponseFile, Item, Response]:
        """Ask one item; whatever goes wrong with it becomes its response."""
        file, item, ready = await preparing
        if isinstance(ready, Response):
            if self._first == item.id:
                self._first = None  # never asked: the next one is the first
            return file, item, ready
        self._first = self._first or item.id
        began = time.monotonic()
        answer = await self._backend.answer(ready)
        if self._first == item.id:
            self._note_first(item, ready, answer)
        return file, item, _response(item, ready, answer, time.monotonic() - began)

    async def _ready(self, file: ResponseFile, item: Item) -> _Ready:
        """Return an item's request, or the response that its audio's fault makes of it."""
        if self._options.score and not options_of(item):
            reason = "no options to score: the item's instruction names none that can be read"
            return file, item, Response(item.id, None, reason, permanent=True)
        if self._options.modality == "text":
            return file, item, self._request((), item)
        try:
            paths = [self._finder.find(name, file.source.path) for name in item.audios]
            clips = [await asyncio.to_thread(audio.clip, path, self._rate) for path in paths]
        except (dataset.AudioNotFound, audio.AudioUnreadable) as error:
            return file, item, Response(item.id, None, str(error))
        if self._joins(len(clips)):
            clips = [audio.joined(clips, GAP_SECONDS)]
        for place, clip in enumerate(clips):
            if self._limit is None or clip.seconds <= self._limit:
                continue
            if self._options.long_audio == "error":
                reason = f"audio of {clip.seconds:.1f} s is beyond the model's {self._limit:g} s"
                return file, item, Response(item.id, None, reason, permanent=True)
            clips[place] = clip.cut(self._limit)
            self._cut_clips += 1
        return file, item, self._request(tuple(clips), item)

    def keep(self, file: ResponseFile, item: Item, response: Response) -> None:
        """Write an answer down.

        Raises:
            DataError: it cannot be written.
            ModelError: too many items in a row failed in the model.
        """
        file.append(item, response)
        self._heard_as_nothing += (response.extra or {}).get("asr_transcript") == ""
        if response.text is not None:
            self._failures_in_a_row = 0
            self._cut_answers += (response.extra or {}).get("finish_reason") == "length"
        elif "latency_seconds" in (response.extra or {}):  # the model was asked, and failed
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= self._options.max_failures:
                raise ModelError(
                    f"{self._failures_in_a_row} items in a row failed, the last with: {response.error}; what was "
                    "answered is kept (--max_failures sets the limit)"
                )

    def tell(self) -> None:
        """Say what happened to many items, once, with a count."""
        if self._finder.matched_by_tail:
            count, root = self._finder.matched_by_tail, self._finder.root
            self._say(f"{count} audio paths led nowhere and were matched by their end under {root}")
        if self._cut_clips:
            self._say(f"{self._cut_clips} recordings were cut to {self._limit:g} s, the model's limit")
        if self._heard_as_nothing:
            self._say(f"{self._heard_as_nothing} recordings were heard as nothing: their transcripts are empty")
        if self._cut_answers:
            self._say(f"{self._cut_answers} answers were cut at {self._options.sampling.max_tokens} tokens")

    def _request(self, clips: tuple[audio.Clip, ...], item: Item) -> Request:
        system = self._options.system.text if self._options.system else None
        text = item.prompt if item.written or not clips else None
        options = options_of(item) if self._options.score else ()
        return Request(clips, text, system, self._options.sampling, item.id, options)

    def _joins(self, count: int) -> bool:
        return self._max_clips is not None and count > self._max_clips

    def _count_long(self) -> None:
        limit = self._limit or 0.0
        total = long = 0
        for file, item in pending(self._files):
            try:
                found = [audio.seconds_of(self._finder.find(name, file.source.path)) for name in item.audios]
            except dataset.AudioNotFound:
                found = []
            lengths = [seconds or 0.0 for seconds in found]
            if self._joins(len(lengths)):
                lengths = [sum(lengths) + GAP_SECONDS * (len(lengths) - 1)]
            total += max(1, len(lengths))
            long += sum(seconds > limit for seconds in lengths)
        self._finder.matched_by_tail = 0
        if long:
            fate = "are cut" if self._options.long_audio == "truncate" else "fail"
            self._say(f"{long} of {total} recordings exceed {limit:g} s, the model's limit: they {fate}")

    def _note_first(self, item: Item, request: Request, answer: Answer) -> None:
        if self._manifest.first_prompt is None:
            rendered = self._backend.rendered(request)
            tokens = answer.prompt_tokens
            self._manifest.first_prompt = {"item": str(item.id), "rendered": rendered, "tokens": tokens}
            if self._options.preflight:
                counted = f" ({tokens} tokens)" if tokens else ""
                self._say(f"prompt of {item.id}{counted}: {printable(json.dumps(rendered, ensure_ascii=False)[:300])}")


def _response(item: Item, request: Request, answer: Answer, seconds: float) -> Response:
    """Return an answer as it goes onto the item's line: without its reasoning, with what it cost."""
    text, reasoning = answer.text, answer.reasoning
    if text is not None:
        thought, text = split_reasoning(text)
        reasoning = reasoning or thought
    scores = answer.option_scores
    used = sum(clip.seconds_used for clip in request.clips)
    extra = {
        "asr_transcript": answer.transcript,
        "option_scores": scores and {option: round(score, 6) for option, score in scores.items()},
        "reasoning": reasoning,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "latency_seconds": round(seconds, 3),
        "audio_seconds_used": round(used, 3) if request.clips else None,
        # None, not 0, where nothing was cut: the field is there for those few lines only.
        "audio_seconds_cut": round(sum(clip.seconds for clip in request.clips) - used, 3) or None,
    }
    kept = {name: value for name, value in extra.items() if value is not None}
    return Response(item.id, text, answer.error, answer.permanent, kept)
