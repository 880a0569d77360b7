"""Runs as they lie on disk: `<experiment>/<arm>/seed<seed>/` below a study's results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import read_json
from florilegium.core.metrics import SCORING, Scored
from florilegium.core.receipts import read_receipt
from florilegium.evaluation.matches import Matches, read_matches
from florilegium.report.hits import Answers, read_hits
from florilegium.report.study import Entry, Key, Study

SHARE_OF_FINAL = 0.9


@dataclass(frozen=True)
class Run:
    """One finished run; `history` has a row an epoch (`epoch, lr, train_loss, ..., val_top1`)."""

    task: Scored
    seed: int
    folder: Path
    metrics: dict[str, Any]
    history: pd.DataFrame

    @property
    def diverged(self) -> bool:
        return bool(self.metrics["diverged"])

    def cost(self) -> dict[str, Any]:
        """What a clock and a device decided; read when asked for, since no score depends on it."""
        found: dict[str, Any] = read_json(self.folder / "cost.json")
        return found

    def receipt(self) -> dict[str, Any]:
        return read_receipt(self.folder / "receipt.json")

    def detections(self) -> list[dict[str, Any]]:
        """What a detector found on the test images, in COCO's results form."""
        found: list[dict[str, Any]] = read_json(self.folder / "predictions.json")
        return found

    def detail(self) -> dict[str, Any]:
        """A detector's figures by class, its precision-recall curves and its kinds of errors."""
        found: dict[str, Any] = read_json(self.folder / "detection.json")
        return found

    def hits(self) -> Answers:
        """Whether a classifier was right, image by image, with the digest of the test images' names."""
        return read_hits(self.folder)

    def matches(self) -> Matches:
        """A detector's detections on the test images, matched with their objects."""
        return read_matches(self.folder / "matches.npz")

    def predictions(self) -> pd.DataFrame:
        """`image, target, prediction, probability`, a row a test image, sorted by image."""
        texts = dict.fromkeys(
            ("image", "target", "prediction"), str
        )  # also where a class is called by a number
        table = pd.read_csv(self.folder / "predictions.csv", dtype=texts, keep_default_na=False)
        return table.sort_values("image", ignore_index=True)


def read_study(root: Path, study: Study) -> dict[Key, list[Run]]:
    """The finished runs of every arm; an arm that was not run has none."""
    return {entry.key: read_runs(root, entry) for entry in study.entries}


def read_runs(root: Path, entry: Entry) -> list[Run]:
    folders = [(seed, root / entry.experiment / entry.arm / f"seed{seed}") for seed in entry.seeds]
    return [
        Run(
            task=entry.task,
            seed=seed,
            folder=folder,
            metrics=read_json(folder / "metrics.json"),
            history=pd.read_csv(folder / "history.csv"),
        )
        for seed, folder in folders
        if (folder / "metrics.json").is_file()
    ]


def files_of(runs: Mapping[Key, Sequence[Run]], names: Sequence[str]) -> list[Path]:
    """The files `names` of every run, and what it answered."""
    every = [run for of_arm in runs.values() for run in of_arm]
    return [run.folder / name for run in every for name in (*names, *SCORING[run.task].answers)]


def finite(runs: Sequence[Run]) -> list[Run]:
    """The runs that did not diverge: means, intervals and tests are taken over these."""
    return [run for run in runs if not run.diverged]


def curve(run: Run, column: str) -> NDArray[np.float64]:
    """A column of the history, NaN where it is empty or absent, shape (epochs,)."""
    if column not in run.history:
        return np.full(len(run.history), np.nan)
    return np.asarray(pd.to_numeric(run.history[column]), dtype=np.float64)


def epochs_to_90_percent(run: Run) -> int | None:
    """The first epoch, counted from one, whose validation (main metric) reaches 90 % of the last one's.

    None without a validation split, where its end is nothing, or for a task whose main metric is a loss. Each run is held against its own end, so that a slow arm is not
    called fast for ending low; read it beside the accuracy itself.
    """
    accuracy = validated(run)
    if not len(accuracy) or not accuracy[-1] > 0:
        return None
    return int(np.argmax(accuracy >= SHARE_OF_FINAL * accuracy[-1])) + 1


def first_epoch_at(run: Run, level: float) -> int | None:
    """The first epoch, counted from one, whose validation (main metric) reaches `level`; None where none does."""
    reached = validated(run) >= level
    return int(np.argmax(reached)) + 1 if reached.any() else None


def best_validation(run: Run) -> float | None:
    """The highest validation (main metric) of all epochs; None without a validation split."""
    found = validated(run)
    return float(np.nanmax(found)) if np.isfinite(found).any() else None


def validated(run: Run) -> NDArray[np.float64]:
    """The main metric on the validation split, epoch by epoch; empty for a task whose main metric is a loss."""
    scoring = SCORING[run.task]
    return curve(run, scoring.validated) if scoring.main in scoring.scores else np.empty(0)
