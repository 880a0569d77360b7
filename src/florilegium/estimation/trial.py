"""Networks tried on torch's meta device, where nothing is computed and nothing takes memory: whether they can be built,
frozen, fed and looked into as an experiment asks.

    python -m florilegium.estimation.trial < asked.jsonl

reads a line of JSON for each network, and answers each with a line: a list of what is wrong, in sentences that begin
with the key.
"""

import json
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from florilegium.config.base import parse
from florilegium.config.data import Model
from florilegium.config.products import Method
from florilegium.config.recipes import Recipe
from florilegium.core.errors import Mistakes, UserError, UserErrors
from florilegium.estimation.trials import Trial
from florilegium.explanation.attention import attention_layers, patch_grid
from florilegium.models import registry
from florilegium.models.arguments import RETINANET
from florilegium.models.freeze import freeze, heads_of
from florilegium.models.refusal import unbuildable

N_CLASSES = 10  # enough for every network to be what it is


def tried(trial: Trial) -> list[str]:
    """All that is wrong with a network; empty where it can be trained."""
    mistakes = Mistakes()
    with mistakes.caught(), torch.device("meta"), torch.no_grad():
        try:
            _try(trial, mistakes)
        except UserError:
            raise
        except Exception as error:  # whatever a constructor of another library raises
            raise unbuildable(trial.model, error) from error
    return mistakes.found


def _try(trial: Trial, mistakes: Mistakes) -> None:
    rates = {"drop_path": trial.drop_path, "dropout": trial.dropout}
    with mistakes.caught():
        _check_pixels(trial)
    network = registry.build(trial.model, N_CLASSES, **rates)
    recipe = Recipe(epochs=1, freeze=trial.freeze, freeze_blocks=trial.freeze_blocks, image_size=trial.image_size)
    with mistakes.caught():
        freeze(network, recipe)
    if trial.is_cached:
        with mistakes.caught():
            heads_of(network, "recipe.features")
    if trial.attention is not None and trial.attention.of == "tokens":
        with mistakes.caught():
            layers = attention_layers(network)
            trial.attention.check(blocks=len(layers), heads=layers[0].num_heads)
            patch_grid(network)
    if trial.task == "classification":
        with mistakes.caught():
            _feed(network, trial.model, recipe)
            _check_methods(network, trial.methods, registry.input_config(trial.model, recipe).size)


def _check_pixels(trial: Trial) -> None:
    """Raise `UserError` where the name of the network stands for other pixels than its pretrained weights have seen."""
    if trial.weights is None:
        return
    seen, given = registry.own_input(Model(name=trial.weights)), registry.own_input(trial.model)
    if (seen.mean, seen.std) == (given.mean, given.std):
        return
    way_out = {
        "classification": f"set model.name to {trial.weights}, or recipe.mean and recipe.std to what is meant",
        "detection": f"set model.arguments.backbone to {trial.weights}, of a model of the name {RETINANET}",
    }[trial.task]
    raise UserError(
        f"init.weights = {trial.weights}: has seen pixels less {seen.mean}, over {seen.std}, and {trial.model.name} "
        f"gives it pixels less {given.mean}, over {given.std}; {way_out}"
    )


def _feed(network: nn.Module, model: Model, recipe: Recipe) -> None:
    """Raise `UserError` for images of a size that the network does not take."""
    size = registry.input_config(model, recipe).size
    try:
        answer = network.eval()(torch.empty(2, 3, size, size))
    except Exception as error:
        if not recipe.image_size or not isinstance(error, AssertionError | ValueError | RuntimeError):
            raise unbuildable(model, error) from error
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"recipe.image_size: {model.name} does not take images of {size} pixels ({reason}); give another size"
        ) from error
    assert isinstance(answer, Tensor) and answer.shape == (2, N_CLASSES)


def _check_methods(network: nn.Module, methods: Sequence[Method], size: int) -> None:
    """Raise `UserError` where none of the methods of attribution suits the network. Whether DeepLIFT does shows only
    with numbers."""
    if not methods:
        return
    from florilegium.explanation.attribution import Unfit, last_stage  # imported here, since captum takes a second

    reasons = {}
    for method in methods:
        try:
            if method == "grad_cam":
                last_stage(network, torch.empty(1, 3, size, size))
            elif method == "attention_rollout":
                attention_layers(network)
                patch_grid(network)
            return
        except Unfit as unfit:
            reasons[method] = str(unfit)
        except UserError:
            reasons[method] = "it does not attend as ViT does"
    said = "; ".join(f"{method}: {reason}" for method, reason in reasons.items())
    raise UserError(f"attribution.methods: none suits {type(network).__name__} ({said}); add one such as saliency")


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(_answer(line)), flush=True)


def _answer(line: str) -> list[str]:
    try:
        return tried(parse(Trial, json.loads(line), "trial"))
    except UserError as error:
        return list(error.mistakes) if isinstance(error, UserErrors) else [str(error)]


if __name__ == "__main__":
    main()
