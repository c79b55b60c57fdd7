"""From a file of responses to its numbers.

A file is read twice: once to check it whole (nothing is counted, shown or written when a line is broken) and to learn
what the profile needs to know beforehand, once to count. Memory grows by some 150 bytes a line, not with the texts.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import jsonl
from data.dataset import identity_digest, item_of, with_identity
from data.errors import DataError
from data.manifest import without_folders
from data.records import Item, Mark, Score
from data.suites import FileKind, Suite, file_kind
from evaluators import answers, rules, votes
from evaluators.agreement import Agreement
from evaluators.classification.tiers import Choice
from evaluators.kept import KeptScores
from evaluators.outcomes import Outcome
from evaluators.stats import Estimate
from evaluators.tally import EVALUATORS, Evaluator, Tally


@dataclass(slots=True)
class FileResult:
    """The numbers of one file.

    Attributes:
        path: the file.
        suite: the subset that it was counted as.
        kind: what its name says; None for a name outside the hub's layout.
        profile: `reference` or `fixed`.
        tally: its running sums.
        own_responses: under `reference`, where prompts repeat: the sums with each item's own response; else None.
        touched: how many items that makes a difference for: those judged by another line's response.
        replaced: items graded twice, of which the later line counts.
        judges: graders behind the votes, as shown: name, label and prompt id.
        judged: whether the file holds what its evaluator needs; False only in a run that is not judged yet.
        cut_audio: seconds that the model was given -> items whose recording was longer.
        panel: of a file that a panel judged: each judge's own sums, by name; `tally` is the panel's vote then.
        agreement: Krippendorff's alpha among the judges of a panel or, of a single judge, among its replies; None where
            rules decide.
        outcomes: how each item came out by its own response; empty unless they were asked for.
        answered: items with a response.
        remarks: how many of these are empty, cut off, refusals, or in another language (evaluators.answers).
        groups: sums over the items that share a value of the field that was asked for, each by its own response.
        choices: what each item's answer chose (classify); empty elsewhere.
    """

    path: Path
    suite: Suite
    kind: FileKind | None
    profile: str
    tally: Tally
    own_responses: Tally | None = None
    touched: int = 0
    replaced: int = 0
    judges: set[str] = field(default_factory=set)
    judged: bool = True
    cut_audio: Counter[float] = field(default_factory=Counter)
    panel: dict[str, Tally] = field(default_factory=dict)
    agreement: Estimate | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    answered: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    groups: dict[str, Tally] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)


@dataclass(slots=True)
class _Foreknowledge:
    """What the first reading of a file learns.

    Attributes:
        lines: number of items.
        has_responses: whether any line has the field `response`.
        has_replies: whether any line has the field `pred_score`, or a panel's `pred_scores`.
        panel: names of a panel's judges, in the order in which they first appear.
        prompts: prompt digest -> (line number, offset) of the last line with that prompt (close, reference).
        repeated: prompt digests that stand on several lines.
        last: item digest -> number of its last line (open and adjust, fixed).
        replaced: lines that a later one replaces.
    """

    lines: int = 0
    has_responses: bool = False
    has_replies: bool = False
    panel: dict[str, None] = field(default_factory=dict)
    prompts: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    repeated: set[bytes] = field(default_factory=set)
    last: dict[bytes, int] = field(default_factory=dict)
    replaced: int = 0


def count_file(
    path: Path,
    suite: Suite,
    profile: str,
    *,
    detail: Callable[[dict[str, Any]], None] | None = None,
    advance: Callable[[], None] = lambda: None,
    unjudged_is_an_error: bool = True,
    keep_outcomes: bool = False,
    group_by: str | None = None,
    see: Callable[[Item, Score], None] | None = None,
    keep_verdicts: bool = False,
) -> FileResult:
    """Count one file of responses.

    Args:
        path: the file.
        suite: the subset whose evaluator counts it.
        profile: `reference` or `fixed`.
        detail: is handed one object an item, with every mark and its reason.
        advance: is called once an item.
        unjudged_is_an_error: refuse a file that no grader has seen; otherwise its result says so.
        keep_outcomes: keep how each item came out, for comparing files; some hundred bytes an item.
        group_by: a field of the lines (`voice`, `snr_db`): add items up by its values too.
        see: is handed each item that counts with its score, by its own response.
        keep_verdicts: take rules' verdicts that were kept for the same content, and keep new ones (evaluators.kept).

    Raises:
        DataError: the file or a line is not what the evaluator needs.
        UsageError: a rule needs NLTK's data, which is missing or not the pinned one.
    """
    evaluator = EVALUATORS[suite.evaluator]
    kind = file_kind(path)
    if kind is not None and kind.suite is not suite:
        raise DataError(
            f"by its name this is a file of {kind.suite.name} items; use --evaluator {kind.suite.evaluator}", path=path
        )
    known = _read_ahead(path, suite, evaluator, profile)
    result = FileResult(path, suite, kind, profile, Tally(evaluator), replaced=known.replaced)
    if suite.data_type is not None and not known.has_replies and not evaluator.by_rule:
        if unjudged_is_an_error:
            raise DataError(
                f"missing on every line; run python api_judge.py --data_type {suite.data_type} --src_file {path}",
                path=path,
                field="pred_score",
            )
        result.judged = False
    if known.repeated:
        result.own_responses = Tally(evaluator)
    result.panel = {name: Tally(evaluator) for name in known.panel}
    agreement = Agreement()
    kept = None
    if keep_verdicts and evaluator.judge is None:
        kept = KeptScores(path, evaluator.name, evaluator.score, profile)
    score = evaluator.score if kept is None else kept.score
    for item, line in _items(path, evaluator):
        advance()
        if known.last and known.last[identity_digest(item.id)] != line.number:
            continue
        instructions = item.fields["instruction_id_list"] if evaluator.name == "close" else None
        own = score(item.id, item.fields, profile)
        counted = own
        if _digest(item.prompt) in known.repeated:
            fields, is_own = _fields_by_prompt(item, line, known, path)
            if not is_own:
                result.touched += 1
                counted = score(item.id, fields, profile)
        cluster = cluster_of(item, line)
        # Items that the reference judges by one response stand or fall together, whatever their keys are.
        shared = ("prompt", _digest(item.prompt)) if _digest(item.prompt) in known.repeated else cluster
        result.tally.add(counted, instructions, cluster=shared)
        _note_cut(result, item.fields)
        if result.own_responses is not None:
            result.own_responses.add(own, instructions, cluster=cluster)
        if evaluator.judge is not None:
            result.judges.update(judges_of(item.fields))
            _count_judges(result, evaluator.judge, item, cluster, agreement)
        found = answers.remarks(item.fields, None if kind is None else kind.lang)
        result.answered += item.fields.get("response") is not None
        result.remarks.update(found)
        for group in () if group_by is None else _groups(item.fields.get(group_by)):
            result.groups.setdefault(group, Tally(evaluator)).add(own, instructions, cluster=cluster)
        if evaluator.choice is not None:
            result.choices.append(evaluator.choice(item, own))
        if keep_outcomes:
            result.outcomes.append(outcome_of(item, own))
        if see is not None:
            see(item, own)
        if detail is not None:
            detail(_detail(counted, item, evaluator, profile) | {"remarks": list(found)})
    if kept is not None:
        kept.keep()
    if evaluator.judge is not None and known.has_replies:
        result.agreement = agreement.alpha()
    return result


def _count_judges(result: FileResult, judge: votes.Judge, item: Item, cluster: object, agreement: Agreement) -> None:
    """Count what each judge of a panel says of an item, and how far its judges, or a single judge's replies, agree."""
    for name, tally in result.panel.items():
        score = tally.evaluator.score(item.id, votes.of_judge(item.fields, name), result.profile)
        tally.add(score, cluster=cluster)
    if result.panel:
        agreement.add_judges(
            cluster, [judge(votes.of_judge(item.fields, name), result.profile) for name in result.panel]
        )
    else:
        agreement.add_samples(cluster, judge(item.fields, result.profile))


