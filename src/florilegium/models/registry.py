"""The registry of networks: from a model's name to its family, whose module is imported by its name alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

    from florilegium.data.augment import InputConfig
    from florilegium.models.weights import Adapt


def code_roots(name: str) -> tuple[str, ...]:
    """The definitions behind a model's name, for the code hash."""
    family = _family(name)
    return tuple(f"{family.module}:{function}" for function in (family.build, "own_input", family.adapt) if function)


def check(model: Model, task: str = "classification") -> None:
    """Raise `UserError` or `UserErrors`, whose sentences begin with the key, for an unknown model (with the nearest
    known name), for one of another task, or for arguments that its family rejects before building it."""
    family = _family(model.name)
    if family.task != task:
        raise UserError(
            f"model.name: {model.name} is for {family.task}, and the experiment's task is {task}; set its task, or "
            "take another model"
        )
    family.check(model)


@contextmanager
def mismatch_as_user_error() -> Iterator[None]:
    """Raise `UserError` where the body, or the decorated function, imports a torchvision whose operators are missing
    in the installed torch."""
    try:
        yield
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise UserError(
            f"torch {version('torch')} and torchvision {version('torchvision')} are not a pair from one "
            "package index, so torchvision cannot be imported; install both again from the same index, as "
            "envs/requirements.lock has them"
        ) from error


@mismatch_as_user_error()
def build(model: Model, n_classes: int, *, drop_path: float = 0.0, dropout: float = 0.0) -> nn.Module:
    """A network with random weights: images (B, 3, S, S) to logits (B, n_classes). Raises `UserError` for an unknown
    model, an argument that it does not take, or a torchvision that does not fit torch."""
    family = _family(model.name)
    builder = getattr(import_module(family.module), family.build)
    return builder(model, n_classes, drop_path=drop_path, dropout=dropout)


def adapter(model: Model) -> Adapt | None:
    """The function that brings published weights into the form of the network; None where there is none."""
    family = _family(model.name)
    return partial(getattr(import_module(family.module), family.adapt), model) if family.adapt else None


def own_input(model: Model) -> InputConfig:
    """The input that the network was designed for; raises `UserError` for an unknown model."""
    return _own_input(model)[0]


def input_config(model: Model, recipe: Recipe) -> InputConfig:
    """The network's input: its own pretrained configuration with the recipe's changes. Raises `UserError` for an
    unknown model, or an image size that it cannot take."""
    own, fixed = _own_input(model)
    if fixed and recipe.image_size not in (None, own.size):
        raise UserError(
            f"recipe.image_size = {recipe.image_size}: {model.name} takes images of {own.size} pixels only; "
            "leave it out, or give model.arguments.img_size the same value"
        )
    return replace(
        own,
        size=recipe.image_size or own.size,
        mean=recipe.mean or own.mean,
        std=recipe.std or own.std,
        interpolation=recipe.interpolation or own.interpolation,
        crop_pct=recipe.crop_pct or own.crop_pct,
    )


@mismatch_as_user_error()
def _own_input(model: Model) -> tuple[InputConfig, bool]:
    return import_module(_family(model.name).module).own_input(model)


def _family(name: str) -> Any:
    """The `Family` of a name.

    The table is imported by its name, so that it is not part of the code hash of a training: a new family changes no
    other network. `code_roots` names the definitions that an experiment does depend on.
    """
    families = import_module("florilegium.models.families").FAMILIES
    architecture = name.partition(".")[0]
    for family in families:
        if architecture in family.names():
            return family
    known = sorted(set().union(*(family.names() for family in families)))
    raise UserError(
        f"model.name: unknown model '{name}'{nearest(architecture, known)} "
        f"({len(known)} are known, every classifier of timm among them)"
    )
