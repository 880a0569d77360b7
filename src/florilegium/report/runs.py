"""Finished runs (`<experiment>/<arm>/seed<seed>/` below a study's results) and their metrics."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.config.metrics import (
    BEST_VALIDATION,
    CALIBRATION,
    CLOCKED,
    DIVERGENCE,
    ECE,
    EPOCHS,
    FIRST_AT_99,
    FRACTIONS,
    GAP,
    SCORING,
    SIGNED,
    SIZES,
    TaskName,
    metrics_of,
)
from florilegium.core.errors import unknown
from florilegium.core.files import read_json
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt
from florilegium.core.tables import read_table
from florilegium.evaluation.coco import Matches, read_matches
from florilegium.report.answers import PREDICTIONS, Answers, read_answers
from florilegium.report.statistics import Interval, student, wilson
from florilegium.report.study import Entry, Key, Study

RUN_FILES = ("metrics.json", "history.csv", "cost.json")  # of every task
SHARE_OF_FINAL = 0.9
HOSTS = ("cpu", "mps")  # devices where peak memory is that of the process or driver, not of the training
BLANK = math.nan
NOWHERE: Interval = (BLANK, BLANK, BLANK)


@dataclass(frozen=True)
class Run:
    """One finished run; `history` has a row an epoch (`epoch, lr, train_loss, ..., val_top1`)."""

    task: TaskName
    seed: int
    folder: Path
    metrics: dict[str, Any]
    history: pd.DataFrame

    @property
    def diverged(self) -> bool:
        return bool(self.metrics["diverged"])

    def cost(self) -> Any:
        """Times, memory and devices, by name; read on demand, since no score depends on them."""
        return read_json(self.folder / "cost.json")

    def receipt(self) -> dict[str, Any]:
        return read_receipt(self.folder / RECEIPT)

    def detections(self) -> Any:
        """A detector's detections on the test images, a list in COCO's results form."""
        return read_json(self.folder / "predictions.json")

    def detail(self) -> Any:
        """A detector's scores by class, its precision-recall curves and its kinds of errors, by name."""
        return read_json(self.folder / "detection.json")

    @cached_property
    def answers(self) -> Answers:
        """A classifier's answers."""
        return read_answers(self.folder)

    def matches(self) -> Matches:
        """A detector's detections on the test images, matched with their objects."""
        return read_matches(self.folder / "matches.npz")

    def predictions(self) -> pd.DataFrame:
        """`image, target, prediction, probability`, a row a test image, sorted by image."""
        table = read_table(self.folder / PREDICTIONS, {"probability": float})
        return table.sort_values("image", ignore_index=True)


def read_study(root: Path, study: Study) -> dict[Key, list[Run]]:
    """The finished runs of every arm; an arm that was not run has none."""
    return {entry.key: read_runs(root, entry) for entry in study.entries}


def read_runs(root: Path, entry: Entry) -> list[Run]:
    """The finished runs of one arm, in the order of its seeds."""
    runs = []
    for seed in entry.seeds:
        folder = root / entry.experiment / entry.arm / f"seed{seed}"
        if (folder / "metrics.json").is_file():
            metrics = read_json(folder / "metrics.json")
            history = read_table(folder / "history.csv", {"epoch": int}, others=float)
            runs.append(Run(entry.task, seed, folder, metrics, history))
    return runs


def files_of(runs: Mapping[Key, Sequence[Run]], names: Sequence[str]) -> list[Path]:
    """The files `names` and the answers of every run."""
    every = [run for of_arm in runs.values() for run in of_arm]
    return [run.folder / name for run in every for name in (*names, *SCORING[run.task].answers)]


# Metrics of one run


def curve(run: Run, column: str) -> NDArray[np.float64]:
    """A column of the history, NaN where it is empty or absent, shape (epochs,)."""
    if column not in run.history:
        return np.full(len(run.history), np.nan)
    return np.asarray(pd.to_numeric(run.history[column]), dtype=np.float64)


def epochs_to_90_percent(run: Run) -> int | None:
    """The first epoch, counted from one, whose validation (main metric) reaches 90 % of the last one's.

    None without a validation split, for a last value of zero, and for a task whose main metric is a loss. The level is
    each run's own last value, so a slow arm that ends low can look fast: read it beside the accuracy itself.
    """
    values = validated(run)
    return first_epoch_at(run, SHARE_OF_FINAL * values[-1]) if len(values) and values[-1] > 0 else None


def first_epoch_at(run: Run, level: float) -> int | None:
    """The first epoch, counted from one, whose validation (main metric) reaches `level`; None where none does."""
    reached = validated(run) >= level
    return int(np.argmax(reached)) + 1 if reached.any() else None


def best_validation(run: Run) -> float | None:
    """The highest validation (main metric) of all epochs; None without a validation split."""
    values = validated(run)
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def validated(run: Run) -> NDArray[np.float64]:
    """The main metric on the validation split, epoch by epoch; empty for a task whose main metric is a loss."""
    scoring = SCORING[run.task]
    return curve(run, scoring.validated) if scoring.main in scoring.scores else np.empty(0)


FROM_HISTORY: dict[str, Callable[[Run], float | None]] = {
    EPOCHS: epochs_to_90_percent,
    FIRST_AT_99: lambda run: first_epoch_at(run, 0.99),
    BEST_VALIDATION: best_validation,
}


def value(run: Run, metric: str) -> float:
    """One metric of one run; NaN where the run has none (no validation, say).

    Raises:
        UserError: the run's files hold no such metric.
    """
    if metric in FROM_HISTORY:
        return _number(FROM_HISTORY[metric](run))
    if metric == GAP:
        return _number(run.metrics.get("train_top1")) - _number(run.metrics.get("top1"))
    if metric == ECE:
        binned = run.answers.reliability
        return BLANK if binned is None else binned.error
    if metric in CALIBRATION:  # runs before these have none
        return _number(run.metrics.get(metric))
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


def _number(value: float | None) -> float:
    return BLANK if value is None else float(value)


# Metrics of an arm


def finite(runs: Sequence[Run]) -> list[Run]:
    """The runs that did not diverge: means, intervals and tests are taken over these."""
    return [run for run in runs if not run.diverged]


def counted(metric: str, runs: Sequence[Run]) -> list[Run]:
    """The runs of an arm that a metric is taken over: those that did not diverge, unless they are counted."""
    return list(runs) if metric == DIVERGENCE else finite(runs)


def over_seeds(metric: str, runs: Sequence[Run]) -> Interval:
    """Mean and 95 % t interval of an arm over its seeds, for a metric that is no score on test images.

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
    if metric in FRACTIONS:
        return student(values, -1.0 if metric in SIGNED else 0.0, 1.0)
    return student(values, 1.0 if metric in (EPOCHS, FIRST_AT_99) else 0.0)
