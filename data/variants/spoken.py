"""The spoken form of a written request: numbers, symbols, lists and markup become words.

    Write 3 tips:                      Write three tips: drink water. Sleep well. Put asterisk tip asterisk around each.
    - drink water
    - sleep well
    Put *tip* around each.

What a request depends on is kept: every word stays, in order, and a mark that the request is about is named. Numbers
are written out by num2words and cn2an. English and Chinese have tables of symbols (`spoken_english`, `spoken_chinese`);
in other languages a few symbols that voices read by themselves stay. A text that still holds something unsayable is for
its author to word: the prompt's line takes a field `say`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from data.variants import spoken_chinese, spoken_english
from data.variants.numbers import countable, number

BETWEEN = {"zh": "", "ja": ""}
"""What stands between two sentences; a blank in other languages."""

_PUNCTUATION = frozenset(".,;:!?'\"“”‘’„‚«»‹›()–—…-·、，。！？；：（）《》〈〉「」『』～¿¡।؟،؛።՞")
_READ_BY_VOICES = frozenset("%&+=@€$£°")
_SENTENCE_END = frozenset(".!?:;,。！？：；，、…।؟")
_ENDS = {"zh": "。", "ja": "。", "hi": "।"}
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]")
_ABOUT_MARKS = re.compile(
    r"asterisk|\bstars?\b|highlight|markdown|\bbold|italic|星号|加粗|高亮|突出|斜体", re.IGNORECASE
)
_MARKED_RULES = {
    "detectable_format:number_highlighted_sections",
    "detectable_format:number_bullet_lists",
    "length_constraints:number_paragraphs",
    "combination:two_responses",
}

WORDED: dict[str, Callable[[str], str]] = {"en": spoken_english.worded, "zh": spoken_chinese.worded}
"""Language -> what writes out its numbers and symbols."""


def spoken(text: str, lang: str, rules: tuple[str, ...] = ()) -> str:
    """Return what one says for a written request; a request in plain words comes back as it is.

    Args:
        text: the request as written.
        lang: two-letter code of its language.
        rules: its instruction ids: some make asterisks part of the request instead of markup.

    Raises:
        UsageError: it holds numbers, and what writes them out is not installed.
    """
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    plain = re.sub(r"[^\S\n]", " ", plain)
    if not (_ABOUT_MARKS.search(plain) or _MARKED_RULES & set(rules)):
        plain = _without_emphasis(plain)
    lines = [_line(line, lang) for line in _without_layout(plain).split("\n")]
    joined = BETWEEN.get(lang, " ").join(_ended(lines, lang))
    return re.sub(r" {2,}", " ", _worded(joined, lang)).strip()


def unsayable(text: str, lang: str) -> list[str]:
    """Return the characters of a text that no voice can be trusted to say, each once, in order."""
    allowed = _PUNCTUATION if lang in WORDED else _PUNCTUATION | _READ_BY_VOICES
    digits = lang not in WORDED and not countable(lang)
    found = [
        character
        for character in text
        if unicodedata.category(character)[0] not in "LM"
        and character != " "
        and character not in allowed
        and not (digits and character.isdecimal())
    ]
    return list(dict.fromkeys(found))


def wordless(text: str) -> bool:
    """Return whether a text holds no letter: then there is nothing to say."""
    return not any(unicodedata.category(character).startswith("L") for character in text)


def _without_emphasis(text: str) -> str:
    """Take markup out that only makes words bold or slanted."""
    for mark in (r"\*\*\*", r"\*\*", "__", "~~", r"\*", "`"):
        text = re.sub(rf"(?<![\w*]){mark}(?=\S)([^\n*`]+?)(?<=\S){mark}(?![\w*])", r"\1", text)
    return text


def _without_layout(text: str) -> str:
    """Take out fences of code, marks of headings and quotations, and the targets of links."""
    text = re.sub(r"(?m)^ *```\w*$\n?", "", text)
    text = re.sub(r"(?m)^ *(?:#{1,6}|>) +", "", text)
    return re.sub(r"!?\[([^\[\]\n]+)\]\([^()\s]+\)", r"\1", text)


def _line(line: str, lang: str) -> str:
    """Return a line without its bullet; a list number stays, as somebody would read it out."""
    line = re.sub(r"^ *[-*•+–] +(?=\S)", "", line).strip()
    comma = "，" if lang == "zh" else ", "
    return re.sub(r"^(\d{1,3})[.)、] *(?=[^\s\d])", rf"\1{comma}", line)


def _ended(lines: list[str], lang: str) -> list[str]:
    """Return the lines that hold something, each but the last with a stop, so that the voice makes a pause."""
    kept = [line for line in lines if line]
    closing = "\"'”’)）」』》"
    stop = _ENDS.get(lang, ".")
    stopped = [line if line.rstrip(closing)[-1:] in _SENTENCE_END else line + stop for line in kept[:-1]]
    return [*stopped, *kept[-1:]]


def _worded(text: str, lang: str) -> str:
    """Write out numbers and symbols; in a language without a table of symbols only numbers."""
    if lang in WORDED:
        return WORDED[lang](text)
    if not countable(lang):
        return text
    return re.sub(r"\d+(?:[.,]\d+)?", lambda found: f" {number(found.group().replace(',', '.'), lang)} ", text)
