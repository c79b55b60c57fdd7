"""How one item came to its verdict, as text for a terminal."""

from __future__ import annotations

import json

from data.errors import printable
from data.records import Item
from evaluators.explain import Explanation

SHOWN = 2000  # characters of a response
BAR = "│ "  # in front of what models and files say, so that none of it can pass for ours


def for_reading(item: Item, found: Explanation) -> str:
    """Return the item, each mark with its reason, each reply and how it was read; their texts escaped, behind a bar."""
    response = item.fields.get("response")
    lines = [f"{item.id}: {found.verdict}{f' ({found.unscored})' if found.unscored else ''}", "", "prompt:"]
    lines += _quoted(item.prompt)
    lines += ["response:", *_quoted("none" if response is None else str(response)[:SHOWN])]
    if isinstance(response, str) and len(response) > SHOWN:
        lines.append(f"  ... and {len(response) - SHOWN} characters more")
    if found.remarks:
        lines.append(f"remarks: {', '.join(found.remarks)}")
    if found.reasons:
        lines.append("verdicts:")
    for reason in found.reasons:
        mark = reason.mark
        about = f" {reason.about}" if reason.about else ""
        flag = f" ({mark.flag})" if mark.flag else ""
        lines.append(f"  {'met' if mark.met else 'NOT met'}: {reason.name}{about}")
        lines += [f"    {line}" for line in _quoted(f"expected {mark.expected}; found {mark.found}{flag}")]
    if found.votes:
        lines.append("votes:")
    for vote in found.votes:
        lines.append(f"  {vote.judge or 'judge'}: {vote.read or 'not read: it does not count'}")
        reply = vote.reply if isinstance(vote.reply, str) else json.dumps(vote.reply)
        lines += [f"    {line}" for line in _quoted(reply)]
    return "".join(f"{printable(line)}\n" for line in lines)


def _quoted(text: str) -> list[str]:
    return [f"{BAR}{line}" for line in text.split("\n")]
