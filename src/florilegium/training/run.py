"""A run, from a job and a seed to the files of its folder, whatever its task.

It is made under a lock, kept until the workflow has it on its books, and taken over where it was finished before.
"""

import time
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from florilegium.core.receipts import keep, take_over, withdraw
from florilegium.core.system import orphaned, say
from florilegium.data.augment import InputConfig
from florilegium.training import parallel, results
from florilegium.training.job import Job, R
from florilegium.training.loop import Outcome, fit
from florilegium.training.state import StateFolder, Weights
from florilegium.training.task import Task
from florilegium.training.trackers import trackers_of

SHARED_FILES = ("metrics.json", "history.csv", "cost.json", results.CHECKPOINT)


class Splits(Protocol):
    """The images of an experiment, with boxes or without."""

    @property
    def train(self) -> Sized: ...
    @property
    def test(self) -> Sized: ...
    @property
    def classes(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Result:
    """The scores of a trained network on the test images."""

    metrics: Mapping[str, Any]
    weights: Weights
    """Those of the checkpoint: of the whole network, selected."""
    seconds: float


@dataclass(frozen=True)
class Training:
    """The part of a run that depends on its task."""

    network: nn.Module
    learner: nn.Module
    """The part of `network` that trains: all of it, or its heads, on features."""
    task: Task
    input: InputConfig
    sides: tuple[int, int]
    """Height and width of an image for the cost of a forward pass."""
    labels: Tensor
    """Of all that is trained on, (N,)."""
    test: Callable[[Outcome, Path], Result]
    """Tests the network, and writes its predictions into the run's folder."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further values for the receipt."""


def train_run(
    job: Job[Any, R], splits: Splits, seed: int, prepare: Callable[[R], Training], *, predictions: Sequence[str] = ()
) -> None:
    """Make the run of `seed`, or take it over where it was finished before. Helpers only train.

    Args:
        prepare: from the recipe of this seed to its training.
        predictions: names of the files that the test writes.

    Raises:
        UserError: see `fit`; or another process is at work on this run.
    """
    out = job.at(seed).out
    with StateFolder(job.at(seed).state, job.fingerprint(seed)) as state:
        first = not parallel.rank()
        if parallel.agreed(first and take_over(out, state.folder, state.fingerprint)):
            say(f"{job.out}, seed {seed}: was finished before, and is taken over")
            return
        _make_run(job, splits, seed, prepare, predictions, state)
        if first:
            keep(out, (*SHARED_FILES, *predictions, "receipt.json"), state.folder, state.fingerprint)
            state.clear()
            if orphaned():
                withdraw(out, state.folder)
                say("the workflow that started this training is gone; the next one takes the result over")


def _make_run(
    job: Job[Any, R],
    splits: Splits,
    seed: int,
    prepare: Callable[[R], Training],
    predictions: Sequence[str],
    state: StateFolder,
) -> None:
    """Train, test and write; the receipt comes last."""
    started = time.time()
    say(f"{job.out}, seed {seed}: {len(splits.train)} images to train on, {len(splits.test)} to test on")
    recipe = job.recipe_at(seed)
    training = prepare(recipe)
    trackers = trackers_of(job, seed)
    outcome = fit(training.learner, training.task, recipe, seed=seed, device=job.device, state=state, on_epoch=trackers)
    if parallel.rank():
        return
    if trackers:
        trackers.close()
    folder = job.at(seed).out
    result = training.test(outcome, folder)
    results.write_run(
        job,
        seed,
        training.network,
        replace(outcome, selected_state=result.weights),
        columns=training.task.columns,
        metrics=result.metrics,
        costs=results.costs(outcome, result.seconds, recipe, job.device),
        sides=training.sides,
        predictions=[folder / name for name in predictions],
        started=started,
        classes=list(splits.classes),
        input=asdict(training.input),
        warnings=results.warnings(outcome, recipe, splits.classes, training.labels),
        **training.facts,
    )
