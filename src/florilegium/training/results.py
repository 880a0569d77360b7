"""The results of a training, whatever its task: test scores, metrics, costs, warnings and files."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd
import torch
from torch import nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.files import atomic, write_json
from florilegium.core.receipts import write_receipt
from florilegium.evaluation import cost
from florilegium.models.weights import save
from florilegium.training.job import Job
from florilegium.training.loop import Outcome
from florilegium.training.machine import device_name, guarantee

CHECKPOINT = "checkpoint.safetensors"

T = TypeVar("T")


@dataclass(frozen=True)
class Tested(Generic[T]):
    """Scores of the selected and of the last weights, which may be the same, on the test images."""

    selected: T
    last: T
    seconds: float


def score_weights(network: nn.Module, outcome: Outcome, score: Callable[[], T]) -> Tested[T]:
    """Call `score` with the last, then with the selected weights in `network`, which keeps the latter."""
    started = time.perf_counter()
    network.load_state_dict(outcome.last_state)
    last = selected = score()
    if not outcome.selected_is_last:
        network.load_state_dict(outcome.selected_state)
        selected = score()
    return Tested(selected, last, time.perf_counter() - started)


def write_run(
    job: Job[Any, Any],
    seed: int,
    network: nn.Module,
    outcome: Outcome,
    *,
    columns: Sequence[str],
    metrics: Mapping[str, Any],
    costs: Mapping[str, Any],
    sides: tuple[int, int],
    predictions: Sequence[Path],
    started: float,
    **facts: Any,
) -> None:
    """Write the files of a run's folder beside its `predictions`, which exist already; the receipt comes last.

    `columns` are those of the history, `sides` the height and width of an image for the cost of a forward pass,
    `facts` further entries of the receipt.
    """
    folder = job.at(seed).out
    checkpoint = folder / CHECKPOINT
    save(outcome.selected_state, checkpoint)
    size = cost.size(network, *sides) | {"checkpoint_bytes": checkpoint.stat().st_size}
    write_json(folder / "metrics.json", dict(metrics) | course(outcome) | size)
    write_table(folder / "history.csv", pd.DataFrame(outcome.history, columns=list(columns)))
    write_json(folder / "cost.json", costs)
    names = ("metrics.json", "history.csv", "cost.json", CHECKPOINT)
    write_receipt(
        folder / "receipt.json",
        stage="train",
        spec=job.spec,
        code=job.code,
        inputs=job.at(seed).inputs,
        outputs=[*(folder / name for name in names), *predictions],
        started=started,
        seed=seed,
        device=device_name(job.device),
        determinism=guarantee(job.device, job.deterministic),
        gpus=list(job.gpus),
        resumed_from=outcome.resumed_from,
        model=job.model.model_dump(mode="json"),
        **facts,
    )


def course(outcome: Outcome) -> dict[str, Any]:
    """The metrics of the course of a training."""
    return {
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        "diverged": outcome.diverged,
        "diverged_epoch": outcome.diverged_epoch,
        "last_finite_loss": outcome.last_finite_loss,
    }


def costs(outcome: Outcome, seconds_evaluation: float, recipe: TrainingRecipe, device: torch.device) -> dict[str, Any]:
    """Time and memory of a run, resumed or not: epochs, validation and the tests at the end."""
    training = sum(outcome.seconds_per_epoch)
    return {
        "device": device_name(device),
        "precision": recipe.precision,
        "threads": recipe.threads,
        "seconds_total": training + outcome.seconds_validation + seconds_evaluation,
        "seconds_per_epoch": training / max(1, len(outcome.seconds_per_epoch)),
        "seconds_validation": outcome.seconds_validation,
        "seconds_evaluation": seconds_evaluation,
        "train_images_per_second": outcome.images_per_second,
        "peak_memory_bytes": cost.peak_memory_bytes(device),
    }


def warnings(outcome: Outcome, recipe: TrainingRecipe, classes: Sequence[str], labels: torch.Tensor) -> list[str]:
    """Sentences that a reader of the metrics should know; `labels` (N,) are those of all training images."""
    sentences = [
        f"training diverged in epoch {epoch} and went on from the end of epoch {epoch - 1} at "
        f"{recipe.restart_factor:g} times the rate"
        for epoch in outcome.restarts
    ]
    if outcome.micro_batch < (planned := recipe.batch_size // recipe.accumulate):
        sentences.append(
            f"memory ran out: micro-batches of {outcome.micro_batch} images in place of {planned}, which "
            "batch normalisation took its statistics from"
        )
    if outcome.diverged:
        sentences.append(f"training diverged in epoch {outcome.diverged_epoch}")
    averaged_from = recipe.averaged_from()
    if averaged_from is not None and len(outcome.history) <= averaged_from:
        sentences.append(f"ended in epoch {len(outcome.history)}, before weights were averaged")
    trained = set(labels.tolist())
    return sentences + [f"no training image shows '{n}'" for i, n in enumerate(classes) if i not in trained]


def finite(value: float) -> float | None:
    """`value`, or None for an infinite or undefined loss, for which JSON has no number."""
    return value if math.isfinite(value) else None


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
