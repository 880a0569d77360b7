"""Which images each step learns from, where all are of one size: batches of seeded passes over them."""

from collections.abc import Sequence

from torch import Tensor

from florilegium.core.training_recipe import TrainingRecipe
from florilegium.training import parallel
from florilegium.training.accumulation import joined
from florilegium.training.seeding import epoch_order


def batches(epoch: int, *, count: int, recipe: TrainingRecipe, seed: int) -> Sequence[Tensor]:
    """The steps of an epoch: one pass over `count` images, or `recipe.epoch_steps` of endless passes."""
    full = steps_per_pass(count, recipe.batch_size)
    steps = recipe.epoch_steps or full
    order: dict[int, Tensor] = {}
    found = []
    for number in range(epoch * steps, (epoch + 1) * steps):
        turn, step = divmod(number, full)
        if turn not in order:
            order = {turn: epoch_order(seed, turn, count)}
        found.append(order[turn][step * recipe.batch_size : (step + 1) * recipe.batch_size])
    return joined(found, recipe, epoch)


def steps_per_pass(count: int, batch_size: int) -> int:
    """Batches of a pass over the images; the last may be smaller.

    A single image left over is not visited in that pass (the order changes, so it is another one
    each time): batch normalisation has no variance of one value. Nor are fewer than there are processes.
    """
    full, rest = divmod(count, batch_size)
    return full + (rest >= max(2, parallel.size()) or full == 0)
