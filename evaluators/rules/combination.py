"""Rules 18 and 19: two responses, and repeating the request first."""

from __future__ import annotations

from evaluators.rules.arguments import Drawn, Given
from evaluators.rules.base import Requirement, Rule, shown, stated
from evaluators.rules.text import fold_quotes

_DIVIDER = "******"


class TwoResponses(Rule):
    """Rule 18 of docs/closed-rules.md: two different answers divided by six asterisks.

    The same in both profiles; from IFEval (arXiv 2311.07911).
    """

    def reference(self, _: Drawn) -> Requirement:
        """Accept exactly two pieces that are not blank and differ after trimming."""
        return stated("two different responses", _are_two, "not two different responses")

    def fixed(self, _: Given) -> Requirement:
        """Accept what the reference accepts."""
        return stated("two different responses", _are_two, "not two different responses")


class RepeatPrompt(Rule):
    """Rule 19 of docs/closed-rules.md: the answer begins with `prompt_to_repeat`; from IFEval (arXiv 2311.07911)."""

    names = ("prompt_to_repeat",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Compare the trimmed and lower-cased texts; a missing argument raises."""
        prompt = drawn.get("prompt_to_repeat")
        if not prompt:
            raise ValueError("prompt_to_repeat is missing")
        return stated(_repeated(prompt), _starts_lowered, _NOT_REPEATED, (prompt.strip().lower(),))

    def fixed(self, given: Given) -> Requirement:
        """Compare with quotes, white space and case folded; other punctuation must be the same."""
        prompt = given.text("prompt_to_repeat")
        return stated(_repeated(prompt), _starts_levelled, _NOT_REPEATED, (_levelled(prompt),))


_NOT_REPEATED = "another beginning"


def _repeated(prompt: str) -> str:
    return f"first of all {shown(prompt)}"


def _are_two(text: str) -> bool:
    pieces = [piece.strip() for piece in text.split(_DIVIDER)]
    if not all(pieces[1:-1]):
        return False
    responses = [piece for piece in pieces if piece]
    return len(responses) == 2 and responses[0] != responses[1]


def _starts_lowered(text: str, prompt: str) -> bool:
    return text.strip().lower().startswith(prompt)


def _starts_levelled(text: str, prompt: str) -> bool:
    return _levelled(text).startswith(prompt)


def _levelled(text: str) -> str:
    return " ".join(fold_quotes(text).split()).casefold()
