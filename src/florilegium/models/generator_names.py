"""The names of the generators, apart from them, so that checking a configuration costs no torch."""

from florilegium.core.errors import UserError
from florilegium.core.sampling import Samples
from florilegium.core.spec import Model

SAMPLERS = {"diffusion_unet": ("ddpm", "ddim"), "acgan": ("direct",)}
NAMES = frozenset(SAMPLERS)


def names() -> frozenset[str]:
    return NAMES


def check_sampled(model: Model, samples: Samples | None, where: str) -> None:
    """Raise `UserError` that starts with `where` for a sampler that the network has nothing to do with."""
    for name, sampling in samples.sets.items() if samples else ():
        fitting = SAMPLERS[model.name]
        if sampling.sampler not in fitting:
            steps = "takes no steps" if fitting == ("direct",) else "needs steps"
            raise UserError(
                f"{where}: samples.sets.{name}.sampler = {sampling.sampler}: {model.name} {steps}; set it to "
                f"{' or '.join(fitting)}"
            )
