"""An exponential moving average of the weights, evaluated in their place."""

import copy

import torch
from torch import nn


class Ema:
    """A shadow of a network: weights averaged at each step, buffers copied.

    The decay warms up as min(decay, (1 + t) / (10 + t)) after t steps, so that the first, random weights
    are soon forgotten (the rule of TensorFlow's `ExponentialMovingAverage`).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.shadow = copy.deepcopy(network).requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        torch._foreach_lerp_(list(self.shadow.parameters()), list(network.parameters()), 1 - decay)
        for kept, buffer in zip(self.shadow.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)

    def state_dict(self) -> dict:
        return {"shadow": self.shadow.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict) -> None:
        self.shadow.load_state_dict(state["shadow"])
        self.steps = state["steps"]
