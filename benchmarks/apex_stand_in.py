"""The part of apex that the published code of study 3 needs: its optimisation level O2. It no longer installs.

The network and its input become half precision, batch normalisation and the loss that is returned stay single. The
optimiser works on single-precision copies of the weights, the loss is scaled, and a step whose gradients
overflow is left out and halves the scale, as apex documents it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

GROWTH_INTERVAL = 2000  # steps without an overflow after which the scale doubles


class Amp:
    """Stands for the module `apex.amp`, for one network and one optimiser."""

    def __init__(self) -> None:
        self.scaler = SimpleNamespace(_loss_scale=2.0**16)
        self._amp_state = SimpleNamespace(loss_scalers=[self.scaler])
        self.good_steps, self.overflowed = 0, False
        self.halves: list[nn.Parameter] = []
        self.masters: list[Tensor] = []

    def initialize(self, models: nn.Module, optimizers: Optimizer, opt_level: str) -> tuple[Any, Any]:
        assert opt_level == "O2", opt_level
        network, optimizer = models, optimizers
        network.half()
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.float()
        network.register_forward_pre_hook(lambda _, inputs: tuple(map(to_half, inputs)))
        network.register_forward_hook(lambda _, __, output: to_single(output))
        self.halves = list(network.parameters())
        self.masters = [p.detach().clone().float() for p in self.halves]
        (group,) = optimizer.param_groups
        group["params"] = self.masters
        step, zero = optimizer.step, optimizer.zero_grad

        def stepping() -> None:
            if not self.overflowed:
                step()
                torch._foreach_copy_(self.halves, self.masters)

        def forgetting() -> None:
            zero()
            network.zero_grad()

        optimizer.step, optimizer.zero_grad = torch.no_grad()(stepping), forgetting
        return network, optimizer

    @contextmanager
    def scale_loss(self, loss: Tensor, optimizer: Optimizer) -> Iterator[Tensor]:
        """Gives the scaled loss, and when its backward pass is done, hands the gradients to the optimiser."""
        scale = self.scaler._loss_scale
        yield loss.float() * scale
        gradients = [p.grad.float() for p in self.halves]
        torch._foreach_mul_(gradients, 1 / scale)
        for master, gradient in zip(self.masters, gradients, strict=True):
            master.grad = gradient
        self.overflowed = not torch.stack(torch._foreach_norm(gradients)).isfinite().all().item()
        self.good_steps = 0 if self.overflowed else self.good_steps + 1
        if self.overflowed:
            self.scaler._loss_scale /= 2
        elif self.good_steps % GROWTH_INTERVAL == 0:
            self.scaler._loss_scale *= 2

    def master_params(self, optimizer: Optimizer) -> list[Tensor]:
        return self.masters


def to_half(value: Any) -> Any:
    return value.half() if isinstance(value, Tensor) and value.is_floating_point() else value


def to_single(output: Any) -> Any:
    """The loss of a training step; or logits and, in a list, what attention saw."""
    if isinstance(output, tuple):
        return tuple(map(to_single, output))
    return output.float() if isinstance(output, Tensor) else output
