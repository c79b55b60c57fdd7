"""The options of a classification task, which stand in each row's instruction: "The answer could be A, B, or C.", say.

Dynamic-SUPERB keeps the label set nowhere else (arXiv 2309.09510; rows on its documentation pages, read 2026-11-20).
Most of its instructions use that sentence word for word; other data sets of this kind say "should be", "choose from" or
"options:". Labels may have several words, or commas where they are quoted; the last comma may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAD = "The answer could be"
_POOLED = r"""
    (?:choose|select|pick)\s+(?:[\w-]+\s+){0,4}?(?:from|between|among)
    | (?:options|choices|answers|labels|categories|classes)(?:\s+(?:are|include)|\s*:)
"""
_SENTENCE = re.compile(
    rf"""\b(?:
        (?:answers?|responses?|outputs?|labels?|reply)\s+
            (?:could|can|should|may|might|must|will|(?:has|have|is|are)\s+to)\s+(?:only\s+)?be
        | (?:answer|respond|reply)\s+(?:only\s+)?with
        | (?P<pooled>{_POOLED})
    )
    (?:\s+(?:either|exact(?:ly)?|only|one\s+of)(?!\w))?
    (?:\s+(?:the\s+|these\s+)?(?:following|given|possible)(?:\s+(?:options|choices|answers|labels|categories|classes))?(?!\w))?
    \s*:?\s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("`", "`"))
