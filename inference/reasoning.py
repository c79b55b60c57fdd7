"""Thinking aloud is no answer: it is kept apart, and not scored."""

from __future__ import annotations

import re

# Some chat templates open the block themselves, so that a reply holds only its end.
_BLOCK = re.compile(r"\A\s*(?:<think>)?(?P<reasoning>.*?)</think>\s*", re.DOTALL)
_OPEN = re.compile(r"\A\s*<think>(?P<reasoning>.*)\Z", re.DOTALL)


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return what stands in a leading `<think>` block, or None, and the answer behind it.

    A block that is never closed (cut at max_tokens, say) leaves an empty answer.
    """
    match = _BLOCK.match(text) or _OPEN.match(text)
    if match is None:
        return None, text
    return match["reasoning"].strip(), text[match.end() :]
