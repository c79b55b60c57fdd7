"""English numbers and symbols as words."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from data.variants.numbers import number, ordinal

_QUANTITY = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
_FRACTIONS |= {"½": "one half", "⅓": "one third", "⅔": "two thirds", "¼": "one quarter", "¾": "three quarters"}

SYMBOLS = {
    "*": "asterisk",
    "#": "hash sign",
    "`": "backtick",
    "_": "underscore",
    "|": "vertical bar",
    "\\": "backslash",
    "/": "slash",
    "^": "caret",
    "~": "tilde",
    "[": "opening square bracket",
    "]": "closing square bracket",
    "{": "opening curly bracket",
    "}": "closing curly bracket",
    "$": "dollar sign",
    "€": "euro sign",
    "£": "pound sign",
    "%": "percent sign",
    "&": "ampersand",
    "@": "at sign",
    "+": "plus sign",
    "=": "equals sign",
    "<": "opening angle bracket",
    ">": "closing angle bracket",
    "-": "dash",
}
"""Marks that are named; a run of them is counted."""

BETWEEN_WORDS = {
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "<": "less than",
    ">": "greater than",
    "≤": "at most",
    "≥": "at least",
    "≠": "is not",
    "≈": "about",
    "±": "plus or minus",
    "×": "times",
    "÷": "divided by",
    "→": "to",
    "²": "squared",
    "³": "cubed",
    "№": "number",
    "§": "section",
    "©": "copyright",
    "℃": "degrees Celsius",
    "℉": "degrees Fahrenheit",
}
"""Symbols that stand for a word; those that are marks too, only with words on both sides."""

_PAIRS = (("<<", ">>", "double angle brackets"), ("[", "]", "square brackets"), ("{", "}", "curly brackets"))
_SMALL = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def worded(text: str) -> str:
    """Return an English text with its numbers and symbols written out."""
    for pattern, said in _STEPS:
        text = re.sub(pattern, said, text)
    return re.sub(r" +(?=[.,;:!?)])", "", text)


def _quantity(digits: str) -> str:
    return number(digits.replace(",", ""), "en")


def _money(found: Match[str]) -> str:
    unit = _CURRENCIES[found[1]]
    return f"{_quantity(found[2])} {unit}{'' if found[2] == '1' or unit == 'yen' else 's'}"


def _time(found: Match[str]) -> str:
    hour, minute = found[1], found[2]
    if minute == "00":
        return f"{_quantity(str(int(hour)))} o'clock"
    return f"{_quantity(str(int(hour)))} {'oh ' if minute[0] == '0' else ''}{_quantity(str(int(minute)))}"


def _groups(found: Match[str]) -> str:
    """Return 631-481-4867 as its digits, with a pause between the groups; two numbers would be a range."""
    return ", ".join(" ".join(number(digit, "en") for digit in group) for group in found.group().split("-"))


def _initials(found: Match[str]) -> str:
    """Return P.S. as P S; a stop that ends the text as well stays."""
    letters = " ".join(found.group().replace(".", ""))
    return f"{letters}." if not found.string[found.end() :].strip(" \"'”’)") else letters


def _address(found: Match[str]) -> str:
    said = re.sub(r"^https?://", "", found.group())
    for mark, word in (("@", "at"), (".", "dot"), ("/", "slash"), ("-", "dash"), ("_", "underscore")):
        said = said.replace(mark, f" {word} ")
    return said


def _enclosed(name: str) -> Callable[[Match[str]], str]:
    return lambda found: f" {found[1].strip()} in {name} "


def _named(found: Match[str]) -> str:
    run = found.group()
    name = SYMBOLS[run[0]]
    if len(run) == 1:
        return f" {name} "
    count = _SMALL.get(len(run)) or number(str(len(run)), "en")
    return f" {count} {name}{'es' if name.endswith(('sh', 's')) else 's'} "


def _decade(found: Match[str]) -> str:
    return f"{number(found[1], 'en')} {number(found[2], 'en')[:-1]}ies"


_MARKS = "".join(re.escape(mark) for mark in SYMBOLS)
_WORDS = "".join(re.escape(mark) for mark in BETWEEN_WORDS if mark not in SYMBOLS)
_BOTH = "".join(re.escape(mark) for mark in BETWEEN_WORDS if mark in SYMBOLS)

# In this order: what is longer or means more comes first.
_STEPS: tuple[tuple[str, str | Callable[[Match[str]], str]], ...] = (
    (r"https?://[^\s,;!?)\"']+(?<![.:])|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _address),
    (r"(?i)\be\.g\.,?", "for example"),
    (r"(?i)\bi\.e\.,?", "that is"),
    (r"\b(?:[A-Za-z]\.){2,}(?![A-Za-z])|\bP\.(?:P\.)*S\b\.?", _initials),
    *((rf"{re.escape(left)}([^<>\[\]{{}}\n]+){re.escape(right)}", _enclosed(name)) for left, right, name in _PAIRS),
    (rf"([$€£¥]) ?({_QUANTITY})\b", _money),
    (rf"({_QUANTITY}) ?%", lambda found: f"{_quantity(found[1])} percent"),
    (rf"({_QUANTITY}) ?° ?C\b", lambda found: f"{_quantity(found[1])} degrees Celsius"),
    (rf"({_QUANTITY}) ?° ?F\b", lambda found: f"{_quantity(found[1])} degrees Fahrenheit"),
    (rf"({_QUANTITY}) ?°", lambda found: f"{_quantity(found[1])} degrees"),
    (r"\b(\d{1,2}):([0-5]\d)\b", _time),
    (r"\b(\d{1,4})(?:st|nd|rd|th)\b", lambda found: ordinal(found[1])),
    (r"(?<![\d/])(?:[12]/[2-4]|3/4)(?![\d/])|[½⅓⅔¼¾]", lambda found: _FRACTIONS.get(found.group(), found.group())),
    (r"(?<![\w-])\d+(?:-\d+){2,}(?![\w-])", _groups),
    (r"(?<=\d) ?[-–—] ?(?=\d)", " to "),
    (r"(?<=\d) ?[x×*] ?(?=\d)", " times "),
    (r"(?<=\d)/(?=\d)", " over "),
    (r"(?<![\w)])[-−](?=\d)", "minus "),
    (r"#(?=\d)", "number "),
    (r"\b(1[1-9]|20)([2-9]0)s\b", _decade),
    (rf"(?<![^\W_])({_QUANTITY})(?![^\W_])", lambda found: _quantity(found[1])),
    (rf"({_QUANTITY})", lambda found: f" {_quantity(found[1])} "),
    (r"(?i)\band/or\b", "and or"),
    (r"(?<=\w)/(?=\w)", " or "),
    (r"\bC\+\+", "C plus plus"),
    (r"\b([CF])#", lambda found: f"{found[1]} sharp"),
    (rf"(?<=\w) ([{_BOTH}]) (?=\w)|(?<=\w)([&])(?=\w)", lambda found: f" {BETWEEN_WORDS[found[1] or found[2]]} "),
    (rf"[{_WORDS}]", lambda found: f" {BETWEEN_WORDS[found.group()]} "),
    (rf"(?![-])([{_MARKS}])\1*|-{{2,}}|(?<= )-(?= )", _named),
)