_CLOSED = r"""(?=\s*(?:[,;.!?\n]|$|(?:or|and)\b)|\s+["'“‘«`])"""
_WITHIN = "|".join(rf"{left}([^\n]{{1,500}}?){right}{_CLOSED}" for left, right in _QUOTES)
_QUOTED = re.compile(rf"(?:(?:or|and)\s+)?(?:{_WITHIN})", re.IGNORECASE)
_OPENING = re.compile(r"(?:^|[.!?\n])\s*(?=(?:please,?\s+)?(?:the\s+)?$)", re.IGNORECASE)
_BARE = re.compile(r"(?:[^,;.!?\n]|[.!?](?!\s|$))*")
_SEPARATOR = re.compile(r"\s*[,;]\s*")
_JOINED = re.compile(r"\s*(?=(?:or|and)\s)|\s+(?=[\"'“‘«`])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the options stand in an instruction.

    Attributes:
        lead: where the words begin that lead to them ("answer could be").
        labels: start and end of each label, without its quotes.
        start: where the list begins, behind "could be".
        end: where it ends, before the full stop.
    """

    lead: int
    labels: tuple[tuple[int, int], ...]
    start: int
    end: int


def read(instruction: str) -> tuple[str, ...]:
    """Return the options that an instruction names, in its order; nothing where it names fewer than two."""
    found = _find(instruction)
    return tuple(instruction[start:end] for start, end in found.labels) if found else ()


def sentence(options: Sequence[str]) -> str:
    """Return the sentence that names options, with quotes where a label would not be told apart without.

    Raises:
        ValueError: `read` could not get them back: fewer than two, or one is empty, ends in a comma, or has
            a line feed.
    """
    for quotes in (("", ""), *_QUOTES):
        text = f"{LEAD} {_listed(options, quotes)}."
        if len(options) > 1 and read(text) == tuple(options):
            return text
    raise ValueError(f"no sentence names these options: {list(options)}")


def own_sentence(instruction: str) -> str:
    """Return an instruction's own sentence of options; a new one where they stand in the middle of another.

    Raises:
        ValueError: the instruction names no options, or these cannot be named.
    """
    found = _find(instruction)
    if found is None:
        raise ValueError("the instruction names no options")
    opening = _OPENING.search(instruction, 0, found.lead)
    if opening is None:
        return sentence(read(instruction))
    stop = instruction[found.end : found.end + 1]
    return f"{instruction[opening.end() : found.end]}{stop if stop in ('.', '!', '?') else '.'}"


def replaced(instruction: str, options: Sequence[str]) -> str:
    """Return the instruction with other options in its sentence; as many as before take each other's places.

    Raises:
        ValueError: the instruction names no options, or these cannot be named.
    """
    found = _find(instruction)
    if found is None:
        raise ValueError("the instruction names no options")
    tried = [_in_place(instruction, found, options)] if len(options) == len(found.labels) else []
    head, tail = instruction[: found.start], instruction[found.end :]
    tried += [] if len(options) < 2 else [f"{head}{_listed(options, quotes)}{tail}" for quotes in (("", ""), *_QUOTES)]
    for text in tried:
        if read(text) == tuple(options):
            return text
    raise ValueError(f"no sentence names these options: {list(options)}")


def _listed(options: Sequence[str], quotes: tuple[str, str]) -> str:
    left, right = quotes
    labels = [f"{left}{label}{right}" for label in options]
    if len(labels) < 3:
        return " or ".join(labels)
    return f"{', '.join(labels[:-1])}, or {labels[-1]}"


def _in_place(instruction: str, found: _Found, options: Sequence[str]) -> str:
    pieces, place = [], 0
    for (start, end), label in zip(found.labels, options, strict=True):
        pieces += [instruction[place:start], label]
        place = end
    return "".join([*pieces, instruction[place:]])


def _find(instruction: str) -> _Found | None:
    """Return the last list of at least two options."""
    limit = len(instruction)
    for match in reversed(list(_SENTENCE.finditer(instruction))):
        labels, end = _labels(instruction, match.end(), limit, pooled=match["pooled"] is not None)
        if len(labels) > 1:
            return _Found(match.start(), labels, match.end(), end)
        limit = match.start()  # so that no text is read twice
    return None


def _labels(text: str, start: int, limit: int, *, pooled: bool) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return where labels stand from `start` to their list's full stop, or to `limit`; and where the list ends."""
    labels: list[tuple[int, int]] = []
    place = end = start
    while place < limit:
        quoted = _QUOTED.match(text, place, limit)
        if quoted and quoted.lastindex:
            first, last = quoted.span(quoted.lastindex)
            place = end = quoted.end()
            following = _SEPARATOR.match(text, place, limit)
            closing = "," if following is None and _JOINED.match(text, place, limit) else "." if place == limit else ""
            labels.append(_trimmed(text, first, last - (closing != "" and text[last - 1] == closing)))
            following = following or _JOINED.match(text, place, limit)
        else:
            bare = _BARE.match(text, place, limit)
            first, place = place, place if bare is None else bare.end()
            end = _trimmed(text, first, place)[1]
            following = _SEPARATOR.match(text, place, limit)
            if following:
                labels.append(_trimmed(text, first, place))
            else:
                labels += _alternatives(text, first, place, alone=not labels, pooled=pooled)
        if following is None or following.end() == place == first:
            break
        place = following.end()
    return tuple((first, last) for first, last in labels if first < last), end


def _alternatives(text: str, start: int, end: int, *, alone: bool, pooled: bool) -> list[tuple[int, int]]:
    """Return the labels of the last stretch without commas: "C", "or C", "B or C"; of a pool also "B and C"."""
    words = ("or", "and") if pooled else ("or",)
    for word in words:
        opening = re.compile(rf"\s*{word}\s+", re.IGNORECASE).match(text, start, end)
        if opening and not alone:
            return [_unquoted(text, opening.end(), end)]
    for joint in (*(rf"(?<=\S)\s+{word}\s+" for word in words), *(["/"] if alone else [])):
        between = list(re.compile(joint, re.IGNORECASE).finditer(text, start, end))
        if between:
            starts = [start, *(match.end() for match in between)]
            ends = [*(match.start() for match in between), end]
            return [_unquoted(text, *pair) for pair in zip(starts, ends, strict=True)]
    return [_unquoted(text, start, end)]


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    start, end = _trimmed(text, start, end)
    wrapped = end - start > 2 and (text[start], text[end - 1]) in _QUOTES
    return (start + 1, end - 1) if wrapped else (start, end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
