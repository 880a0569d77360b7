"""Batches of images of one size, from seeded passes over them."""

from collections.abc import Sequence

from torch import Tensor

from florilegium.config.training_recipe import TrainingRecipe
from florilegium.training import parallel
from florilegium.training.accumulation import joined
from florilegium.training.seeding import epoch_order


def batches(epoch: int, *, count: int, recipe: TrainingRecipe, seed: int) -> Sequence[Tensor]:
    """The steps of an epoch: one pass over `count` images, or `recipe.epoch_steps` of endless passes."""
    full = steps_per_pass(count, recipe.batch_size)
    steps = recipe.epoch_steps or full
    order: dict[int, Tensor] = {}
    steps_batches = []
    for number in range(epoch * steps, (epoch + 1) * steps):
        turn, step = divmod(number, full)
        if turn not in order:
            order = {turn: epoch_order(seed, turn, count)}
        steps_batches.append(order[turn][step * recipe.batch_size : (step + 1) * recipe.batch_size])
    return joined(steps_batches, recipe, epoch)


def steps_per_pass(count: int, batch_size: int) -> int:
    """The number of batches in a pass over the images; the last may be smaller.

    A single remaining image is left out, since batch normalisation has no variance of one value; so are fewer
    images than processes. The order changes from pass to pass, so it is another image each time.
    """
    full, rest = divmod(count, batch_size)
    return full + (rest >= max(2, parallel.size()) or full == 0)
