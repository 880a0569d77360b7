"""Any classifier of the timm library by its name there, and DeiT with two heads as it was published."""

import inspect
import re
from contextlib import suppress
from typing import Any

import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError, nearest, unknown
from florilegium.data.augment import InputConfig
from florilegium.models.refusal import unbuildable
from florilegium.models.weights import State

# The configuration's key, by the name of timm's argument that it sets.
RESERVED = {
    "num_classes": "the data set's number of classes",
    "pretrained": "init",
    "drop_path_rate": "recipe.drop_path",
    "drop_rate": "recipe.dropout",
    "in_chans": "the pictures, which have three",
}
TRAINED_HEADS_KEY, TRAINED_HEADS = "trained_heads", ("both", "class")


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. Rates of 0 are not passed on, since not every constructor takes them.
    Raises `UserError` for an argument that this one does not take."""
    _pretrained_cfg(model)
    for argument in model.arguments.keys() & RESERVED.keys():
        raise UserError(f"model.arguments.{argument}: is set by {RESERVED[argument]}; take it out here")
    rates = {"drop_path_rate": drop_path, "drop_rate": dropout}
    arguments = model.arguments | {name: rate for name, rate in rates.items() if rate > 0}
    try:
        return timm.create_model(model.name, pretrained=False, num_classes=n_classes, **arguments)
    except TypeError as error:
        if refused := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
            key = RESERVED.get(refused[1], f"model.arguments.{refused[1]}")
            near = nearest(refused[1], _argument_names(model)) if refused[1] in model.arguments else ""
            raise UserError(f"{key}: {model.name} takes no such argument{near or '; take it out'}") from error
        if not arguments:
            raise
        raise unbuildable(model, error) from error


def _argument_names(model: Model) -> list[str]:
    """The names of the arguments of a network's constructor, as far as it says them."""
    with torch.device("meta"):
        plain = timm.create_model(model.name, pretrained=False)
    names = [*inspect.signature(type(plain).__init__).parameters]
    return [name for name in names if name not in ("self", "kwargs", *RESERVED)]


def build_distilled(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """DeiT with two heads: one reads the class token, the other the distillation token (Touvron et al. 2021, "Training
    data-efficient image transformers & distillation through attention").

    In evaluation timm averages the logits of both, so both have to be trained: study 2 trained one, and its score is
    that of an average with a head of random weights. `model.arguments.trained_heads` sets the output in training.
    `both`, the default: a tuple of two (B, n_classes), of the class head and of the distillation head; `class`: the
    class head's logits alone; the other head keeps its initial weights.
    """
    arguments = dict(model.arguments)
    heads = arguments.pop(TRAINED_HEADS_KEY, "both")
    if heads not in TRAINED_HEADS:
        raise unknown("choice", heads, TRAINED_HEADS, f"model.arguments.{TRAINED_HEADS_KEY}")
    plain = model.model_copy(update={"arguments": arguments})
    network = build(plain, n_classes, drop_path=drop_path, dropout=dropout)
    assert isinstance(network, VisionTransformerDistilled)
    network.set_distilled_training(True)
    if heads == "class":
        network.head_dist.requires_grad_(False)
        network.register_forward_hook(_class_logits)
    return network


def _class_logits(network: nn.Module, images: Any, logits: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return logits[0] if isinstance(logits, tuple) else logits


def adapted(model: Model, found: State) -> State:
    """The weights in `found` as timm itself loads them into this network: its filters of published files rename
    entries, drop those that are computed (masks and indices of windows), and resize embeddings of positions.

    What timm does not take is given back as it is, for `load_into` to say what is wrong with it.
    """
    cfg = _pretrained_cfg(model)
    heads = (cfg.classifier,) if isinstance(cfg.classifier, str) else cfg.classifier or ()
    counts = [found[f"{head}.weight"].shape[0] for head in heads if f"{head}.weight" in found]
    arguments = {key: value for key, value in model.arguments.items() if key != TRAINED_HEADS_KEY}
    for n_classes in dict.fromkeys((*counts, cfg.num_classes, 0)):
        overlay = {"state_dict": dict(found), "source": "", "num_classes": n_classes}
        with suppress(Exception), torch.random.fork_rng(devices=[]):  # a filter may raise anything for other files
            network = timm.create_model(
                model.name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=n_classes, **arguments
            )
            return dict(network.state_dict())
    return found


def adapted_to_distilled(model: Model, found: State) -> State:
    """As `adapted`; in weights of a vision transformer without a distillation token, this token and its head begin as
    copies of the class token, at its position, and of its head."""
    token, positions = found.get("cls_token"), found.get("pos_embed")
    if token is not None and positions is not None and "dist_token" not in found:
        copies = {key.replace("head.", "head_dist."): value for key, value in found.items() if key.startswith("head.")}
        found = {**found, **copies, "dist_token": token, "pos_embed": torch.cat([positions[:, :1], positions], dim=1)}
    return adapted(model, found)


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


def _pretrained_cfg(model: Model) -> Any:
    """timm's description of the published weights of the name's tag, or of timm's default tag: a `PretrainedCfg`, which
    is declared wider than what it holds."""
    try:
        return timm.models.get_pretrained_cfg(model.name)
    except RuntimeError:
        architecture, _, tag = model.name.partition(".")
        tagged = timm.list_models(f"{architecture}.*", include_tags=True)
        tags = [name.partition(".")[2] for name in tagged]
        raise unknown("pretrained tag", tag, tags, f"model.name: {architecture}") from None
