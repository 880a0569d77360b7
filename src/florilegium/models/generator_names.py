"""Names of the generators and checks of their arguments, without importing torch."""

from florilegium.config.data import Model, Samples
from florilegium.config.recipes import GenerationRecipe
from florilegium.config.training_recipe import TrainingRecipe
from florilegium.core.errors import UserError

DIFFUSION = "diffusion_unet"
SAMPLERS = {DIFFUSION: ("ddpm", "ddim"), "acgan": ("direct",)}
NAMES = frozenset(SAMPLERS)
STEPS = 500  # in the table of study 4's U-Net


def names() -> frozenset[str]:
    return NAMES


def check_steps(model: Model, recipe: TrainingRecipe, where: str) -> None:
    """Raise `UserError` that starts with `where` for a diffusion of more steps than its network has embeddings for."""
    if model.name != DIFFUSION or not isinstance(recipe, GenerationRecipe):
        return
    known = model.arguments.get("timesteps", STEPS)
    if isinstance(known, int) and recipe.timesteps > known:
        raise UserError(
            f"{where}: recipe.timesteps = {recipe.timesteps}: {model.name} tells {known} steps apart; set "
            f"model.arguments.timesteps to {recipe.timesteps}, too"
        )


def check_sampled(model: Model, samples: Samples | None, where: str) -> None:
    """Raise `UserError` that starts with `where` for a sampler that does not suit the network."""
    for name, sampling in samples.sets.items() if samples else ():
        fitting = SAMPLERS[model.name]
        if sampling.sampler not in fitting:
            steps = "takes no steps" if fitting == ("direct",) else "needs steps"
            raise UserError(
                f"{where}: samples.sets.{name}.sampler = {sampling.sampler}: {model.name} {steps}; set it to "
                f"{' or '.join(fitting)}"
            )
