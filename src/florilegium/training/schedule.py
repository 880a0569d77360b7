"""Learning rates as pure functions of the step; none has state to save."""

import math
from collections.abc import Sequence

from florilegium.config.training_recipe import TrainingRecipe
from florilegium.core.system import twelve_digits


def rate(recipe: TrainingRecipe, step: int, steps_per_epoch: int, val_losses: Sequence[float]) -> float:
    """The rate of a step, counted as in `lr_at`, after epochs with these validation losses.

    Once weights are averaged, a half cosine leads from the rate at that step to `swa_lr`, which then
    stays (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
    with the annealing of torch's `SWALR`).
    """
    averaged = recipe.averaged_from()
    if averaged is None or step < averaged * steps_per_epoch:
        return lr_at(recipe, step, steps_per_epoch, val_losses)
    start = averaged * steps_per_epoch
    before = lr_at(recipe, start, steps_per_epoch, val_losses[:averaged])
    anneal = recipe.swa_anneal_epochs * steps_per_epoch
    return _half_cosine(before, recipe.swa_lr, step - start, anneal)


def lr_at(recipe: TrainingRecipe, step: int, steps_per_epoch: int, val_losses: Sequence[float] = ()) -> float:
    """The rate of optimiser step `step`, counted from 0 over the whole run; from its end on, the rate there.

    The warm-up rises linearly from `warmup_start * lr`; the cosine falls from its end to
    `final_lr * lr` at the end of the run (Loshchilov & Hutter 2017, without restarts); milestones are
    counted from the start of the run. A tail replaces the last epochs by a straight line from the
    rate at its start down to 0. `plateau` multiplies the rate by `plateau_factor`.
    """
    total = recipe.epochs * steps_per_epoch
    start = _steps(recipe.epochs - recipe.tail_epochs, steps_per_epoch)
    lr = recipe.base_lr * _shape(recipe, min(step, start), steps_per_epoch)
    if start < step and start < total:
        lr *= max(0, total - step) / (total - start)
    return lr * plateau_factor(recipe, val_losses)


def _shape(recipe: TrainingRecipe, step: int, steps_per_epoch: int) -> float:
    """The rate as a fraction of `lr`, without tail and plateau."""
    warmup = _steps(recipe.warmup_epochs, steps_per_epoch)
    if step < warmup:
        return recipe.warmup_start + (1 - recipe.warmup_start) * step / warmup
    if recipe.schedule == "cosine":
        return _half_cosine(1.0, recipe.final_lr, step - warmup, recipe.epochs * steps_per_epoch - warmup)
    if recipe.schedule == "step":
        passed = (twelve_digits(epoch * steps_per_epoch) <= step for epoch in recipe.milestones)
        return recipe.gamma ** sum(passed)
    return 1.0


def _steps(epochs: float, steps_per_epoch: int) -> int:
    """The step nearest to so many epochs. Rounding keeps the order, so that a warm-up that ends before the tail
    begins does so in steps, too."""
    return round(twelve_digits(epochs * steps_per_epoch))


def _half_cosine(first: float, last: float, step: int, steps: int) -> float:
    """From `first` at step 0 down, or up, to `last` at step `steps`, which stays; of no steps, `last`."""
    done = min(1.0, step / steps) if steps else 1.0
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def plateau_factor(recipe: TrainingRecipe, val_losses: Sequence[float]) -> float:
    """The factor of the rate after epochs with these validation losses; 1 unless the schedule is `plateau`.

    The rate falls by `gamma` when more than `plateau_patience` epochs in a row bring no lower loss.
    """
    if recipe.schedule != "plateau":
        return 1.0
    factor, lowest, waited = 1.0, math.inf, 0
    for loss in val_losses:
        if loss < lowest:
            lowest, waited = loss, 0
        else:
            waited += 1
        if waited > recipe.plateau_patience:
            factor, waited = factor * recipe.gamma, 0
    return factor
