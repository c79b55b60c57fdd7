"""What spoken variants cost, as rows and notes."""

from __future__ import annotations

from collections.abc import Sequence

from evaluators.report import numbers
from evaluators.report.rows import Table, names_of, spoken
from evaluators.robustness import VariantResult

LEVELS = {"P.": "mean-prompt", "I.": "mean-instruction"}


def result_table(variants: Sequence[VariantResult]) -> Table:
    """Return one row a variant: how far it is from the standard rendering, and what broke and was mended."""
    lines = []
    for variant in _spoken(variants):
        line = [*names_of(variant.result)[1:], f"{variant.joined} ({100 * variant.coverage:.0f} %)"]
        for metric in LEVELS.values():
            found = variant.changes.get(metric)
            star = "*" if found is not None and found.p_family < numbers.SIGNIFICANT else " "
            line += ["–", "–"] if found is None else numbers.change(found.difference, star)
        lines.append(line)
    heads = [f"{level} {head}" for level in LEVELS for head in ("change", "broke/mended")]
    return Table(["variant", "lang", "joined", *heads], lines, 2)


def _spoken(variants: Sequence[VariantResult]) -> list[VariantResult]:
    """Return the spoken variants; reworded instances of Dynamic-SUPERB have a table of their own."""
    return [variant for variant in variants if spoken([variant.result])]


def instruction_table(variants: Sequence[VariantResult]) -> Table:
    """Return one row an instruction kind of each variant; exploratory, so nothing is starred."""
    lines = [
        [*names_of(variant.result)[1:], kind, str(difference.n), *numbers.change(difference, "")]
        for variant in variants
        for kind, difference in variant.kinds.items()
    ]
    return Table(["variant", "lang", "instruction", "n", "change", "broke/mended"], lines, 3)


def notes(variants: Sequence[VariantResult]) -> list[str]:
    """Return what a reader has to know to read the rows of the variants."""
    variants = _spoken(variants)
    differences = [change.difference for variant in variants for change in variant.changes.values()]
    found = []
    if differences:
        found.append(
            "Variants beside the standard rendering of the same requests, each item by its own response: change in "
            "percentage points; broke: met there, not here; mended: the reverse. "
            f"{numbers.significance_note(differences, 'variants of a language')}"
        )
    found += [
        f"{variant.result.path.name}: joined by {variant.by}, {variant.joined} of {variant.items} items "
        f"({100 * variant.coverage:.0f} % of both files) meet the same request there, too few to compare"
        f"{'; --join prompt joins by text' if variant.by == 'key' else ''}."
        for variant in variants
        if variant.refused
    ]
    unscored = sum(variant.unscored for variant in variants)
    if unscored:
        found.append(f"{unscored} items of the variants are in no pair, since one side is unscored.")
    return found
