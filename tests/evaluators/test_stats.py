"""The statistics beside scipy, statsmodels and nltk, and beside worked examples of their sources."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import stats
from evaluators.stats import Pairs

scipy_stats = pytest.importorskip("scipy.stats")

# Donner and Petryshen 1989, 29 psychiatrists: what only the patient, only the psychiatrist, and both said yes to.
PATIENT_ONLY = [0, 1, 1, 1, 0, 3, 3, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0]
PSYCHIATRIST_ONLY = [4, 2, 3, 2, 1, 3, 0, 2, 2, 4, 2, 4, 3, 2, 1, 3, 1, 2, 0, 0, 0, 2, 1, 2, 2, 0, 0, 1, 1]
BOTH = [1, 1, 3, 2, 2, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 1, 2, 1, 0, 2, 1, 0, 1, 0, 0, 0, 0, 1, 0]
PATIENTS = [7, 6, 7, 6, 4, 6, 5, 8, 4, 7, 3, 6, 7, 6, 5, 4, 6, 5, 4, 3, 5, 4, 4, 2, 3, 2, 2, 3, 1]
# Obuchowski 1998, 21 patients: glands that only PET, and only SPECT, called rightly.
PET_ONLY = [0] * 8 + [1] + [0] * 12
SPECT_ONLY = [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0]
# Krippendorff 2011, section C: twelve units, four observers, five names.
OBSERVED = [
    [1, 1, None, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [None, 5, 5, 5], [None, None, 1, 1], [None, None, 3, None],
]  # fmt: skip


def array(*values: float) -> stats.Array:
    """Return numbers as the functions take them."""
    return np.array(values, dtype=np.float64)


def counted(units: list[list[Any]], names: list[Any]) -> stats.Array:
    """Return how often each name was chosen, per unit."""
    return np.array([[unit.count(name) for name in names] for unit in units], dtype=np.float64)


# --- proportions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("met", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_limits(met: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857-872), table I, method 3."""
    assert stats.wilson(met / n, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(pair: tuple[int, int]) -> None:
    """For whole counts the interval is scipy's."""
    met, n = pair
    theirs = scipy_stats.binomtest(met, n).proportion_ci(method="wilson")
    assert stats.wilson(met / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_takes_effective_sizes() -> None:
    """For a sample size that is no whole number the interval is statsmodels'."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    assert stats.wilson(0.3, 87.4) == pytest.approx(proportion.proportion_confint(0.3 * 87.4, 87.4, method="wilson"))


def test_plain_proportions_get_wilson_and_clusters_the_bootstrap() -> None:
    """What a cluster holds decides on the method, and every method has a line for the footer."""
    generator = np.random.default_rng(1)
    plain = generator.integers(0, 2, 100).astype(float)
    assert stats.proportion(plain, np.ones(100)).method == stats.WILSON
    several = stats.proportion(generator.integers(0, 4, 100).astype(float), np.full(100, 3.0))
    assert several.method == stats.BOOTSTRAP
    assert several.n == 300
    halves = stats.proportion(generator.integers(0, 3, 100) / 2, np.ones(100))
    assert halves.method == stats.BOOTSTRAP
    for few in (stats.proportion(array(1, 2), array(2, 2)), stats.proportion(np.full(50, 3.0), np.full(50, 3.0))):
        assert few.method == stats.BY_CLUSTERS
    assert stats.proportion(np.full(50, 3.0), np.full(50, 3.0)).ci95 == pytest.approx(stats.wilson(1.0, 50))
    assert stats.proportion(array(), array()) == stats.proportion(array(0), array(0)) == stats.NOTHING
    methods = {stats.WILSON, stats.BOOTSTRAP, stats.BY_CLUSTERS, stats.DISCORDANT, stats.STRATIFIED, stats.ADDED}
    assert methods == set(stats.DETAILS)


@pytest.mark.parametrize(("clusters", "share", "seed"), [(40, 0.5, 1), (100, 0.15, 2), (450, 0.9, 3)])
def test_cluster_bootstrap_is_that_of_scipy(clusters: int, share: float, seed: int) -> None:
    """Drawing like clusters together gives the BCa interval that scipy gets by drawing them one by one."""
    generator = np.random.default_rng(seed)
    n = generator.integers(1, 4, clusters)
    met = generator.binomial(n, share)
    theirs = scipy_stats.bootstrap(
        (met, n),
        lambda met, n, axis: met.sum(axis) / n.sum(axis),
        paired=True,
        n_resamples=20_000,
        batch=1000,
        rng=np.random.default_rng(9),
    ).confidence_interval
    ours = stats.proportion(met.astype(float), n.astype(float)).ci95
    assert ours is not None
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


def test_intervals_are_the_same_every_time() -> None:
    """The bootstrap is seeded: the same clusters give the same interval, in whatever order they come."""
    generator = np.random.default_rng(4)
    n = generator.integers(1, 4, 120).astype(float)
    met = generator.binomial(n.astype(int), 0.4).astype(float)
    order = generator.permutation(120)
    assert stats.proportion(met, n) == stats.proportion(met, n) == stats.proportion(met[order], n[order])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=60))
def test_proportions_lie_inside_their_intervals(clusters: list[tuple[int, int]]) -> None:
    """Whatever the clusters are, there is an interval, it holds the value, and it stays between 0 and 1."""
    met, n = (np.array(column, dtype=np.float64) for column in zip(*clusters, strict=True))
    found = stats.proportion(met, n)
    assert found.value == pytest.approx(met.sum() / n.sum())
    assert found.ci95 is not None
    low, high = found.ci95
    assert 0 <= low <= found.value + 1e-9
    assert found.value - 1e-9 <= high <= 1


def test_effective_size() -> None:
    """Copies of a verdict are worth one; independent verdicts are worth (all but one of) their number."""
    generator = np.random.default_rng(5)
    plain = generator.integers(0, 2, 200).astype(float)
    assert stats.effective_size(plain, np.ones(200)) == pytest.approx(199)
    assert stats.effective_size(4 * plain, np.full(200, 4.0)) == pytest.approx(199)
    assert stats.effective_size(np.full(30, 2.0), np.full(30, 2.0)) == 30
    less_spread_than_chance = np.array([0.0, 2.0] + [1.0] * 98)
    assert stats.effective_size(less_spread_than_chance, np.full(100, 2.0)) == 200


# --- pairs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("broke", "mended"), [(0, 0), (3, 0), (5, 12), (40, 21)])
def test_mcnemar_is_that_of_statsmodels(broke: int, mended: int) -> None:
    """Single pairs get the exact test."""
    contingency_tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    first = np.array([1.0] * broke + [0.0] * (mended + 30))
    second = np.array([0.0] * broke + [1.0] * mended + [0.0] * 30)
    p, test = stats.mcnemar(first, second)
    theirs = contingency_tables.mcnemar([[10, broke], [mended, 20]], exact=True).pvalue
    assert (p, test) == (pytest.approx(min(theirs, 1.0)), stats.EXACT_MCNEMAR)


@pytest.mark.parametrize(
    ("first", "second", "statistic"), [(PATIENT_ONLY, PSYCHIATRIST_ONLY, 7.19), (PET_ONLY, SPECT_ONLY, 2.86)]
)
def test_clustered_mcnemar_gives_the_published_statistics(
    first: list[int], second: list[int], statistic: float
) -> None:
    """Obuchowski's statistic for both data sets, as Durkalski et al. 2003 (Statistics in Medicine 22) report it."""
    assert stats.obuchowski(array(*first), array(*second)) == pytest.approx(statistic, abs=0.005)


def test_clustered_mcnemar_becomes_exact_where_few_clusters_changed() -> None:
    """Many changed clusters are compared with the chi-square distribution, few by flipping all their signs."""
    p, test = stats.mcnemar(array(*PATIENT_ONLY), array(*PSYCHIATRIST_ONLY))
    assert test == stats.CLUSTERED_MCNEMAR
    assert p == pytest.approx(scipy_stats.chi2.sf(7.19, 1), rel=0.01)
    # Six patients changed, by 2, 1, 1, 2, 1 and -1: 10 of the 64 ways to give signs add up to 6 or more either way.
    assert stats.mcnemar(array(*PET_ONLY), array(*SPECT_ONLY)) == (pytest.approx(10 / 64), stats.SIGN_FLIPS)
    for broke, mended in ((4, 0), (7, 2), (1, 1), (1, 0)):
        single = np.array([1.0] * broke + [0.0] * (mended + 10)), np.array([0.0] * broke + [1.0] * mended + [0.0] * 10)
        exact, _ = stats.mcnemar(*single)
        doubled, test = stats.mcnemar(*(2 * column for column in single))
        assert (doubled, test) == (pytest.approx(exact), stats.SIGN_FLIPS)


def test_difference_of_the_published_pairs() -> None:
    """The psychiatrists' data: 0.370 against 0.156 of 135 pairs changed, and the interval leaves 0 out."""
    found = stats.difference(Pairs(array(*BOTH), array(*PATIENT_ONLY), array(*PSYCHIATRIST_ONLY), array(*PATIENTS)))
    assert found is not None
    assert (found.n, found.broke, found.mended) == (135, pytest.approx(21 / 135), pytest.approx(50 / 135))
    assert found.value == pytest.approx(29 / 135) == found.second - found.first
    assert found.first == pytest.approx(46 / 135)
    assert found.ci95[0] > 0
    assert found.method == stats.BOOTSTRAP


def test_few_changes_are_not_resampled() -> None:
    """Ten clusters of 250 that changed are too few to draw from; sixty, or ten of 30, are not."""
    for clusters, changed, method in (
        (250, 10, stats.DISCORDANT),
        (250, 60, stats.BOOTSTRAP),
        (30, 10, stats.BOOTSTRAP),
    ):
        way = np.array([1.0] * changed + [0.0] * (clusters - changed))
        broke, mended = (way * (np.arange(clusters) % 2 == side) for side in (0, 1))
        found = stats.difference(Pairs(np.zeros(clusters), broke, mended, np.ones(clusters)))
        assert found is not None
        assert found.method == method
        assert found.ci95[0] < found.value == 0 < found.ci95[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(4, 6)), min_size=1, max_size=50))
