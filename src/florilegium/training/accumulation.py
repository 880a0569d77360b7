"""Gradient accumulation on a schedule of epochs: steps that learn from several batches."""

from collections.abc import Sequence

import torch
from torch import Tensor

from florilegium.config.training_recipe import TrainingRecipe


def batches_at(recipe: TrainingRecipe, epoch: int) -> int:
    """The number of batches per step in `epoch`, counted from 0."""
    return ([1] + [count for start, count in recipe.batches_per_step if start <= epoch])[-1]


def joined(batches: Sequence[Tensor], recipe: TrainingRecipe, epoch: int) -> Sequence[Tensor]:
    """The batches of an epoch joined into steps of `batches_at` each, in the same order; the last may be smaller.

    The effective batch grows and there are fewer steps, as in Lightning's accumulation; the gradient of a step
    is the mean over its images. The micro-batches of forward passes, and so of batch normalisation, stay as
    they were.
    """
    count = batches_at(recipe, epoch)
    if count == 1:
        return batches
    return [torch.cat([*batches[start : start + count]]) for start in range(0, len(batches), count)]
