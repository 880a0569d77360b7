"""Learning rates, optimisers and averages of weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.system import twelve_digits


def rate(recipe: TrainingRecipe, step: int, steps_per_epoch: int, val_losses: Sequence[float]) -> float:
    """The rate of a step, counted as in `lr_at`, after epochs with these validation losses.

    Once weights are averaged, a half cosine leads from the rate at that step to `swa_lr`, which then stays: the
    annealing of torch's `SWALR`.
    """
    averaged = recipe.averaged_from()
    if averaged is None or step < (start := averaged * steps_per_epoch):
        return lr_at(recipe, step, steps_per_epoch, val_losses)
    before = lr_at(recipe, start, steps_per_epoch, val_losses[:averaged])
    return _half_cosine(before, recipe.swa_lr, step - start, recipe.swa_anneal_epochs * steps_per_epoch)


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
        return recipe.gamma ** sum(twelve_digits(epoch * steps_per_epoch) <= step for epoch in recipe.milestones)
    return 1.0


def _steps(epochs: float, steps_per_epoch: int) -> int:
    """The step nearest to so many epochs. Rounding keeps the order of the ends of warm-up and tail."""
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


# Optimisers


def build_optimizer(network: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """The recipe's optimiser over the parameters that require a gradient, fused where torch can.

    The learner sets their rate before each step. SGD is not fused in fp16: torch's fused kernel leaves momentum
    that was never written where the scaler skips the first step (seen in 2.11 on CUDA and in 2.15 on a CPU), and
    the second step takes it for a gradient's.
    """
    skips = recipe.optimizer == "sgd" and recipe.precision == "fp16"
    parameters = [p for p in network.parameters() if p.requires_grad]
    shared = {"weight_decay": recipe.weight_decay, "fused": parameters[0].device.type in ("cpu", "cuda") and not skips}
    if recipe.optimizer == "sgd":
        return SGD(parameters, momentum=recipe.momentum, nesterov=recipe.nesterov, **shared)
    return (Adam if recipe.optimizer == "adam" else AdamW)(parameters, betas=recipe.betas, **shared)


# Averages of weights


class Ema(AveragedModel):
    """An exponential moving average of the weights at each step, with the network's own buffers.

    The decay warms up as min(decay, (1 + t) / (10 + t)) after t steps, so that the first, random weights are
    soon forgotten (the rule of TensorFlow's `ExponentialMovingAverage`).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network)
        self.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the weights of `model`.

        In place of torch's own method, which copies its count to the device at each call and so makes the
        host wait for all steps that are under way; the count stays on the host here.
        """
        steps = int(self.n_averaged)
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self.parameters()), list(model.parameters()), 1 - decay)
        for averaged, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            averaged.copy_(buffer)
        self.n_averaged += 1


def mean_of_weights(network: nn.Module) -> AveragedModel:
    """A running mean of weights, to be updated at the ends of a run's last epochs.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", algorithm 1.
    """
    return AveragedModel(network, multi_avg_fn=_update_mean)


@torch.no_grad()
def _update_mean(means: list[Tensor], weights: list[Tensor], count: Tensor) -> None:
    torch._foreach_lerp_(means, weights, 1 / (int(count) + 1))