def test_differences_lie_inside_their_intervals_and_turn_round(rows: list[tuple[int, int, int]]) -> None:
    """Any pairs have a difference inside its interval, and exchanging the sides changes its sign only."""
    broke, mended, n = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    there, back = (stats.difference(Pairs(np.zeros(n.size), *sides, n)) for sides in ((broke, mended), (mended, broke)))
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(there.mended - there.broke)
    assert there.ci95[0] - 1e-9 <= there.value <= there.ci95[1] + 1e-9
    assert (back.value, back.p) == (pytest.approx(-there.value), pytest.approx(there.p))
    assert 0 <= there.p <= 1
    if there.method == stats.DISCORDANT:
        assert back.ci95 == pytest.approx((-there.ci95[1], -there.ci95[0]))


def test_pairs_that_never_change_still_have_an_interval() -> None:
    """No change in 250 pairs does not mean that none was possible: the interval is Wilson's for 0 of 250, both ways."""
    found = stats.difference(Pairs(np.ones(250), np.zeros(250), np.zeros(250), np.ones(250)))
    assert found is not None
    high = stats.wilson(0, 250)[1]
    assert found.ci95 == pytest.approx((-high, high))
    assert (found.p, found.detectable, found.method) == (1.0, None, stats.DISCORDANT)
    assert stats.difference(Pairs(array(), array(), array(), array())) is None


