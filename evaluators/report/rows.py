"""The rows of the table and the notes under it, before they take a form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.manifest import read as read_manifest
from data.manifest import without_folders
from data.records import Cell
from evaluators.answers import EMPTY, OTHER_LANGUAGE, REFUSAL, TRUNCATED
from evaluators.classification import tiers
from evaluators.count import FileResult
from evaluators.report.numbers import bounds, methods_note, one_line, percent_with_interval
from evaluators.tally import Ratio, Tally

# Header -> the metrics that may stand under it; the published table's headline numbers come first.
COLUMNS = {
    "P. Acc.": ("mean-prompt", "prompt"),
    "I. Acc.": ("mean-instruction", "instruction"),
    "IAR ↑": ("iar",),
    "ECR ↓": ("ecr",),
    "strict P.": ("strict-prompt",),
    "strict I.": ("strict-instruction",),
    "loose P.": ("loose-prompt",),
    "loose I.": ("loose-instruction",),
    **{tier: (tier,) for tier in tiers.METRICS},
}

HEADLINES = ("P. Acc.", "I. Acc.", "IAR ↑", "ECR ↓", *tiers.METRICS)


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns.

    Attributes:
        headers: column heads.
        rows: one list of texts a row, as long as `headers`.
        text_columns: how many columns, from the left, hold names; the others hold numbers.
    """

    headers: list[str]
    rows: list[list[str]]
    text_columns: int


def result_table(results: Sequence[FileResult]) -> Table:
    """Return one row a file, below it the reference's second row where its lookup by prompt text matters, or the panel.

    Values are percent, with their 95 % interval on a second line and, where something is undecided, bounds on a third.
    """
    lines: list[tuple[list[str], dict[str, Cell]]] = []
    for result in spoken(results):
        cells = result.tally.cells() if result.judged else {}
        counts = [str(result.tally.n_items), str(result.tally.n_scored) if result.judged else "not judged"]
        lines.append(([*_marked(result), *counts], cells))
        if result.own_responses is not None:
            own = result.own_responses
            names = ["", f"  own responses ({result.touched} touched)", ""]
            lines.append(([*names, str(own.n_items), str(own.n_scored)], own.cells()))
        for judge, tally in panel(result).items():
            lines.append((["", f"  {judge}", "", str(tally.n_items), str(tally.n_scored)], tally.cells()))
    used = [
        header
        for header, metrics in COLUMNS.items()
        if any(metric in cells for metric in metrics for _, cells in lines)
    ]
    rows = [
        [*names, *(_shown(next((cells[m] for m in COLUMNS[header] if m in cells), None)) for header in used)]
        for names, cells in lines
    ]
    return Table(["subset", "variant", "lang", "items", "scored", *used], rows, 3)


def spoken(results: Iterable[FileResult]) -> list[FileResult]:
    """Return the files of spoken requests; instances of Dynamic-SUPERB have rows of their own."""
    return [result for result in results if result.suite.evaluator != "classify"]


def panel(result: FileResult) -> dict[str, Tally]:
    """Return the sums of a panel's judges by the names they are shown under, numbered where folders told them apart."""
    names = [without_folders(judge) for judge in result.panel]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return dict(zip(names, result.panel.values(), strict=True))


KINDS = ("instruction", "family")


def kinds(tally: Tally, by: str) -> list[tuple[str, tuple[Ratio, Ratio]]]:
    """Return the strict and loose sums of each instruction kind, or family of kinds, in their order."""
    return sorted((tally.by_instruction if by == "instruction" else tally.by_family).items())


def instruction_table(results: Sequence[FileResult], by: str) -> Table:
    """Return one row an instruction kind, or family, of each closed file, strict and loose."""
    lines = [
        [*_marked(result), kind, str(strict.n), _ratio(strict), _ratio(loose)]
        for result in results
        for kind, (strict, loose) in kinds(result.tally, by)
    ]
    return Table(["subset", "variant", "lang", by, "n", "strict", "loose"], lines, 4)


def groups(result: FileResult) -> list[tuple[str, Tally]]:
    """Return the sums by a field's values, numbers in their own order."""

    def place(pair: tuple[str, Tally]) -> tuple[bool, float, str]:
        try:
            return False, float(pair[0]), ""
        except ValueError:
            return True, 0.0, pair[0]

    return sorted(result.groups.items(), key=place)


