"""The scores of a trained classifier, as metrics and as a table of predictions."""

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
from florilegium.training.results import Tested, finite, score_weights


@dataclass(frozen=True)
class TestedClassifier(Tested[Scores]):
    train_top1: float
    """Of the selected weights, on the training images without augmentation."""


def measure(
    network: nn.Module, outcome: Outcome, splits: Splits, config: InputConfig | None, device: torch.device
) -> TestedClassifier:
    """Evaluate in float32, so that a later evaluation of the checkpoint gives the same scores.

    `config` as in `task_of`. Leaves `network` with the selected weights.
    """

    def score(images: Images) -> Scores:
        return evaluate(network, images, evaluation_of(config), batch_size=EVALUATION_BATCH, device=device)

    tested = score_weights(network, outcome, lambda: score(splits.test))
    started = time.perf_counter()
    train = score(splits.train)
    seconds = tested.seconds + time.perf_counter() - started
    return TestedClassifier(tested.selected, tested.last, seconds, train.top1)


def metrics(tested: TestedClassifier, n_test: int) -> dict[str, Any]:
    return {
        "loss": finite(tested.selected.loss),
        "top1": tested.selected.top1,
        "top5": tested.selected.top5,
        "last_top1": tested.last.top1,
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
