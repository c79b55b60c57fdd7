"""From one instruction and one text to its strict and loose marks, in either profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data.records import Mark
from evaluators.rules.arguments import MISSING, Drawn, Given, Invalid, outcomes
from evaluators.rules.base import Requirement, Rule
from evaluators.rules.patterns import PatternTooSlow
from evaluators.rules.texts import Texts

Marks = tuple[Mark, Mark]

# What the published evaluator may raise on odd arguments, patterns and texts; NLTK gives up with TimeoutError.
_RAISED = (
    ArithmeticError,
    AttributeError,
    Invalid,
    LookupError,
    MemoryError,
    PatternTooSlow,
    RecursionError,
    TimeoutError,
    TypeError,
    ValueError,
    re.error,
)
_BLANK = "a blank response"


def by_reference(rule: Rule, arguments: object, texts: Texts) -> Marks:
    """Return the marks of the published evaluator, or of its stand-in where that draws or raises (section 3.1)."""
    try:
        readings = list(outcomes(rule.reference, _known(rule, arguments), texts.text))
        drawn, requirement = readings[0]
        if texts.blank:
            return _both(Mark(met=False, expected=requirement.expected, found=_BLANK))
        if not drawn.names:
            return _judged(requirement, texts)
        return _by_chance(readings, texts)
    except _RAISED as error:
        return error_marks(" ".join(str(error).split())[:160] or type(error).__name__)


def by_fixed(rule: Rule, arguments: object, texts: Texts) -> Marks:
    """Return the marks of the fixed profile; unusable arguments make them invalid (section 3.2)."""
    try:
        requirement = rule.fixed(Given(_mapping(arguments)))
    except Invalid as fault:
        return invalid_marks(str(fault))
    if texts.blank:
        return _both(Mark(met=False, expected=requirement.expected, found=_BLANK))
    try:
        return _judged(requirement, texts)
    except TimeoutError:  # NLTK's limit for one pattern on one text
        return _both(Mark(met=False, expected=requirement.expected, found="a text that NLTK cannot split in time"))


def error_marks(reason: str) -> Marks:
    """Return two false marks where the reference raises."""
    return _both(Mark(met=False, expected="a verdict", found=f"the reference raises: {reason}", flag="error"))


def invalid_marks(reason: str) -> Marks:
    """Return two false marks for an instruction that cannot be used."""
    return _both(Mark(met=False, expected="a usable instruction", found=reason, flag="invalid"))


def _both(mark: Mark) -> Marks:
    return mark, mark


def _mapping(arguments: object) -> Mapping[str, Any]:
    if arguments is MISSING:
        raise Invalid("kwargs has no entry for this instruction")
    if not isinstance(arguments, Mapping):
        raise Invalid("the entry in kwargs is not an object")
    return arguments


def _known(rule: Rule, arguments: object) -> Mapping[str, Any]:
    """Return the arguments, refusing one that is not falsy and unknown to the rule."""
    given = _mapping(arguments)
    for name, value in given.items():
        if value and name not in rule.names:
            raise TypeError(f"unknown argument {name!r}")
    return given


def _judged(requirement: Requirement, texts: Texts) -> Marks:
    """Return the marks of a requirement that is certain; the other texts are only looked at if strict is false."""
    value = texts.measured(requirement, texts.text)
    met = requirement.accepts(value)
    strict = Mark(met=met, expected=requirement.expected, found=requirement.found(value))
    if met:
        return strict, strict
    for left_out, text in texts.others():
        if texts.met(requirement, text):
            found = f"without {left_out}: {requirement.found(texts.measured(requirement, text))}"
            return strict, Mark(met=True, expected=requirement.expected, found=found)
    return strict, strict


def _by_chance(readings: list[tuple[Drawn, Requirement]], texts: Texts) -> Marks:
    """Return the marks by the stand-in for random draws: true if more likely than not, in strict and loose alone."""
    from fractions import Fraction

    strict = loose = Fraction(0)
    for drawn, requirement in readings:
        if texts.met(requirement, texts.text):
            strict += Fraction(*drawn.chance)
            loose += Fraction(*drawn.chance)
        elif any(texts.met(requirement, text) for _, text in texts.others()):
            loose += Fraction(*drawn.chance)
    names = ", ".join(dict.fromkeys(name for drawn, _ in readings for name in drawn.names))
    expected = f"{names} drawn at random by the reference"
    marks = [
        Mark(chance > Fraction(1, 2), expected, f"true with probability {float(chance):.4g}", "random", float(chance))
        for chance in (strict, loose)
    ]
    return marks[0], marks[1]
