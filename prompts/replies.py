"""What a grader's reply says: the votes in it, or nothing.

Two ways of reading live side by side. The tolerant one (`read_open_reply`, `read_adjust_reply`, `read_classify_reply`)
accepts the dressings that graders put around their verdicts: code fences, prose, list marks, curly quotes. The literal
one (`literal_list`, `stored_values`) reads what the published scorer reads, with all its gaps. Neither ever runs a
reply as code, and neither raises, whatever the reply is. Rules: docs/open-adjust.md sections 4, 5 and 7.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

UNREADABLE = object()
"""What `json_value` and `literal_value` return for text that does not parse; None is a value of its own."""

ADJUST_KEYS = ("follow_after_adjust", "follow_before_adjust", "after_adjust_content_correct")
"""The keys of an adjustment verdict, in the order in which the published scorer reads them."""


@dataclass(frozen=True, slots=True)
class AdjustVote:
    """One grader's verdict on one corrected request.

    Attributes:
        after: the answer does what the corrected request asks.
        before: the answer does what was asked before the correction.
        content: the content is right for the corrected request.
    """

    after: bool
    before: bool
    content: bool


# --- parsing without evaluating -------------------------------------------------------------------------------------


def json_value(text: str) -> object:
    """Return what JSON text holds, or `UNREADABLE`; text too deep or too large to parse is unreadable too."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return UNREADABLE
    return value


def literal_value(text: str) -> object:
    """Return what a Python literal holds, or `UNREADABLE`; names, calls and operators are never evaluated."""
    try:
        with warnings.catch_warnings():
            # An odd backslash in a reply is no news for the user of a scorer.
            warnings.simplefilter("ignore")
            value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return UNREADABLE
    return value


# --- the literal way (profile `reference`) --------------------------------------------------------------------------


def literal_list(reply: object) -> list[object] | None:
    """Return the Python list that an open reply literally is, whatever its entries; None for everything else.

    Source: docs/open-adjust.md section 4, profile `reference`.
    """
    value = literal_value(reply) if isinstance(reply, str) else UNREADABLE
    return value if isinstance(value, list) else None


def stored_values(reply: object) -> tuple[object, ...]:
    """Return the values that an adjustment reply contributes to after, before and content, in this order.

    The published scorer stores every value as soon as it has read it, so the tuple ends before the first missing key:
    it has three, two, one or no values, of any JSON type.

    Source: docs/open-adjust.md section 5, profile `reference`.
    """
    value = json_value(reply) if isinstance(reply, str) else UNREADABLE
    if not isinstance(value, dict):
        return ()
    stored: list[object] = []
    for key in ADJUST_KEYS:
        if key not in value:
            break
        stored.append(value[key])
    return tuple(stored)


# --- the tolerant way (profile `fixed`): what both subsets share ----------------------------------------------------

_BYTE_ORDER_MARK = "\ufeff"
_FENCE = "```"
_GLYPHS = str.maketrans("“”‘’［］【】（），、；：", "\"\"''[][](),,;:")


def _candidates(reply: str) -> Iterator[str]:
    """Yield the texts in which to look for a verdict: inside the first closed code fence, then the whole reply."""
    whole = reply.strip().removeprefix(_BYTE_ORDER_MARK).removesuffix(_BYTE_ORDER_MARK).strip()
    parts = whole.split(_FENCE, 2)
    if len(parts) == 3:
        inside = parts[1]
        # The first of several lines is the tag ("json"); a fence on a single line has none.
        yield inside.partition("\n")[2] if "\n" in inside else inside
    yield whole


def repaired(text: str) -> str:
    """Return text with typographic quotes and full-width signs as their plain counterparts."""
    return text.translate(_GLYPHS)


def _yes_or_no(value: object) -> bool | None:
    """Return True for a YES string, False for a NO string (letter case and a final dot are free), else None."""
    if not isinstance(value, str):
        return None
    word = value.strip().removesuffix(".").strip().lower()
    return {"yes": True, "no": False}.get(word)


# --- open: a sequence of YES and NO ---------------------------------------------------------------------------------

