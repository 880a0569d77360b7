"""Any classifier of the timm library, by its name there."""

import re

import timm
from torch import nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError, unknown
from florilegium.data.augment import InputConfig

# The configuration's key, by the name of timm's argument that it sets.
RESERVED = {
    "num_classes": "the data set's number of classes",
    "pretrained": "init",
    "drop_path_rate": "recipe.drop_path",
    "drop_rate": "recipe.dropout",
}


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. Rates of 0 are not passed on, since not every constructor takes them.
    Raises `UserError` for an argument that this one does not take."""
    _pretrained_cfg(model)
    for argument in RESERVED.keys() & model.arguments.keys():
        raise UserError(f"model.arguments.{argument}: is set by {RESERVED[argument]}; take it out here")
    rates = {"drop_path_rate": drop_path, "drop_rate": dropout}
    arguments = model.arguments | {name: rate for name, rate in rates.items() if rate > 0}
    try:
        return timm.create_model(model.name, pretrained=False, num_classes=n_classes, **arguments)
    except TypeError as error:
        refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if refused is None and not arguments:
            raise
        raise UserError(_refusal(model, refused[1] if refused else None, error)) from error


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of the model's pretrained weights, and True if it takes no other size."""
    cfg = _pretrained_cfg(model)
    config = InputConfig(
        size=model.arguments.get("img_size", cfg.input_size[-1]),
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
        interpolation=cfg.interpolation,
        crop_pct=min(cfg.crop_pct, 1.0),  # a few of timm's are larger and would add an empty border
    )
    return config, cfg.fixed_input_size


def _pretrained_cfg(model: Model) -> timm.models.PretrainedCfg:
    """timm's description of the published weights of the name's tag, or of timm's default tag."""
    try:
        return timm.models.get_pretrained_cfg(model.name)
    except RuntimeError:
        architecture, _, tag = model.name.partition(".")
        tagged = timm.list_models(f"{architecture}.*", include_tags=True)
        tags = [name.partition(".")[2] for name in tagged]
        raise unknown("pretrained tag", tag, tags, f"model.name: {architecture}") from None


def _refusal(model: Model, argument: str | None, error: TypeError) -> str:
    if argument is None:
        return f"model.arguments: {model.name} cannot be built with {model.arguments} ({error})"
    key = RESERVED.get(argument, f"model.arguments.{argument}")
    return f"{key}: {model.name} takes no such argument; take it out"
