"""The training loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.system import bar, say
from florilegium.evaluation.classification import autocast
from florilegium.models.freeze import train_mode
from florilegium.training import parallel
from florilegium.training.learner import Learner, is_batch_norm, micro_batches, out_of_memory, rate
from florilegium.training.machine import seed_step
from florilegium.training.state import Keeper, Progress, StateFolder, Weights, snapshot, stop_requests
from florilegium.training.task import Row, Task, best_epoch, exploded, finite_or_infinity, stops_early

CHECK_EVERY = 50  # steps between two checks that the loss is finite


@dataclass(frozen=True)
class Outcome:
    """The result of a run. Epochs count from 1; a `best_epoch` of 0 means the first weights."""

    history: list[Row]
    last_state: Weights
    selected_state: Weights
    best_epoch: int
    diverged: bool
    diverged_epoch: int | None
    last_finite_loss: float | None
    resumed_from: int | None
    """Optimiser steps that were done when the run was resumed; None if it was not."""
    restarts: list[int]
    """Epochs that diverged and were repeated at a lower rate."""
    micro_batch: int
    """Images per forward pass at the end: fewer than planned where memory ran out."""
    seconds_per_epoch: list[float]
    seconds_validation: float
    images_per_second: float

    @property
    def selected_is_last(self) -> bool:
        """True if the selected weights are those after the last epoch."""
        return self.best_epoch == len(self.history)


def fit(
    network: nn.Module,
    task: Task,
    recipe: TrainingRecipe,
    *,
    seed: int,
    device: torch.device,
    state: StateFolder,
    on_epoch: Callable[[list[Row]], None] | None = None,
) -> Outcome:
    """Train `network` in place, from its weights or from the step that the open `state` holds.

    A divergence (a non-finite loss, or a training loss above ten times the first epoch's) is a result: it ends
    the run with its last finite weights, unless the recipe restarts it. `on_epoch` is called with the whole
    history after each epoch.

    Raises:
        UserError: the recipe needs validation images and there are none; or memory does not suffice.
        SystemExit: a signal asked to stop; the state holds the step that was reached.
    """
    check_validation(recipe, task)
    learner = Learner(network, recipe, task.objective, device, task.memory_format)
    with stop_requests() as stop:
        progress, resumed = Progress.restore(state, learner)
        steps_done = sum(len(task.batches(epoch)) for epoch in range(len(progress.history))) + progress.step
        resumed_from = steps_done if resumed else None
        if resumed:
            say(f"goes on after {steps_done} steps that were done before")
        keeper = Keeper(state, learner, progress, stop)
        if recipe.restarts and progress.good is None:
            progress.mark_good(learner)
        while not is_over(progress, task, recipe):
            batches = task.batches(len(progress.history))
            if train_epoch(learner, task, batches, progress, keeper, seed):
                close_epoch(learner, task, progress, sum(map(len, batches)))
            else:
                progress.diverged_epoch = len(progress.history) + 1
            if progress.diverged_epoch is not None and len(progress.restarts) < recipe.restarts:
                progress.go_back(learner)
            elif recipe.restarts:
                progress.mark_good(learner)
            if is_over(progress, task, recipe) or keeper.wants_epoch():
                keeper.save()
            if on_epoch:
                on_epoch(progress.history)
        if learner.swa and progress.diverged_epoch is None:
            finish_average(learner, task, progress, seed)
    return outcome(progress, task, learner, resumed_from)


def check_validation(recipe: TrainingRecipe, task: Task) -> None:
    """Raise `UserError` for a recipe that needs validation images where there are none."""
    needs = {
        "select = best": recipe.select == "best",
        "schedule = plateau": recipe.schedule == "plateau",
        "early_stop": recipe.early_stop is not None,
    }
    for key, needed in needs.items():
        if needed and task.validate is None:
            raise UserError(
                f"recipe.{key} looks at validation images and data.val has none; name a split in data.val"
                + (" or set recipe.select to last" if recipe.select == "best" else "")
            )


def is_over(progress: Progress, task: Task, recipe: TrainingRecipe) -> bool:
    ended = progress.diverged_epoch is not None or len(progress.history) >= recipe.epochs
    return ended or stops_early(progress.history, task.score, recipe)


def train_epoch(
    learner: Learner, task: Task, batches: Sequence[Tensor], progress: Progress, keeper: Keeper, seed: int
) -> bool:
    """Do the remaining steps of the epoch; returns False once a loss or a weight is not finite."""
    recipe, epoch, device = learner.recipe, len(progress.history), learner.device
    steps = len(batches)
    widest = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    tally = torch.zeros(len(task.objective.columns), dtype=widest, device=device)
    tally += torch.tensor(progress.tally or 0.0, dtype=widest, device=device)
    started = time.perf_counter() - progress.elapsed
    val_losses = [finite_or_infinity(row.get("val_loss")) for row in progress.history]
    factor = recipe.restart_factor ** len(progress.restarts)
    train_mode(learner.network)
    for step in bar(range(progress.step, steps), f"epoch {epoch + 1}/{recipe.epochs}", "step"):
        progress.lr = rate(recipe, epoch * steps + step, steps, val_losses) * factor
        task.feed.expect(batches, step)
        tally += step_that_fits(learner, task, batches[step], progress.lr, (seed, epoch, step))
        last = step + 1 == steps
        if (last or (step + 1) % CHECK_EVERY == 0) and not tally.isfinite().all():
            return False
        save = not last and keeper.wants_step()
        if last or save:
            progress.step, progress.tally = step + 1, tally.tolist()
            progress.elapsed = time.perf_counter() - started
        if save:
            keeper.save()
    return bool(parallel.agreed(learner.is_finite()))


def step_that_fits(learner: Learner, task: Task, index: Tensor, lr: float, place: tuple[int, int, int]) -> Tensor:
    """One step with the random numbers of `place` (seed, epoch, step).

    Where memory runs out, the step is repeated with the same random numbers in smaller micro-batches.
    """
    while True:
        seed_step(*place)
        try:
            return learner.step(task.feed(index), len(index), lr)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, whose traceback would hold on to the tensors that did not fit.
        learner.halve_micro_batch()


def close_epoch(learner: Learner, task: Task, progress: Progress, count: int) -> None:
    """Validate, add the row of the epoch of `count` images, and store the weights if they are the best."""
    recipe, epoch = learner.recipe, len(progress.history) + 1
    row: Row = {"epoch": epoch, "lr": progress.lr}
    row |= {name: total / count for name, total in zip(task.objective.columns, progress.tally, strict=True)}
    row |= dict.fromkeys(task.judged)
    averaged_from = recipe.averaged_from()
    if learner.swa and averaged_from is not None and epoch > averaged_from:
        learner.swa.update_parameters(learner.network)
    started = time.perf_counter()
    if task.validate and not parallel.rank():
        row |= task.validate(learner.evaluated)
    progress.validating += time.perf_counter() - started
    progress.history.append(parallel.shared(row))
    progress.seconds.append(progress.elapsed)
    progress.images.append(count)
    progress.last = snapshot(learner.evaluated)
    if recipe.select == "best" and best_epoch(progress.history, task.score) == epoch:
        progress.best = progress.last
    if exploded(progress.history):
        progress.diverged_epoch = epoch
    hidden = {"epoch", "lr", *(() if task.logged is None else set(task.judged) - set(task.logged))}
    scores = [f"{name} {value:.4f}" for name, value in row.items() if name not in hidden and value is not None]
    lr, speed = f"lr {row['lr']:.3g}", f"{count / progress.elapsed:.0f} images/s"
    say("  ".join([f"epoch {epoch}/{recipe.epochs}", lr, *scores, speed]))
    progress.step, progress.tally, progress.elapsed = 0, [], 0.0


def outcome(progress: Progress, task: Task, learner: Learner, resumed_from: int | None) -> Outcome:
    history, recipe = progress.history, learner.recipe
    return Outcome(
        history=history,
        last_state=progress.last,
        selected_state=progress.last if progress.best is None else progress.best,
        best_epoch=best_epoch(history, task.score) if recipe.select == "best" and history else len(history),
        diverged=progress.diverged_epoch is not None,
        diverged_epoch=progress.diverged_epoch,
        last_finite_loss=history[-1]["train_loss"] if history else None,
        resumed_from=resumed_from,
        restarts=progress.restarts,
        micro_batch=learner.micro_batch,
        seconds_per_epoch=progress.seconds,
        seconds_validation=progress.validating,
        images_per_second=sum(progress.images) / sum(progress.seconds) if history else 0.0,
    )


# Averaged weights


@torch.no_grad()
def finish_average(learner: Learner, task: Task, progress: Progress, seed: int) -> None:
    """Replace the last weights by their average, unless the run ended before averaging began.

    The running statistics of batch normalisation belong to no averaged network, so they are computed again in
    one pass over the training images, augmented as in an epoch.
    """
    assert learner.swa
    if not learner.swa.n_averaged:
        return
    started = time.perf_counter()
    for parameter, mean in zip(learner.network.parameters(), learner.swa.module.parameters(), strict=True):
        parameter.copy_(mean)
    take_statistics(learner, task, len(progress.history), seed)
    progress.last = snapshot(learner.network)
    progress.validating += time.perf_counter() - started
    say(f"the weights of {int(learner.swa.n_averaged)} epochs are averaged")


@torch.no_grad()
def take_statistics(learner: Learner, task: Task, epoch: int, seed: int) -> None:
    """Set the running statistics of every batch normalisation that trains to the mean over an epoch's batches."""
    train_mode(learner.network)
    norms = [
        module
        for module in learner.network.modules()
        if is_batch_norm(module) and module.training and module.running_mean is not None
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    for step, index in enumerate(task.batches(epoch)):
        seed_step(seed, epoch, step)
        prepared = task.objective.prepare(task.feed(index))
        for part in micro_batches(len(index), learner.micro_batch):
            with autocast(learner.device, learner.recipe.precision):
                task.objective.loss(learner.network, prepared, part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
