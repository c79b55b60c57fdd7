"""What a judged score would be without the judge's errors, from verdicts that people gave to some of the items.

Two situations, two methods. Labelled items are a random part of the benchmark file itself: prediction-powered
inference, which is right whatever the judge's errors are. Labelled items are another data set: Rogan and Gladen's
correction, which is right if the judge errs as often on the benchmark as it does there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evaluators.stats import NOTHING, Array, Estimate, Z, effective_size, proportion, summed, wilson

PREDICTION_POWERED = "prediction-powered (PPI++), Wilson by effective size"
ROGAN_GLADEN = "Rogan-Gladen, Lang-Reiczigel by effective sizes"


def prediction_powered(
    judged: Array, gold: Array, n: Array, labelled: npt.NDArray[np.bool_], clusters: Sequence[object]
) -> Estimate:
    """Return the share of what is met, from the gold verdicts of some items and the judge's of all.

    The labelled items' own share is moved by what the judge sees differently in the rest, as far as its verdicts go
    along with the gold ones (the weight lambda of PPI++, kept between 0 and 1). The variance is that of the linearised
    estimate, added up per cluster; the interval is Wilson's for the sample size which that variance is worth, because
    the normal interval of the source fails near 0 and 1 (bench/calibration_coverage.py).

    Args:
        judged: per item, what the judge called met.
        gold: per item, what the gold verdicts call met; any number where there is none.
        n: per item, the number of verdicts.
        labelled: which items have gold verdicts; a random choice, or the result means nothing.
        clusters: what item belongs to which cluster.

    Returns:
        n is the number of gold verdicts. With every item labelled this is the gold verdicts' own share.

    Source: Angelopoulos, Duchi and Zrnic 2023, PPI++ (arXiv 2311.01453), for a ratio of sums by linearisation.
    """
    rest = ~labelled
    count = float(n[labelled].sum())
    if not count:
        return NOTHING
    if not n[rest].sum():
        return proportion(*summed(np.column_stack([gold, n]), clusters).T)
    gold_share = float(gold[labelled].sum()) / count
    judged_there = float(judged[labelled].sum()) / count
    judged_rest = float(judged[rest].sum() / n[rest].sum())
    of_gold, of_judge = np.zeros(n.size), np.zeros(n.size)
    of_gold[labelled] = (gold - gold_share * n)[labelled] / count
    of_judge[labelled] = -(judged - judged_there * n)[labelled] / count
    of_judge[rest] = (judged - judged_rest * n)[rest] / float(n[rest].sum())
    of_gold, of_judge = summed(np.column_stack([of_gold, of_judge]), clusters).T
    power = float(of_judge @ of_judge)
    weight = min(max(-float(of_gold @ of_judge) / power, 0.0), 1.0) if power else 0.0
    value = min(max(gold_share + weight * (judged_rest - judged_there), 0.0), 1.0)
    items = int(labelled.sum())
    influence = of_gold + weight * of_judge
    variance = float(influence @ influence) * items / (items - 1) if items > 1 else 0.0
    size = value * (1 - value) / variance if variance > 0 and 0 < value < 1 else items
    return Estimate(value, wilson(value, size), round(count), PREDICTION_POWERED)


def rogan_gladen(judged: tuple[Array, Array], said_yes: tuple[Array, Array], said_no: tuple[Array, Array]) -> Estimate:
    """Return the benchmark's share, corrected by error rates that were measured on other data.

    The interval is Lang and Reiczigel's, with sample sizes that clusters are worth instead of counts of verdicts: the
    plain one covers too seldom where several questions are asked about one item (bench/calibration_coverage.py).

    Args:
        judged: of the benchmark, what the judge called met, and of how many, per cluster.
        said_yes: of the labelled data's gold YES, what the judge called YES, and of how many, per cluster.
        said_no: of its gold NO, what the judge called NO, and of how many, per cluster.

    Returns:
        n is the number of the benchmark's verdicts. No value where a rate is unknown, or where the judge tells YES from
        NO no better than chance.

    Source: Rogan and Gladen 1978, American Journal of Epidemiology 107:71-76; Lang and Reiczigel 2014, Preventive
    Veterinary Medicine 113:13-22; for judges: Lee et al. 2025 (arXiv 2511.21140).
    """
    if not all(n.sum() for _, n in (judged, said_yes, said_no)):
        return NOTHING
    seen, yes, no = (float(met.sum() / n.sum()) for met, n in (judged, said_yes, said_no))
    count = round(float(judged[1].sum()))
    interval = lang_reiczigel(
        (seen, effective_size(*judged)), (yes, effective_size(*said_yes)), (no, effective_size(*said_no))
    )
    if interval is None:
        return Estimate(None, None, count, None)
    value = min(max((seen + no - 1) / (yes + no - 1), 0.0), 1.0)
    return Estimate(value, interval, count, ROGAN_GLADEN)


def lang_reiczigel(
    seen: tuple[float, float], yes: tuple[float, float], no: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the interval of a share that an imperfect judge saw; None where it is no better than chance.

    Args:
        seen: share that the judge called YES, and the size of that sample.
        yes: share of the gold YES that it calls YES, and the size of that sample.
        no: share of the gold NO that it calls NO, and the size of that sample.

    Source: Lang and Reiczigel 2014, equations 6, 7, 16 and 17.
    """
    (seen_share, seen_size), (yes_share, yes_size), (no_share, no_size) = seen, yes, no
    # Rates are drawn towards one half first: a rate of 1 in a small sample is not known to be 1.
    seen_share = (seen_size * seen_share + Z * Z / 2) / (seen_size + Z * Z)
    yes_drawn, no_drawn = (yes_size * yes_share + 1) / (yes_size + 2), (no_size * no_share + 1) / (no_size + 2)
    gain = yes_drawn + no_drawn - 1
    if yes_share + no_share <= 1 or gain <= 0:
        return None
    yes_error, no_error = yes_drawn * (1 - yes_drawn) / (yes_size + 2), no_drawn * (1 - no_drawn) / (no_size + 2)
    share = (seen_share + no_drawn - 1) / gain
    centre = share + 2 * Z * Z * (share * yes_error - (1 - share) * no_error)
    variance = seen_share * (1 - seen_share) / (seen_size + Z * Z)
    half = Z * math.sqrt(variance + share**2 * yes_error + (1 - share) ** 2 * no_error) / gain
    return max(centre - half, 0.0), min(centre + half, 1.0)