def test_detectable_difference_is_that_of_statsmodels() -> None:
    """The smallest difference found with 80 % probability, beside statsmodels' power of a test of one mean."""
    power = pytest.importorskip("statsmodels.stats.power")
    generator = np.random.default_rng(6)
    change = generator.choice([-1.0, 0.0, 1.0], 300, p=[0.1, 0.75, 0.15])
    found = stats.difference(Pairs(np.zeros(300), *((change == way).astype(float) for way in (-1, 1)), np.ones(300)))
    assert found is not None
    effect = power.NormalIndPower().solve_power(nobs1=300, alpha=0.05, power=0.8, ratio=0)
    assert found.detectable == pytest.approx(effect * np.std(change, ddof=1), rel=1e-4)


@pytest.mark.parametrize("p_values", [[0.03], [0.01, 0.04, 0.03, 0.005], [0.5, 0.9, 0.4], [0.02, 0.02, 0.0]])
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    """The adjusted p-values of one family."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert stats.holm(p_values) == pytest.approx(list(multitest.multipletests(p_values, method="holm")[1]))


# --- agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [(20, 5, 10, 15), (45, 15, 25, 15), (90, 0, 1, 9), (1, 8, 9, 2)])
def test_kappa_is_that_of_statsmodels(cells: tuple[int, int, int, int]) -> None:
    """Cohen's kappa, and an interval that resembles the asymptotic one where every question is its own cluster."""
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    theirs = inter_rater.cohens_kappa([list(cells[:2]), list(cells[2:])])
    rows = np.repeat(np.eye(4), cells, axis=0)
    found = stats.kappa(rows)
    assert found.value == pytest.approx(theirs.kappa)
    assert found.n == sum(cells)
    if min(cells) > 4 and found.ci95 is not None:
        assert found.ci95 == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=0.02)


