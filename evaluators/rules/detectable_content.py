"""Rules 10 and 11: placeholders and postscripts."""

from __future__ import annotations

import re
import unicodedata

from evaluators.rules.arguments import Drawn, Given, Invalid
from evaluators.rules.base import Requirement, Rule, counted, shown, stated
from evaluators.rules.text import fold_case, insides, occurrences

_REFERENCE_PLACEHOLDER = re.compile(r"[\[【].*?[\]】]")
_FIXED_PLACEHOLDER = re.compile(r"\[([^\[\]【】［］\n]*)\]|【([^\[\]【】［］\n]*)】|［([^\[\]【】［］\n]*)］")

_REFERENCE_POSTSCRIPT = re.compile(r"\bps\b|\bp\.\s*s\.")

# No two ways to read the same blanks, so that a marker which does not match is turned down in linear time.
_FAMILY = re.compile(r"(?:p\s*(?:\.\s*)?)+s\s*(?:\.\s*)?:?", re.IGNORECASE)
# The closing `s` is optional here and asked for afterwards: a row of `p.` without it is then read once, not once from
# each of its letters.
_DOTTED = re.compile(r"(?<![^\W_])((?:p\.[ \t]?)+)(s?)", re.IGNORECASE)
_UNDOTTED = re.compile(r"(?<![^\W_])((?:p\.?[ \t]?)+)(s?)", re.IGNORECASE)
_LETTERS_BEFORE_MARK = re.compile(r"(?<![^\W_])(p+)(s)(?=[ \t*_]*[:.])", re.IGNORECASE)
_NEW_SENTENCE = re.compile(r"[.:*_ \t]*[A-Z\u4e00-\u9fff]")
_COLON = re.compile(r"[ \t*_]*:")

_BEFORE_START = frozenset(
    " \t\u3000`*_#>-–—/,•·\"'“‘(（[【「『\ufe0f\u200d" + "".join(map(chr, range(0x1F3FB, 0x1F400)))
)
_CLOSING = frozenset("\n.!?。;…)）]】」』”’~》")


class NumberPlaceholders(Rule):
    """Rule 10 of docs/closed-rules.md: at least `num_placeholders` placeholders in square brackets.

    From IFEval (arXiv 2311.07911).
    """

    names = ("num_placeholders",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Count from any opening to the next closing bracket on the line, even with nothing between them."""
        return counted("at least", drawn.threshold("num_placeholders", 1, 4), "placeholder", _reference_placeholders)

    def fixed(self, given: Given) -> Requirement:
        """Count brackets of one kind that hold something and no further bracket."""
        return counted("at least", given.threshold("num_placeholders"), "placeholder", _fixed_placeholders)


class Postscript(Rule):
    """Rule 11 of docs/closed-rules.md: a postscript that begins with `postscript_marker`.

    From IFEval (arXiv 2311.07911).
    """

    names = ("postscript_marker",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Accept the marker between word boundaries, or any `ps` or `p.s.` whatever the marker is."""
        marker = drawn.get("postscript_marker")
        if marker is None:
            marker = drawn.draw("postscript_marker", ("P.S.", "P.P.S"))
        marker = marker.strip().lower()
        return stated(f"a postscript {shown(marker)}", _reference_postscript, "none", (marker,))

    def fixed(self, given: Given) -> Requirement:
        """Accept the marker at the start of a line or sentence; the number of `p` counts, its dots hardly do."""
        marker = unicodedata.normalize("NFKC", given.text("postscript_marker"))
        expected = f"a postscript {shown(marker)}"
        if _FAMILY.fullmatch(marker):
            return stated(expected, _family_postscript, "none", (marker.lower().count("p"), "." in marker))
        core = marker.rstrip(": \t")
        if not core:
            raise Invalid("postscript_marker holds nothing but colons")
        return stated(expected, _other_postscript, "none", (fold_case(core), ":" in marker[len(core) :]))


def _reference_placeholders(text: str) -> int:
    # A line is cut behind its last closing bracket: a row of opening ones without any would take quadratic time.
    return sum(
        len(_REFERENCE_PLACEHOLDER.findall(line, 0, 1 + max(line.rfind("]"), line.rfind("】"))))
        for line in text.split("\n")
    )


def _fixed_placeholders(text: str) -> int:
    return sum(1 for match in _FIXED_PLACEHOLDER.finditer(text) if match[match.lastindex or 0].strip())


def _reference_postscript(text: str, marker: str) -> bool:
    lowered = text.lower()
    if _REFERENCE_POSTSCRIPT.search(lowered):
        return True
    return marker in lowered and re.search(rf"\b{re.escape(marker)}\b", lowered) is not None


def _family_postscript(response: str, letters: int, dotted: bool) -> bool:
    """Return whether a postscript of the family P.S., P.P.S. … with this number of `p` begins somewhere."""
    text = unicodedata.normalize("NFKC", response)
    inside = insides(text)
    for pattern in (_DOTTED, _LETTERS_BEFORE_MARK) if dotted else (_UNDOTTED,):
        for match in pattern.finditer(text):
            start, end = match.span()
            if (
                match[2]
                and match[1].lower().count("p") == letters
                and not inside[start]
                and not inside[end]
                and (_is_start(text, start) or _starts_sentence(text, start, end))
            ):
                return True
    return False


def _other_postscript(response: str, core: str, colon: bool) -> bool:
    """Return whether the core of a marker outside that family begins a postscript, with its colon if it has one."""
    text = unicodedata.normalize("NFKC", response)
    inside = insides(text)
    for start in occurrences(fold_case(text), core):
        end = start + len(core)
        if inside[start] or inside[end] or not _is_start(text, start):
            continue
        if _COLON.match(text, end) if colon else _is_free(text[end : end + 1]):
            return True
    return False


def _is_start(text: str, position: int) -> bool:
    """Return whether a line or sentence starts here, apart from markdown and opening marks."""
    while position and text[position - 1] in _BEFORE_START:
        position -= 1
    return not position or text[position - 1] in _CLOSING or unicodedata.category(text[position - 1]) == "So"


def _starts_sentence(text: str, start: int, end: int) -> bool:
    """Return whether a marker in running text is followed by the beginning of a sentence."""
    return start > 0 and text[start - 1].isspace() and _NEW_SENTENCE.match(text, end) is not None


def _is_free(following: str) -> bool:
    """Return whether what follows a marker is the end, white space, punctuation or a symbol."""
    return not following or following.isspace() or unicodedata.category(following)[0] in "PS"
