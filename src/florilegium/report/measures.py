"""One metric of a run, of all runs of an arm with its interval, and of two arms together."""

import math
from collections.abc import Callable, Sequence

from florilegium.core.errors import unknown
from florilegium.core.metrics import (
    BEST_VALIDATION,
    CLOCKED,
    DIVERGENCE,
    EPOCHS,
    FACTORS,
    FIRST_AT_99,
    FRACTIONS,
    GAP,
    MEMORY_FACTOR,
    SIGNED,
    SIZES,
    SPEED_FACTOR,
    metrics_of,
)
from florilegium.report.runs import Run, best_validation, epochs_to_90_percent, finite, first_epoch_at
from florilegium.report.statistics import Interval, student, wilson

BLANK = math.nan
NOWHERE: Interval = (BLANK, BLANK, BLANK)
FROM_HISTORY: dict[str, Callable[[Run], float | None]] = {
    EPOCHS: epochs_to_90_percent,
    FIRST_AT_99: lambda run: first_epoch_at(run, 0.99),
    BEST_VALIDATION: best_validation,
}
HOSTS = ("cpu", "mps")  # what a run there holds in memory is its process, or its driver, not its training


def counted(metric: str, runs: Sequence[Run]) -> list[Run]:
    """The runs of an arm that a metric is taken over: those that did not diverge, unless they are counted."""
    return list(runs) if metric == DIVERGENCE else finite(runs)


def value(run: Run, metric: str) -> float:
    """One metric of one run; NaN where the run has none (no validation, say).

    Raises:
        UserError: the run's files hold no such metric.
    """
    if metric in FROM_HISTORY:
        return _number(FROM_HISTORY[metric](run))
    if metric == GAP:
        return _number(run.metrics.get("train_top1")) - _number(run.metrics.get("top1"))
    if metric == DIVERGENCE:
        return float(run.diverged)
    if metric in CLOCKED:
        return _clocked(run, metric)
    if metric not in run.metrics:
        raise unknown("metric", metric, metrics_of(run.task), str(run.folder / "metrics.json"))
    return _number(run.metrics[metric])


def _clocked(run: Run, metric: str) -> float:
    cost = run.cost()
    if metric == "minutes":
        return float(cost["seconds_total"]) / 60
    if metric == "evaluation_share":
        # Unknown, not small, where the validations were not timed.
        spent = _number(cost.get("seconds_validation")) + _number(cost["seconds_evaluation"])
        return spent / cost["seconds_total"] if cost["seconds_total"] else BLANK
    return _number(cost.get(metric))


def _number(found: float | None) -> float:
    return BLANK if found is None else float(found)


def over_seeds(metric: str, runs: Sequence[Run]) -> Interval:
    """Mean and 95 % t interval of an arm over its seeds, for what is no score of test images.

    Diverged runs are left out. The share of runs that diverged has Wilson's interval over all of them. A size is the
    same in every run. A number of epochs is at least 1; seeds that all agree on it have no interval.
    """
    values = [value(run, metric) for run in counted(metric, runs)]
    if not values or any(math.isnan(v) for v in values):
        return NOWHERE
    if metric == DIVERGENCE:
        return sum(values) / len(values), *wilson(sum(values), len(values))
    if metric in SIZES:
        return values[0], values[0], values[0]
    return student(values, *_bounds(metric))


def _bounds(metric: str) -> tuple[float, float]:
    """The least and the most that a metric can be."""
    if metric in FRACTIONS - SIGNED:
        return 0.0, 1.0
    if metric in SIGNED:
        return -1.0, 1.0
    return (1.0 if metric in (EPOCHS, FIRST_AT_99) else 0.0), math.inf


def factor(metric: str, runs: Sequence[Run], baseline: Sequence[Run]) -> tuple[Interval, int]:
    """How many times the memory of another arm this one needs, or how many times as fast its epochs are: the mean of
    the ratios over the seeds that both have, its 95 % t interval from two seeds on, and how many they are.

    Memory is compared on CUDA devices alone: elsewhere what was measured is not the training's.
    """
    ours, theirs = ({run.seed: run for run in finite(arm)} for arm in (runs, baseline))
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    if metric == MEMORY_FACTOR and any(run.cost()["device"] in HOSTS for pair in pairs for run in pair):
        return NOWHERE, len(pairs)
    ratios = [value(one, FACTORS[metric]) / value(other, FACTORS[metric]) for one, other in pairs]
    if metric == SPEED_FACTOR:
        ratios = [1 / ratio for ratio in ratios]
    if not ratios or any(math.isnan(ratio) for ratio in ratios):
        return NOWHERE, len(pairs)
    return student(ratios, least=0.0), len(ratios)
