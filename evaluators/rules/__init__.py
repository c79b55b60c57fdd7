"""The 25 closed-ended rules, strict and loose, in the profiles `reference` and `fixed` (docs/closed-rules.md).

A text is prepared once (`prepare`) and then checked against each of its item's instructions (`check`).
"""

from __future__ import annotations

from data.records import Mark
from evaluators import PROFILES
from evaluators.rules.arguments import MISSING
from evaluators.rules.base import Rule
from evaluators.rules.change_case import CapitalWordFrequency, EnglishCapital, EnglishLowercase
from evaluators.rules.checking import by_fixed, by_reference, error_marks, invalid_marks
from evaluators.rules.combination import RepeatPrompt, TwoResponses
from evaluators.rules.detectable_content import NumberPlaceholders, Postscript
from evaluators.rules.detectable_format import (
    ConstrainedResponse,
    JsonFormat,
    MultipleSections,
    NumberBulletLists,
    NumberHighlightedSections,
    Title,
)
from evaluators.rules.keywords import Existence, ForbiddenWords, Frequency, LetterFrequency
from evaluators.rules.language import ResponseLanguage
from evaluators.rules.length_constraints import NthParagraphFirstWord, NumberParagraphs, NumberSentences, NumberWords
from evaluators.rules.punctuation import NoComma
from evaluators.rules.startend import EndChecker, Quotation
from evaluators.rules.texts import prepare, texts_of

__all__ = ["MISSING", "PROFILES", "RULES", "check", "closest", "prepare"]

RULES: dict[str, Rule] = {
    "keywords:existence": Existence(),
    "keywords:frequency": Frequency(),
    "keywords:forbidden_words": ForbiddenWords(),
    "keywords:letter_frequency": LetterFrequency(),
    "language:response_language": ResponseLanguage(),
    "length_constraints:number_sentences": NumberSentences(),
    "length_constraints:number_paragraphs": NumberParagraphs(),
    "length_constraints:number_words": NumberWords(),
    "length_constraints:nth_paragraph_first_word": NthParagraphFirstWord(),
    "detectable_content:number_placeholders": NumberPlaceholders(),
    "detectable_content:postscript": Postscript(),
    "detectable_format:number_bullet_lists": NumberBulletLists(),
    "detectable_format:constrained_response": ConstrainedResponse(),
    "detectable_format:number_highlighted_sections": NumberHighlightedSections(),
    "detectable_format:multiple_sections": MultipleSections(),
    "detectable_format:json_format": JsonFormat(),
    "detectable_format:title": Title(),
    "combination:two_responses": TwoResponses(),
    "combination:repeat_prompt": RepeatPrompt(),
    "startend:end_checker": EndChecker(),
    "change_case:capital_word_frequency": CapitalWordFrequency(),
    "change_case:english_capital": EnglishCapital(),
    "change_case:english_lowercase": EnglishLowercase(),
    "punctuation:no_comma": NoComma(),
    "startend:quotation": Quotation(),
}
"""All rules by instruction id, in the order of docs/closed-rules.md."""


def check(instruction_id: str, arguments: object, text: str, profile: str) -> tuple[Mark, Mark]:
    """Return the (strict, loose) marks of one instruction.

    Args:
        instruction_id: a key of `RULES`; an unknown one is flagged `error` (reference) or `invalid` (fixed).
        arguments: the instruction's entry in `kwargs`, any JSON value; `MISSING` where `kwargs` is too short.
        text: the response after `prepare` in the same profile.
        profile: one of `PROFILES`.

    Raises:
        ValueError: unknown profile.
        UsageError: a rule needs NLTK's data, which is missing or not the pinned one.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}")
    rule = RULES.get(instruction_id) if isinstance(instruction_id, str) else None
    if profile == "reference":
        return error_marks("unknown rule id") if rule is None else by_reference(rule, arguments, texts_of(text))
    return invalid_marks("unknown rule id") if rule is None else by_fixed(rule, arguments, texts_of(text))


def closest(instruction_id: str) -> str | None:
    """Return the known rule id that is most like an unknown one, or None if none comes near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(instruction_id, RULES, n=1)), None)
