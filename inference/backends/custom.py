"""A model of one's own: a class with one method, named as `module:Class` on the command line.

    class MyModel:
        def answer(self, samples, rate, text, system, sampling):
            return my_library.generate(samples, rate, prompt=system, max_new_tokens=sampling.max_tokens)

`samples` are mono float32 at `rate` Hz, shape (n,), or None where `--modality text` gives the turn as `text`. `text` is
also what some data sets ask in writing beside the recording, else None. Several recordings of an item come joined, as
one; with `--max_clips N` above 1, `samples` is a list of arrays always. `system` is the system line or None; `sampling`
has `temperature`, `top_p`, `max_tokens` and `seed`. The method may be `async`; a plain one is called from one thread at
a time. What it raises becomes that item's error.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.errors import ModelError, UsageError
from inference.backends import Answer, Request


class CustomModel:
    """Calls the `answer` method of a class that somebody else wrote."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        """Import and construct `module:Class`, looked for on the Python path and in the working folder.

        Raises:
            UsageError: there is no such module or class, or it has no method `answer`.
            ModelError: the class cannot be constructed.
        """
        self._several = settings.get("max_clips", 1) > 1  # of the settings the class has its own, but for this one
        module_name, _, class_name = name.partition(":")
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        try:
            made = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(f"--backend {name}: {error}") from None
        if not callable(getattr(made, "answer", None)):
            raise UsageError(f"--backend {name}: the class has no method 'answer'")
        try:
            self._model = made()
        except Exception as error:  # somebody else's code may raise anything
            raise ModelError(f"{name} cannot be constructed: {type(error).__name__}: {error}") from error
        self._is_async = inspect.iscoroutinefunction(self._model.answer)
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, request: Request) -> Answer:
        """Hand the turn over and take the text."""
        heard = [clip.samples for clip in request.clips]
        samples = heard if self._several else heard[0] if heard else None
        rate = request.clips[0].rate if request.clips else None
        arguments: tuple[Any, ...] = (samples, rate, request.text, request.system, request.sampling)
        try:
            if self._is_async:
                text = await self._model.answer(*arguments)
            else:
                async with self._one_at_a_time:
                    text = await asyncio.to_thread(self._model.answer, *arguments)
        except Exception as error:  # somebody else's code may raise anything; it is the item's failure
            return Answer(None, f"{type(error).__name__}: {error}")
        if not isinstance(text, str):
            return Answer(None, f"the model returned {type(text).__name__}, not text")
        return Answer(text)

    def rendered(self, request: Request) -> str:
        """Return the turn; what the class makes of it is its own affair."""
        parts = [request.system, *["<audio>"] * len(request.clips), request.text]
        return "\n\n".join(part for part in parts if part)

    async def close(self) -> None:
        """Nothing is held here."""
