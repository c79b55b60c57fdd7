"""What is wrong with a closed item's instructions before there is an answer: unknown, unusable, at odds.

Nothing here is a second reading of the rules: the arguments are read by the rules themselves, in both profiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evaluators.rules import RULES, check, closest, prepare
from evaluators.rules.arguments import Given, Invalid, outcomes
from evaluators.rules.base import Rule, shown
from evaluators.rules.conflicts import conflicts

Fault = tuple[str, str]
"""The check's name in `data.findings.CHECKS`, and what was found."""


def faults(fields: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults of a closed item's `instruction_id_list` and `kwargs`."""
    ids, kwargs = fields.get("instruction_id_list"), fields.get("kwargs")
    if not isinstance(ids, list) or not ids:
        yield "instructions-missing", "instruction_id_list is no list, or empty"
        return
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        found = f"{len(kwargs)} entries" if isinstance(kwargs, list) else "no list"
        yield "kwargs-count", f"{len(ids)} instructions, but kwargs is {found}"
        kwargs = kwargs if isinstance(kwargs, list) else []
    usable: list[tuple[str, Given]] = []
    for place, name in enumerate(ids):
        rule = RULES.get(name) if isinstance(name, str) else None
        if rule is None:
            near = closest(name) if isinstance(name, str) else None
            yield "rule-unknown", f"unknown id {shown(name)}" + (f"; did you mean '{near}'?" if near else "")
        elif place < len(kwargs):
            own = list(_of_arguments(name, rule, kwargs[place]))
            yield from own
            if not any(fault == "kwargs-unusable" for fault, _ in own):
                usable.append((name, Given(kwargs[place])))
    for conflict in conflicts(usable, RULES):
        yield ("instructions-conflict" if conflict.impossible else "instructions-odd"), str(conflict)


def is_in(text: str, code: str) -> bool | None:
    """Return whether a text is in a language, as rule 5 tells it; None where the code is unknown or the text too short.

    Args:
        text: any text.
        code: ISO 639-1, such as `en` or `zh`.
    """
    mark, _ = check("language:response_language", {"language": code}, prepare(text, "fixed"), "fixed")
    if mark.flag == "invalid":
        return None
    letters = [character for character in text if character.isalpha()]
    in_latin = sum(map(str.isascii, letters)) >= 0.8 * len(letters) and code not in _OTHER_SCRIPTS
    return None if not mark.met and in_latin and len(letters) < _ENOUGH_LETTERS else mark.met


_ENOUGH_LETTERS = 80
"""Of InFoBench's and IFEval's 1041 prompts the detector takes three for another language, the longest of 55 letters."""

_OTHER_SCRIPTS = frozenset(
    {
        *("ar", "bg", "bn", "el", "fa", "gu", "he", "hi", "ja", "kn", "ko", "mk", "ml"),
        *("mr", "ne", "pa", "ru", "ta", "te", "th", "uk", "ur", "zh"),
    }
)


def _of_arguments(name: str, rule: Rule, arguments: object) -> Iterator[Fault]:
    if not isinstance(arguments, Mapping):
        yield "kwargs-unusable", f"{name}: its entry in kwargs is no object"
        return
    unknown = [shown(key) for key, value in arguments.items() if value is not None and key not in rule.names]
    if unknown:
        yield "kwargs-unknown", f"{name} knows no {', '.join(unknown)}; it takes {', '.join(rule.names) or 'nothing'}"
    try:
        rule.fixed(Given(arguments))
    except Invalid as fault:
        yield "kwargs-unusable", f"{name}: {fault}"
        return
    try:
        # The text does not matter: only what is read before it is.
        drawn = [reading.names for reading, _ in outcomes(rule.reference, arguments, "text")]
    except Exception as error:  # whatever the published evaluator raises on odd arguments
        yield "kwargs-reference", f"{name}: the published evaluator raises ({' '.join(str(error).split())[:80]})"
        return
    names = sorted({name for reading in drawn for name in reading})
    if names:
        yield "kwargs-reference", f"{name}: the published evaluator draws {', '.join(names)} at random"
