"""What a trained network scores and what it took: the contents of a run's folder."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from florilegium.core.recipe import Recipe
from florilegium.data.augment import InputConfig
from florilegium.data.load import Images, Splits
from florilegium.evaluation import cost
from florilegium.evaluation.classification import Scores, evaluate
from florilegium.training.classification import EVALUATION_BATCH, evaluation_of
from florilegium.training.loop import Outcome


@dataclass(frozen=True)
class Tested:
    """The selected and the last weights, measured."""

    test: Scores
    last_top1: float
    train_top1: float
    seconds: float


def measure(
    network: nn.Module, outcome: Outcome, splits: Splits, config: InputConfig | None, device: torch.device
) -> Tested:
    """Evaluate in float32, so that whoever evaluates the checkpoint later gets the same figures.

    `config` as in `task_of`. Leaves `network` with the selected weights.
    """

    def score(images: Images) -> Scores:
        return evaluate(network, images, evaluation_of(config), batch_size=EVALUATION_BATCH, device=device)

    started = time.perf_counter()
    network.load_state_dict(outcome.last_state)
    last = score(splits.test)
    test = last
    if outcome.selected_state is not outcome.last_state:
        network.load_state_dict(outcome.selected_state)
        test = score(splits.test)
    train = score(splits.train)
    return Tested(test, last.top1, train.top1, time.perf_counter() - started)


def metrics(outcome: Outcome, tested: Tested, n_test: int) -> dict[str, Any]:
    return {
        "loss": _finite(tested.test.loss),
        "top1": tested.test.top1,
        "top5": tested.test.top5,
        "last_top1": tested.last_top1,
        "train_top1": tested.train_top1,
        "n_test": n_test,
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        "diverged": outcome.diverged,
        "diverged_epoch": outcome.diverged_epoch,
        "last_finite_loss": outcome.last_finite_loss,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity; the loss of weights that all but diverged can be one."""
    return value if math.isfinite(value) else None


def predictions(images: Images, scores: Scores, classes: tuple[str, ...]) -> pd.DataFrame:
    def named(labels: Iterable[int]) -> list[str]:
        return [classes[label] for label in labels]

    return pd.DataFrame(
        {
            "image": images.names,
            "target": named(images.labels.tolist()),
            "prediction": named(scores.predictions.tolist()),
            "probability": scores.probabilities.double().numpy().round(6),
        }
    )


def costs(outcome: Outcome, tested: Tested, recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """What the run took, whichever processes it ran in: epochs, validation and the tests at the end."""
    training = sum(outcome.seconds_per_epoch)
    return {
        "device": device_name(device),
        "precision": recipe.precision,
        "threads": recipe.threads,
        "seconds_total": training + outcome.seconds_validation + tested.seconds,
        "seconds_per_epoch": training / max(1, len(outcome.seconds_per_epoch)),
        "seconds_validation": outcome.seconds_validation,
        "seconds_evaluation": tested.seconds,
        "train_images_per_second": outcome.images_per_second,
        "peak_memory_bytes": cost.peak_memory_bytes(device),
    }


def warnings(outcome: Outcome, recipe: Recipe, splits: Splits) -> list[str]:
    """What a reader of the figures should know."""
    found = [
        f"training diverged in epoch {epoch} and went on from the end of epoch {epoch - 1} at "
        f"{recipe.restart_factor:g} times the rate"
        for epoch in outcome.restarts
    ]
    if outcome.micro_batch < (planned := recipe.batch_size // recipe.accumulate):
        found.append(
            f"memory ran out: micro-batches of {outcome.micro_batch} images in place of {planned}, which "
            "batch normalisation took its statistics from"
        )
    if outcome.diverged:
        found.append(f"training diverged in epoch {outcome.diverged_epoch}")
    trained = set(splits.train.labels.tolist())
    found += [f"no training image shows '{n}'" for i, n in enumerate(splits.classes) if i not in trained]
    return found


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
