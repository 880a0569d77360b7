"""What the runs of a study answered on one set of test images, read once for all that is told of them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.core.coco import FIGURES as COCO
from florilegium.core.metrics import Scored
from florilegium.report.average_precision import error_covariance, resampled
from florilegium.report.intervals import own_variance
from florilegium.report.measures import value
from florilegium.report.runs import Run
from florilegium.report.scatter import Scatter, scatter_of
from florilegium.report.spread import one_image
from florilegium.report.statistics import Hits
from florilegium.report.study import Key

DRAWS = 1000
Floats = NDArray[np.float64]


def answers_of(run: Run) -> tuple[str, Any]:
    """A digest of a run's test images, and what it answered: hits (N,), `Matches`, or None of a generator."""
    if run.task == "classification":
        return run.hits()
    if run.task == "detection":
        matches = run.matches()
        return matches.images, matches
    return "", None


class TestSet:
    """The finished runs of all arms that were tested on the same images, arms without one left out.

    Attributes:
        task: of all of them.
        runs: by arm.
        answers: what each run answered (see `answers_of`), in the order of `runs`.
    """

    __test__ = False  # pytest takes every class of such a name for its own

    def __init__(self, task: Scored) -> None:
        self.task = task
        self.runs: dict[Key, list[Run]] = {}
        self.answers: dict[Key, list[Any]] = {}
        self._scatters: dict[str, Scatter | None] = {}

    @cached_property
    def n_images(self) -> int:
        return int(next(iter(self.runs.values()))[0].metrics.get("n_test", 0))

    @cached_property
    def hits(self) -> dict[Key, Hits]:
        """Of classifiers: whether each image is right in each run of an arm, (S, N)."""
        return {key: np.stack(answers) for key, answers in self.answers.items()}

    def values(self, metric: str, key: Key) -> Floats:
        """A metric of each run of an arm, (S,); NaN where a run has none."""
        return np.array([value(run, metric) for run in self.runs[key]])

    def draws(self, metric: str, key: Key) -> Floats:
        """Of detectors: a figure of COCO of each run of an arm on resampled images, (draws, S)."""
        return np.asarray(self._draws[key][:, :, COCO.index(metric)])

    @cached_property
    def _draws(self) -> dict[Key, Floats]:
        every = [matches for answers in self.answers.values() for matches in answers]
        ends = np.cumsum([len(runs) for runs in self.runs.values()])
        of_arms = np.split(resampled(every, COCO, draws=DRAWS), ends[:-1], axis=1)
        return dict(zip(self.runs, of_arms, strict=True))

    def own_variance(self, metric: str, key: Key) -> float:
        """The least variance of a metric between seeds: what the choice of images gives each alone, as far as known."""
        least = one_image(self.n_images)
        if metric == "top1" and len(self.runs[key]) > 1:
            return max(least, own_variance(self.hits[key]))
        if metric in COCO:
            variance, covariance = error_covariance(self.draws(metric, key))
            return max(least, variance - max(covariance, 0.0))
        return least

    def scatter(self, metric: str) -> Scatter | None:
        """What all arms together know of the scatter of a metric between seeds."""
        if metric not in self._scatters:
            known = {key: self.values(metric, key) for key, runs in self.runs.items() if len(runs) > 1}
            self._scatters[metric] = scatter_of(
                [
                    (max(float(np.var(values, ddof=1)), self.own_variance(metric, key)), len(values))
                    for key, values in known.items()
                    if not np.isnan(values).any()
                ]
            )
        return self._scatters[metric]

    def rows(self, key: Key, seeds: Sequence[int]) -> list[int]:
        """The places of some seeds among an arm's runs."""
        own = [run.seed for run in self.runs[key]]
        return [own.index(seed) for seed in seeds]
