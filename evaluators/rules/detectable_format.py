"""Rules 12 to 17: lists, options, highlights, sections, JSON and titles."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, NoReturn

from evaluators.rules.arguments import Drawn, Given
from evaluators.rules.base import Requirement, Rule, counted, shown, stated
from evaluators.rules.patterns import is_plain, matches
from evaluators.rules.text import CJK, holds_cjk, holds_letter_or_digit, insides

# A match of either pattern takes in the white space before a line whether or not a bullet follows, so that a long row
# of line feeds is read once; only matches with a group are bullets.
_STARRED = re.compile(r"^\s*+(\*[^\*].*$)?", re.MULTILINE)
_DASHED = re.compile(r"^\s*+(-.*$)?", re.MULTILINE)
_LINE_RULE = re.compile(r"[ \t\u3000]*([-*_])(?:[ \t]*\1){2,}[ \t]*")
_SPACED_BULLET = re.compile(r"[ \t\u3000]*[*-][ \t\u3000]+\S")
_GLUED_BULLET = rf"[ \t\u3000]*(?:-[{CJK}].*|\*[{CJK}][^*]*)"

OPTIONS = (
    "My answer is yes.",
    "My answer is no.",
    "My answer is maybe.",
    "我的答案是是的。",
    "我的答案是不是。",
    "我的答案是可能。",
)
"""The six answers of rule 13."""
_FULL_STOPS = str.maketrans("。．", "..")
_FIXED_OPTIONS = tuple(option.translate(_FULL_STOPS) for option in OPTIONS)

_SINGLE_HIGHLIGHT = re.compile(r"\*[^\n\*]*\*")
_DOUBLE_HIGHLIGHT = re.compile(r"\*\*[^\n\*]*\*\*")
_BULLET_MARK = re.compile(r"^[ \t\u3000]*\*[ \t\u3000]+")
_FIXED_HIGHLIGHT = re.compile(r"(?<!\*)(\*+)(?:[^*\s][^*]*|\s[^*]*[^*\s])\1")

_SECTION_NUMBER = r"(\d+|[一二三四五六七八九十百零〇两]+)"

_FENCES = ("```json", "```Json", "```JSON", "```")
_OPENING_FENCE = re.compile(r"```[ \t]*(?:json)?", re.IGNORECASE)
_NESTING = 200
"""With more opening brackets than this, a parser may run out of Python's recursion limit."""

_ANGLES = str.maketrans({"《": "<<", "》": ">>"})
_ANGLE_TITLE = re.compile(r"<<([^<>\n]+)>>")
_MARKED_TITLE = (
    r'[\s#*_>"“【]*+(?:(?:[\u4e00-\u9fff]{0,4}[题名]目?|[\u4e00-\u9fff]{0,4}标题|title)[*_]*\s*[:：]\s*[*_]*)?'
    r"《([^《》]*)》"
    r'(?=$|[\s*_"”:：·—】]|[（(][^（）()]*[)）]\s*[*_]*$)'
)


