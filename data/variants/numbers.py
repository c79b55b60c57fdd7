"""Numbers as words."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Any

from data.errors import UsageError

LONGEST = 12
"""Longer runs of digits are no quantities: they are read digit by digit."""


def number(digits: str, lang: str) -> str:
    """Write out a number.

    Args:
        digits: ASCII digits, with a point and decimals or without; a leading zero means digit by digit.
        lang: two-letter code; one that is `countable`.

    Raises:
        UsageError: the package that knows this language's numbers is not installed.
    """
    whole = digits.split(".")[0]
    if len(whole) > LONGEST or (len(whole) > 1 and whole.startswith("0")):
        between = "" if lang == "zh" else " "
        return between.join(number(digit, lang) for digit in digits if digit.isdecimal())
    if lang == "zh":
        return str(_chinese().an2cn(digits))
    said = str(_others().num2words(Decimal(digits), lang=_code(lang)))
    return re.sub(r"\s+", " ", said.replace(",", "").replace("-", " " if lang == "en" else "-")).strip()


def ordinal(digits: str) -> str:
    """Write out an English ordinal: 3 gives third.

    Raises:
        UsageError: num2words is not installed.
    """
    return str(_others().num2words(int(digits), to="ordinal")).replace(",", "").replace("-", " ")


def countable(lang: str) -> bool:
    """Return whether numbers of this language can be written out; False also where num2words is not installed."""
    if lang == "zh":
        return True
    try:
        return _code(lang) in _others().CONVERTER_CLASSES
    except UsageError:
        return lang == "en"  # whose numbers are then refused by name, with what to install


def _code(lang: str) -> str:
    return {"nb": "no", "nn": "no", "kk": "kz"}.get(lang, lang)


@cache
def _others() -> Any:
    try:
        import num2words
    except ImportError:
        raise UsageError("writing numbers as words needs num2words: pip install -e '.[speech]'") from None
    return num2words


@cache
def _chinese() -> Any:
    try:
        import cn2an
    except ImportError:
        raise UsageError("writing Chinese numbers as words needs cn2an: pip install -e '.[speech]'") from None
    return cn2an
