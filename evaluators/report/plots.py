"""Plots as SVG, drawn by matplotlib when a report is made; each has a table that says the same."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import jsonl
from data.errors import printable
from evaluators.decompose import PLACES, Decomposition
from evaluators.report import numbers, rows
from evaluators.report.heat import STEPS, Map, ink
from evaluators.report.rows import Table
from evaluators.robustness import VariantResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC = "mean-prompt"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's, for the colour-blind
INK = "#1b2330"  # becomes the page's own ink, light or dark
HATCHES = ("", "//", "..", "xx")


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        name: of its file.
        title: what it shows.
        svg: the picture.
        table: the same in numbers.
    """

    name: str
    title: str
    svg: str
    table: Table

    def inline(self) -> str:
        """Return the picture as it stands inside a page: in the page's ink, with ids of its own."""
        svg = self.svg[self.svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r'\bid="', f'id="{self.name}-', svg)
        return re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{self.name}-", svg)


def robustness(variants: Sequence[VariantResult]) -> list[Plot]:
    """Return one plot a language: what each variant changes, with its interval, run beside run."""
    compared = [variant for variant in variants if METRIC in variant.changes and variant.result.kind is not None]
    langs = dict.fromkeys(variant.result.kind.lang for variant in compared if variant.result.kind)
    return [
        _robustness(lang, [one for one in compared if one.result.kind and one.result.kind.lang == lang])
        for lang in langs
    ]


def _robustness(lang: str, variants: Sequence[VariantResult]) -> Plot:
    names = list(dict.fromkeys(_variant(one) for one in variants))
    folders = list(dict.fromkeys(one.result.path.parent for one in variants))
    models = rows.model_names(folders)
    figure, axes = _figure(7.5, 1.2 + len(names) * max(0.45, 0.18 * len(folders)))
    lines = []
    for one in variants:
        number = folders.index(one.result.path.parent)
        height = names.index(_variant(one)) + (number - (len(folders) - 1) / 2) * 0.7 / len(folders)
        change = one.changes[METRIC]
        (low, high), value = change.difference.ci95, change.difference.value
        colour = COLOURS[number % len(COLOURS)]
        axes.plot([100 * low, 100 * high], [height, height], color=colour, linewidth=2)
        axes.plot([100 * value], [height], "osD^v"[number % 5], color=colour, markersize=6)
        star = "*" if change.p_family < numbers.SIGNIFICANT else ""
        lines.append([models[one.result.path.parent], _variant(one), *numbers.change(change.difference, star)])
    axes.axvline(0, color=INK, linewidth=1, zorder=1)  # behind the numbers
    axes.set_yticks(range(len(names)), map(_plain, names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("change of P. Acc. from the standard rendering, percentage points, 95 % interval")
    if len(models) > 1:
        handles = [
            axes.plot([], [], "osD^v"[number % 5], color=COLOURS[number % len(COLOURS)], label=_plain(model))[0]
            for number, model in enumerate(models.values())
        ]
        axes.legend(handles=handles, frameon=False, labelcolor=INK, fontsize=9, bbox_to_anchor=(1, 1), loc="upper left")
    table = Table(["model", "variant", "change", "broke/mended"], lines, 2)
    return Plot(f"robustness-{lang}", f"What each variant changes, {lang}", _svg(figure), table)


def decomposition(found: Decomposition, name: str) -> Plot:
    """Return where failed requests were lost, one bar a file."""
    figure, axes = _figure(7.5, 1.4 + 0.45 * len(found.files))
    labels = [" ".join(name for name in rows.names_of(one.result) if name) for one in found.files]
    for number, place in enumerate(PLACES.values()):
        shares = [100 * (one.shares[place].value or 0.0) for one in found.files]
        before = [
            sum(100 * (one.shares[earlier].value or 0.0) for earlier in list(PLACES.values())[:number])
            for one in found.files
        ]
        axes.barh(
            range(len(labels)), shares, left=before, height=0.6, color=COLOURS[number], hatch=HATCHES[number],
            edgecolor="#ffffff", linewidth=0.5, label=place,
        )  # fmt: skip
    counts = [f"{label} ({one.failed})" for label, one in zip(labels, found.files, strict=True)]
    axes.set_yticks(range(len(labels)), map(_plain, counts))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of the failed items (in brackets: how many)")
    axes.legend(
        frameon=False, labelcolor=INK, fontsize=9, ncols=4, bbox_to_anchor=(0, 1), loc="lower left",
        handlelength=2.2, handleheight=1.2,
    )  # fmt: skip
    lines = [
        [label, f"{one.failed}/{one.scored}", *(numbers.percent_with_interval(one.shares[p]) for p in PLACES.values())]
        for label, one in zip(labels, found.files, strict=True)
    ]
    title = f"Hearing or obeying: where {found.model} loses requests"
    return Plot(name, title, _svg(figure), Table(["file", "failed", *PLACES.values()], lines, 1))


def heat_map(found: Map, name: str) -> Plot:
    """Return instruction kinds by variants, as the page shows them in a table."""
    from matplotlib.colors import ListedColormap

    figure, axes = _figure(2.8 + 0.9 * len(found.variants), 1 + 0.26 * len(found.rows))
    values = [[float("nan") if cell is None else cell.step for cell in cells] for _, cells in found.rows]
    axes.pcolormesh(values, cmap=ListedColormap(STEPS), vmin=-0.5, vmax=len(STEPS) - 0.5, edgecolors="#ffffff")
    for y, (_, cells) in enumerate(found.rows):
        for x, cell in enumerate(cells):
            if cell is not None:
                colour = ink(cell.step)
                axes.text(x + 0.5, y + 0.5, cell.percent, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks([x + 0.5 for x in range(len(found.variants))], map(_plain, found.variants), rotation=30, ha="right")
    axes.set_yticks([y + 0.5 for y in range(len(found.rows))], [kind for kind, _ in found.rows], fontsize=8)
    axes.invert_yaxis()
    lines = [[kind, *("" if cell is None else cell.percent for cell in cells)] for kind, cells in found.rows]
    return Plot(name, found.title, _svg(figure), Table(["instruction", *found.variants], lines, 1))


def save(plots: Sequence[Plot], folder: Path) -> None:
    """Write each plot as a file of its own.

    Raises:
        DataError: one cannot be written.
    """
    for plot in plots:
        jsonl.rewrite(folder / f"{plot.name}.svg", [plot.svg.encode("utf-8")])


def _variant(one: VariantResult) -> str:
    kind = one.result.kind
    return "" if kind is None else kind.variant


def _plain(text: str) -> str:
    """Return text that matplotlib does not take for a formula, nor for several lines."""
    return printable(text).replace("$", r"\$")


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    """Return an empty picture of so many inches; text stays text, and nothing in it changes from run to run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    return figure, axes


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    sheet = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif"}):
        figure.savefig(sheet, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    return sheet.getvalue()
