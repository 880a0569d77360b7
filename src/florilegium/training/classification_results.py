"""What a trained classifier scores, as its run's folder tells it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from florilegium.data.augment import InputConfig
from florilegium.data.load import Images, Splits
from florilegium.evaluation.classification import Scores, evaluate
from florilegium.training.classification import EVALUATION_BATCH, evaluation_of
from florilegium.training.loop import Outcome
from florilegium.training.results import finite


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


def metrics(tested: Tested, n_test: int) -> dict[str, Any]:
    return {
        "loss": finite(tested.test.loss),
        "top1": tested.test.top1,
        "top5": tested.test.top5,
        "last_top1": tested.last_top1,
        "train_top1": tested.train_top1,
        "n_test": n_test,
    }


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