def _groups(value: object) -> list[str]:
    """Return the groups that a field's value puts an item in: of a list all, of objects with a kind their kinds."""
    if isinstance(value, list):
        return sorted({group for part in value for group in _groups(part)}) or ["none"]
    if isinstance(value, dict) and "kind" in value:
        return _groups(value["kind"])
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return [str(value)]
    return ["none"] if value is None else [json.dumps(value, sort_keys=True)]


def outcome_of(item: Item, own: Score) -> Outcome:
    """Return how an item came out by its own response."""
    marks = {name: tuple(mark.met for mark in marks) for name, marks in own.marks.items()}
    kinds = tuple(map(str, item.fields.get("instruction_id_list", ())))
    return Outcome(item.id.key, item.id.audio, _digest(item.prompt), kinds, marks)


def cluster_of(item: Item, line: jsonl.Line) -> object:
    """Return what an item shares with the other renderings of its request: the key; itself where it has none."""
    return ("line", line.number) if item.id.key is None else item.id.key


def _read_ahead(path: Path, suite: Suite, evaluator: Evaluator, profile: str) -> _Foreknowledge:
    """Read a file whole.

    Raises:
        DataError: a line is broken, or the file is of another subset.
    """
    known = _Foreknowledge()
    for item, line in _items(path, evaluator):
        _check_line(item, line, path, suite, evaluator, profile)
        known.lines += 1
        known.has_responses |= "response" in item.fields
        known.has_replies |= "pred_score" in item.fields or "pred_scores" in item.fields
        known.panel.update(dict.fromkeys(votes.panel_of(item.fields) or ()))
        if evaluator.name == "close" and profile == "reference":
            digest = _digest(item.prompt)
            if digest in known.prompts:
                known.repeated.add(digest)
            known.prompts[digest] = (line.number, line.offset)
        elif evaluator.name != "close" and profile == "fixed":
            digest = (
                identity_digest(item.id)
                if item.id.key is not None or item.id.audio is not None
                else b"%d" % line.number
            )
            known.replaced += digest in known.last
            known.last[digest] = line.number
    if not known.has_responses:
        raise DataError("missing on every line; run python inference.py first", path=path, field="response")
    return known


