"""The arms of a study: the scores of their runs on the test images, and paired tests between them.

Runs that were tested on the same images form a `TestSet`: their answers are read once, for intervals and tests alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from florilegium.config.metrics import COCO_METRICS, SCORING, TaskName
from florilegium.core.errors import UserError
from florilegium.report.average_precision import error_covariance, resampled
from florilegium.report.runs import NOWHERE, Run, finite, over_seeds, value
from florilegium.report.spread import Scatter, one_image, pooled_scatter, seed_variance
from florilegium.report.statistics import (
    Difference,
    Hits,
    Interval,
    arm_interval,
    one_more_seed,
    own_variance,
    paired_difference,
    paired_t,
    resampled_difference,
    resampled_interval,
    share_interval,
    student,
)
from florilegium.report.study import Key

DRAWS = 1000
Floats = NDArray[np.float64]
Chosen = tuple[Key, list[int] | slice]  # an arm and the places of its runs


class TestSet:
    """The finished runs that were tested on the same images, by arm, with their answers in the same order: hits (N,),
    `Matches`, or None of a generator. Arms without a finished run are left out; all are of one task."""

    __test__ = False  # pytest takes every class of such a name for its own

    def __init__(self, task: TaskName) -> None:
        self.task = task
        self.runs: dict[Key, list[Run]] = {}
        self.answers: dict[Key, list[Any]] = {}
        self._scatters: dict[str, Scatter | None] = {}

    @cached_property
    def n_images(self) -> int:
        return int(next(iter(self.runs.values()))[0].metrics.get("n_test", 0))

    @cached_property
    def hits(self) -> dict[Key, Hits]:
        """Right and wrong answers of classifiers, by arm: (runs, images)."""
        return {key: np.stack(answers) for key, answers in self.answers.items()}

    def values(self, metric: str, key: Key) -> Floats:
        """A metric of each run of an arm, (S,); NaN where a run has none."""
        return np.array([value(run, metric) for run in self.runs[key]])

    def draws(self, metric: str, key: Key) -> Floats:
        """A COCO score of each run of an arm of detectors on resampled images, (draws, S)."""
        return np.asarray(self._draws[key][:, :, COCO_METRICS.index(metric)])

    @cached_property
    def _draws(self) -> dict[Key, Floats]:
        every = [matches for answers in self.answers.values() for matches in answers]
        ends = np.cumsum([len(runs) for runs in self.runs.values()])
        of_arms = np.split(resampled(every, COCO_METRICS, draws=DRAWS), ends[:-1], axis=1)
        return dict(zip(self.runs, of_arms, strict=True))

    def own_variance(self, metric: str, key: Key) -> float:
        """The least variance of a metric between seeds: that by the choice of images in each seed alone."""
        least = one_image(self.n_images)
        if metric == "top1" and len(self.runs[key]) > 1:
            return max(least, own_variance(self.hits[key]))
        if metric in COCO_METRICS:
            variance, covariance = error_covariance(self.draws(metric, key))
            return max(least, variance - max(covariance, 0.0))
        return least

    def scatter(self, metric: str) -> Scatter | None:
        """The prior for the variance of a metric between seeds, from all arms together; see `report.spread`."""
        if metric not in self._scatters:
            several = {key: self.values(metric, key) for key, runs in self.runs.items() if len(runs) > 1}
            known = {key: values for key, values in several.items() if not np.isnan(values).any()}
            variances = [seed_variance(values, self.own_variance(metric, key)) for key, values in known.items()]
            self._scatters[metric] = pooled_scatter(variances)
        return self._scatters[metric]


class Paired(NamedTuple):
    """An arm against another: their means over the seeds that both have, and the difference."""

    difference: Difference
    mean: float
    other_mean: float
    n_seeds: int
    n_test: int


class Arms:
    """The runs of each arm of a study. Diverged runs are in no mean and no test."""

    def __init__(self, runs: Mapping[Key, Sequence[Run]]) -> None:
        self.runs = runs

    @cached_property
    def _test_sets(self) -> dict[Key, TestSet]:
        """The test set of each arm; an arm without a finished run has none."""
        by_images: dict[tuple[TaskName, str], TestSet] = {}
        by_arm: dict[Key, TestSet] = {}
        for key, runs in self.runs.items():
            for run in finite(runs):
                images, answers = _answers(run)
                tests = by_images.setdefault((run.task, images), TestSet(run.task))
                if by_arm.setdefault(key, tests) is not tests:
                    remedy = "run all of them on the same data"
                    raise UserError(f"{'/'.join(key)}: its seeds were tested on different images; {remedy}")
                tests.runs.setdefault(key, []).append(run)
                tests.answers.setdefault(key, []).append(answers)
        return by_arm

    def summary(self, metric: str, key: Key) -> Interval:
        """Mean of a metric and its 95 % interval: for a score on test images over seeds and images (of one seed over
        images alone, where the answers are known), for anything else over seeds."""
        tests = self._test_sets.get(key)
        if tests is None or metric not in SCORING[tests.task].scores:
            return over_seeds(metric, self.runs[key])
        values = tests.values(metric, key)
        if np.isnan(values).any():
            return NOWHERE
        if metric == "top1":
            return arm_interval(tests.hits[key], scatter=tests.scatter(metric))
        if metric in SCORING[tests.task].on_test:
            # The right images are not known by name: assume the same ones for all seeds.
            return share_interval(values, tests.n_images, scatter=tests.scatter(metric))
        if metric in COCO_METRICS:
            errors = error_covariance(tests.draws(metric, key))
            return resampled_interval(values, *errors, tests.n_images, scatter=tests.scatter(metric))
        return student(values, 0.0, 1.0)

    def paired(self, key: Key, other: Key) -> Paired | None:
        """The paired test of an arm against another; None where there is none, for the reason that `untested` gives.

        Classifiers are compared image by image, detectors on the same resampled images, others seed by seed. Without a
        common seed, a single run is compared with all runs of the other arm, as a further draw of theirs.
        """
        tests = self._test_sets.get(key)
        if tests is None or tests is not self._test_sets.get(other):
            return None
        own, others = ([run.seed for run in tests.runs[arm]] for arm in (key, other))
        seeds = sorted(set(own) & set(others))
        rows, other_rows = ([of.index(seed) for seed in seeds] or slice(None) for of in (own, others))
        main = SCORING[tests.task].main
        a, b = tests.values(main, key)[rows], tests.values(main, other)[other_rows]
        if np.isnan([*a, *b]).any():
            return None
        if seeds:
            difference = _difference(tests, (key, rows), (other, other_rows), a - b)
        else:
            difference = _one_more(tests, key, other, a, b)
        if difference is None:
            return None
        return Paired(difference, float(a.mean()), float(b.mean()), len(seeds) or 1, tests.n_images)

    def untested(self, key: Key, other: Key) -> str:
        """The reason why an arm has no test against another, if both have a finished run; else empty."""
        tests, others = self._test_sets.get(key), self._test_sets.get(other)
        if tests is None or others is None:
            return ""
        reason = "too few seeds are common to both" if tests is others else "it was tested on other images"
        return f"no test against {'/'.join(other)}: {reason}"


def _answers(run: Run) -> tuple[str, Any]:
    """A digest of a run's test images, and its answers as in `TestSet`."""
    if run.task == "classification":
        answers = run.answers
        return answers.images, answers.right
    if run.task == "detection":
        matches = run.matches()
        return matches.images, matches
    return "", None


