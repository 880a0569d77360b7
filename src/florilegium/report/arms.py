"""The arms of a study: how their runs scored on the test images, and how they compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from florilegium.core.coco import FIGURES as COCO
from florilegium.core.errors import UserError
from florilegium.core.metrics import SCORING, Scored
from florilegium.report.average_precision import error_covariance
from florilegium.report.intervals import arm_interval, resampled_interval, share_interval
from florilegium.report.measures import NOWHERE, over_seeds
from florilegium.report.runs import Run, finite
from florilegium.report.statistics import (
    Difference,
    Interval,
    one_more_seed,
    paired_difference,
    paired_t,
    resampled_difference,
    student,
)
from florilegium.report.study import Key
from florilegium.report.test_set import Floats, TestSet, answers_of

Chosen = tuple[Key, list[int] | slice]


@dataclass(frozen=True)
class Paired:
    """An arm against another, over the seeds that both have: their means over these alone, and the difference."""

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
        """By arm; an arm without a finished run has none."""
        alike: dict[tuple[Scored, str], TestSet] = {}
        found: dict[Key, TestSet] = {}
        for key, runs in self.runs.items():
            for run in finite(runs):
                images, answers = answers_of(run)
                tests = alike.setdefault((run.task, images), TestSet(run.task))
                if found.setdefault(key, tests) is not tests:
                    raise UserError(
                        f"{'/'.join(key)}: its seeds were tested on different images; run all of them on the same data"
                    )
                tests.runs.setdefault(key, []).append(run)
                tests.answers.setdefault(key, []).append(answers)
        return found

    def summary(self, metric: str, key: Key) -> Interval:
        """Mean of a metric and its 95 % interval. Of a score on test images it holds seeds and images; with one seed
        the images alone, where they are known."""
        tests = self._test_sets.get(key)
        if tests is None or metric not in SCORING[tests.task].scores:
            return over_seeds(metric, self.runs[key])
        values = tests.values(metric, key)
        if np.isnan(values).any():
            return NOWHERE
        if metric == "top1":
            return arm_interval(tests.hits[key], scatter=tests.scatter(metric))
        if metric in SCORING[tests.task].on_test:
            # Which images are right is not known, so as if all seeds had the same ones.
            return share_interval(values, tests.n_images, scatter=tests.scatter(metric))
        if metric in COCO:
            errors = error_covariance(tests.draws(metric, key))
            return resampled_interval(values, *errors, tests.n_images, scatter=tests.scatter(metric))
        return student(values, 0.0, 1.0)

    def paired(self, key: Key, other: Key) -> Paired | None:
        """An arm against another; None where there is no test, and `untested` says why.

        Classifiers are compared image by image, detectors on the same resampled images, others seed by seed. Without
        a common seed a single run is held against all runs of the other arm, as one draw more.
        """
        tests = self._test_sets.get(key)
        if tests is None or tests is not self._test_sets.get(other):
            return None
        main = SCORING[tests.task].main
        own, others = ({run.seed for run in tests.runs[arm]} for arm in (key, other))
        seeds = sorted(own & others)
        rows = {arm: tests.rows(arm, seeds) if seeds else slice(None) for arm in (key, other)}
        a, b = (tests.values(main, arm)[rows[arm]] for arm in (key, other))
        if np.isnan([*a, *b]).any():
            return None
        found = (
            _difference(tests, (key, rows[key]), (other, rows[other]), a - b)
            if seeds
            else _one_more(tests, key, other, a, b)
        )
        return (
            Paired(found, float(a.mean()), float(b.mean()), len(seeds) or 1, tests.n_images)
            if found
            else None
        )

    def untested(self, key: Key, other: Key) -> str:
        """Why an arm has no test against another, where both were run to an end."""
        tests, others = self._test_sets.get(key), self._test_sets.get(other)
        if tests is None or others is None:
            return ""
        if tests is not others:
            return f"no test against {'/'.join(other)}: it was tested on other images"
        return f"no test against {'/'.join(other)}: too few seeds are common to both"


def _difference(tests: TestSet, ours: Chosen, theirs: Chosen, differences: Floats) -> Difference | None:
    """Of two arms over the same seeds, each an arm and the places of its runs; `differences` (S,) of their scores."""
    main = SCORING[tests.task].main
    if tests.task == "classification":
        a, b = (tests.hits[arm][rows] for arm, rows in (ours, theirs))
        return paired_difference(a, b, scatter=tests.scatter(main))
    if tests.task == "detection":
        drawn, other = (tests.draws(main, arm)[:, rows] for arm, rows in (ours, theirs))
        errors = error_covariance(drawn - other)
        return resampled_difference(differences, *errors, tests.n_images, scatter=tests.scatter(main))
    return paired_t(differences, np.zeros_like(differences)) if len(differences) > 1 else None


def _one_more(tests: TestSet, key: Key, other: Key, a: Floats, b: Floats) -> Difference | None:
    """A lone run of either arm against all runs of the other one."""
    main = SCORING[tests.task].main
    if len(a) == 1 < len(b):
        return one_more_seed(float(a[0]), b, tests.own_variance(main, other))
    if len(b) == 1 < len(a):
        found = one_more_seed(float(b[0]), a, tests.own_variance(main, key))
        return replace(found, mean=-found.mean, low=-found.high, high=-found.low)
    return None
