"""Chinese numbers and symbols as words."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from data.variants.numbers import number

_QUANTITY = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_NOT_COUNTED = "年月日号点分秒零"
"""Behind these, 2 is 二 and not 两."""

SYMBOLS = {
    "*": "星号",
    "#": "井号",
    "`": "反引号",
    "_": "下划线",
    "|": "竖线",
    "/": "斜杠",
    "\\": "反斜杠",
    "~": "波浪号",
    "$": "美元符号",
    "%": "百分号",
    "&": "和",
    "@": "艾特",
    "+": "加",
    "=": "等于",
    "<": "小于",
    ">": "大于",
    "≤": "不超过",
    "≥": "不少于",
    "≠": "不等于",
    "×": "乘",
    "÷": "除以",
    "±": "正负",
    "→": "到",
    "℃": "摄氏度",
    "°": "度",
    "²": "的平方",
    "³": "的立方",
}
"""Marks and symbols; a run of the same one is counted."""

_PAIRS = (
    (r"<<", r">>", "双尖括号"),
    (r"\[", r"\]", "方括号"),
    ("【", "】", "方括号"),
    ("［", "］", "方括号"),
    (r"\{", r"\}", "大括号"),
)


def worded(text: str) -> str:
    """Return a Chinese text with its numbers and symbols written out."""
    # Full-width digits, letters and symbols become ASCII; punctuation stays as it is.
    text = "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" and c not in "！（），：；？～［］" else c for c in text)
    for pattern, said in _STEPS:
        text = re.sub(pattern, said, text)
    return text


def _quantity(digits: str) -> str:
    return number(digits.replace(",", ""), "zh")


def _counted(found: Match[str]) -> str:
    """Return a number; two of something is 两."""
    follows = found.string[found.end() :][:1]
    if found.group() == "2" and "\u4e00" <= follows <= "\u9fff" and follows not in _NOT_COUNTED:
        return "两"
    return _quantity(found.group())


def _year(found: Match[str]) -> str:
    return "".join(number(digit, "zh") for digit in found[1])


def _time(found: Match[str]) -> str:
    minute = "整" if found[2] == "00" else f"{'零' if found[2][0] == '0' else ''}{_quantity(str(int(found[2])))}分"
    return f"{_quantity(str(int(found[1])))}点{minute}"


def _enclosed(name: str) -> Callable[[Match[str]], str]:
    return lambda found: f"{name}里的{found[1].strip()}"


def _groups(found: Match[str]) -> str:
    """Return 138-1234-5678 as its digits, with a pause between the groups; two numbers would be a range."""
    return "，".join("".join(number(digit, "zh") for digit in group) for group in found.group().split("-"))


def _named(found: Match[str]) -> str:
    run = found.group()
    name = SYMBOLS[run[0]]
    count = "两" if len(run) == 2 else _quantity(str(len(run)))
    return name if len(run) == 1 else f"{count}个{name}"


_MARKS = "".join(re.escape(mark) for mark in SYMBOLS)

# In this order: what is longer or means more comes first.
_STEPS: tuple[tuple[str, str | Callable[[Match[str]], str]], ...] = (
    *((rf"{left}([^<>\[\]{{}}【】\n]+){right}", _enclosed(name)) for left, right, name in _PAIRS),
    (rf"([$€£¥￥]) ?({_QUANTITY})", lambda found: f"{_quantity(found[2])}{_CURRENCIES[found[1]]}"),
    (rf"({_QUANTITY}) ?%", lambda found: f"百分之{_quantity(found[1])}"),
    (r"(?<!\d)(\d{1,2})[:：]([0-5]\d)(?!\d)", _time),
    (r"(?<!\d)(\d{4})(?=年)", _year),
    (r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])", _groups),
    (r"(?<=\d) ?[-–—~～] ?(?=\d)", "到"),
    (r"(?<![\w）])[-−](?=\d)", "负"),
    (_QUANTITY, _counted),
    (rf"([{_MARKS}])\1*", _named),
)
