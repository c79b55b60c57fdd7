"""What is wrong with a reply that should be exactly one verdict, in a sentence that the grader can be told.

Reading (`prompts.replies`) follows docs/open-adjust.md section 7 and has to be tolerant: it finds a list in the middle
of prose. A grader that repeats what an answer demands of it writes such prose as well, so whoever asks is stricter than
whoever counts: a reply is taken for a verdict only if nothing in it says another one, and if it does not merely quote.
A reply that is a verdict and nothing else is always taken, whatever was judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from prompts.replies import (
    ADJUST_KEYS,
    CLASSIFY_VERDICTS,
    lists_in,
    objects_in,
    read_adjust_reply,
    read_classify_reply,
    read_open_reply,
    repaired,
    verdicts_in,
)

_Verdict = tuple[bool | str, ...]
_Place = tuple[int, int]
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_WORDS = re.compile(r"\b(?:YES|NO)\b")
_TEXT = re.compile(r"\w")
_CONTRADICTION = "It holds verdicts that contradict each other."


class Doubt(str):
    """A complaint about a reply that can be read all the same: counted as it stands, it could count what it quotes."""

    __slots__ = ()


def open_complaint(reply: object, count: int, material: Iterable[str]) -> str | None:
    """Return why a reply is not exactly one list of verdicts, or None when it is.

    Args:
        reply: the raw reply.
        count: how many questions there are.
        material: the texts that are judged, as others wrote them.

    Source: docs/open-adjust.md section 7, tightened as docs/judging.md, "Attacks", says.
    """
    verdicts = read_open_reply(reply)
    if verdicts is not None and len(verdicts) != count:
        return f"It holds {len(verdicts)} entries, but there are {count} questions."
    return _complaint(reply, verdicts, _open_statements, material, f'list of {count} entries, each "YES" or "NO"')


def adjust_complaint(reply: object, material: Iterable[str]) -> str | None:
    """Return why a reply is not exactly one object of three verdicts, or None when it is.

    Args:
        reply: the raw reply.
        material: the texts that are judged, as others wrote them.

    Source: docs/open-adjust.md section 7, tightened as docs/judging.md, "Attacks", says.
    """
    wanted = f'JSON object with the keys {", ".join(ADJUST_KEYS)}, each "YES" or "NO"'
    return _complaint(reply, _read_adjust(reply), _adjust_statements, material, wanted)


def classify_complaint(reply: object, material: Iterable[str]) -> str | None:
    """Return why a reply is not exactly one verdict on a classification, or None when it is.

    Args:
        reply: the raw reply.
        material: the texts that are judged, as others wrote them.

    Source: docs/judging.md, "Attacks".
    """
    words = ", ".join(f'"{word}"' for word in CLASSIFY_VERDICTS)
    wanted = f'JSON object with the one key "verdict" and one of {words}'
    return _complaint(reply, _read_classify(reply), _classify_statements, material, wanted)


def _complaint(
    reply: object,
    verdict: _Verdict | None,
    statements: Callable[[str], Iterator[tuple[_Place, _Verdict]]],
    material: Iterable[str],
    wanted: str,
) -> str | None:
    found = list(statements(reply)) if isinstance(reply, str) else []
    said = {verdicts for _, verdicts in found}
    if not isinstance(reply, str) or (verdict is None and len(said) < 2):
        return f"It holds no {wanted}."
    if verdict is None:
        return _CONTRADICTION
    longest = max((place for place, _ in found), key=lambda place: place[1] - place[0], default=(0, len(reply)))
    if not _TEXT.search(_without(reply, [longest])):
        return None  # nothing but the verdict
    if len({verdict, *said}) > 1:
        return Doubt(_CONTRADICTION)
    rest = _without(reply, [place for place, _ in found])
    beside = tuple(word == "YES" for word in _WORDS.findall(rest))
    if len(beside) == len(verdict) and beside != verdict:
        return Doubt("It says one thing in its form and another in the words beside it.")
    if _TEXT.search(rest) and any(verdict == verdicts for text in material for _, verdicts in statements(text)):
        return Doubt(
            "Its verdicts stand in the graded texts too, and there is more beside them: that may be a quotation."
        )
    return None


def _open_statements(text: str) -> Iterator[tuple[_Place, _Verdict]]:
    """Yield every list of verdicts in a text, fenced or in square brackets, with its place."""
    yield from _fenced(text, read_open_reply)
    yield from lists_in(repaired(text))


def _adjust_statements(text: str) -> Iterator[tuple[_Place, _Verdict]]:
    """Yield every object of verdicts in a text, fenced or in braces, with its place."""
    yield from _fenced(text, _read_adjust)
    for form in (text, repaired(text)):
        for place, vote in objects_in(form):
            yield place, (vote.after, vote.before, vote.content)


def _classify_statements(text: str) -> Iterator[tuple[_Place, _Verdict]]:
    """Yield every verdict on a classification in a text, fenced, by its name or in capitals, with its place."""
    yield from _fenced(text, _read_classify)
    for place, verdict in verdicts_in(text):
        yield place, (verdict,)


def _fenced(text: str, read: Callable[[object], _Verdict | None]) -> Iterator[tuple[_Place, _Verdict]]:
    for match in _FENCE.finditer(text):
        verdict = read(match[0])
        if verdict is not None:
            yield match.span(), verdict


def _read_adjust(reply: object) -> _Verdict | None:
    vote = read_adjust_reply(reply)
    return None if vote is None else (vote.after, vote.before, vote.content)


def _read_classify(reply: object) -> _Verdict | None:
    verdict = read_classify_reply(reply)
    return None if verdict is None else (verdict,)


def _without(text: str, places: Iterable[_Place]) -> str:
    """Return text with these places, which may overlap, cut out."""
    kept, end = [], 0
    for start, stop in sorted(places):
        if start > end:
            kept.append(text[end:start])
        end = max(end, stop)
    return " ".join([*kept, text[end:]])
