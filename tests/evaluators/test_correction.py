"""Scores with the judge's errors taken out: beside the authors' programs, and on judges whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators import correction, stats

Table = tuple[stats.Array, stats.Array]


def labelled_first(count: int, of: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return a mask of the first so many."""
    return np.arange(of) < count


@pytest.mark.parametrize(
    ("seen", "no", "yes", "interval"),
    [
        ((0.4, 1000), (0.7, 200), (0.9, 200), (0.05635072484160894, 0.2627330257859588)),
        ((0.8, 433), (0.95, 40), (0.85, 120), (0.8539853779381666, 1.0)),
        ((0.05, 250), (0.98, 134), (0.9, 89), (0.0, 0.07822719514421622)),
    ],
)
def test_lang_reiczigel_is_that_of_lee_et_al(
    seen: tuple[float, float], no: tuple[float, float], yes: tuple[float, float], interval: tuple[float, float]
) -> None:
    """The values are those of `confidence_interval` in the authors' program (LLM-judge-reporting, commit 082884d)."""
    assert correction.lang_reiczigel(seen, yes, no) == pytest.approx(interval, abs=1e-9)


def test_prediction_powered_is_that_of_ppi_py() -> None:
    """60 labelled and 200 other items beside ppi_py 0.2.3 (ppi_mean_pointestimate, ppi_mean_ci).

    The published weight pools the judge's variance over both parts, hence the small distance.
    """
    generator = np.random.default_rng(2)
    gold = generator.integers(0, 2, 60).astype(float)
    there = np.where(generator.random(60) < 0.8, gold, 1 - gold)
    rest = (generator.random(200) < 0.55).astype(float)
    found = correction.prediction_powered(
        np.concatenate([there, rest]),
        np.concatenate([gold, np.zeros(200)]),
        np.ones(260),
        labelled_first(60, 260),
        range(260),
    )
    assert found.value == pytest.approx(0.51222, abs=2e-4)
    assert found.ci95 == pytest.approx((0.40280, 0.62165), abs=3e-3)
    assert found.n == 60


def test_every_item_labelled_leaves_the_gold_score() -> None:
    """With nothing left to predict the result is the gold verdicts' own share and interval."""
    gold = np.array([1.0, 0.0] * 20)
    found = correction.prediction_powered(1 - gold, gold, np.ones(40), labelled_first(40, 40), range(40))
    assert found == stats.proportion(gold, np.ones(40))


def test_a_useless_judge_is_left_out() -> None:
    """Where the judge's verdicts do not go along with the gold ones, the labelled items' own share stands."""
    gold = np.array([1.0, 0.0, 1.0, 0.0] * 10)
    judged = np.concatenate([np.array([1.0, 1.0, 0.0, 0.0] * 10), np.ones(100)])
    found = correction.prediction_powered(
        judged, np.concatenate([gold, np.zeros(100)]), np.ones(140), labelled_first(40, 140), range(140)
    )
    assert found.value == pytest.approx(0.5)


@pytest.mark.parametrize("found", [
    correction.prediction_powered(np.ones(3), np.ones(3), np.ones(3), labelled_first(0, 3), range(3)),
    correction.rogan_gladen((np.ones(3), np.ones(3)), (np.ones(0), np.ones(0)), (np.ones(3), np.ones(3))),
    correction.rogan_gladen((np.ones(3), np.ones(3)), (np.zeros(3), np.ones(3)), (np.ones(3), np.ones(3))),
])  # fmt: skip
def test_what_cannot_be_told_has_no_value(found: stats.Estimate) -> None:
    """No labels, no gold YES, or a judge that tells nothing: no number is made up."""
    assert (found.value, found.ci95) == (None, None)


def judged_items(
    generator: np.random.Generator, items: int, share: float, false_yes: float, false_no: float
) -> tuple[stats.Array, stats.Array, stats.Array, stats.Array]:
    """Return per item: number of questions, gold YES, judged YES, and gold YES that are judged YES."""
    n = generator.integers(1, 8, items)
    gold = generator.binomial(n, generator.beta(share * 3, (1 - share) * 3, items))
    both = generator.binomial(gold, 1 - false_no)
    judged = both + generator.binomial(n - gold, false_yes)
    return n.astype(float), gold.astype(float), judged.astype(float), both.astype(float)


@pytest.mark.parametrize(("share", "false_yes", "false_no"), [(0.8, 0.25, 0.05), (0.4, 0.05, 0.3)])
def test_known_errors_are_taken_out(share: float, false_yes: float, false_no: float) -> None:
    """The corrected score of a judge with known error rates comes back to the truth, on average and in its interval."""
    generator = np.random.default_rng(8)
    powered, carried, covered = [], [], 0
    for _ in range(100):
        n, gold, judged, _ = judged_items(generator, 433, share, false_yes, false_no)
        found = correction.prediction_powered(judged, gold, n, labelled_first(100, 433), range(433))
        assert found.value is not None
        assert found.ci95 is not None
        powered.append(found.value)
        covered += found.ci95[0] <= share <= found.ci95[1]
        labels, label_gold, label_judged, both = judged_items(generator, 150, 0.6, false_yes, false_no)
        neither = labels - label_gold - (label_judged - both)
        other = correction.rogan_gladen((judged, n), (both, label_gold), (neither, labels - label_gold))
        assert other.value is not None
        assert other.ci95 is not None
        carried.append(other.value)
        covered += other.ci95[0] <= share <= other.ci95[1]
    raw = judged.sum() / n.sum()
    assert abs(raw - share) > 0.01
    assert np.mean(powered) == pytest.approx(share, abs=0.008)
    assert np.mean(carried) == pytest.approx(share, abs=0.012)
    assert covered >= 180  # of 200; bench/calibration_coverage.py measures it closely
