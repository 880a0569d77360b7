"""Finished runs (`<experiment>/<arm>/seed<seed>/` below a study's results), their answers and their metrics.

A classifier's answers are one bit for each test image, right or wrong: a paired test needs no more. They are read from
the run's predictions, or from packed bits, which are small enough for git and hold a digest of the image names alone:
it tells whether two runs were tested on the same images, and discloses nothing of the data set.
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.config.metrics import (
    BEST_VALIDATION,
    CLOCKED,
    DIVERGENCE,
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
from florilegium.core.errors import UserError, unknown
from florilegium.core.files import read_json, write_json
from florilegium.core.names import name_bytes
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt
from florilegium.core.tables import read_table
from florilegium.evaluation.coco import Matches, read_matches
from florilegium.report.statistics import Interval, student, wilson
from florilegium.report.study import Entry, Key, Study

RUN_FILES = ("metrics.json", "history.csv", "cost.json")  # of every task
PREDICTIONS, PACKED = "predictions.csv", "hits.json"
SHARE_OF_FINAL = 0.9
HOSTS = ("cpu", "mps")  # devices where peak memory is that of the process or driver, not of the training
BLANK = math.nan
NOWHERE: Interval = (BLANK, BLANK, BLANK)
Answers = tuple[str, NDArray[np.bool_]]
"""The digest of the test images' names, and for each image, in the order of names, if it was right: shape (images,)."""


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

    def hits(self) -> Answers:
        """A classifier's answers."""
        return read_hits(self.folder)

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


# Answers of classifiers


def read_hits(folder: Path) -> Answers:
    """The answers of the run in `folder`, from its predictions if they are there, else from the packed bits.

    Raises:
        UserError: there is neither, or the packed bits cannot be read.
    """
    if not (folder / PREDICTIONS).is_file():
        return _unpack(folder / PACKED)
    table = read_table(folder / PREDICTIONS, columns=["image", "target", "prediction"])
    table = table.sort_values("image", kind="stable")
    names = hashlib.sha256(name_bytes("\0".join(table["image"])))  # no name holds a NUL
    return names.hexdigest(), (table["target"] == table["prediction"]).to_numpy(np.bool_)


def pack(answers: Answers, path: Path) -> None:
    """Write answers as JSON: the digest, the number of images, and eight images a byte, in base64."""
    images, right = answers
    packed = base64.b64encode(np.packbits(right).tobytes()).decode("ascii")
    write_json(path, {"images": images, "n": len(right), "right": packed})


def _unpack(path: Path) -> Answers:
    """The answers that `pack` wrote; raises `UserError` when the file is missing, or no such record."""
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file, nor {PREDICTIONS} beside it; make it again, or take it from git"
        )
    try:
        record = read_json(path)
        images, n = str(record["images"]), int(record["n"])
        packed = np.frombuffer(base64.b64decode(record["right"], validate=True), np.uint8)
        bits = np.unpackbits(packed)
        if len(packed) != -(-n // 8) or bits[n:].any():
            raise ValueError
        return images, bits[:n].astype(np.bool_)
    except (ValueError, KeyError, TypeError, binascii.Error):
        remedy = "take it from git again, or write the reference anew"
        raise UserError(f"{path}: is cut, or no record of which images were right; {remedy}") from None


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
