"""Names, published sizes and arguments of `norm_vit`.

Nothing here imports torch, so that a configuration is checked before anything runs.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Positive, Strict, parse
from florilegium.config.data import Model
from florilegium.core.errors import unknown

BASE = {"embed_dim": 768, "depth": 12, "num_heads": 12}
LARGE = {"embed_dim": 1024, "depth": 24, "num_heads": 16}
PUBLISHED: dict[str, dict[str, int]] = {
    "norm_vit": {},
    "norm_vit_b16": {**BASE, "patch_size": 16},
    "norm_vit_b32": {**BASE, "patch_size": 32},
    "norm_vit_l16": {**LARGE, "patch_size": 16},
    "norm_vit_l32": {**LARGE, "patch_size": 32},
}
GROUPS = 4  # of group normalisation


class Arguments(Strict):
    """`model.arguments`; a published name has default sizes, which arguments override."""

    norm: Literal["ln", "bn", "gn", "rescale", "rescale_full"] = "ln"
    img_size: AtLeastOne = 224
    patch_size: AtLeastOne
    embed_dim: AtLeastOne
    depth: AtLeastOne
    num_heads: AtLeastOne
    mlp_ratio: Positive = 4.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """After the position embedding and both layers of each MLP; study 3 used 0.1 in every run."""

    @model_validator(mode="after")
    def _fitting(self) -> "Arguments":
        for part, whole in (("patch_size", "img_size"), ("num_heads", "embed_dim")):
            a, b = getattr(self, part), getattr(self, whole)
            if b % a:
                raise ValueError(f"{part} = {a} does not divide {whole} = {b}; give one that does")
        if self.norm == "gn" and self.embed_dim % GROUPS:
            raise ValueError(
                f"embed_dim = {self.embed_dim}: norm = gn needs a multiple of {GROUPS}, its groups of channels"
            )
        return self


def names() -> frozenset[str]:
    return frozenset(PUBLISHED)


def arguments_of(model: Model) -> Arguments:
    """The checked arguments of `model`; raises `UserError` for invalid ones."""
    if model.name not in PUBLISHED:
        raise unknown("model", model.name, PUBLISHED, "model.name")
    return parse(Arguments, PUBLISHED[model.name] | model.arguments, "model.arguments")
