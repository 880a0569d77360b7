"""A run of a classifier: what it trains, and how it is tested."""

from pathlib import Path
from typing import Any

from florilegium.config.recipes import Recipe
from florilegium.core.outputs import ANSWERS
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.training import results
from florilegium.training.classification import task_of
from florilegium.training.classification_results import measure, metrics, predictions
from florilegium.training.first_network import initialise_classifier
from florilegium.training.job import Job
from florilegium.training.loop import Outcome
from florilegium.training.probe import heads_for
from florilegium.training.run import Result, Training, train_run

(PREDICTIONS,) = ANSWERS["classification"]


def train_classifier(job: Job[Any, Recipe], splits: Splits, seed: int) -> None:
    """Make the run of `seed`; see `train_run`."""
    train_run(job, splits, seed, lambda recipe: prepare(job, splits, recipe, seed), predictions=[PREDICTIONS])


def prepare(job: Job[Any, Recipe], splits: Splits, recipe: Recipe, seed: int) -> Training:
    """The network of `job` with its first weights, and its task: on images, or its heads alone on features."""
    network = initialise_classifier(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    features = job.at(seed).features
    # Heads that are trained by themselves are the network's own: it learns what they learn.
    learner = network if features is None else heads_for(network, features)
    prepared = config if features is None else None

    def test(outcome: Outcome, folder: Path) -> Result:
        tested = measure(learner, outcome, splits, prepared, job.device)
        results.write_table(folder / PREDICTIONS, predictions(splits.test, tested.selected, splits.classes))
        # The whole network has its selected weights since `measure`; an outcome may hold those of heads.
        return Result(metrics(tested, len(splits.test)), network.state_dict(), tested.seconds)

    return Training(
        network=network,
        learner=learner,
        task=task_of(splits, recipe, prepared, seed, job.device),
        input=config,
        sides=(config.size, config.size),
        labels=splits.train.labels,
        test=test,
    )
