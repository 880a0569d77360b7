"""The names of the generators, and what their arguments tell, apart from them: checking a configuration costs no torch."""

from florilegium.core.errors import UserError
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.spec import Model
from florilegium.core.training_recipe import TrainingRecipe

DIFFUSION = "diffusion_unet"
NAMES = frozenset({DIFFUSION, "acgan"})
STEPS = 500  # that the table of study 4's U-Net has


def names() -> frozenset[str]:
    return NAMES


def check_steps(model: Model, recipe: TrainingRecipe, where: str) -> None:
    """Raise `UserError` that starts with `where` for a diffusion of more steps than its network can tell apart."""
    if model.name != DIFFUSION or not isinstance(recipe, GenerationRecipe):
        return
    known = model.arguments.get("timesteps", STEPS)
    if isinstance(known, int) and recipe.timesteps > known:
        raise UserError(
            f"{where}: recipe.timesteps = {recipe.timesteps}: {model.name} tells {known} steps apart; set "
            f"model.arguments.timesteps to {recipe.timesteps}, too"
        )
