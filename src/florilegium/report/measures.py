"""One metric of a run, and of all runs of an arm with its interval."""

import math
from collections.abc import Sequence

from florilegium.core.errors import unknown
from florilegium.core.metrics import CLOCKED, DIVERGENCE, EPOCHS, FRACTIONS, SCORING, SIZES
from florilegium.report.runs import Run, epochs_to_90_percent, finite
from florilegium.report.statistics import t_interval, wilson

BLANK = math.nan
Interval = tuple[float, float, float]  # mean, low, high


def counted(metric: str, runs: Sequence[Run]) -> list[Run]:
    """The runs of an arm that a metric is taken over: those that did not diverge, unless they are counted."""
    return list(runs) if metric == DIVERGENCE else finite(runs)


def value(run: Run, metric: str) -> float:
    """One metric of one run; NaN where the run has none (no validation, say).

    Raises:
        UserError: the run's files hold no such metric.
    """
    if metric == EPOCHS:
        return _number(epochs_to_90_percent(run))
    if metric == DIVERGENCE:
        return float(run.diverged)
    if metric in CLOCKED:
        return _clocked(run, metric)
    if metric not in run.metrics:
        raise unknown("metric", metric, [*run.metrics, EPOCHS], str(run.folder / "metrics.json"))
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


def summary(metric: str, runs: Sequence[Run]) -> Interval:
    """Mean and 95 % interval of an arm: t over seeds; for one run Wilson, where images were counted, else none.

    Diverged runs are left out. The share of runs that diverged has Wilson's interval over all of them.
    The interval of a fraction is cut at 0 and 1, that of a number of epochs at 1.
    """
    values = [value(run, metric) for run in counted(metric, runs)]
    if not values or any(math.isnan(v) for v in values):
        return BLANK, BLANK, BLANK
    if metric == DIVERGENCE:
        return sum(values) / len(values), *wilson(sum(values), len(values))
    if len(values) > 1:
        mean, low, high = t_interval(values)
        if metric in FRACTIONS:
            return mean, max(0.0, low), min(1.0, high)
        return (mean, max(1.0, low), high) if metric == EPOCHS else (mean, low, high)
    only = values[0]
    run = finite(runs)[0]
    if metric in SCORING[run.task].on_test:
        n = int(run.metrics["n_test"])
        return (only, *wilson(round(only * n), n))
    return (only, only, only) if metric in SIZES else (only, BLANK, BLANK)
