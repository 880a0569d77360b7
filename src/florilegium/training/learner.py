"""One optimiser step and the state that it changes: weights, optimiser, loss scale, averaged weights, and the number
of images in a forward pass, which the memory of a device limits."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.system import say
from florilegium.evaluation.classification import autocast
from florilegium.training import parallel
from florilegium.training.optim import Ema, build_optimizer, mean_of_weights
from florilegium.training.task import Objective

SMALLEST_NORMALISED = 4  # of two or three, an odd batch could leave a single image


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
        self.network = network.to(device, memory_format=memory_format)
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


def is_batch_norm(module: nn.Module) -> bool:
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
