"""Steps that learn from several batches at once, on a schedule of epochs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from florilegium.core.training_recipe import TrainingRecipe


def batches_at(recipe: TrainingRecipe, epoch: int) -> int:
    """How many batches a step of `epoch`, counted from 0, learns from."""
    return ([1] + [count for start, count in recipe.batches_per_step if start <= epoch])[-1]


def joined(batches: Sequence[Tensor], recipe: TrainingRecipe, epoch: int) -> Sequence[Tensor]:
    """The batches of an epoch as steps: each but the last of `batches_at` of them, in the same order.

    So the effective batch grows and there are fewer steps, which is what Lightning calls accumulation;
    the gradient of a step is the mean over its images. Forward passes stay as small as they were, and
    batch normalisation with them.
    """
    count = batches_at(recipe, epoch)
    if count == 1:
        return batches
    return [torch.cat([*batches[start : start + count]]) for start in range(0, len(batches), count)]
