"""What can be told of an answer without knowing what was asked: empty, cut off, a refusal, in another language.

Remarks count nothing and move no score; they tell which kind of failure a low score is made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evaluators.rules.text import count_han, count_kana

EMPTY, TRUNCATED, REFUSAL, OTHER_LANGUAGE = "empty", "truncated", "refusal", "other_language"
REMARKS = (EMPTY, TRUNCATED, REFUSAL, OTHER_LANGUAGE)

_OPENING = 300
"""A refusal stands in the first so many characters; what follows may be about anything."""
_FEW_LETTERS = 20
"""Fewer letters tell no language: a name, a number, a formula."""

_CANNOT = r"(?:can['’]?t|cannot|can not|won['’]t|could not|couldn['’]t|(?:am|['’]m) (?:unable|not able|not allowed))"
_DO = (
    r"(?:help|assist|comply|fulfil|provide|do|process|hear|listen|access|open|play|complete|answer|create|write|generate|"
    r"respond|understand|transcribe|follow|recogni[sz]e|engage|discuss|continue|offer|share|see|view|identify|determine)"
)
_OPENINGS = (
    r"(?:(?:i['’]m|i am) (?:\w+ )?sorry|sorry|my apologies|apologies|i apologi[sz]e|unfortunately)\b"
    rf"[^.!?\n]{{0,60}}?\bi ?(?:{_CANNOT}|do(?:n['’]t| not) (?:have|understand))",
    rf"i ?{_CANNOT} (?:to )?(?:\w+ )?{_DO}\b",
    r"as an? (?:ai|artificial|(?:large )?language model|text-based|virtual)\b[^.!?\n]{0,80}\b"
    rf"(?:{_CANNOT}|do(?:n['’]t| not) have|lack)",
    r"(?:很|非常|十分|真的)?(?:抱歉|对不起|不好意思|遗憾)[^。！？\n]{0,20}(?:无法|不能|没法|没有办法|做不到|听不)",
    r"我(?:暂时|目前|现在|并)?(?:无法|不能|没法|没有办法|听不)"
    r"(?:直接)?(?:帮|协助|提供|完成|回答|处理|访问|播放|听|生成|写|满足|执行|到|清|懂|理解|识别)",
    r"作为(?:一个|一名|一款)? ?(?:ai|人工智能|大?语言模型|大模型|文本)[^。！？\n]{0,40}(?:无法|不能|没有)",
)
_REFUSAL = re.compile(rf"\W*(?:{'|'.join(_OPENINGS)})", re.IGNORECASE)


def remarks(fields: Mapping[str, Any], lang: str | None) -> tuple[str, ...]:
    """Return what is to be said about an item's answer; nothing about one that is missing.

    Refusals are told by how they open (English and Chinese), so a letter of apology may count as one and a long-winded
    refusal may not. The language is told by its script, which tells Chinese from English and not German from English;
    items whose instructions ask for a language are left out.

    Args:
        fields: the item's line.
        lang: the request's language, `en` or `zh`; None where it is not known.
    """
    text = fields.get("response")
    if not isinstance(text, str):
        return ()
    if not text.strip():
        return (EMPTY,)
    found = []
    if fields.get("finish_reason") == "length":
        found.append(TRUNCATED)
    if _REFUSAL.match(text[:_OPENING]):
        found.append(REFUSAL)
    if "language:response_language" not in fields.get("instruction_id_list", ()) and _other_script(text, lang):
        found.append(OTHER_LANGUAGE)
    return tuple(found)


def _other_script(text: str, lang: str | None) -> bool:
    letters = sum(map(str.isalpha, text))
    if letters < _FEW_LETTERS:
        return False
    if lang == "zh":
        return count_han(text) == 0 or count_kana(text) > count_han(text)
    if lang == "en":
        return (
            not text.isascii() and 2 * sum(character.isascii() and character.isalpha() for character in text) < letters
        )
    return False
