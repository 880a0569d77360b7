"""Names and arguments of residual networks for 32-pixel images.

Nothing here imports torch, so that a configuration is checked before anything runs.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Strict, parse
from florilegium.config.data import Model
from florilegium.core.errors import unknown

PLAIN = {"cifar_resnet18": 18, "cifar_resnet34": 34}
ATTENDING = {"cifar_resnet18_attention": 18, "cifar_resnet34_attention": 34}
STRIDE = 16  # side in pixels of the image region of a node of the head
Four = tuple[AtLeastOne, AtLeastOne, AtLeastOne, AtLeastOne]


class Arguments(Strict):
    """`model.arguments` of a plain network."""

    blocks: Four | None = Field(None, strict=False, description="blocks a stage; null: the depth's own")
    widths: Four = Field((64, 128, 256, 512), strict=False, description="channels a stage")


class HeadArguments(Arguments):
    """`model.arguments` of a network with a head of attention; the defaults follow the study's text."""

    attention: Literal["graph", "classical", "gatv2"] = "graph"
    activation: Literal["gelu", "leaky_relu"] = "leaky_relu"
    extra_activations: bool = Field(
        False,
        description="one more after the last layer of the MLP and, in classical attention, one on the "
        "values: the study's code has both, its text neither",
    )
    heads: AtLeastOne = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    img_size: AtLeastOne = 32

    @model_validator(mode="after")
    def _fitting(self) -> "HeadArguments":
        if self.widths[-1] % self.heads:
            raise ValueError(
                f"heads = {self.heads} does not divide the {self.widths[-1]} channels of the last stage; give one that does"
            )
        if self.img_size % STRIDE:
            raise ValueError(f"img_size = {self.img_size}: must be a multiple of {STRIDE}")
        return self


def plain() -> frozenset[str]:
    return frozenset(PLAIN)


def attending() -> frozenset[str]:
    return frozenset(ATTENDING)


def arguments_of(model: Model) -> Arguments:
    """The checked arguments of a plain network; raises `UserError` for invalid ones."""
    _no_tag(model, PLAIN)
    return parse(Arguments, model.arguments, "model.arguments")


def head_arguments_of(model: Model) -> HeadArguments:
    """The checked arguments of a network with a head; raises `UserError` for invalid ones."""
    _no_tag(model, ATTENDING)
    return parse(HeadArguments, model.arguments, "model.arguments")


def _no_tag(model: Model, known: dict[str, int]) -> None:
    """Raise `UserError` for a name with a tag: these networks have none, their weights are named in `init`."""
    if model.name not in known:
        raise unknown("model", model.name, known, "model.name")
