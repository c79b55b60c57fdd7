"""A request that changes its mind on the way: "..., actually, make it at least three sentences".

The revision is made from one of the prompt's constraints: a number changes, "at least" becomes "fewer than", a language
is exchanged, a title is no longer wanted. It follows the request and takes nothing else back. What holds excludes what
was superseded, so that following the one can be told from following the other: bans, for example, are never lifted,
since an answer may keep to them all the same. Both are kept in words, and what holds also as instructions that rules
can check. A prompt without rules that names one single number gets another number. Where nothing can be revised there
is no adjustment.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.variants.numbers import number


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A revised request.

    Attributes:
        revision: the sentence that revises it, in the form in which it is said.
        rule: the instruction id that is revised; empty where a number of the text is.
        superseded: what no longer holds, in words.
        holds: what holds instead, in words.
        instruction_id_list: the instructions that hold.
        kwargs: their arguments.
    """

    revision: str
    rule: str
    superseded: str
    holds: str
    instruction_id_list: tuple[str, ...]
    kwargs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of one instruction; without `rule` it is dropped."""

    said: str
    superseded: str
    holds: str
    rule: str = ""
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Count:
    """A rule with a threshold: its arguments' names, and what is counted, in words; `{word}` is another argument.

    Without a relation it asks for exactly so many.
    """

    threshold: str
    relation: str
    unit: Mapping[str, str]
    word: str = ""
    verb: str = "make it"


OPENERS = {
    "en": ("Actually, {}.", "No, wait, {}.", "Sorry, {}.", "Hmm, on second thought, {}."),
    "zh": ("不对，{}。", "等一下，{}。", "哦，我说错了，{}。", "还是算了，{}。"),
}

_MAKE_IT = {"en": "{verb} {amount}", "zh": "改成{amount}"}
_AMOUNT = {
    "en": {"less than": "fewer than {}", "at least": "at least {}", "exactly": "exactly {}"},
    "zh": {"less than": "少于{}", "at least": "至少{}", "exactly": "正好{}"},
}

_COUNTS = {
    "length_constraints:number_sentences": _Count(
        "num_sentences", "relation", {"en": "{n} sentences", "zh": "{n}句话"}
    ),
    "length_constraints:number_words": _Count("num_words", "relation", {"en": "{n} words", "zh": "{n}个字"}),
    "length_constraints:number_paragraphs": _Count("num_paragraphs", "", {"en": "{n} paragraphs", "zh": "{n}段"}),
    "detectable_format:number_bullet_lists": _Count("num_bullets", "", {"en": "{n} bullet points", "zh": "{n}个要点"}),
    "keywords:frequency": _Count(
        "frequency", "relation", {"en": "the word {word} {n} times", "zh": "{word}这个词{n}次"}, "keyword", "use"
    ),
    "keywords:letter_frequency": _Count(
        "let_frequency", "let_relation", {"en": "the letter {word} {n} times", "zh": "字母{word}{n}次"}, "letter", "use"
    ),
    "change_case:capital_word_frequency": _Count(
        "capital_frequency",
        "capital_relation",
        {"en": "{n} words in capital letters"},
    ),
}

_LANGUAGES = {
    "en": {"en": "English", "fr": "French", "es": "Spanish", "de": "German", "it": "Italian", "zh": "Chinese"},
    "zh": {"en": "英语", "fr": "法语", "es": "西班牙语", "de": "德语", "it": "意大利语"},
}

_OTHER_RELATION = {"less than": "at least", "at least": "less than"}

# Rule -> (said, superseded, holds), where the opposite is wanted, for which there is no rule.
_LIFTED = {
    "en": {
        "detectable_format:json_format": ("plain text instead of JSON", "JSON format", "plain text"),
        "detectable_format:title": ("leave the title out", "a title", "no title"),
        "detectable_format:number_highlighted_sections": ("highlight nothing", "highlighted phrases", "no highlights"),
        "detectable_format:multiple_sections": ("write it in one piece, without sections", "sections", "no sections"),
        "detectable_content:number_placeholders": ("leave no gaps for me to fill in", "gaps to fill in", "no gaps"),
        "detectable_content:postscript": ("leave the postscript out", "a postscript", "no postscript"),
        "startend:quotation": ("no quotation marks around it", "quotation marks", "no quotation marks"),
        "combination:two_responses": ("one answer only", "two answers", "one answer"),
    },
    "zh": {
        "detectable_format:json_format": ("不要写成JSON，用普通文字", "JSON格式", "普通文字"),
        "detectable_format:title": ("不要加标题", "标题", "没有标题"),
        "detectable_format:number_highlighted_sections": ("什么都不要突出显示", "突出显示", "没有突出显示"),
        "detectable_format:multiple_sections": ("不要分成几个部分，写成一整篇", "分成几个部分", "不分部分"),
        "detectable_content:number_placeholders": ("不要留空", "要填写的空", "没有空"),
        "detectable_content:postscript": ("不要写附言", "附言", "没有附言"),
        "startend:quotation": ("不要加引号", "引号", "没有引号"),
        "combination:two_responses": ("只要一个答案", "两个答案", "一个答案"),
    },
}

_CASES = {
    "en": {
        "change_case:english_capital": ("lower case letters only", "capital letters", "lower case letters"),
        "change_case:english_lowercase": ("capital letters only", "lower case letters", "capital letters"),
    },
}
_OTHER_CASE = {
    "change_case:english_capital": "change_case:english_lowercase",
    "change_case:english_lowercase": "change_case:english_capital",
}

_CASED = "detectable_format:multiple_sections"
"""Its marks are in a letter case of their own, which an answer in the other case would break."""

_WORD = {
    "en": ("do not use the word {}", "the word {}", "not the word {}"),
    "zh": ("不要出现{}这个词", "出现{}", "不出现{}"),
}


def adjusted(
    text: str, lang: str, seed: int, instructions: Sequence[str] = (), kwargs: Sequence[Mapping[str, Any]] = ()
) -> Adjustment | None:
    """Revise a request.

    Args:
        text: the request in its spoken form.
        lang: `en` or `zh`; there are no words for other languages.
        seed: the same request and seed give the same revision.
        instructions: the request's instruction ids.
        kwargs: their arguments.

    Returns:
        The revision, or None where nothing can be revised.

    Raises:
        UsageError: what writes numbers out is not installed.
    """
    if lang not in OPENERS:
        return None
    chance = random.Random(seed)
    cased = _CASED in instructions
    changes = [
        (place, change)
        for place, (rule, arguments) in enumerate(zip(instructions, kwargs, strict=False))
        if not (cased and rule in _OTHER_CASE) and (change := _change(rule, arguments, lang, chance)) is not None
    ]
    if changes:
        place, change = chance.choice(changes)
    elif not instructions and (change := _other_number(text, lang, chance)) is not None:
        place = 0
    else:
        return None
    holding = [pair for number, pair in enumerate(zip(instructions, kwargs, strict=False)) if number != place]
    if change.rule:
        holding.insert(place, (change.rule, change.arguments or {}))
    return Adjustment(
        revision=chance.choice(OPENERS[lang]).format(change.said),
        rule=instructions[place] if instructions else "",
        superseded=change.superseded,
        holds=change.holds,
        instruction_id_list=tuple(rule for rule, _ in holding),
        kwargs=tuple(arguments for _, arguments in holding),
    )


def _change(rule: str, arguments: Mapping[str, Any], lang: str, chance: random.Random) -> _Change | None:
    """Return how an instruction can be revised, or None."""
    if rule in _LIFTED[lang]:
        return _Change(*_LIFTED[lang][rule])
    if rule in _CASES.get(lang, {}):
        return _Change(*_CASES[lang][rule], rule=_OTHER_CASE[rule], arguments={})
    made = _SPECIAL.get(rule, _counted)(rule, arguments, lang, chance)
    return made if made is None or _is_sayable(made.said) else None


def _counted(rule: str, arguments: Mapping[str, Any], lang: str, chance: random.Random) -> _Change | None:
    """Turn a threshold's relation round, or change an exact number by one or two."""
    count = _COUNTS.get(rule)
    threshold = arguments.get(count.threshold) if count else None
    relation = arguments.get(count.relation, "") if count and count.relation else "exactly"
    if count is None or lang not in count.unit or relation not in _AMOUNT[lang]:
        return None
    if not isinstance(threshold, int) or threshold < 1:
        return None
    new = dict(arguments)
    if relation == "exactly":
        new[count.threshold] = chance.choice(
            [n for n in range(threshold - 2, threshold + 3) if n > 1 and n != threshold]
        )
    elif threshold == 1:
        return None  # "fewer than one" asks for nothing
    else:
        new[count.relation] = _OTHER_RELATION[relation]
    before, after = _amount(count, arguments, lang), _amount(count, new, lang)
    return _Change(_MAKE_IT[lang].format(verb=count.verb, amount=after), before, after, rule, new)


