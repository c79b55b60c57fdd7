"""The statistics behind every interval and every test; each function names its method and its source.

Data come as sums per cluster. A cluster holds everything that one request (one key) gave: the instructions of an item,
several renderings of one text. Clusters are taken as independent of each other, what is inside one is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 5000
SEED = 20261120
FEW_CLUSTERS = 20
"""Below this many clusters resampling them says too little about their spread."""
FEW_CHANGES = 30
"""Below this many clusters that changed, among many, the resampled difference is too sure of itself."""

WILSON = "Wilson"
BY_CLUSTERS = "Wilson, a cluster counted once"
BOOTSTRAP = "cluster bootstrap"
DISCORDANT = "square-and-add of the two shares that changed"
STRATIFIED = "stratified bootstrap"
ADDED = "square-and-add of the instances' Wilson intervals"
DETAILS = {
    WILSON: "score interval of a plain proportion",
    BOOTSTRAP: f"clusters are the items of one key; BCa, {RESAMPLES} resamples, seed {SEED}",
    BY_CLUSTERS: f"fewer than {FEW_CLUSTERS} clusters, or none that differs from another",
    STRATIFIED: f"clusters drawn inside each instance; percentiles, {RESAMPLES} resamples, seed {SEED}",
    ADDED: f"an instance has fewer than {FEW_CLUSTERS} clusters, or none that differs from another",
    DISCORDANT: f"fewer than {FEW_CHANGES} clusters changed, or fewer than {FEW_CLUSTERS} are there",
}
"""What a footer adds to a method's name."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: the number; None where there is nothing to compute it from.
        ci95: the interval's ends; None where the data allow none.
        n: how many verdicts the number rests on.
        method: how the interval was made; None where there is none.
    """

    value: float | None
    ci95: tuple[float, float] | None
    n: int
    method: str | None


NOTHING = Estimate(None, None, 0, None)


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


Z = 1.959963984540054
"""`normal_quantile(0.975)`, written out so that a plain proportion needs no import."""


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Args:
        share: the proportion.
        n: its sample size; may be an effective one, which scipy's and statsmodels' own functions do not all take.

    Source: Wilson 1927, JASA 22:209-212; recommended by Brown, Cai and DasGupta 2001, Statistical Science 16:101-133.
    """
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(max(share * (1 - share), 0.0) / n + Z * Z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def proportion(met: Array, n: Array) -> Estimate:
    """Return the share of what was met, with its interval.

    Plain proportions (every cluster is one verdict) get Wilson's interval, others the cluster bootstrap of the ratio
    of sums. Few clusters, or clusters that do not differ, cannot be resampled: there Wilson's interval takes each
    cluster as one verdict, which is wide rather than wrong.

    Args:
        met: what was met, per cluster.
        n: of how many, per cluster; clusters of nothing are left out.
    """
    met, n = met[n > 0], n[n > 0]
    if not n.size:
        return NOTHING
    count, value = round(float(n.sum())), float(met.sum() / n.sum())
    if bool(np.all(n == 1)) and bool(np.all((met == 0) | (met == 1))):
        return Estimate(value, wilson(value, n.size), count, WILSON)
    interval = cluster_bootstrap(np.column_stack([met, n]), _ratio)
    if interval is None:
        return Estimate(value, wilson(value, n.size), count, BY_CLUSTERS)
    return Estimate(value, interval, count, BOOTSTRAP)


def _ratio(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def cluster_bootstrap(table: Array, statistic: Callable[[Array], Array]) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated (BCa) bootstrap interval, whole clusters being drawn.

    Clusters that are alike are drawn together, as one multinomial count: the same distribution as drawing them one by
    one, which is what scipy.stats.bootstrap does, in a quarter of its time (bench/interval_coverage.py), and its
    jackknife does not grow with the square of their number.

    Args:
        table: sums of each cluster, (clusters, sums).
        statistic: from total sums, (..., sums), to the number of interest, (...).

    Returns:
        The interval; None where there are fewer than FEW_CLUSTERS clusters, where the resamples are all alike, or where
        the statistic is undefined for some of them.

    Source: Efron 1987, JASA 82:171-185; clusters as units: Field and Welsh 2007, J. R. Statist. Soc. B 69:369-390.
    """
    from scipy.special import ndtr

    clusters = len(table)
    if clusters < FEW_CLUSTERS:
        return None
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    generator = np.random.default_rng(SEED)
    weights = generator.multinomial(clusters, counts / clusters, size=RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = statistic(weights @ kinds)
        total = table.sum(axis=0)
        value, left_out = statistic(total), statistic(total - kinds)
    if not np.all(np.isfinite(drawn)) or not np.all(np.isfinite(left_out)) or np.ptp(drawn) < 1e-12:
        return None
    below = float(np.mean(drawn < value - 1e-12) + np.mean(drawn <= value + 1e-12)) / 2
    if not 0 < below < 1:
        return None
    bias = normal_quantile(below)
    spread = np.average(left_out, weights=counts) - left_out
    cubes, squares = float(counts @ spread**3), float(counts @ spread**2)
    acceleration = cubes / (6 * squares**1.5) if squares else 0.0
    ends = bias + np.array([-Z, Z])
    levels = ndtr(bias + ends / (1 - acceleration * ends))
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def mean_proportion(strata: Sequence[tuple[Array, Array]]) -> Estimate:
    """Return the mean of the shares of several data sets, each counting alike, with its interval.

    Clusters are drawn inside each data set. Where one has few clusters, or none that differs from another, its
    resamples say nothing of its spread: there Wilson's intervals of all shares, a cluster counted once, are added by
    square-and-add.

    Args:
        strata: of each data set what was met, and of how many, per cluster; those of nothing are left out.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.2 (several samples); Zou and
    Donner 2008, Statistics in Medicine 27:1693-1702, for square-and-add.
    """
    tables = [table for met, n in strata if (table := np.column_stack([met, n])[n > 0]).size]
    if not tables:
        return NOTHING
    if len(tables) == 1:
        return proportion(*tables[0].T)
    shares = [float(_ratio(table.sum(axis=0))) for table in tables]
    value, count = sum(shares) / len(shares), round(sum(float(table[:, 1].sum()) for table in tables))
    if (
        interval := _mean_interval([resampled(table, _ratio, place) for place, table in enumerate(tables)])
    ) is not None:
        return Estimate(value, interval, count, STRATIFIED)
    ends = [wilson(share, len(table)) for share, table in zip(shares, tables, strict=True)]
    below, above = (
        math.sqrt(sum((share - end[side]) ** 2 for share, end in zip(shares, ends, strict=True))) / len(shares)
        for side in (0, 1)
    )
    return Estimate(value, (max(value - below, 0.0), min(value + above, 1.0)), count, ADDED)


def mean_kappa(kappas: Sequence[Estimate], draws: Sequence[Array | None]) -> Estimate:
    """Return the mean of Cohen's kappa over several data sets, with its interval where each can be resampled.

    Args:
        kappas: of each data set; those without a value are left out.
        draws: of each data set, from `resampled_kappa`.
    """
    found = [(one.value, one.n, drawn) for one, drawn in zip(kappas, draws, strict=True) if one.value is not None]
    if not found:
        return NOTHING
    if len(found) == 1:
        return next(one for one in kappas if one.value is not None)
    interval = _mean_interval([drawn for _, _, drawn in found])
    value = sum(value for value, _, _ in found) / len(found)
    return Estimate(value, interval, sum(n for _, n, _ in found), STRATIFIED if interval else None)


def resampled_kappa(table: Array, stratum: int) -> Array | None:
    """Return `resampled` of Cohen's kappa."""
    return resampled(table, _kappa_of_names, stratum)


def resampled(table: Array, statistic: Callable[[Array], Array], stratum: int) -> Array | None:
    """Return a statistic of RESAMPLES resamples of a data set's clusters; None where it cannot be resampled.

    Args:
        table: sums of each cluster, (clusters, sums).
        statistic: from total sums, (..., sums), to the number of interest, (...).
        stratum: the data set's number; each is drawn on its own.
    """
    if len(table) < FEW_CLUSTERS:
        return None
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    generator = np.random.default_rng([SEED, stratum])
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = statistic(generator.multinomial(len(table), counts / len(table), size=RESAMPLES) @ kinds)
    return drawn if np.all(np.isfinite(drawn)) and np.ptp(drawn) >= 1e-12 else None


def _mean_interval(draws: Sequence[Array | None]) -> tuple[float, float] | None:
    """Return the percentile interval of the mean over data sets; None where one has no draws."""
    there = [drawn for drawn in draws if drawn is not None]
    if len(there) < len(draws):
        return None
    low, high = np.quantile(np.mean(there, axis=0), [0.025, 0.975])
    return float(low), float(high)


def effective_size(met: Array, n: Array) -> float:
    """Return how many independent verdicts the clusters are worth: share times 1 - share, by the clustered variance.

    At most the number of verdicts; where the variance is 0 (all met, or none) the number of clusters.

    Source: Kish 1965, Survey Sampling (the design effect); Korn and Graubard 1998, Survey Methodology 24:193-201.
    """
    met, n = met[n > 0], n[n > 0]
    share = met.sum() / n.sum()
    variance = _clustered_variance(met - share * n) / n.sum() ** 2
    if variance <= 0 or n.size == 1:
        return float(n.size)
    return min(float(share * (1 - share) / variance), float(n.sum()))


def _clustered_variance(residuals: Array) -> float:
    """Return the variance of a sum of cluster residuals; infinite for a single cluster."""
    clusters = residuals.size
    return float(residuals @ residuals) * clusters / (clusters - 1) if clusters > 1 else math.inf


# --- two measurements of the same things ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of verdicts on the same things, added up per cluster.

    Attributes:
        kept: pairs of which both verdicts are met.
        broke: pairs whose first verdict is met and whose second is not.
        mended: pairs whose second verdict is met and whose first is not.
        n: all pairs.
    """

    kept: Array
    broke: Array
    mended: Array
    n: Array


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change did, from pairs.

    Attributes:
        first: share of the first verdicts that are met.
        second: share of the second verdicts that are met.
        value: second share minus first share.
        ci95: its 95 % interval.
        method: how that was made.
        broke: share of the pairs that were met before and are not any more.
        mended: share of the pairs that were not met before and are now.
        n: number of pairs.
        p: probability of a difference as large or larger, were there none.
        test: the test that p is of.
        detectable: the smallest true difference that pairs like these find with 80 % probability; None where no pair
            changed.
    """

    first: float
    second: float
    value: float
    ci95: tuple[float, float]
    method: str
    broke: float
    mended: float
    n: int
    p: float
    test: str
    detectable: float | None


def difference(pairs: Pairs) -> Difference | None:
    """Return the paired difference of two shares; None without pairs.

    Source of the interval: `cluster_bootstrap`; where few clusters changed (and fewer than one in five), the share that
    broke and the share that was mended get Wilson's interval by effective size (at most the number of clusters), and
    are subtracted by square-and-add: Newcombe 1998, Statistics in Medicine 17:2635-2650, and Zou and Donner 2008,
    Statistics in Medicine 27:1693-1702. That leaves out their correlation, which is next to nothing where both are
    small.
    """
    paired = pairs.n > 0
    broke, mended, n = pairs.broke[paired], pairs.mended[paired], pairs.n[paired]
    if not n.size:
        return None
    total = float(n.sum())
    both, lost, won = (float(column.sum()) / total for column in (pairs.kept, broke, mended))
    value = won - lost
    interval, method = None, BOOTSTRAP
    if (changed := np.count_nonzero(broke + mended)) >= FEW_CHANGES or 5 * changed >= n.size:
        interval = cluster_bootstrap(np.column_stack([mended - broke, n]), _ratio)
    if interval is None:
        (lost_low, lost_high), (won_low, won_high) = (
            wilson(share, min(effective_size(sums, n), n.size)) for share, sums in ((lost, broke), (won, mended))
        )
        interval = (
            value - math.hypot(won - won_low, lost_high - lost),
            value + math.hypot(won_high - won, lost - lost_low),
        )
        method = DISCORDANT
    p, test = mcnemar(broke, mended)
    error = math.sqrt(_clustered_variance(mended - broke - value * n)) / total
    detectable = (Z + normal_quantile(0.8)) * error if 0 < error < math.inf else None
    return Difference(both + lost, both + won, value, interval, method, lost, won, round(total), p, test, detectable)


EXACT_MCNEMAR = "exact McNemar"
SIGN_FLIPS = "all sign flips of clusters"
CLUSTERED_MCNEMAR = "McNemar for clusters"
MOST_FLIPS = 14
"""Up to this many clusters that changed, all 2^14 ways in which they could have are gone through."""


def mcnemar(broke: Array, mended: Array) -> tuple[float, str]:
    """Return the p-value of no difference, and the test's name.

    Where no cluster holds more than one changed pair, McNemar's test in its exact form. Otherwise Obuchowski's form for
    clusters; or, where few clusters changed and its chi-square is too generous, the exact test of flipping every
    cluster's sign, which is McNemar's again where clusters are single pairs.

    Args:
        broke: per cluster, pairs met first only.
        mended: per cluster, pairs met second only.

    Source: McNemar 1947, Psychometrika 12:153-157; Obuchowski 1998 (see `obuchowski`); Fisher 1935, The Design of
    Experiments, section 21, for sign flips.
    """
    from scipy.stats import binomtest, chi2, permutation_test

    changed = broke + mended
    if bool(np.all((changed == 0) | ((changed == 1) & ((broke == 0) | (mended == 0))))):
        count = round(float(changed.sum()))
        return (float(binomtest(round(float(broke.sum())), count).pvalue) if count else 1.0), EXACT_MCNEMAR
    change = (mended - broke)[mended != broke]
    if change.size > MOST_FLIPS:
        return float(chi2.sf(obuchowski(broke, mended), 1)), CLUSTERED_MCNEMAR
    if change.size < 2:
        return 1.0, SIGN_FLIPS
    flips = permutation_test((change,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True)
    return min(float(flips.pvalue), 1.0), SIGN_FLIPS


def obuchowski(broke: Array, mended: Array) -> float:
    """Return the chi-square statistic, of one degree of freedom, of clustered pairs.

    Source: Obuchowski 1998, Statistics in Medicine 17:1495-1507, as simplified by Yang, Sun and Hardin 2010,
    Biometrical Journal 52:638-652.
    """
    change = mended - broke
    squares = float(change @ change)
    return (change.size - 1) / change.size * float(change.sum()) ** 2 / squares if squares else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being one family.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


# --- agreement ------------------------------------------------------------------------------------------------------


def kappa(table: Array) -> Estimate:
    """Return Cohen's kappa of two raters' yes/no verdicts, with the cluster bootstrap's interval.

    Args:
        table: per cluster, how often both said yes, only the first, only the second, neither: (clusters, 4).

    Returns:
        No value where both raters always say the same one thing: agreement by chance is complete there.

    Source: Cohen 1960, Educational and Psychological Measurement 20:37-46.
    """
    return _agreement(table, _kappa, round(float(table.sum())))


def _kappa(sums: Array) -> Array:
    both, first, second, neither = np.moveaxis(sums, -1, 0)
    n = both + first + second + neither
    observed = (both + neither) / n
    expected = ((both + first) * (both + second) + (neither + first) * (neither + second)) / n**2
    return np.asarray((observed - expected) / (1 - expected))


def kappa_table(first: Sequence[object], second: Sequence[object], clusters: Sequence[object]) -> Array:
    """Return what `kappa_of_names` needs of two raters' names, per cluster: how often they agree, who chose what."""
    if not first:
        return np.zeros((0, 1))
    places = {name: place for place, name in enumerate(dict.fromkeys([*first, *second]))}
    ones = np.eye(len(places))
    chosen = [ones[[places[name] for name in names]] for names in (first, second)]
    agreed = [float(one == other) for one, other in zip(first, second, strict=True)]
    return summed(np.column_stack([agreed, *chosen]), clusters)


def kappa_of_names(table: Array) -> Estimate:
    """Return Cohen's kappa of two raters who chose among names, with the cluster bootstrap's interval.

    Args:
        table: from `kappa_table`.

    Returns:
        No value where both raters always chose the same one name: agreement by chance is complete there.

    Source: Cohen 1960, Educational and Psychological Measurement 20:37-46.
    """
    return _agreement(table, _kappa_of_names, round(float(table[:, 1:].sum() / 2)))


def _kappa_of_names(sums: Array) -> Array:
    names = (sums.shape[-1] - 1) // 2
    agreed, first, second = sums[..., 0], sums[..., 1 : 1 + names], sums[..., 1 + names :]
    n = first.sum(axis=-1)
    expected = (first * second).sum(axis=-1) / n**2
    return np.asarray((agreed / n - expected) / (1 - expected))


def alpha(units: Array, clusters: Sequence[object]) -> Estimate:
    """Return Krippendorff's alpha for names (nominal data), missing ratings allowed, with the bootstrap's interval.

    Args:
        units: per unit, how many raters chose each name: (units, names). A unit with one rating or none says nothing.
        clusters: what unit belongs to which cluster, along `units`.

    Returns:
        n is the number of units that count; no value where all ratings are alike.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability (section B and D).
    """
    ratings = units.sum(axis=1)
    kept = ratings > 1
    units, ratings = units[kept], ratings[kept]
    disagreement = (ratings**2 - (units**2).sum(axis=1)) / (ratings - 1)
    names = [name for name, keep in zip(clusters, kept, strict=True) if keep]
    return _agreement(summed(np.column_stack([disagreement, units]), names), _alpha, int(kept.sum()))


def _alpha(sums: Array) -> Array:
    observed, chosen = sums[..., 0], sums[..., 1:]
    n = chosen.sum(axis=-1)
    expected = (n**2 - (chosen**2).sum(axis=-1)) / (n - 1)
    return np.asarray(1 - observed / expected)


def _agreement(table: Array, statistic: Callable[[Array], Array], n: int) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(table.sum(axis=0))) if len(table) else math.nan
    if not math.isfinite(value):
        return Estimate(None, None, n, None)
    interval = cluster_bootstrap(table, statistic)
    return Estimate(value, interval, n, BOOTSTRAP if interval else None)


def summed(rows: Array, clusters: Sequence[object]) -> Array:
    """Return the sums of rows that share a cluster, in the order in which the clusters first appear."""
    places: dict[object, int] = {}
    of_row = [places.setdefault(cluster, len(places)) for cluster in clusters]
    table = np.zeros((len(places), rows.shape[1]))
    np.add.at(table, of_row, rows)
    return table