# Every blank of the grammar may be any run of white space, so runs are shortened to one blank before matching. The
# words split the text into short gaps, and each gap is matched on its own: no expression sees the whole list, hence
# nothing can backtrack over it, and the time is linear in the reply.
_WHITE_SPACE = re.compile(r"\s+")
_WORD = re.compile("(yes|no)")
_HEAD = r"""(?:(?:(?:q|question ?)?\d+[.):]|\(\d+\)|[-*•]) ?)?(?:\*\*)?["'`]? ?"""
_TAIL = r""" ?\.? ?["'`]?(?:\*\*)?\.?"""
_BETWEEN = re.compile(rf"{_TAIL}(?: ?[,;] ?| ){_HEAD}")
_BEFORE = re.compile(rf" ?{_HEAD}")
_BEHIND = re.compile(rf"{_TAIL} ?,? ?")
_WHOLES = tuple(
    (re.compile(rf" ?{opening} ?{_HEAD}"), re.compile(rf"{_TAIL} ?,? ?{closing} ?\.? ?"))
    for opening, closing in (("", ""), (r"\[", r"\]"), (r"\(", r"\)"))
)
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")


def read_open_reply(reply: object) -> tuple[bool, ...] | None:
    """Return the verdicts of one open reply in their order, True for YES; never empty.

    Args:
        reply: the raw reply; anything but a string is invalid.

    Returns:
        The verdicts, or None when the reply is invalid (nothing readable in it, or lists that contradict each other).

    Source: docs/open-adjust.md section 7, "Open".
    """
    if not isinstance(reply, str):
        return None
    for candidate in map(repaired, _candidates(reply)):
        verdicts = _read_list(candidate, _WHOLES)
        if verdicts is not None:
            return verdicts
        lists = {verdicts for _, verdicts in lists_in(candidate)}
        if lists:
            # Two different lists contradict each other; nothing else in the reply can settle that.
            return lists.pop() if len(lists) == 1 else None
        verdicts = _object_verdicts(candidate)
        if verdicts is not None:
            return verdicts
    return None


def _read_list(
    text: str, frames: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ((_BEFORE, _BEHIND),)
) -> tuple[bool, ...] | None:
    """Return the words of a text that is a list from end to end, inside one of the frames; None for other text."""
    # Lower-casing is safer than matching without regard to case, which would take U+017F for an s.
    before, *middle = _WORD.split(_WHITE_SPACE.sub(" ", text).lower())
    if not middle:
        return None
    words, gaps, behind = middle[0::2], middle[1:-1:2], middle[-1]
    if not any(opening.fullmatch(before) and closing.fullmatch(behind) for opening, closing in frames):
        return None
    if not all(_BETWEEN.fullmatch(gap) for gap in gaps):
        return None
    return tuple(word == "yes" for word in words)


def lists_in(text: str) -> Iterator[tuple[tuple[int, int], tuple[bool, ...]]]:
    """Yield every list that stands in innermost square brackets anywhere in the text: its place and its verdicts."""
    for match in _BRACKETED.finditer(text):
        verdicts = _read_list(match[1])
        if verdicts is not None:
            yield match.span(), verdicts


def _object_verdicts(text: str) -> tuple[bool, ...] | None:
    """Return the values of a JSON object with one YES or NO per question; None for other text."""
    value = json_value(text.strip())
    if not isinstance(value, dict):
        return None
    verdicts = [_yes_or_no(entry) for entry in value.values()]
    known = tuple(verdict for verdict in verdicts if verdict is not None)
    return known if known and len(known) == len(verdicts) else None


# --- adjustment: an object with three keys --------------------------------------------------------------------------

_KEY_NAME = re.compile("|".join(ADJUST_KEYS), re.IGNORECASE)
# How a literal may hold a name that does not stand there in one piece: an escape, or strings side by side.
_DISGUISE = re.compile(r"""[\\#]|["']\s*[ur]?["']""", re.IGNORECASE)
_BRACE = re.compile(r"[{}]")


def read_adjust_reply(reply: object) -> AdjustVote | None:
    """Return the vote of one adjustment reply.

    Args:
        reply: the raw reply; anything but a string is invalid.

    Returns:
        The vote, or None when the reply is invalid (no object with all three keys, or objects that contradict each
        other).

    Source: docs/open-adjust.md section 7, "Adjustment".
    """
    if not isinstance(reply, str):
        return None
    for candidate in _candidates(reply):
        # As it is comes first: the repair turns curly quotes inside a value into quotes that end it.
        for text in (candidate, repaired(candidate)):
            vote = _object_vote(text)
            if vote is not None:
                return vote
            votes = {vote for _, vote in objects_in(text)}
            if votes:
                return votes.pop() if len(votes) == 1 else None
    return None


def _object_vote(text: str) -> AdjustVote | None:
    """Return the vote of a text that is one JSON or Python object with the three keys; None for other text."""
    bare = text.strip()
    value = json_value(bare)
    if value is UNREADABLE:
        value = literal_value(bare)
    if not isinstance(value, dict):
        return None
    named = {key.strip().lower(): entry for key, entry in value.items() if isinstance(key, str)}
    after, before, content = (_yes_or_no(named.get(key)) for key in ADJUST_KEYS)
    if after is None or before is None or content is None:
        return None
    return AdjustVote(after, before, content)


