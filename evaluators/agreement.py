"""How far replies about the same questions agree: among a judge's own samples, and among the judges of a panel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evaluators import stats
from evaluators.votes import Judgement


class Agreement:
    """Yes/no ratings, question by question, and Krippendorff's alpha over them.

    What a judge did not say is a missing rating, not a disagreement; under `reference` whatever is not YES is a NO.
    """

    def __init__(self) -> None:
        self._units: list[tuple[int, int]] = []
        self._clusters: list[object] = []

    def add_samples(self, cluster: object, judgement: Judgement) -> None:
        """Count one judge's replies about an item: each reply rates each question."""
        self._add(cluster, ((outcome.yes, outcome.votes - outcome.yes) for outcome in judgement.outcomes))

    def add_judges(self, cluster: object, judgements: Iterable[Judgement]) -> None:
        """Count a panel's verdicts about an item: each judge rates each question once."""
        ratings: list[tuple[int, int]] = []
        for judgement in judgements:
            for place, outcome in enumerate(judgement.outcomes):
                if place == len(ratings):
                    ratings.append((0, 0))
                yes, no = ratings[place]
                ratings[place] = (yes + outcome.met, no + (not outcome.met))
        self._add(cluster, ratings)

    def alpha(self) -> stats.Estimate:
        """Return Krippendorff's alpha; no value where nobody rated anything twice, or all ratings are alike."""
        return stats.alpha(np.array(self._units, dtype=np.float64).reshape(-1, 2), self._clusters)

    def _add(self, cluster: object, ratings: Iterable[tuple[int, int]]) -> None:
        for pair in ratings:
            self._units.append(pair)
            self._clusters.append(cluster)
