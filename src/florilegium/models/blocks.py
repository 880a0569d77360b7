"""Checks of a recipe against a model that is not built yet: its blocks or stages, its kind of attention."""

from florilegium.config.data import Model
from florilegium.config.products import Attention
from florilegium.config.training_recipe import TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.models.cifar_names import ATTENDING
from florilegium.models.norm_vit_sizes import PUBLISHED


def check_frozen(model: Model, recipe: TrainingRecipe, where: str) -> None:
    """Raise `UserError` that starts with `where` for more frozen blocks than the model is known to have."""
    known = known_blocks(model)
    if known is not None and recipe.freeze_blocks > known:
        raise UserError(
            f"{where}: recipe.freeze_blocks = {recipe.freeze_blocks}: {model.name} has {known} blocks; give at "
            f"most {known}"
        )


def check_attended(model: Model, asked: Attention | None, where: str) -> None:
    """Raise `UserError` that starts with `where` if the model has another kind of attention than `asked`."""
    if asked is None:
        return
    kind = "nodes" if model.name in ATTENDING else "tokens"
    if asked.of != kind:
        raise UserError(
            f"{where}: attention.of = {asked.of}: {model.name} has no attention of {asked.of}; set it to {kind}, or "
            "take attention out"
        )


def known_blocks(model: Model) -> int | None:
    """A transformer's `depth`, or the number of stages if the arguments list them; None if neither is known."""
    arguments = PUBLISHED.get(model.name, {}) | model.arguments
    if isinstance(arguments.get("depth"), int):
        return int(arguments["depth"])
    stages = arguments.get("depths", arguments.get("layers"))
    return len(stages) if isinstance(stages, list | tuple) else None