def _difference(tests: TestSet, ours: Chosen, theirs: Chosen, differences: Floats) -> Difference | None:
    """Two arms over the same seeds; `differences` (S,) are those of their scores."""
    main = SCORING[tests.task].main
    if tests.task == "classification":
        a, b = (tests.hits[arm][rows] for arm, rows in (ours, theirs))
        return paired_difference(a, b, scatter=tests.scatter(main))
    if tests.task == "detection":
        draws, other = (tests.draws(main, arm)[:, rows] for arm, rows in (ours, theirs))
        errors = error_covariance(draws - other)
        return resampled_difference(differences, *errors, tests.n_images, scatter=tests.scatter(main))
    return paired_t(differences, np.zeros_like(differences)) if len(differences) > 1 else None


def _one_more(tests: TestSet, key: Key, other: Key, a: Floats, b: Floats) -> Difference | None:
    """A lone run of either arm against all runs of the other one."""
    main = SCORING[tests.task].main
    if len(a) == 1 < len(b):
        return one_more_seed(float(a[0]), b, tests.own_variance(main, other))
    if len(b) == 1 < len(a):
        d = one_more_seed(float(b[0]), a, tests.own_variance(main, key))
        return replace(d, mean=-d.mean, low=-d.high, high=-d.low, p_at=lambda true: d.p_at(-true))
    return None