def group_table(results: Sequence[FileResult], by: str) -> Table:
    """Return one row a value of a field of each file that has it, each item by its own response."""
    lines = []
    for result in results:
        if set(result.groups) == {"none"}:
            continue
        for group, tally in groups(result):
            cells = tally.cells()
            shown = {metric: cell for metric, cell in cells.items() if metric not in tiers.METRICS or cell.n}
            heads = [next((shown[metric] for metric in COLUMNS[head] if metric in shown), None) for head in HEADLINES]
            lines.append([*_marked(result), group, str(tally.n_items), str(tally.n_scored), *map(_shown, heads)])
    used = [place for place in range(len(HEADLINES)) if any(line[6 + place] for line in lines)]
    lines = [[*line[:6], *(line[6 + place] for place in used)] for line in lines]
    return Table(["subset", "variant", "lang", by, "items", "scored", *(HEADLINES[place] for place in used)], lines, 4)


def title(results: Sequence[FileResult], beside: Sequence[FileResult] = ()) -> str:
    """Return whose numbers these are, with the remark that belongs beside the model's name.

    Args:
        results: the files.
        beside: those of all runs that are shown, if these are one run's: another run of the same model is told apart.
    """
    among = model_names(dict.fromkeys(result.path.parent for result in beside))
    names = sorted({among.get(result.path.parent) or model_name(result) for result in results})
    return f"{', '.join(names)} · profile {results[0].profile}"


def model_name(result: FileResult) -> str:
    """Return the name of the model behind a file, with its remark; `unknown model` where no run.json tells."""
    return model_of(result.path.parent)


def model_of(folder: Path) -> str:
    """Return the name of the model of a run's folder, with its remark."""
    return _model_name(manifest_of(folder))


def items_of_data_set(result: FileResult) -> int | None:
    """Return how many items the data set has in a file; None where run.json does not tell."""
    data = manifest_of(result.path.parent).get("data", {})
    items = data.get("items") if isinstance(data, dict) else None
    count = items.get(result.path.name) if isinstance(items, dict) else None
    return count if isinstance(count, int) else None


def part_of(result: FileResult) -> str | None:
    """Return, in words, which part of the data set's items a file holds; None for all, and where that is not known."""
    items, there = items_of_data_set(result), result.tally.n_items
    return None if items is None or there >= items else f"{there} of {items} items"


def run_names(folders: Iterable[Path]) -> dict[Path, str]:
    """Return what runs are called: their folders' names, with the folder above where several are called alike."""
    whole = {folder: folder.resolve() for folder in folders}
    alike = Counter(path.name for path in set(whole.values()))
    return {folder: path.name if alike[path.name] == 1 else "/".join(path.parts[-2:]) for folder, path in whole.items()}


def model_names(folders: Iterable[Path]) -> dict[Path, str]:
    """Return the models' names by folder, each with its run's where several runs are of one model."""
    models = {folder: model_of(folder) for folder in folders}
    alike, runs = Counter(models.values()), run_names(models)
    return {folder: model if alike[model] == 1 else f"{model}, run {runs[folder]}" for folder, model in models.items()}


def notes(results: Sequence[FileResult]) -> list[str]:
    """Return what a reader has to know to read the numbers, one note a line."""
    found = []
    if spoken(results):
        found.append(
            "Percent. P.: items with every requirement met; I.: single requirements. Closed P. and I. are means of "
            "strict and loose."
        )
    found += _run_notes(results)
    parts: dict[str, list[str]] = {}
    for result in results:
        if part := part_of(result):
            parts.setdefault(part, []).append(result.path.name)
    for part, names in parts.items():
        found.append(f"A part of the data set only: {part} of {', '.join(names)}.")
    for suite in dict.fromkeys(result.suite.name for result in results):
        judges = sorted({judge for result in results if result.suite.name == suite for judge in result.judges})
        if judges:
            found.append(f"{suite}: judged by {'; '.join(judges)}.")
    for result in results:
        if result.panel:
            tie = "goes to the first judge" if result.profile == "reference" else "is NO"
            found.append(
                f"{result.path.name}: the vote of a panel of {len(result.panel)}, one ballot a judge, a tie {tie}; the "
                "rows below are its judges alone."
            )
        if result.agreement is not None and (result.agreement.value is not None or spoken([result])):
            who = "its judges" if result.panel else "the judge's replies to one question"
            found.append(f"{result.path.name}: Krippendorff's alpha among {who} {one_line(result.agreement)}.")
    if any(result.own_responses for result in results):
        found.append(
            "Own responses: the reference profile judges items that share a prompt by the last one's response; the "
            "second row judges each by its own."
        )
    unscored = sum((result.tally.unscored for result in results if result.judged), Counter[str]())
    if unscored:
        reasons = ", ".join(f"{count} {reason}" for reason, count in unscored.most_common())
        found.append(f"Unscored items ({reasons}) are in no value; [low–high] is what they could make of it.")
    found += _cut_notes(results)
    remarked = sum((result.remarks for result in results), Counter[str]())
    if remarked:
        counts = ", ".join(
            f"{remarked[remark]} {meaning}" for remark, meaning in REMARK_MEANINGS.items() if remarked[remark]
        )
        found.append(f"Of {sum(result.answered for result in results)} answers: {counts}.")
    flags = sum((result.tally.flags for result in results), Counter[str]())
    for flag, meaning in FLAG_MEANINGS.items():
        if flags[flag]:
            found.append(f"{flags[flag]} {meaning}")
    invalid_votes = sum(result.tally.invalid_votes for result in results)
    if invalid_votes:
        found.append(f"{invalid_votes} judge replies could not be read as votes.")
    replaced = sum(result.replaced for result in results)
    if replaced:
        found.append(f"{replaced} lines are gradings of an item that a later line grades again; the later one counts.")
    tallies = [
        tally
        for result in results
        if result.judged
        for tally in (result.tally, result.own_responses, *result.panel.values())
        if tally is not None
    ]
    if tallies:
        found.append(methods_note(cell for tally in tallies for cell in tally.cells().values()))
    if not all(result.judged for result in results):
        found.append("Not judged: run python api_judge.py on the file first.")
    return found


