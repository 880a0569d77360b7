"""Networks by name, and the arguments that they take: all that is known of them without importing torch.

A family has a table of its names, a model of its `model.arguments`, and a function that checks these. The networks of
timm and the generators check theirs when they are built.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Positive, Strict, parse
from florilegium.config.data import Model
from florilegium.config.words import shown
from florilegium.core.errors import UserError, nearest, unknown

T = TypeVar("T", bound=Strict)
FourStages = tuple[AtLeastOne, AtLeastOne, AtLeastOne, AtLeastOne]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
HALF = (0.5, 0.5, 0.5)  # the mean and the deviation that bring pixels in [0, 1] to [-1, 1]


def _checked(kind: type[T], model: Model, names: Collection[str], **fixed: Any) -> T:
    """`model.arguments`, over those that the name fixes. A name has no tag here: weights are named in `init`."""
    if model.name not in names:
        raise unknown("model", model.name, names, "model.name")
    return parse(kind, fixed | model.arguments, "model.arguments")


def refuse_rates(model: Model, **rates: float) -> None:
    """Raise `UserError` for a rate of the recipe that is set, since the network has no place for it."""
    for key, rate in rates.items():
        if rate:
            raise UserError(f"recipe.{key}: {model.name} takes no such argument; take it out")


# Arguments that count something, of all networks whose own constructors check no more.
COUNTS = {
    *("depth", "depths", "layers", "embed_dim", "embed_dims", "num_heads", "patch_size", "img_size", "image_size"),
    *("window_size", "window_sizes", "channels", "widths", "width", "latent", "layers_per_block", "groups"),
}


def check_counts(model: Model) -> None:
    """Raise `UserError` for an argument that counts something and is no whole number from 1 on, or none of these."""
    for key in sorted(COUNTS & model.arguments.keys()):
        value = model.arguments[key]
        numbers = value if isinstance(value, list | tuple) else [value]
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise UserError(f"model.arguments.{key} = {shown(value)}: must hold whole numbers from 1 on")
        if not numbers:
            raise UserError(f"model.arguments.{key} = []: must hold at least one number")


# Classifiers of timm

_ENTRY = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
_TAG = re.compile(r"""['"](\w+)\.(\w+)['"]\s*:""")
_WITHOUT_WEIGHTS = "untrained"  # a tag


@cache
def _timm_sources() -> tuple[str, ...]:
    """The modules of the installed timm that define networks."""
    spec = find_spec("timm")
    assert spec is not None and spec.origin is not None
    return tuple(file.read_text(encoding="utf-8") for file in Path(spec.origin).parent.glob("models/*.py"))


@cache
def timm_names() -> frozenset[str]:
    """Every architecture of the installed timm, such as `resnet18`."""
    return frozenset(name for source in _timm_sources() for name in _ENTRY.findall(source))


@cache
def timm_tags() -> frozenset[str]:
    """The names of the installed timm with published weights, such as `resnet18.a1_in1k`."""
    tags = {found for source in _timm_sources() for found in _TAG.findall(source)}
    return frozenset(f"{name}.{tag}" for name, tag in tags if name in timm_names() and tag != _WITHOUT_WEIGHTS)


@cache
def distilled_names() -> frozenset[str]:
    """The architectures with a second head for distillation."""
    return frozenset(name for name in timm_names() if name.startswith("deit_") and "_distilled_" in name)


# Residual networks for small images

CIFAR_RESNETS = {"cifar_resnet18": 18, "cifar_resnet34": 34}
ATTENTION_RESNETS = {"cifar_resnet18_attention": 18, "cifar_resnet34_attention": 34}
NODE_STRIDE = 16  # side in pixels of the image region of a node


class CifarArguments(Strict):
    """`model.arguments` of a plain network."""

    blocks: FourStages | None = Field(None, strict=False, description="blocks a stage; null: the depth's own")
    widths: FourStages = Field((64, 128, 256, 512), strict=False, description="channels a stage")


