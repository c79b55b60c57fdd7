"""Rules that are bound to a language: what an answer in another one could not meet, or what would not be counted."""

from __future__ import annotations

from collections.abc import Sequence

_NO_LETTER_CASE = frozenset(
    ("am", "ar", "bn", "bo", "dz", "fa", "gu", "he", "hi", "ja", "ka", "km", "kn", "ko", "lo", "ml", "mr")
).union(("my", "ne", "or", "pa", "ps", "sa", "sd", "si", "ta", "te", "th", "ti", "ug", "ur", "yi", "zh"))
_NO_BLANKS = frozenset(("bo", "dz", "km", "lo", "my", "th"))
_OTHER_STOPS = frozenset(
    ("am", "bn", "bo", "dz", "hi", "hy", "km", "lo", "mr", "my", "ne", "or", "pa", "sa", "th", "ti", "ur")
)

BOUND = {
    "change_case:english_capital": lambda lang: lang != "en",
    "change_case:english_lowercase": lambda lang: lang != "en",
    "change_case:capital_word_frequency": _NO_LETTER_CASE.__contains__,
    "detectable_format:constrained_response": lambda lang: lang not in ("en", "zh"),
    "length_constraints:number_sentences": _OTHER_STOPS.__contains__,
    "length_constraints:number_words": _NO_BLANKS.__contains__,
}
"""Instruction id -> whether it cannot be asked in a language (docs/closed-rules.md: rules 6, 8, 13, 21 to 23)."""

REASONS = {
    "change_case:english_capital": "it wants an English answer",
    "change_case:english_lowercase": "it wants an English answer",
    "change_case:capital_word_frequency": "this language has no capital letters",
    "detectable_format:constrained_response": "its sentences are English and Chinese",
    "length_constraints:number_sentences": "this language's sentence marks are not known to the rule",
    "length_constraints:number_words": "this language puts no blanks between words",
}


def refused(instructions: Sequence[str], lang: str) -> str | None:
    """Return which instruction cannot be asked in a language, and why; None where all can."""
    for instruction in instructions:
        if instruction in BOUND and BOUND[instruction](lang):
            return f"{instruction} cannot be asked in '{lang}': {REASONS[instruction]}"
    return None