REMARK_MEANINGS = {
    EMPTY: "empty",
    TRUNCATED: "cut off at max_tokens (‡)",
    REFUSAL: "open like a refusal",
    OTHER_LANGUAGE: "in the script of another language than the request's",
}

FLAG_MEANINGS = {
    "random": "verdicts rest on a number that the reference draws at random; the likelier outcome stands.",
    "error": "verdicts are false because the reference raises there.",
    "invalid": "verdicts are false because the arguments cannot be used; the upper bound counts them true.",
    "tie": "verdicts rest on tied votes.",
}


CUT_AUDIO, CUT_ANSWERS = "†", "‡"  # marks at a row's name


def _cut_notes(results: Sequence[FileResult]) -> list[str]:
    """Return what the mark for cut recordings means, counted over the rows that bear it."""
    audio = [result for result in results if result.cut_audio]
    if not audio:
        return []
    cut = sum((result.cut_audio for result in audio), Counter[float]())
    at = " to ".join(dict.fromkeys((f"{min(cut):g}", f"{max(cut):g}")))
    items = sum(result.tally.n_items for result in audio)
    return [f"{CUT_AUDIO} {cut.total()} of {items} recordings were cut at {at} s, the model's limit."]


def names_of(result: FileResult) -> list[str]:
    """Return a file's subset, variant and language; its name where that does not tell them."""
    kind = result.kind
    return [result.path.name, "", ""] if kind is None else [result.suite.name, kind.variant, kind.lang]


def _marked(result: FileResult) -> list[str]:
    """Return a file's names, marked where recordings or answers were cut."""
    subset, *others = names_of(result)
    marks = CUT_AUDIO * bool(result.cut_audio) + CUT_ANSWERS * bool(result.remarks[TRUNCATED])
    return [f"{subset} {marks}".rstrip(), *others]


def _shown(cell: Cell | None) -> str:
    return "" if cell is None else percent_with_interval(cell) + bounds(cell.bounds)


def _ratio(ratio: Ratio) -> str:
    return percent_with_interval(ratio.estimate()) + bounds(ratio.bounds)


def _run_notes(results: Iterable[FileResult]) -> list[str]:
    """Return sampling and system line of the runs that the files belong to: they move scores."""
    found = []
    for folder in dict.fromkeys(result.path.parent for result in results):
        run = manifest_of(folder)
        if run:
            sampling = ", ".join(f"{name} {value}" for name, value in run["sampling"].items())
            system = run.get("system_prompt_id") or "none"
            unfinished = "" if run.get("status") == "complete" else f"; the run is {run.get('status')}"
            found.append(f"{_model_name(run)}: {sampling}; system line {system}{unfinished}.")
    return found


def _model_name(manifest: dict[str, Any]) -> str:
    model = manifest.get("model", {})
    label = f" ({model['label']})" if model.get("label") else ""
    return f"{without_folders(str(model.get('name', 'unknown model')))}{label}"


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the run.json of a folder; nothing where there is none or it is broken: that costs a name, no number."""
    try:
        fields = read_manifest(folder)
    except DataError:
        return {}
    return fields if {"model", "sampling"} <= fields.keys() else {}
