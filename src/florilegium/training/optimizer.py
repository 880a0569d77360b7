"""Optimisers and averages of weights.

Optimisers are torch's: every parameter that trains decays, norms and biases included. The studies decayed all of
them too, so that exempting any would be another experiment.
"""

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from florilegium.config.training_recipe import TrainingRecipe


def build_optimizer(network: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """The recipe's optimiser over the parameters that require a gradient, fused where torch can.

    The learner sets its rate before each step. SGD is not fused in fp16: torch's fused kernel leaves momentum
    that was never written where the scaler skips the first step (seen in 2.11 on CUDA and in 2.15 on a CPU), and
    the second step takes it for a gradient's.
    """
    skips = recipe.optimizer == "sgd" and recipe.precision == "fp16"
    parameters = [p for p in network.parameters() if p.requires_grad]
    shared = {
        "weight_decay": recipe.weight_decay,
        "fused": parameters[0].device.type in ("cpu", "cuda") and not skips,
    }
    if recipe.optimizer == "sgd":
        return SGD(parameters, momentum=recipe.momentum, nesterov=recipe.nesterov, **shared)
    kind = Adam if recipe.optimizer == "adam" else AdamW
    return kind(parameters, betas=recipe.betas, **shared)


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
