"""What a training stage was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch

from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.fingerprint import canonical, short_hash
from florilegium.core.recipe import FEATURE_FILES
from florilegium.core.spec import Model
from florilegium.core.strict import Strict
from florilegium.core.training_recipe import FROM_FINDER, TrainingRecipe
from florilegium.core.validate import parse

S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Job:
    """An experiment's arm, where its inputs lie, and where its runs are written."""

    spec: Mapping[str, Any]
    code: str
    inputs: tuple[Path, ...]
    init: str | None
    """Path of the first weights; `{seed}` in it is the run's seed."""
    out: Path
    state: Path
    tensorboard: Path | None
    device: torch.device
    deterministic: bool = True
    """Whether a GPU was asked for kernels that repeat their bits."""
    gpus: tuple[str, ...] = ()
    """The devices that it leased, as CUDA_VISIBLE_DEVICES names them."""
    features: str | None = None
    """Folder of cached features, in place of images; `{seed}` in it is the run's seed."""
    generated: str | None = None
    """File of generated images beside the real ones; `{seed}` in it is the run's seed."""
    finder: str | None = None
    """What a learning-rate finder suggests, `finder.json`; `{seed}` in it is the run's seed."""

    @property
    def model(self) -> Model:
        return self.section(Model, "model")

    def section(self, kind: type[S], name: str) -> S:
        """A part of the spec as its type."""
        return parse(kind, self.spec[name], f"--spec {name}")

    def init_of(self, seed: int) -> Path | None:
        return None if self.init is None else Path(self.init.replace("{seed}", str(seed)))

    def features_of(self, seed: int) -> Path | None:
        return None if self.features is None else Path(self.features.replace("{seed}", str(seed)))

    def generated_of(self, seed: int) -> Path | None:
        return None if self.generated is None else Path(self.generated.replace("{seed}", str(seed)))

    def finder_of(self, seed: int) -> Path | None:
        return None if self.finder is None else Path(self.finder.replace("{seed}", str(seed)))

    def rate_of(self, recipe: TrainingRecipe, seed: int) -> float:
        """The recipe's rate, or the finder's suggestion in its place."""
        finder = self.finder_of(seed)
        if recipe.lr != FROM_FINDER:
            return recipe.base_lr
        if finder is None:
            raise UserError(f"--finder: recipe.lr is {FROM_FINDER}, so give the finder.json to take it from")
        return float(read_json(finder)["suggestion"])

    def out_of(self, seed: int) -> Path:
        return self.out / f"seed{seed}"

    def state_of(self, seed: int) -> Path:
        return self.state / f"seed{seed}"

    def inputs_of(self, seed: int) -> tuple[Path, ...]:
        init, features = self.init_of(seed), self.features_of(seed)
        single = tuple(path for path in (init, self.finder_of(seed)) if path is not None)
        cached = () if features is None else tuple(features / name for name in FEATURE_FILES)
        made = self.generated_of(seed)
        generated = () if made is None else (made, made.with_suffix(".csv"))
        return (*self.inputs, *cached, *generated, *single)

    def fingerprint(self, seed: int) -> str:
        """What a saved state must agree in: the spec, the code, the bytes of every input, and the seed."""
        inputs = [_digest(path) for path in self.inputs_of(seed)]
        return short_hash(canonical([self.spec, self.code, inputs, seed]))


_digest = lru_cache(maxsize=None)(digest)
