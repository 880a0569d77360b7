"""Optimisers, as torch has them: every parameter that trains decays, norms and biases included.

The studies decayed all of them too, so that exempting any would be another experiment.
"""

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from florilegium.core.training_recipe import TrainingRecipe


def build_optimizer(network: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """The recipe's optimiser over the parameters that require a gradient, fused where torch can.

    SGD is not in fp16: torch's fused kernel leaves momentum that was never written where the scaler skips the
    first step (seen in 2.11 on CUDA and in 2.15 on a CPU), and the second step takes it for a gradient's.
    """
    skips = recipe.optimizer == "sgd" and recipe.precision == "fp16"
    parameters = [p for p in network.parameters() if p.requires_grad]
    shared = {
        "lr": recipe.base_lr,
        "weight_decay": recipe.weight_decay,
        "fused": parameters[0].device.type in ("cpu", "cuda") and not skips,
    }
    if recipe.optimizer == "sgd":
        return SGD(parameters, momentum=recipe.momentum, nesterov=recipe.nesterov, **shared)
    kind = Adam if recipe.optimizer == "adam" else AdamW
    return kind(parameters, betas=recipe.betas, **shared)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
