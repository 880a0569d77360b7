"""A run of a classifier, from a spec and a seed to the files of its folder."""

import time
from dataclasses import asdict, replace
from functools import partial

from florilegium.core.outputs import RUN
from florilegium.core.progress import say
from florilegium.core.recipe import Recipe
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.training import parallel, results
from florilegium.training.classification import task_of
from florilegium.training.classification_results import measure, metrics, predictions
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.loop import fit
from florilegium.training.machine import pick_precision
from florilegium.training.probe import heads_for
from florilegium.training.run import train_run
from florilegium.training.state import StateFolder
from florilegium.training.trackers import trackers_of

FILES = RUN["classification"]


def train_classifier(job: Job, splits: Splits, seed: int) -> None:
    """Make the run of `seed`, or take it over where it was finished before.

    Raises:
        UserError: see `fit`; or another process is at work on this run.
    """
    train_run(job, seed, FILES, partial(make_run, job, splits, seed))


def make_run(job: Job, splits: Splits, seed: int, state: StateFolder) -> None:
    """Train, test and write; the receipt comes last."""
    started = time.time()
    asked = job.section(Recipe, "recipe")
    decided = {"precision": pick_precision(asked.precision, job.device), "lr": job.rate_of(asked, seed)}
    recipe = asked.model_copy(update=decided)
    say(f"{job.out}, seed {seed}: {len(splits.train)} images to train on, {len(splits.test)} to test on")
    network = first_network(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    features = job.features_of(seed)
    # Heads that are trained by themselves are the network's own: it learns what they learn.
    learning = network if features is None else heads_for(network, features)
    prepared = config if features is None else None
    task = task_of(splits, recipe, prepared, seed, job.device)
    trackers = trackers_of(job, seed)
    outcome = fit(
        learning,
        task,
        recipe,
        seed=seed,
        device=job.device,
        state=state,
        on_epoch=trackers,
    )
    if parallel.rank():
        return
    if trackers:
        trackers.close()
    tested = measure(learning, outcome, splits, prepared, job.device)
    table = job.out_of(seed) / "predictions.csv"
    results.write_table(table, predictions(splits.test, tested.test, splits.classes))
    results.write_run(
        job,
        seed,
        network,
        replace(outcome, selected_state=network.state_dict()),  # of the whole network, since `measure`
        columns=task.columns,
        metrics=metrics(tested, len(splits.test)),
        costs=results.costs(outcome, tested.seconds, recipe, job.device),
        sides=(config.size, config.size),
        predictions=[table],
        started=started,
        classes=list(splits.classes),
        input=asdict(config),
        warnings=results.warnings(outcome, recipe, splits.classes, splits.train.labels),
    )
