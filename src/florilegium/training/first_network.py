"""The network that a run starts with; apart from the loop, since features are made without one."""

import torch
from torch import nn

from florilegium.core.recipe import Recipe
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.weights import load_into
from florilegium.training.job import Job
from florilegium.training.seeding import derive


def first_network(job: Job, recipe: Recipe, n_classes: int, seed: int) -> nn.Module:
    """The network before its first step: random weights of `seed`, then what `init` holds, then frozen."""
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(job.model, n_classes, drop_path=recipe.drop_path, dropout=recipe.dropout)
    init = job.init_of(seed)
    if init is not None:
        load_into(network, init, allow_missing=recipe.allow_missing, allow_unexpected=recipe.allow_unexpected)
    freeze(network, recipe)
    return network
