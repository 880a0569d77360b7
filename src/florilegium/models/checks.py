"""Checks of the networks and weights of a plan: all that is known of them without importing torch."""

import re
from collections.abc import Mapping

from florilegium.config.data import Model, Samples
from florilegium.config.experiment import Experiment
from florilegium.config.products import Attention
from florilegium.config.recipes import GenerationRecipe, TrainingRecipe
from florilegium.config.weights import Weights
from florilegium.core.errors import Mistakes, UserError, UserErrors
from florilegium.models import registry
from florilegium.models.arguments import ATTENTION_RESNETS, DIFFUSION, GENERATORS, NORM_VITS, UNET_STEPS
from florilegium.models.catalogue import look_up
from florilegium.plan.plan import Plan

KEY = re.compile(r"[a-z]+(?:\.\w+)?")  # a section and a key of it, with which the sentence of a check begins


def check_networks(plan: Plan, catalogue: Mapping[str, Weights]) -> None:
    """Check every experiment's network and weights, among those of the `catalogue`, before anything runs.

    Raises `UserError` or `UserErrors` for unknown weights, and for a network that is unknown, of another task, or
    without the blocks, the attention or the sampler that the experiment needs; a sentence names the file and the key.
    """
    mistakes = Mistakes()
    for e in plan.experiments:
        with mistakes.caught():
            try:
                check_network(e, catalogue)
            except UserError as error:
                raise located(e, error) from None
    mistakes.refuse()


def check_network(e: Experiment, catalogue: Mapping[str, Weights]) -> None:
    """Raise `UserError` or `UserErrors`, whose sentences begin with a key, for the network and weights of one arm."""
    mistakes = Mistakes()
    if e.init and e.init.weights:
        with mistakes.caught():
            look_up(e.init.weights, catalogue)
    with mistakes.caught():
        registry.check(e.model, e.task)
        with mistakes.caught():
            check_frozen(e.model, e.recipe)
        with mistakes.caught():
            check_attention(e.model, e.attention)
        with mistakes.caught():
            check_steps(e.model, e.recipe)
        with mistakes.caught():
            check_samples(e.model, e.samples)
    mistakes.refuse()


def located(e: Experiment, error: UserError) -> UserError:
    """The error with the place of the key, with which each of its sentences begins, in front."""
    placed = []
    for sentence in error.mistakes if isinstance(error, UserErrors) else (str(error),):
        key = KEY.match(sentence)
        placed.append(e.place(key[0]) + sentence[key.end() :] if key else f"{e.key}: {sentence}")
    return UserErrors(placed) if len(placed) > 1 else UserError(placed[0])


# Each check raises `UserError` that starts with the key.


def check_frozen(model: Model, recipe: TrainingRecipe) -> None:
    """Refuse more frozen blocks than the model is known to have."""
    known = known_blocks(model)
    if known is not None and recipe.freeze_blocks > known:
        raise UserError(
            f"recipe.freeze_blocks = {recipe.freeze_blocks}: {model.name} has {known} blocks; give at most {known}"
        )


def known_blocks(model: Model) -> int | None:
    """A transformer's `depth`, or the number of stages if the arguments list them; None if neither is known."""
    arguments = {**NORM_VITS.get(model.name, {}), **model.arguments}
    if isinstance(arguments.get("depth"), int):
        return int(arguments["depth"])
    stages = arguments.get("depths", arguments.get("layers"))
    return len(stages) if isinstance(stages, list | tuple) else None


def check_attention(model: Model, attention: Attention | None) -> None:
    """Refuse to look at a kind of attention that the model does not have."""
    kind = "nodes" if model.name in ATTENTION_RESNETS else "tokens"
    if attention is not None and attention.of != kind:
        raise UserError(
            f"attention.of = {attention.of}: {model.name} has no attention of {attention.of}; set it to {kind}, or "
            "take attention out"
        )


def check_steps(model: Model, recipe: TrainingRecipe) -> None:
    """Refuse a diffusion of more steps than its network has embeddings for."""
    if model.name != DIFFUSION or not isinstance(recipe, GenerationRecipe):
        return
    known = model.arguments.get("timesteps", UNET_STEPS)
    if isinstance(known, int) and recipe.timesteps > known:
        raise UserError(
            f"recipe.timesteps = {recipe.timesteps}: {model.name} tells {known} steps apart; set "
            f"model.arguments.timesteps to {recipe.timesteps}, too"
        )


def check_samples(model: Model, samples: Samples | None) -> None:
    """Refuse a sampler that does not suit the generator."""
    for name, sampling in samples.sets.items() if samples else ():
        fitting = GENERATORS[model.name]
        if sampling.sampler not in fitting:
            steps = "takes no steps" if fitting == ("direct",) else "needs steps"
            raise UserError(
                f"samples.sets.{name}.sampler = {sampling.sampler}: {model.name} {steps}; set it to "
                f"{' or '.join(fitting)}"
            )