def _amount(count: _Count, arguments: Mapping[str, Any], lang: str) -> str:
    threshold = arguments[count.threshold]
    relation = arguments[count.relation] if count.relation else "exactly"
    # Two of something is 两 in Chinese.
    written = "两" if lang == "zh" and threshold == 2 else number(str(threshold), lang)
    said = _AMOUNT[lang][relation].format(written)
    word = str(arguments.get(count.word, "")) if count.word else ""
    unit = count.unit[lang].format(n=said, word=word.upper() if count.word == "letter" else word)
    return unit.removesuffix("s") if lang == "en" and threshold == 1 else unit


def _language(rule: str, arguments: Mapping[str, Any], lang: str, chance: random.Random) -> _Change | None:
    names = _LANGUAGES[lang]
    code = arguments.get("language")
    if code not in names:
        return None
    new = chance.choice([other for other in names if other not in (code, lang)])
    said = {"en": "answer in {} instead", "zh": "改用{}回答"}[lang].format(names[new])
    form = {"en": "in {}", "zh": "用{}"}[lang]
    return _Change(said, form.format(names[code]), form.format(names[new]), rule, {**arguments, "language": new})


def _without_word(rule: str, arguments: Mapping[str, Any], lang: str, chance: random.Random) -> _Change | None:
    """Take back one of the words that were to occur; the others stay."""
    listed = [word for word in arguments.get("keywords") or () if isinstance(word, str) and word.strip()]
    if len(listed) < 2:
        return None
    word = chance.choice(listed)
    said, superseded, holds = (form.format(word) for form in _WORD[lang])
    return _Change(said, superseded, holds, rule, {**arguments, "keywords": [w for w in listed if w != word]})


