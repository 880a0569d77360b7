"""Stochastic weight averaging: the mean of the weights at the ends of a run's last epochs.

Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", algorithm 1.
"""

import torch
from torch import Tensor, nn


class Swa:
    """The mean of the parameters that `update` was given; statistics are not averaged, see `averaging`."""

    def __init__(self, network: nn.Module) -> None:
        self.mean = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
        self.count = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.count += 1
        torch._foreach_lerp_(list(self.mean.values()), list(network.parameters()), 1 / self.count)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        for name, parameter in network.named_parameters():
            parameter.copy_(self.mean[name])

    def state_dict(self) -> dict[str, dict[str, Tensor] | int]:
        return {"mean": self.mean, "count": self.count}

    def load_state_dict(self, state: dict) -> None:
        for name, mean in self.mean.items():
            mean.copy_(state["mean"][name])
        self.count = state["count"]
