"""How likely a model finds each of several given answers: what the back ends share that can tell.

The score of an option is the mean of the natural log-probabilities of its tokens, each given the prompt and the tokens
before it, as they are before any temperature or other setting of sampling. The token that would end the answer does not
count. The mean keeps long options from losing for their length alone.

The prompt's tokens are those from which the model would begin to answer. An option's tokens are those by which the text
of prompt and option together goes on behind them; where the two are written across their border (one token for the end
of the prompt and the start of the option), which no model does that has the prompt already, those of the option alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.backends import Answer


def encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Return what turns text into a tokeniser's tokens and adds none of its own."""
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False)) if text else []


def option_tokens(
    options: Sequence[str],
    encode: Callable[[str], Sequence[int]],
    prompt: str = "",
    answered: Callable[[str], str] | None = None,
) -> list[list[int]]:
    """Return the tokens of options behind a prompt.

    Args:
        options: the options' text.
        encode: turns text into tokens and adds none of its own.
        prompt: the conversation as the chat template writes it, up to where the answer begins; empty where it is known
            in tokens only.
        answered: writes the same with an option as its answer, so that white space which the template puts in front of
            answers is there; what it raises counts as a template that takes no answers.
    """
    before = list(encode(prompt))
    found = []
    for option in options:
        text = option if answered is None else _continuation(prompt, answered, option)
        both = list(encode(prompt + text))
        found.append(both[len(before) :] if both[: len(before)] == before else list(encode(text)))
    return found


def _continuation(prompt: str, answered: Callable[[str], str], option: str) -> str:
    """Return an option as the chat template writes it, where that is the option and white space."""
    try:
        rest = answered(option).removeprefix(prompt)
    except Exception:  # templates raise anything
        return option
    return rest if rest.strip() == option.strip() else option


def answer_of(scores: Mapping[str, float], prompt_tokens: int) -> Answer:
    """Return the likeliest option as the answer; of equals, the first."""
    if not all(map(math.isfinite, scores.values())):
        return Answer(None, "the model's probabilities are no numbers", permanent=True)
    best = max(scores, key=lambda option: scores[option])
    return Answer(best, prompt_tokens=prompt_tokens, option_scores=dict(scores))
