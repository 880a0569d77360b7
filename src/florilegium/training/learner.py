"""A step of training: gradients of micro-batches, the optimiser with its rate, and averages of weights."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.system import say, twelve_digits
from florilegium.evaluation.classification import autocast
from florilegium.training import parallel
from florilegium.training.task import Objective

# Learning rates: pure functions of the step, so that a resumed run has the same ones


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
    parameters = [p for p in network.parameters() if p.requires_grad]
    fused, decay = parameters[0].device.type in ("cpu", "cuda"), recipe.weight_decay
    if recipe.optimizer == "sgd":
        fused = fused and recipe.precision != "fp16"
        momentum, nesterov = recipe.momentum, recipe.nesterov
        return SGD(parameters, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=fused)
    kind = Adam if recipe.optimizer == "adam" else AdamW
    return kind(parameters, betas=recipe.betas, weight_decay=decay, fused=fused)


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


Tensors = tuple[Tensor, ...] | list[Tensor]


@torch.no_grad()
def _update_mean(means: Tensors, weights: Tensors, count: Tensor | int) -> None:
    torch._foreach_lerp_(means, weights, 1 / (int(count) + 1))


SMALLEST_NORMALISED = 4  # of two or three, an odd batch could leave a single image


# The step


class Learner:
    """A network in training. The host never waits for the device inside `step`."""

    def __init__(
        self,
        network: nn.Module,
        recipe: TrainingRecipe,
        objective: Objective,
        device: torch.device,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        self.network = network.to(device).to(memory_format=memory_format)
        self.replica = parallel.replica(self.network)
        self.recipe, self.objective, self.device = recipe, objective, device
        self.optimizer = build_optimizer(self.network, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.ema = None if recipe.ema is None else Ema(self.network, recipe.ema)
        self.swa = None if recipe.swa_start is None else mean_of_weights(self.network)
        self.micro_batch = recipe.batch_size // recipe.accumulate

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated: its moving average where the recipe keeps one."""
        return self.ema.module if self.ema else self.network

    def step(self, batch: Any, count: int, lr: float) -> Tensor:
        """Learn from a batch of `count` images at the rate `lr`; returns the objective's sums, (columns,).

        All processes of a training get the same batch, and each learns from its share.
        """
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        prepared = self.objective.prepare(batch)
        parallel.draw_apart()
        tally = torch.zeros(len(self.objective.columns), device=self.device)
        for part in map(parallel.share, micro_batches(count, self.micro_batch)):
            with autocast(self.device, recipe.precision):
                loss, sums = self.objective.loss(self.replica, prepared, part)
            size = part.stop - part.start
            self.scaler.scale(loss * (size * parallel.size() / count)).backward()
            tally += sums
        if recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        elif recipe.clip_value is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_value_(self.network.parameters(), recipe.clip_value)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update_parameters(self.network)
        return parallel.total(tally)

    def halve_micro_batch(self) -> None:
        """Use half the images per forward pass from now on; a step still learns from as many.

        Raises:
            UserError: the micro-batches cannot be smaller (batch normalisation needs some images), or
                other processes, which have met no limit, are in the middle of the same step.
        """
        if parallel.size() > 1:
            raise UserError(
                f"out of memory on {self.device}, one of {parallel.size()} processes of this training; raise "
                "recipe.accumulate, which each of them then follows from the start"
            )
        normalised = any(map(is_batch_norm, self.network.modules()))
        if self.micro_batch < 2 * (SMALLEST_NORMALISED if normalised else 1):
            raise UserError(
                f"out of memory on {self.device} with {self.micro_batch} images at a time; lower "
                "recipe.image_size, take a smaller model, or set device to one with more memory"
            )
        self.micro_batch //= 2
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        say(f"out of memory on {self.device}: goes on with {self.micro_batch} images at a time")

    def is_finite(self) -> bool:
        """True if every weight and statistic is a finite number."""
        tensors = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        return bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all())

    def state_dict(self) -> dict[str, Any]:
        states = {name: part.state_dict() if part else None for name, part in self._parts().items()}
        return states | {"micro_batch": self.micro_batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            if part:
                part.load_state_dict(state[name])
        self.micro_batch = state["micro_batch"]

    def _parts(self) -> dict[str, Any]:
        names = ("network", "optimizer", "scaler", "ema", "swa")
        return {name: getattr(self, name) for name in names}


def is_batch_norm(module: nn.Module) -> TypeGuard[nn.modules.batchnorm._BatchNorm]:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def out_of_memory(error: RuntimeError) -> bool:
    """True if the device, or the host where it computes, ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def micro_batches(count: int, most: int) -> Iterator[slice]:
    """Slices over `count` images of at most `most` each, of equal sizes up to one image.

    Equal sizes keep the last slice from being a single image, of which batch normalisation has no variance.
    """
    parts = math.ceil(count / most)
    edges = [count * i // parts for i in range(parts + 1)]
    yield from map(slice, edges, edges[1:])