def objects_in(text: str) -> Iterator[tuple[tuple[int, int], AdjustVote]]:
    """Yield every vote that stands in a balanced `{…}` part, also in one inside another: its place and the vote."""
    for start, end in _braced_parts(text):
        vote = _object_vote(text[start:end])
        if vote is not None:
            yield (start, end), vote


def _braced_parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of every balanced `{…}` part that can hold a vote; quotes do not count."""
    names = [match.start() for match in _KEY_NAME.finditer(text)]
    disguises = [match.start() for match in _DISGUISE.finditer(text)]
    open_at: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            open_at.append(brace.start())
        elif open_at:
            start, end = open_at.pop(), brace.end()
            # A broken reply may hold thousands of braces and parsing is slow, so parts without the names stay unread.
            if _count_within(names, start, end) >= len(ADJUST_KEYS) or _count_within(disguises, start, end):
                yield start, end


def _count_within(places: list[int], start: int, end: int) -> int:
    """Return how many of the ascending places lie in the range."""
    return bisect_left(places, end) - bisect_left(places, start)


# --- classification: one of three words -----------------------------------------------------------------------------

CLASSIFY_VERDICTS = ("YES", "NO", "N/A")
"""What is said of an answer: it commits to the label, to another one, or to none (or several)."""

_VERDICT_WORD = r"(?:(?P<YES>yes)|(?P<NO>no)|(?P<NA>n ?[/／.]? ?a|not applicable))"
_DRESSING = re.compile(r"[\s*_`\"'()\[\]]+")
_BARE = re.compile(rf"(?:(?:the |final )*(?:verdict|answer) ?(?:is|[:=]) ?)?{_VERDICT_WORD}[ .!]*", re.I | re.A)
# What follows keeps "Verdict: no doubt about it" apart from "Verdict: no, it names another".
_NAMED = re.compile(
    rf"verdict[\s*_`\"']*[:=][\s*_`\"']*{_VERDICT_WORD}(?=[*_`\"' \t]*(?:[.,;\n\r}})\]]|\Z))", re.I | re.A
)
_CAPITALS = re.compile(r"\b(?:(?P<YES>YES)|(?P<NO>NO)|(?P<NA>N/A))\b", re.A)
# "YES. It names the label." and "It names the label: YES" say a verdict; "Say YES to it" is what a grader may quote.
_BLANKS = r"[\s*_`\"'()\[\]]{0,20}"  # bounded, so that the time stays linear in the reply
_ALONE = re.compile(rf"(?:\A|[.:;!?\n。]){_BLANKS}{_CAPITALS.pattern}(?={_BLANKS}(?:[.,:;!\n。—–]|\Z))", re.A)


def read_classify_reply(reply: object) -> str | None:
    """Return the verdict of one reply about a classification: one of `CLASSIFY_VERDICTS`.

    A reply that is nothing but the word is taken in any letter case. Else what is named as verdict counts
    (`{"verdict": "YES"}`, `**Verdict:** no.`), and where nothing is, a word that stands alone in the first code fence,
    or in capitals as a sentence of the prose, if no other verdict does.

    Args:
        reply: the raw reply; anything but a string is invalid.

    Returns:
        The verdict, or None when the reply is invalid (there is none in it, or there are some that contradict each
        other).
    """
    if not isinstance(reply, str):
        return None
    *fenced, whole = map(repaired, _candidates(reply))
    alone = [*map(_bare_verdict, fenced), *map(_verdict_of, _ALONE.finditer(whole))]
    if any(alone):
        alone += map(_verdict_of, _CAPITALS.finditer(whole))
    for found in ([_bare_verdict(whole)], map(_verdict_of, _NAMED.finditer(whole)), alone):
        verdicts = {verdict for verdict in found if verdict is not None}
        if verdicts:
            return verdicts.pop() if len(verdicts) == 1 else None
    return None


def verdicts_in(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield every verdict on a classification that is named in a text or stands in capitals: its place and itself."""
    for pattern in (_NAMED, _CAPITALS):
        for match in pattern.finditer(repaired(text)):
            yield match.span(), _verdict_of(match)


def _bare_verdict(text: str) -> str | None:
    """Return the verdict of a text that is nothing else; None for other text."""
    match = _BARE.fullmatch(_DRESSING.sub(" ", text).strip())
    return None if match is None else _verdict_of(match)


def _verdict_of(match: re.Match[str]) -> str:
    return "N/A" if match.lastgroup == "NA" else str(match.lastgroup)
