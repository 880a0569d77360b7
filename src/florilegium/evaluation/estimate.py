"""How many operations an experiment takes, before anything of it is run.

A multiply-accumulate is two operations. A forward pass costs the network's multiply-accumulates, the
backward pass twice that where everything trains; where a part is frozen, in proportion to the parameters
that train. Augmentation, optimiser and input are left out: what share of a card's rate remains in
practice is for the card's description to say.
"""

from dataclasses import dataclass
from functools import cache

import torch

from florilegium.core.recipe import Recipe
from florilegium.core.rounding import twelve_digits
from florilegium.core.spec import DataUse, Model
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.models.freeze import freeze


@dataclass(frozen=True)
class Work:
    """Images that an experiment learns from and is judged on, and the operations that all of it takes."""

    train_images: int
    judged_images: int
    macs: int
    params: int
    params_trainable: int
    operations: float


def work_of(
    model: Model, recipe: Recipe, data: DataUse, images: dict[str, int], n_classes: int, *, cached: bool
) -> Work:
    """The work of one run.

    Args:
        images: how many there are by split; doubles that an audit drops are not known yet, and counted.
        cached: a probe whose backbone sees each image once.

    Raises:
        UserError: a network that cannot be built, or frozen, as the experiment says.
    """
    train, val, test = (sum(images[s] for s in getattr(data, key)) for key in ("train", "val", "test"))
    if data.holdout is not None:
        test = round(twelve_digits(train * data.holdout))
        train, val = train - test, test
    elif data.choose_on_test:
        val = test
    size = _size(model.model_dump_json(), recipe.image_size, recipe.freeze, recipe.freeze_blocks, n_classes)
    learned = recipe.epochs * (recipe.epoch_steps * recipe.batch_size if recipe.epoch_steps else train)
    judged = (
        recipe.epochs * val + 2 * test + train
    )  # the last weights and the best, and once the training set
    forward = 2.0 * size["macs"]
    if cached:
        operations = forward * (train + val + test)
    else:
        backward = 2 * forward * size["params_trainable"] / size["params"]
        operations = learned * (forward + backward) + judged * forward
    return Work(learned, judged, size["macs"], size["params"], size["params_trainable"], operations)


@cache
def _size(
    model: str, image_size: int | None, frozen: tuple[str, ...], frozen_blocks: int, n_classes: int
) -> dict[str, int]:
    """`cost.size` of the network, built on the meta device, where weights take no memory."""
    built = Model.model_validate_json(model)
    recipe = Recipe(epochs=1, image_size=image_size, freeze=frozen, freeze_blocks=frozen_blocks)
    with torch.device("meta"):
        network = registry.build(built, n_classes)
    freeze(network, recipe)
    side = registry.input_config(built, recipe).size
    return cost.size(network, side, side)