def _items(path: Path, evaluator: Evaluator) -> Iterator[tuple[Item, jsonl.Line]]:
    """Yield a file's items; one that stands there twice is refused, unless a judge alone counts: it may grade twice."""
    if evaluator.judge is None or evaluator.by_rule:
        yield from with_identity(path, jsonl.read(path))
    else:
        for line in jsonl.read(path):
            yield item_of(line.fields, path, line.number), line


def _check_line(item: Item, line: jsonl.Line, path: Path, suite: Suite, evaluator: Evaluator, profile: str) -> None:
    """Refuse a line that the evaluator cannot count.

    Raises:
        DataError: a field is missing, of the wrong type or length, or the line is of another subset.
    """

    def refuse(field_name: str, problem: str) -> DataError:
        return DataError(problem, path=path, line=line.number, field=field_name)

    fields = item.fields
    if not isinstance(fields.get("response"), str | None):
        raise refuse("response", "must be text or null")
    if evaluator.name != "close":
        for foreign in ("instruction_id_list", *(("decomposed_questions",) if suite.name == "adjustment" else ())):
            if foreign in fields:
                raise refuse(foreign, f"is no field of {suite.name} items; is --evaluator {evaluator.name} right?")
        if not isinstance(fields.get("pred_scores", {}), dict):
            raise refuse("pred_scores", "must be an object with one list of replies a judge")
        if (unusable := evaluator.check(fields)) is not None:
            raise refuse(*unusable)
        return
    for needed in evaluator.needs:
        if needed not in fields and not (needed == "key" and item.id.key is not None):
            hint = "; is --evaluator close right?" if needed == "instruction_id_list" else ""
            raise refuse(needed, f"missing{hint}")
    if item.id.key is None:
        raise refuse("key", "must be an integer or text")
    instructions, kwargs = fields["instruction_id_list"], fields["kwargs"]
    if not isinstance(instructions, list):
        raise refuse("instruction_id_list", "must be a list of instruction ids")
    if not instructions and profile == "fixed":
        raise refuse("instruction_id_list", "empty; a closed item needs at least one instruction")
    for instruction in instructions:
        if not isinstance(instruction, str) or instruction not in rules.RULES:
            near = rules.closest(str(instruction))
            raise refuse(
                "instruction_id_list",
                f"unknown instruction id '{instruction}'" + (f"; did you mean '{near}'?" if near else ""),
            )
    if not isinstance(kwargs, list) or len(kwargs) != len(instructions):
        found = f"{len(kwargs)} entries" if isinstance(kwargs, list) else "no list"
        raise refuse("kwargs", f"must be a list of {len(instructions)} objects, one an instruction; it is {found}")
    for place, arguments in enumerate(kwargs):
        if not isinstance(arguments, dict):
            raise refuse("kwargs", f"entry {place + 1} must be an object")


