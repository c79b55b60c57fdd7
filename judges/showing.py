"""How one item was judged, step by step: what the grader was sent, what it replied, and how that was read.

The request is rendered anew from the item, the prompts and the manifest beside the file; it is the one that was sent if
its hash is the line's `judge.request`. Everything that comes from files or graders is shown escaped, behind a bar.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import with_identity
from data.errors import DataError, printable
from inference.chat import ChatClient, Sampling
from inference.support import Support
from judges import manifest
from judges.asking import Asked, Asking
from judges.cost import Account
from judges.judge import Judge
from judges.ledger import Ledger
from judges.tasks import TASKS, Task
from prompts import templates
from prompts.replies import (
    ADJUST_KEYS,
    literal_list,
    read_adjust_reply,
    read_classify_reply,
    read_open_reply,
    stored_values,
)
from prompts.templates import Template

BAR = "│ "
NOWHERE = "http://localhost/v1"  # nothing is sent


@dataclass(frozen=True, slots=True)
class Shown:
    """The item to be shown and where it was judged.

    Attributes:
        path: the judged file.
        fields: the item's line.
        task: how it was judged.
        prompts: prompts that it may have been judged with.
        ledger: the file of replies; None where there is none.
    """

    path: Path
    fields: Mapping[str, Any]
    task: Task
    prompts: Sequence[Template]
    ledger: Path | None


def found(path: Path, key: str, audio: str | None, *, prompt: Template | None, ledger: Path | None) -> Shown:
    """Return the one item of a judged file that a user means.

    Args:
        path: the judged file.
        key: the item's key (or id), or, for one without, its audio_path.
        audio: its audio_path, where several items have that key.
        prompt: a judge prompt of the user's own.
        ledger: the file of replies; None: the one beside the file, if there is one.

    Raises:
        DataError: no item is meant, several are, or it was not judged.
    """
    items = [
        (item.id, line.fields)
        for item, line in with_identity(path, jsonl.read(path))
        if key in (str(item.id.key), item.id.audio) and audio in (None, item.id.audio)
    ]
    if not items:
        raise DataError(f"no item with key {key}" + (f" and audio_path {audio}" if audio else ""), path=path)
    if len(items) > 1:
        names = ", ".join(str(item_id.audio) for item_id, _ in items[:3])
        raise DataError(f"{len(items)} items have key {key}; choose by --audio_path: {names}, ...", path=path)
    fields = items[0][1]
    if not isinstance(fields.get("judge"), dict) or not isinstance(fields.get("response"), str):
        raise DataError(f"item {key} is not judged; python api_judge.py judges it", path=path)
    if ledger is not None and not ledger.is_file():
        raise DataError("no such file; name the ledger that the replies were kept in", path=ledger)
    task = TASKS["open" if "decomposed_questions" in fields else "classify" if "written" in fields else "adjust"]
    beside = path.parent / "ledger.sqlite"
    prompts = [templates.bundled(task.prompt), *([prompt] if prompt else [])]
    return Shown(path, fields, task, prompts, ledger or (beside if beside.exists() else None))


def lines(shown: Shown) -> Iterator[str]:
    """Yield what is to be told about an item, line by line, safe for a terminal.

    Raises:
        DataError: the ledger or the manifest is damaged.
    """
    notes = shown.fields.get("judges")
    one = shown.fields["judge"]
    panel = notes if isinstance(notes, dict) and notes else {str(one.get("model")): one}
    with closing(Ledger(shown.ledger)) as ledger:
        for name, note in panel.items():
            yield from _one_grader(shown, name, note if isinstance(note, dict) else {}, ledger)


def _one_grader(shown: Shown, name: str, note: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    label = f" ({note['label']})" if note.get("label") else ""
    yield printable(f"grader {name}{label}, prompt {note.get('prompt_id')}")
    for field, words in (("skipped", "not asked"), ("error", "failed")):
        if note.get(field):
            yield printable(f"{words}: {note[field]}")
    asking = asked = None
    if "request" in note:
        try:
            asking = _asking(shown, name, note, ledger)
            asked = asking.about(shown.fields)
        except _Unknown as reason:
            yield printable(f"the request cannot be shown: {reason}")
    if asking is not None and asked is not None:
        was_sent = asked.key == note["request"]
        if not was_sent:
            yield "item, prompt or settings have changed since: this is not what was sent, but what would be now"
        yield from _request(asking, asked)
        if was_sent and shown.ledger is not None:
            yield from _courses(shown, asking, asked)
            return
    by_grader = shown.fields.get("pred_scores")
    replies = by_grader.get(name) if isinstance(by_grader, dict) else shown.fields.get("pred_score")
    for number, text in enumerate(replies if isinstance(replies, list) else (), start=1):
        yield ""
        yield f"reply {number}, as the file has it:"
        yield from _barred(text)
        yield from _reading(shown, text)


class _Unknown(Exception):
    """What was sent cannot be told; the message says why."""


def _asking(shown: Shown, name: str, note: Mapping[str, Any], ledger: Ledger) -> Asking:
    """Return the grader as it was asked.

    Raises:
        _Unknown: the manifest or the prompt is not there.
    """
    beside = manifest.read(shown.path)
    judges = {judge["name"]: judge for judge in beside["judges"] if "name" in judge} if beside else {}
    if beside is None or name not in judges:
        raise _Unknown(f"no {manifest.path_for(shown.path).name} beside the file tells how this grader was asked")
    prompts = {prompt.prompt_id: prompt for prompt in shown.prompts}
    if note.get("prompt_id") not in prompts:
        raise _Unknown(f"prompt {note.get('prompt_id')} is not here; name its file with --prompt_file")
    try:
        grader = _judge(judges[name])
        rounds = int(beside["max_rejudge"])
    except (KeyError, TypeError, ValueError):
        raise _Unknown(f"{manifest.path_for(shown.path).name} is of another form") from None
    system, prompt = templates.bundled("judge_system"), prompts[str(note["prompt_id"])]
    return Asking(grader, shown.task, system, prompt, ledger, Account(), max_rejudge=rounds)


def _judge(said: Mapping[str, Any]) -> Judge:
    """Return a grader as a manifest tells it; it can be asked nothing, only what it would be asked."""
    support = Support()
    support.learned.update(said["not_taken"])
    return Judge(
        name=said["name"],
        label=said["label"],
        client=ChatClient(NOWHERE, said["model"], support=support),
        server=said["server"],
        sampling=Sampling(**said["sampling"]),
        n=said["n"],
        reply_form=said["reply_form"],
        fields=said["fields"],
        support=support,
    )


def _request(asking: Asking, asked: Asked) -> Iterator[str]:
    body = asking.judge.support.fitted(asking.body(asked, range(asking.judge.n)))
    for message in body.pop("messages"):
        yield ""
        yield f"{message['role']}:"
        yield from _barred(message["content"])
    yield ""
    yield "with:"
    yield from _barred(json.dumps(body, ensure_ascii=False))


def _courses(shown: Shown, asking: Asking, asked: Asked) -> Iterator[str]:
    """Yield every reply in the ledger, those that were asked for again included."""
    courses = asking.courses(asked)
    for number, course in enumerate(courses, start=1):
        for step, (latest, reply) in enumerate(course):
            title = f"reply {number} of {len(courses)}"
            yield ""
            if step:
                title += f", asked for again ({step})"
                yield "user:"
                yield from _barred(latest.messages[-1]["content"])
            if reply is None:
                yield f"{title}: not received"
                continue
            how = {"served by": reply.model, "fingerprint": reply.fingerprint, "ended by": reply.finish_reason}
            yield printable(", ".join([title, *(f"{words} {value}" for words, value in how.items() if value)]) + ":")
            yield from _barred(reply.text)
            text = asking.text(reply)
            if text != reply.text:
                yield "read as:"
                yield from _barred(text)
            yield from _reading(shown, text)


def _reading(shown: Shown, text: object) -> Iterator[str]:
    """Yield how a reply is read in both profiles, and what is wrong with it."""
    if shown.task.data_type == "classify":
        fixed = reference = read_classify_reply(text)  # nothing is published that would read it otherwise
    elif shown.task.data_type == "open":
        verdicts, literal = read_open_reply(text), literal_list(text)
        fixed = None if verdicts is None else ", ".join("YES" if verdict else "NO" for verdict in verdicts)
        reference = None if literal is None else repr(literal)
    else:
        vote, stored = read_adjust_reply(text), stored_values(text)
        named = () if vote is None else zip(ADJUST_KEYS, (vote.after, vote.before, vote.content), strict=True)
        fixed = ", ".join(f"{key} {'YES' if verdict else 'NO'}" for key, verdict in named) or None
        reference = ", ".join(f"{key} {value!r}" for key, value in zip(ADJUST_KEYS, stored, strict=False)) or None
    complaint = shown.task.complaint(text, shown.fields)
    if complaint is not None:
        yield f"not taken: {complaint}"
    yield printable(f"profile fixed reads: {fixed or 'nothing'}; profile reference reads: {reference or 'nothing'}")


def _barred(text: object) -> Iterator[str]:
    """Yield a text's lines behind a bar, so that none passes for a line of ours."""
    if not isinstance(text, str):
        yield "(no text)"
        return
    for line in text.split("\n"):
        yield f"{BAR}{printable(line)}"