class NumberBulletLists(Rule):
    """Rule 12 of docs/closed-rules.md: exactly `num_bullets` bullets; from IFEval (arXiv 2311.07911)."""

    names = ("num_bullets",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Count by two patterns that may run over line ends; a rule or a minus sign is a bullet too."""
        return counted("exactly", drawn.threshold("num_bullets", 1, 5), "bullet", _reference_bullets)

    def fixed(self, given: Given) -> Requirement:
        """Count lines that begin with `*` or `-` and a blank; before CJK the blank may be missing."""
        return counted("exactly", given.threshold("num_bullets"), "bullet", _fixed_bullets)


class ConstrainedResponse(Rule):
    """Rule 13 of docs/closed-rules.md: one of six fixed answers; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Accept any text that contains one of the answers, or several."""
        return Requirement("one of the six answers", _reference_options, lambda n: n > 0, _options_found)

    def fixed(self, _: Given) -> Requirement:
        """Accept a text that contains exactly one of the answers, with either full stop."""
        return Requirement("exactly one of the six answers", _fixed_options, lambda n: bool(n == 1), _options_found)


class NumberHighlightedSections(Rule):
    """Rule 14 of docs/closed-rules.md: at least `num_highlights` stretches marked with asterisks.

    From IFEval (arXiv 2311.07911).
    """

    names = ("num_highlights",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Count single and double asterisks apart, so that `***a***` counts twice."""
        return counted("at least", drawn.threshold("num_highlights", 1, 4), "highlight", _reference_highlights)

    def fixed(self, given: Given) -> Requirement:
        """Count stretches that close as they opened, bullet marks left aside."""
        return counted("at least", given.threshold("num_highlights"), "highlight", _fixed_highlights)


class MultipleSections(Rule):
    """Rule 15 of docs/closed-rules.md: at least `num_sections` sections headed by `section_spliter` and a number.

    From IFEval (arXiv 2311.07911), which spells the argument so.
    """

    names = ("section_spliter", "num_sections")

    def reference(self, drawn: Drawn) -> Requirement:
        """Count where the keyword as a regular expression, followed by a number, splits the text."""
        keyword = drawn.get("section_spliter")
        if keyword is None:
            keyword = drawn.draw("section_spliter", ("Section", "SECTION"))
        keyword = keyword.strip()
        threshold = drawn.threshold("num_sections", 1, 5)
        return counted("at least", threshold, f"x {shown(keyword)} with a number", _reference_sections, (keyword,))

    def fixed(self, given: Given) -> Requirement:
        """Count different numbers behind the literal keyword; a Chinese one may also stand behind `第` and a number."""
        keyword = given.text("section_spliter")
        threshold = given.threshold("num_sections")
        return counted("at least", threshold, f"x {shown(keyword)} with a new number", _fixed_sections, (keyword,))


class JsonFormat(Rule):
    """Rule 16 of docs/closed-rules.md: the whole text is JSON; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Accept any value that Python's parser accepts, with or without a fence around it."""
        return stated("JSON", _is_reference_json, "not JSON")

    def fixed(self, _: Given) -> Requirement:
        """Accept an object or an array that is JSON by the standard, with or without a fence around it."""
        return stated("a JSON object or array", _is_fixed_json, "none")


class Title(Rule):
    """Rule 17 of docs/closed-rules.md: a title in double angle brackets; from IFEval (arXiv 2311.07911)."""

    def reference(self, _: Drawn) -> Requirement:
        """Accept anything between `<<` and `>>` on a line, book-title marks counting as these."""
        return stated("a title", _has_reference_title, "no title")

    def fixed(self, _: Given) -> Requirement:
        """Accept a title with a letter or digit in it; book-title marks only where they open the line."""
        return stated("a title", _has_fixed_title, "no title")


def _reference_bullets(text: str) -> int:
    return sum(1 for pattern in (_STARRED, _DASHED) for match in pattern.finditer(text) if match[1])


def _fixed_bullets(text: str) -> int:
    return sum(map(_is_bullet, text.split("\n")))


def _is_bullet(line: str) -> bool:
    if _LINE_RULE.fullmatch(line):
        return False
    if _SPACED_BULLET.match(line):
        return True
    return not line.isascii() and re.fullmatch(_GLUED_BULLET, line) is not None


def _reference_options(text: str) -> int:
    return sum(option in text for option in OPTIONS)


def _fixed_options(text: str) -> int:
    dotted = text.translate(_FULL_STOPS)
    return sum(option in dotted for option in _FIXED_OPTIONS)


def _options_found(number: int) -> str:
    return f"{number or 'none'} of them"


def _reference_highlights(text: str) -> int:
    single = sum(1 for found in _SINGLE_HIGHLIGHT.findall(text) if found.strip("*").strip())
    return single + sum(1 for found in _DOUBLE_HIGHLIGHT.findall(text) if found[2:-2].strip())


def _fixed_highlights(text: str) -> int:
    return sum(
        1
        for line in text.split("\n")
        if "*" in line
        for _ in _FIXED_HIGHLIGHT.finditer(_BULLET_MARK.sub("", line, count=1))
    )


def _reference_sections(text: str, keyword: str) -> int:
    return matches("split", rf"\s?{keyword}\s?\d+\s?", text, plain=is_plain(keyword)) - 1


def _fixed_sections(text: str, keyword: str) -> int:
    literal = re.escape(keyword)
    inside = insides(text)
    headed = re.finditer(rf"{literal}(?:[ \t\u3000]*|\s){_SECTION_NUMBER}", text)
    numbers = {match[1] for match in headed if not inside[match.start()]}
    if holds_cjk(keyword):
        ordinal = rf"第[ \t\u3000]*{_SECTION_NUMBER}[ \t\u3000]*{literal}"
        numbers.update(match[1] for match in re.finditer(ordinal, text))
    return len({unicodedata.normalize("NFKC", number) for number in numbers})


def _is_reference_json(text: str) -> bool:
    body = text.strip()
    for fence in _FENCES:
        body = body.removeprefix(fence)
    try:
        _parsed(body.removesuffix("```").strip(), standard=False)
    except ValueError:
        return False
    return True


def _is_fixed_json(text: str) -> bool:
    body = text.strip()
    opening = _OPENING_FENCE.match(body)
    if opening:
        body = body[opening.end() :]
    try:
        return isinstance(_parsed(body.removesuffix("```").strip(), standard=True), dict | list)
    except (ValueError, RecursionError):
        return False


def _parsed(body: str, *, standard: bool) -> Any:
    """Parse JSON; deep nesting is parsed on a fresh stack, so that the verdict does not hang on the caller's depth."""
    constant = _refused if standard else None
    if body.count("[") + body.count("{") <= _NESTING:
        return json.loads(body, parse_constant=constant)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as fresh:
        return fresh.submit(json.loads, body, parse_constant=constant).result()


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _has_reference_title(text: str) -> bool:
    # On each line the first `<<` and the last `>>` with something between them, which is what the greedy
    # pattern `<<[^\n]+>>` finds; that pattern takes quadratic time on a row of `<`.
    for line in text.translate(_ANGLES).split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start <= end - 3 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def _has_fixed_title(text: str) -> bool:
    if any(holds_letter_or_digit(match[1]) for match in _ANGLE_TITLE.finditer(text)):
        return True
    marked = (re.match(_MARKED_TITLE, line, re.IGNORECASE) for line in text.split("\n") if "《" in line)
    return any(match is not None and holds_letter_or_digit(match[1]) for match in marked)