_SPECIAL: dict[str, Callable[[str, Mapping[str, Any], str, random.Random], _Change | None]] = {
    "language:response_language": _language,
    "keywords:existence": _without_word,
}

_NUMBERS = {
    "en": {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
    "zh": {"两": 2} | {word: n for n, word in enumerate("三四五六七八九十", start=3)},
}


def _other_number(text: str, lang: str, chance: random.Random) -> _Change | None:
    """Exchange the one number that a text names; with several it would not be clear which is meant."""
    numbers = _NUMBERS[lang]
    if lang == "en":
        found = [word for word in re.findall(r"[a-z]+", text.lower()) if word in numbers]
    else:
        found = re.findall(
            r"(?<![第零一二两三四五六七八九十百千])([两三四五六七八九十])(?=[个种条句段首道次点件位本])", text
        )
    if len(found) != 1 or (lang == "zh" and re.search("[零一二两三四五六七八九十百千]", text.replace(found[0], "", 1))):
        return None
    old = numbers[found[0]]
    new = chance.choice([n for n in (old - 1, old + 1, old + 2) if 2 <= n <= 10])
    written = next(word for word, n in numbers.items() if n == new)
    said = f"make that {written}" if lang == "en" else f"改成{written}{text[text.index(found[0]) + 1]}"
    return _Change(said, found[0], written)


def _is_sayable(said: str) -> bool:
    return not re.search(r"[^\w\s',.，。-]", said)
