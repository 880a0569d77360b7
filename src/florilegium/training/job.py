"""The job of a stage that trains, and the network that its runs start with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from florilegium.config.base import Strict
from florilegium.config.data import Model
from florilegium.config.recipes import FROM_FINDER, Recipe, TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.fingerprint import canonical, short_hash
from florilegium.core.outputs import FEATURES
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.weights import load_into
from florilegium.training.machine import derive, pick_precision

Data = TypeVar("Data", bound=Strict)
R = TypeVar("R", bound=TrainingRecipe)


@dataclass(frozen=True)
class SeedPaths:
    """Files and folders of one seed of a job; None for what it does not read."""

    init: Path | None
    features: Path | None
    generated: Path | None
    finder: Path | None
    out: Path
    state: Path
    inputs: tuple[Path, ...]
    """Every file that the run of this seed is made from."""


@dataclass(frozen=True)
class Job(Generic[Data, R]):
    """An experiment's arm, where its inputs lie, and where its runs are written.

    Paths that are text are templates: `{seed}` in them stands for the run's seed.
    """

    spec: Mapping[str, Any]
    """As the workflow gave it, for receipts and fingerprints; `data`, `model` and `recipe` are its parts."""
    data: Data
    model: Model
    recipe: R
    code: str
    inputs: tuple[Path, ...]
    """Files that every seed reads."""
    init: str | None
    """First weights."""
    out: Path
    state: Path
    tensorboard: Path | None
    device: torch.device
    deterministic: bool = True
    """Whether a GPU was asked for kernels that repeat their bits."""
    gpus: tuple[str, ...] = ()
    """The devices that it leased, as CUDA_VISIBLE_DEVICES names them."""
    features: str | None = None
    """Folder of cached features, in place of images."""
    generated: str | None = None
    """File of generated images beside the real ones."""
    finder: str | None = None
    """What a learning-rate finder suggests, `finder.json`."""

    def at(self, seed: int) -> SeedPaths:
        """The paths of `seed`."""

        def path(template: str | None) -> Path | None:
            return None if template is None else Path(template.replace("{seed}", str(seed)))

        init, features, finder = path(self.init), path(self.features), path(self.finder)
        generated = path(self.generated)
        inputs = list(self.inputs)
        inputs += [features / name for name in FEATURES] if features else []
        inputs += [generated, generated.with_suffix(".csv")] if generated else []
        inputs += [single for single in (init, finder) if single]
        return SeedPaths(
            init=init,
            features=features,
            generated=generated,
            finder=finder,
            out=self.out / f"seed{seed}",
            state=self.state / f"seed{seed}",
            inputs=tuple(inputs),
        )

    def recipe_at(self, seed: int) -> R:
        """The recipe of `seed`, with the precision that the device decides and the rate that a finder suggests.

        Raises:
            UserError: the rate is a finder's, and there is none.
        """
        values: dict[str, Any] = {"precision": pick_precision(self.recipe.precision, self.device)}
        if self.recipe.lr == FROM_FINDER:
            finder = self.at(seed).finder
            if finder is None:
                raise UserError(f"--finder: recipe.lr is {FROM_FINDER}, so give the finder.json to take it from")
            values["lr"] = float(read_json(finder)["suggestion"])
        return self.recipe.model_copy(update=values)

    def fingerprint(self, seed: int) -> str:
        """What a saved state must agree in: the spec, the code, the bytes of every input, and the seed."""
        inputs = [_digest(path) for path in self.at(seed).inputs]
        return short_hash(canonical([self.spec, self.code, inputs, seed]))


_digest = lru_cache(maxsize=None)(digest)


def initialise_classifier(job: Job, recipe: Recipe, n_classes: int, seed: int) -> nn.Module:
    """`initialise_network` for a classifier, with the recipe's drop path and dropout."""
    return initialise_network(job, recipe, n_classes, seed, drop_path=recipe.drop_path, dropout=recipe.dropout)


def initialise_network(
    job: Job,
    recipe: TrainingRecipe,
    n_classes: int,
    seed: int,
    *,
    load: Callable[..., None] = load_into,
    **regularisation: float,
) -> nn.Module:
    """The network of `job` with random weights of `seed`, then the weights of `init`, copied by `load`, then frozen."""
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(job.model, n_classes, **regularisation)
    init = job.at(seed).init
    if init is not None:
        load(network, init, allow_missing=recipe.allow_missing, allow_unexpected=recipe.allow_unexpected)
    freeze(network, recipe)
    return network
