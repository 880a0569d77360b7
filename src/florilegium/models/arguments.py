"""Names, sizes and arguments of all networks, and what can be asked of them; without torch."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Positive, Strict, parse
from florilegium.config.data import Model, Samples
from florilegium.config.products import Attention
from florilegium.config.recipes import GenerationRecipe, TrainingRecipe
from florilegium.core.errors import UserError, unknown

_ENTRY = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


@cache
def timm_names() -> frozenset[str]:
    """Every architecture of the installed timm, such as `resnet18`."""
    spec = find_spec("timm")
    assert spec is not None and spec.origin is not None
    files = Path(spec.origin).parent.glob("models/*.py")
    return frozenset(name for file in files for name in _ENTRY.findall(file.read_text(encoding="utf-8")))


@cache
def distilled() -> frozenset[str]:
    """The architectures with a second head for distillation."""
    return frozenset(name for name in timm_names() if name.startswith("deit_") and "_distilled_" in name)


PLAIN = {"cifar_resnet18": 18, "cifar_resnet34": 34}
ATTENDING = {"cifar_resnet18_attention": 18, "cifar_resnet34_attention": 34}
STRIDE = 16  # side in pixels of the image region of a node of the head
FourStages = tuple[AtLeastOne, AtLeastOne, AtLeastOne, AtLeastOne]


class CifarArguments(Strict):
    """`model.arguments` of a plain network."""

    blocks: FourStages | None = Field(None, strict=False, description="blocks a stage; null: the depth's own")
    widths: FourStages = Field((64, 128, 256, 512), strict=False, description="channels a stage")


class HeadArguments(CifarArguments):
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


def cifar_arguments(model: Model) -> CifarArguments:
    """The checked arguments of a plain network; raises `UserError` for invalid ones."""
    _no_tag(model, PLAIN)
    return parse(CifarArguments, model.arguments, "model.arguments")


def head_arguments_of(model: Model) -> HeadArguments:
    """The checked arguments of a network with a head; raises `UserError` for invalid ones."""
    _no_tag(model, ATTENDING)
    return parse(HeadArguments, model.arguments, "model.arguments")


def _no_tag(model: Model, known: dict[str, int]) -> None:
    """Raise `UserError` for a name with a tag: these networks have none, their weights are named in `init`."""
    if model.name not in known:
        raise unknown("model", model.name, known, "model.name")


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


class NormVitArguments(Strict):
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
    def _fitting(self) -> Self:
        for part, whole in (("patch_size", "img_size"), ("num_heads", "embed_dim")):
            a, b = getattr(self, part), getattr(self, whole)
            if b % a:
                raise ValueError(f"{part} = {a} does not divide {whole} = {b}; give one that does")
        if self.norm == "gn" and self.embed_dim % GROUPS:
            raise ValueError(
                f"embed_dim = {self.embed_dim}: norm = gn needs a multiple of {GROUPS}, its groups of channels"
            )
        return self


def norm_vit_names() -> frozenset[str]:
    return frozenset(PUBLISHED)


def norm_vit_arguments(model: Model) -> NormVitArguments:
    """The checked arguments of `model`; raises `UserError` for invalid ones."""
    if model.name not in PUBLISHED:
        raise unknown("model", model.name, PUBLISHED, "model.name")
    return parse(NormVitArguments, PUBLISHED[model.name] | model.arguments, "model.arguments")


PREFIX = "retinanet_resnet"
DEPTHS = (18, 34, 50, 101, 152)
Four = tuple[AtLeastOne, AtLeastOne, AtLeastOne, AtLeastOne]


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
    """`model.arguments` of a RetinaNet; its depth is in its name."""

    norm: Literal["frozen_bn", "bn", "gn"] = Field(
        "frozen_bn", description="gn: in the pyramid and the heads, too, as training from scratch wants it"
    )
    anchors: AnchorSettings = AnchorSettings()
    prior: float = Field(0.01, gt=0, lt=1, description="probability that every anchor starts at")
    blocks: Four | None = Field(None, strict=False, description="a stage; null takes the depth's own")
    widths: Four = Field((64, 128, 256, 512), strict=False, description="planes a stage")
    stem: AtLeastOne | None = Field(
        None, description="channels before the stages; null takes the first stage's planes (timm's are 64 always)"
    )
    pyramid_width: AtLeastOne = 256
    head_layers: AtLeastOne = 4


def retinanet_names() -> frozenset[str]:
    return frozenset(f"{PREFIX}{depth}" for depth in DEPTHS)


def depth_of(model: Model) -> int:
    return int(model.name.removeprefix(PREFIX))


def retinanet_arguments(model: Model) -> RetinaNetArguments:
    """The checked arguments of `model`; raises `UserError` for unknown or invalid ones."""
    return parse(RetinaNetArguments, model.arguments, "model.arguments")


DIFFUSION = "diffusion_unet"
SAMPLERS = {DIFFUSION: ("ddpm", "ddim"), "acgan": ("direct",)}
NAMES = frozenset(SAMPLERS)
STEPS = 500  # in the table of study 4's U-Net


def generator_names() -> frozenset[str]:
    return NAMES


def check_steps(model: Model, recipe: TrainingRecipe, where: str) -> None:
    """Raise `UserError` that starts with `where` for a diffusion of more steps than its network has embeddings for."""
    if model.name != DIFFUSION or not isinstance(recipe, GenerationRecipe):
        return
    known = model.arguments.get("timesteps", STEPS)
    if isinstance(known, int) and recipe.timesteps > known:
        raise UserError(
            f"{where}: recipe.timesteps = {recipe.timesteps}: {model.name} tells {known} steps apart; set "
            f"model.arguments.timesteps to {recipe.timesteps}, too"
        )


def check_sampled(model: Model, samples: Samples | None, where: str) -> None:
    """Raise `UserError` that starts with `where` for a sampler that does not suit the network."""
    for name, sampling in samples.sets.items() if samples else ():
        fitting = SAMPLERS[model.name]
        if sampling.sampler not in fitting:
            steps = "takes no steps" if fitting == ("direct",) else "needs steps"
            raise UserError(
                f"{where}: samples.sets.{name}.sampler = {sampling.sampler}: {model.name} {steps}; set it to "
                f"{' or '.join(fitting)}"
            )


def check_frozen(model: Model, recipe: TrainingRecipe, where: str) -> None:
    """Raise `UserError` that starts with `where` for more frozen blocks than the model is known to have."""
    known = known_blocks(model)
    if known is not None and recipe.freeze_blocks > known:
        raise UserError(
            f"{where}: recipe.freeze_blocks = {recipe.freeze_blocks}: {model.name} has {known} blocks; give at "
            f"most {known}"
        )


def check_attended(model: Model, asked: Attention | None, where: str) -> None:
    """Raise `UserError` that starts with `where` if the model has another kind of attention than `asked`."""
    if asked is None:
        return
    kind = "nodes" if model.name in ATTENDING else "tokens"
    if asked.of != kind:
        raise UserError(
            f"{where}: attention.of = {asked.of}: {model.name} has no attention of {asked.of}; set it to {kind}, or "
            "take attention out"
        )


def known_blocks(model: Model) -> int | None:
    """A transformer's `depth`, or the number of stages if the arguments list them; None if neither is known."""
    arguments = PUBLISHED.get(model.name, {}) | model.arguments
    if isinstance(arguments.get("depth"), int):
        return int(arguments["depth"])
    stages = arguments.get("depths", arguments.get("layers"))
    return len(stages) if isinstance(stages, list | tuple) else None
