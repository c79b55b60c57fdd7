"""What there is to run: one row a subset, and the names by which people call subsets and languages.

The file names are the hub's: `closed-ended/closed_<variant>_<lang>.jsonl`, `open-ended/open_ended_<lang>.jsonl`,
`adjustment/adjustment_<lang>.jsonl`; Chinese files end in `cn`, the language is called `zh` everywhere else. Sets built
with `python -m data build` have `open_ended_<variant>_<lang>.jsonl` too, and any language with a two-letter code. The
instances of Dynamic-SUPERB are folders of their own form (data/dynamic_superb/rows.py); answers to them go to
`classify_<instance>_en.jsonl`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from data.errors import UsageError


@dataclass(frozen=True, slots=True)
class Suite:
    """One subset of the benchmark.

    Attributes:
        name: the name used in our tables.
        folder: its folder in the hub's layout.
        file_stem: how its file names begin.
        file_pattern: regular expression of its file names with groups `lang` and, where it has any, `variant`.
        evaluator: the name that `evaluate.py --evaluator` takes.
        data_type: the name that `api_judge.py --data_type` takes; None where no grader is needed.
        metrics: its metrics, in the table's order.
        aliases: further names that users type.
        benchmark: the benchmark that it belongs to, by the name that `--dataset` takes.
    """

    name: str
    folder: str
    file_stem: str
    file_pattern: str
    evaluator: str
    data_type: str | None
    metrics: tuple[str, ...]
    aliases: tuple[str, ...]
    benchmark: str = "speechinstructbench"


SUITES = {
    "closed": Suite(
        name="closed",
        folder="closed-ended",
        file_stem="closed",
        file_pattern=r"closed_(?P<variant>[A-Za-z0-9_.-]+)_(?P<lang>[a-z]{2})\.jsonl",
        evaluator="close",
        data_type=None,
        metrics=(
            "strict-prompt",
            "strict-instruction",
            "loose-prompt",
            "loose-instruction",
            "mean-prompt",
            "mean-instruction",
        ),
        aliases=("close", "closed-ended", "closed_ended"),
    ),
    "open": Suite(
        name="open",
        folder="open-ended",
        file_stem="open_ended",
        file_pattern=r"open_ended_(?:(?P<variant>[A-Za-z0-9_.-]+)_)?(?P<lang>[a-z]{2})\.jsonl",
        evaluator="open",
        data_type="open",
        metrics=("prompt", "instruction"),
        aliases=("open_ended", "open-ended"),
    ),
    "adjustment": Suite(
        name="adjustment",
        folder="adjustment",
        file_stem="adjustment",
        file_pattern=r"adjustment_(?P<lang>[a-z]{2})\.jsonl",
        evaluator="adjust",
        data_type="adjust",
        metrics=("iar", "ecr"),
        aliases=("adjust",),
    ),
    "classification": Suite(
        name="classification",
        folder="dynamic-superb",
        file_stem="classify",
        file_pattern=r"classify_(?P<variant>[A-Za-z0-9_.-]+)_(?P<lang>[a-z]{2})\.jsonl",
        evaluator="classify",
        data_type="classify",
        metrics=("strict", "stripped", "option", "judge", "likelihood"),
        aliases=("classify", "dynamic-superb"),
        benchmark="dynamic-superb",
    ),
}

LANGUAGES = {"en": ("en",), "zh": ("zh", "cn")}

# Order of the closed variants in tables; others follow alphabetically.
VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file's name says about it.

    Attributes:
        suite: the subset.
        variant: the spoken variant; `standard` where the subset has no others.
        lang: two-letter code of ISO 639-1: `en`, `zh`, ...
    """

    suite: Suite
    variant: str
    lang: str

    def order(self) -> tuple[int, str, int, str]:
        """Return the sort key of tables: subset, language, variant."""
        place = VARIANTS.index(self.variant) if self.variant in VARIANTS else len(VARIANTS)
        return list(SUITES).index(self.suite.name), self.lang, place, self.variant


def suites_of(benchmark: str) -> tuple[Suite, ...]:
    """Return the subsets of a benchmark, by the name that `--dataset` takes."""
    return tuple(suite for suite in SUITES.values() if suite.benchmark == benchmark)


def file_kind(path: Path | str) -> FileKind | None:
    """Return what a file name says, or None for a name outside the hub's layout."""
    name = Path(path).name
    for suite in SUITES.values():
        match = re.fullmatch(suite.file_pattern, name)
        if match:
            groups = match.groupdict()
            return FileKind(suite, groups.get("variant") or "standard", language(groups["lang"]))
    return None


def suite_named(name: str) -> Suite:
    """Return the subset that a user means.

    Raises:
        UsageError: no subset goes by that name.
    """
    for suite in SUITES.values():
        if name.lower() in (suite.name, *suite.aliases):
            return suite
    known = ", ".join("|".join((suite.name, *suite.aliases)) for suite in SUITES.values())
    raise UsageError(f"unknown subset '{name}'; known: {known}")


def file_name(suite: Suite, variant: str, lang: str) -> str:
    """Return the name of a subset's file; the inverse of `file_kind`."""
    named = variant != "standard" or suite.name in ("closed", "classification")
    return f"{'_'.join([suite.file_stem, *((variant,) if named else ()), suffix(lang)])}.jsonl"


def suffix(lang: str) -> str:
    """Return what stands for a language in names of files and audio folders: `cn` for Chinese, as on the hub."""
    return LANGUAGES.get(lang, (lang,))[-1]


def language(name: str) -> str:
    """Return the two-letter code of a language for any of the names by which users call it.

    Raises:
        UsageError: that is no language's code.
    """
    for code, names in LANGUAGES.items():
        if name.lower() in names:
            return code
    if re.fullmatch("[a-z]{2}", name.lower()):
        return name.lower()
    raise UsageError(f"unknown language '{name}'; give a two-letter code such as en, zh or de")
