"""A run of a generator, from a spec and a seed to the files of its folder."""

import time
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import nn

from florilegium.core.errors import UserError
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.outputs import RUN
from florilegium.core.progress import say
from florilegium.data.augment import InputConfig
from florilegium.data.load import Splits
from florilegium.generation.adversarial import Duel
from florilegium.generation.diffusion import NoiseError, noise_error
from florilegium.models.conditional_unet import ConditionalUnet
from florilegium.models.generators import own_input
from florilegium.training import parallel, results
from florilegium.training.feed import Feed, place
from florilegium.training.first_network import start
from florilegium.training.job import Job
from florilegium.training.loop import Outcome, fit
from florilegium.training.machine import pick_precision
from florilegium.training.passes import batches
from florilegium.training.run import train_run
from florilegium.training.state import StateFolder
from florilegium.training.task import Task
from florilegium.training.trackers import trackers_of

FILES = RUN["generation"]


def train_generator(job: Job, splits: Splits, seed: int) -> None:
    """Make the run of `seed`, or take it over where it was finished before.

    Raises:
        UserError: a class without images; see `fit`; or another process is at work on this run.
    """
    train_run(job, seed, FILES, partial(make_run, job, splits, seed))


def make_run(job: Job, splits: Splits, seed: int, state: StateFolder) -> None:
    """Train and write; the receipt comes last."""
    started = time.time()
    asked = job.section(GenerationRecipe, "recipe")
    recipe = asked.model_copy(update={"precision": pick_precision(asked.precision, job.device)})
    check_classes(splits)
    say(f"{job.out}, seed {seed}: {len(splits.train)} images to learn from")
    network = start(job, recipe, len(splits.classes), seed, dropout=recipe.dropout)
    config, _ = own_input(job.model)
    trackers = trackers_of(job, seed)
    task = task_of(network, splits, recipe, config, seed, job.device)
    outcome = fit(network, task, recipe, seed=seed, device=job.device, state=state, on_epoch=trackers)
    if parallel.rank():
        return
    if trackers:
        trackers.close()
    loss, seconds = tested(network, outcome, splits, recipe, config, job.device)
    results.write_run(
        job,
        seed,
        network,
        outcome,
        columns=task.columns,
        metrics={"loss": loss, "n_test": len(splits.test)},
        costs=results.costs(outcome, seconds, recipe, job.device),
        sides=(config.size, config.size),
        predictions=[],
        started=started,
        classes=list(splits.classes),
        input=asdict(config),
        warnings=results.warnings(outcome, recipe, splits.classes, splits.train.labels),
    )


def check_classes(splits: Splits) -> None:
    """Raise `UserError` for a class that has no image to learn from: a sample of it would be of nothing."""
    shown = set(splits.train.labels.tolist())
    missing = [name for label, name in enumerate(splits.classes) if label not in shown]
    if missing:
        raise UserError(
            f"data: class '{missing[0]}' has no image left to train on, and a generator makes images of every class; "
            "leave the class out of the data set, or drop fewer images by data.clean"
        )


def task_of(
    network: nn.Module,
    splits: Splits,
    recipe: GenerationRecipe,
    config: InputConfig,
    seed: int,
    device: torch.device,
) -> Task:
    """Learn to make `splits.train`; a diffusion is watched on the noise that it sees in `splits.val`."""
    diffusion = isinstance(network, ConditionalUnet)
    objective: Any = (NoiseError if diffusion else Duel)(network, recipe, config)
    watched = splits.val if diffusion else None
    return Task(
        objective=objective,
        feed=Feed(place(splits.train, device), device).batch,
        count=len(splits.train),
        batches=partial(batches, count=len(splits.train), recipe=recipe, seed=seed),
        validate=None
        if watched is None
        else lambda net: {"val_loss": noise_error(net, watched, recipe, config, device)},
        judged=("val_loss",) if diffusion else (),
        score="val_loss",
    )


def tested(
    network: nn.Module,
    outcome: Outcome,
    splits: Splits,
    recipe: GenerationRecipe,
    config: InputConfig,
    device: torch.device,
) -> tuple[float | None, float]:
    """The error of the noise seen in the test images, None for an ACGAN; and the seconds it took."""
    if not isinstance(network, ConditionalUnet):
        return None, 0.0
    started = time.perf_counter()
    network.load_state_dict(outcome.last_state)
    loss = results.finite(noise_error(network, splits.test, recipe, config, device))
    return loss, time.perf_counter() - started