def test_kappa_is_unknown_where_chance_explains_all() -> None:
    """Two raters who always say yes agree by chance, so there is nothing to measure."""
    assert stats.kappa(np.tile([1.0, 0, 0, 0], (30, 1))).value is None
    assert stats.kappa(np.zeros((0, 4))).value is None


def test_alpha_gives_the_published_value() -> None:
    """Krippendorff 2011, section C: 0.743 for names, with missing ratings; one unit has a single rating."""
    found = stats.alpha(counted(OBSERVED, [1, 2, 3, 4, 5]), range(12))
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.n == 11


@pytest.mark.parametrize(("seed", "raters", "names"), [(1, 4, 2), (2, 3, 2), (3, 5, 4)])
def test_alpha_is_that_of_nltk(seed: int, raters: int, names: int) -> None:
    """Random ratings, a fifth of them missing."""
    agreement = pytest.importorskip("nltk.metrics.agreement")
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, names, 60)
    table: list[list[int | None]] = [[None] * raters for _ in truth]
    for unit, rater in product(range(60), range(raters)):
        if generator.random() < 0.8:
            noise = generator.random() < 0.3
            table[unit][rater] = int(generator.integers(0, names)) if noise else int(truth[unit])
    triples = [
        (rater, unit, rating)
        for unit, row in enumerate(table)
        for rater, rating in enumerate(row)
        if rating is not None
    ]
    found = stats.alpha(counted(table, list(range(names))), range(60))
    assert found.value == pytest.approx(agreement.AnnotationTask(data=triples).alpha())
    assert found.ci95 is not None
    assert found.ci95[0] < found.value < found.ci95[1]


def test_alpha_is_unknown_where_nothing_could_differ() -> None:
    """One rating a unit, or the same rating everywhere, measures no agreement."""
    assert stats.alpha(np.tile([1.0, 0.0], (30, 1)), range(30)).value is None
    assert stats.alpha(np.tile([3.0, 0.0], (30, 1)), range(30)).value is None


def test_sums_keep_the_order_of_first_appearance() -> None:
    """Rows of one cluster are added up."""
    rows = np.array([[1.0, 1], [2, 1], [4, 1], [8, 1]])
    assert stats.summed(rows, ["b", "a", "b", None]).tolist() == [[5, 2], [2, 1], [8, 1]]


def test_normal_quantile() -> None:
    """The constant is the quantile that it stands for."""
    assert math.isclose(stats.normal_quantile(0.975), stats.Z)
