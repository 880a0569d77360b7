"""The network of a run before its first step."""

from collections.abc import Callable

import torch
from torch import nn

from florilegium.config.recipes import Recipe
from florilegium.config.training_recipe import TrainingRecipe
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.weights import load_into
from florilegium.training.job import Job
from florilegium.training.seeding import derive


def initialise_classifier(job: Job, recipe: Recipe, n_classes: int, seed: int) -> nn.Module:
    """`initialise_network` for a classifier, with the recipe's drop path and dropout."""
    return initialise_network(
        job, recipe, n_classes, seed, drop_path=recipe.drop_path, dropout=recipe.dropout
    )


def initialise_network(
    job: Job,
    recipe: TrainingRecipe,
    n_classes: int,
    seed: int,
    *,
    load: Callable[..., None] = load_into,
    **regularisation: float,
) -> nn.Module:
    """The network of `job` with random weights of `seed`, then the weights of `init`, copied by `load`, then frozen."""
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(job.model, n_classes, **regularisation)
    init = job.at(seed).init
    if init is not None:
        load(network, init, allow_missing=recipe.allow_missing, allow_unexpected=recipe.allow_unexpected)
    freeze(network, recipe)
    return network