def _fields_by_prompt(
    item: Item, line: jsonl.Line, known: _Foreknowledge, path: Path
) -> tuple[Mapping[str, Any], bool]:
    """Return the line with the response that the reference takes for it, and whether that is its own.

    The reference looks responses up by prompt text, so the last line with a prompt answers for all of them.
    """
    number, offset = known.prompts[_digest(item.prompt)]
    if number == line.number:
        return item.fields, True
    (raw,) = jsonl.raw_lines(path, [offset])
    response = jsonl.parse(raw, path, number).get("response")
    return {**item.fields, "response": response}, False


def _note_cut(result: FileResult, fields: Mapping[str, Any]) -> None:
    """Count what was cut of an item's recording, as inference wrote it onto the line."""
    used = fields.get("audio_seconds_used")
    if fields.get("audio_seconds_cut") and isinstance(used, int | float):
        result.cut_audio[used] += 1


def judges_of(fields: Mapping[str, Any]) -> list[str]:
    """Return how the graders of a line are shown, or nothing for a line that no grader saw."""
    panel = votes.panel_of(fields)
    if panel is None:
        return [_judge_shown(fields.get("judge"))] if "pred_score" in fields else []
    notes = fields.get("judges")
    shown = {
        without_folders(name): _judge_shown(notes.get(name) if isinstance(notes, dict) else None) for name in panel
    }
    return [text if text.startswith(name) else f"{name}: {text}" for name, text in shown.items()]


def _judge_shown(note: object) -> str:
    if not isinstance(note, dict):
        return "unknown judge"
    label = f" ({note['label']})" if note.get("label") else ""
    model = without_folders(str(note.get("model", "unknown judge")))
    return f"{model}{label}, prompt {note.get('prompt_id', 'unknown')}"


def _digest(prompt: str) -> bytes:
    return hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _detail(score: Score, item: Item, evaluator: Evaluator, profile: str) -> dict[str, Any]:
    """Return one line of `--details`: every mark of an item, what was expected and what was found."""
    line: dict[str, Any] = {
        "file": item.id.file,
        "key": item.id.key,
        "audio_path": item.id.audio,
        "evaluator": evaluator.name,
        "profile": profile,
        "unscored": score.unscored,
        "marks": {name: [_shown(mark) for mark in marks] for name, marks in score.marks.items()},
    }
    if evaluator.name == "close":
        line["instruction_id_list"] = item.fields["instruction_id_list"]
    else:
        line |= {"invalid_votes": score.invalid_votes, "ties": list(score.ties)}
    return line


def _shown(mark: Mark) -> dict[str, Any]:
    shown: dict[str, Any] = {"met": mark.met, "expected": mark.expected, "found": mark.found}
    if mark.flag is not None:
        shown["flag"] = mark.flag
    if mark.probability is not None:
        shown["probability"] = float(mark.probability)
    return shown
