"""Names and arguments of the detectors, checked without importing torch."""

from typing import Literal

from pydantic import Field

from florilegium.config.base import AtLeastOne, Positive, Strict, parse
from florilegium.config.data import Model

PREFIX = "retinanet_resnet"
DEPTHS = (18, 34, 50, 101, 152)
Four = tuple[AtLeastOne, AtLeastOne, AtLeastOne, AtLeastOne]


class AnchorSettings(Strict):
    """The anchors of one grid cell: every ratio at every scale of its level's size."""

    sizes: tuple[Positive, Positive, Positive, Positive, Positive] = Field(
        (32.0, 64.0, 128.0, 256.0, 512.0), strict=False, description="side in pixels at the levels P3 to P7"
    )
    scales: tuple[Positive, ...] = Field((1.0, 2 ** (1 / 3), 2 ** (2 / 3)), strict=False, min_length=1)
    ratios: tuple[Positive, ...] = Field(
        (0.5, 1.0, 2.0), strict=False, min_length=1, description="height over width"
    )

    @property
    def per_cell(self) -> int:
        return len(self.scales) * len(self.ratios)


class Arguments(Strict):
    """`model.arguments` of a RetinaNet; its depth is in its name."""

    norm: Literal["frozen_bn", "bn", "gn"] = Field(
        "frozen_bn", description="gn: in the pyramid and the heads, too, as training from scratch wants it"
    )
    anchors: AnchorSettings = AnchorSettings()
    prior: float = Field(0.01, gt=0, lt=1, description="probability that every anchor starts at")
    blocks: Four | None = Field(None, strict=False, description="a stage; null takes the depth's own")
    widths: Four = Field((64, 128, 256, 512), strict=False, description="planes a stage")
    stem: AtLeastOne | None = Field(
        None,
        description="channels before the stages; null takes the first stage's planes (timm's are 64 always)",
    )
    pyramid_width: AtLeastOne = 256
    head_layers: AtLeastOne = 4


def names() -> frozenset[str]:
    return frozenset(f"{PREFIX}{depth}" for depth in DEPTHS)


def depth_of(model: Model) -> int:
    return int(model.name.removeprefix(PREFIX))


def arguments_of(model: Model) -> Arguments:
    """The checked arguments of `model`; raises `UserError` for unknown or invalid ones."""
    return parse(Arguments, model.arguments, "model.arguments")