class AttentionArguments(CifarArguments):
    """`model.arguments` of a network with a head of attention; the defaults follow the study's text."""

    attention: Literal["graph", "classical", "gatv2"] = "graph"
    activation: Literal["gelu", "leaky_relu"] = "leaky_relu"
    extra_activations: bool = Field(
        False,
        description="one more after the last layer of the MLP and, in classical attention, one on the "
        "values: the study's code has both, its text neither",
    )
    heads: AtLeastOne = 8
    dropout: DropoutRate = 0.1
    img_size: AtLeastOne = 32

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        channels = self.widths[-1]
        if channels % self.heads:
            raise ValueError(
                f"heads = {self.heads} does not divide the {channels} channels of the last stage; give one that does"
            )
        if self.img_size % NODE_STRIDE:
            raise ValueError(f"img_size = {self.img_size}: must be a multiple of {NODE_STRIDE}")
        return self

    @property
    def nodes(self) -> int:
        return (self.img_size // NODE_STRIDE) ** 2


def cifar_arguments(model: Model) -> CifarArguments:
    """The checked arguments of a plain network; raises `UserError` for invalid ones."""
    return _checked(CifarArguments, model, CIFAR_RESNETS)


def attention_arguments(model: Model) -> AttentionArguments:
    """The checked arguments of a network with a head of attention; raises `UserError` for invalid ones."""
    return _checked(AttentionArguments, model, ATTENTION_RESNETS)


# Vision transformers with a choice of norms

BASE = {"embed_dim": 768, "depth": 12, "num_heads": 12}
LARGE = {"embed_dim": 1024, "depth": 24, "num_heads": 16}
NORM_VITS: Mapping[str, Mapping[str, int]] = {
    "norm_vit": {},
    "norm_vit_b16": {**BASE, "patch_size": 16},
    "norm_vit_b32": {**BASE, "patch_size": 32},
    "norm_vit_l16": {**LARGE, "patch_size": 16},
    "norm_vit_l32": {**LARGE, "patch_size": 32},
}
GROUPS = 4  # of group normalisation


class NormVitArguments(Strict):
    """`model.arguments`; a published name has default sizes, which arguments override."""

    norm: Literal["ln", "bn", "gn", "rescale", "rescale_full"] = "ln"
    img_size: AtLeastOne = 224
    patch_size: AtLeastOne
    embed_dim: AtLeastOne
    depth: AtLeastOne
    num_heads: AtLeastOne
    mlp_ratio: Positive = 4.0
    dropout: DropoutRate = 0.1
    """After the position embedding and both layers of each MLP; study 3 used 0.1 in every run."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        for part, whole in (("patch_size", "img_size"), ("num_heads", "embed_dim")):
            a, b = getattr(self, part), getattr(self, whole)
            if b % a:
                raise ValueError(f"{part} = {a} does not divide {whole} = {b}; give one that does")
        if self.norm == "gn" and self.embed_dim % GROUPS:
            raise ValueError(
                f"embed_dim = {self.embed_dim}: norm = gn needs a multiple of {GROUPS}, its groups of channels"
            )
        return self


def norm_vit_arguments(model: Model) -> NormVitArguments:
    """The checked arguments of `model`; raises `UserError` for invalid ones."""
    return _checked(NormVitArguments, model, NORM_VITS, **NORM_VITS.get(model.name, {}))


# Detectors

RETINANET = "retinanet"  # on a network of timm, that its arguments name
RETINANETS = {f"retinanet_resnet{depth}": depth for depth in (18, 34, 50, 101, 152)} | {RETINANET: 0}


class AnchorSettings(Strict):
    """The anchors of one grid cell: every ratio at every scale of its level's size."""

    sizes: tuple[Positive, Positive, Positive, Positive, Positive] = Field(
        (32.0, 64.0, 128.0, 256.0, 512.0), strict=False, description="side in pixels at the levels P3 to P7"
    )
    scales: tuple[Positive, ...] = Field((1.0, 2 ** (1 / 3), 2 ** (2 / 3)), strict=False, min_length=1)
    ratios: tuple[Positive, ...] = Field((0.5, 1.0, 2.0), strict=False, min_length=1, description="height over width")

    @property
    def per_cell(self) -> int:
        return len(self.scales) * len(self.ratios)


class RetinaNetArguments(Strict):
    """`model.arguments` of a RetinaNet; the depth of a residual network is in its name."""

    backbone: str | None = Field(
        None, description="of `retinanet`: a network of timm with maps of strides 8, 16 and 32"
    )
    backbone_arguments: dict[str, Any] = Field(default_factory=dict, description="of the backbone's constructor")
    norm: Literal["frozen_bn", "bn", "gn"] = Field(
        "frozen_bn",
        description="frozen_bn: statistics stay as loaded; gn: in the pyramid and the heads, too, as training from "
        "scratch wants it",
    )
    anchors: AnchorSettings = Field(default_factory=AnchorSettings)
    prior: float = Field(0.01, gt=0, lt=1, description="probability that every anchor starts at")
    blocks: FourStages | None = Field(None, strict=False, description="a stage; null takes the depth's own")
    widths: FourStages = Field((64, 128, 256, 512), strict=False, description="planes a stage")
    stem: AtLeastOne | None = Field(
        None, description="channels before the stages; null takes the first stage's planes (timm's are 64 always)"
    )
    pyramid_width: AtLeastOne = 256
    head_layers: AtLeastOne = 4


def retinanet_arguments(model: Model) -> RetinaNetArguments:
    """The checked arguments of `model`; raises `UserError` for unknown or invalid ones."""
    checked = _checked(RetinaNetArguments, model, RETINANETS)
    others = {"blocks", "widths", "stem"} if model.name == RETINANET else {"backbone", "backbone_arguments"}
    for key in sorted(others & model.arguments.keys()):
        raise UserError(f"model.arguments.{key}: {model.name} takes no such argument; take it out")
    if model.name == RETINANET:
        if checked.backbone is None:
            raise UserError("model.arguments: the key backbone is missing; name a network of timm")
        if checked.backbone.partition(".")[0] not in timm_names():
            raise UserError(
                f"model.arguments.backbone: unknown network '{checked.backbone}'"
                f"{nearest(checked.backbone, timm_names())}; give one of timm"
            )
    return checked


# Generators

DIFFUSION = "diffusion_unet"
GENERATORS = {DIFFUSION: ("ddpm", "ddim"), "acgan": ("direct",)}  # with the samplers that suit each
UNET_STEPS = 500  # that the table of study 4's U-Net has embeddings of
