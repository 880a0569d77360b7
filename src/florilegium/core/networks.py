"""What a network is called: by its published name where it is that network, else by what it is.

Study files give the published name once (`network: ViT-B/16`), and titles take it as `{network}`; where other
arguments or another architecture stand in its place, the title says what was built, and for what.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from florilegium.core.spec import Model

SIZES = ("img_size", "image_size")  # arguments that say what a network is fed, not what it is
NAMED_SIZE = re.compile(r"_(\d{3})$")  # as in vit_base_patch16_224
NORM_VIT_SIZE = 224


@dataclass(frozen=True)
class Family:
    """Architectures of one make: how their names begin, what people call them, and the arguments that tell how
    large one is, with the words for each."""

    prefix: str
    word: str
    parts: Mapping[str, Callable[[Any], str]]

    def says(self, arguments: Mapping[str, Any]) -> str:
        """`ViT, 4 blocks of 64`; empty where no argument tells a size."""
        told = [say(arguments[key]) for key, say in self.parts.items() if arguments.get(key) is not None]
        joint = " " if self.parts is TOKENS else ", "
        return f"{self.word}, {joint.join(told)}" if told else ""


def _dashed(values: Sequence[Any]) -> str:
    return "-".join(map(str, values))


TOKENS: Mapping[str, Callable[[Any], str]] = {
    "depth": lambda n: f"{n} block{'s' if n != 1 else ''}",
    "embed_dim": lambda n: f"of {n}",
}
WIDTHS: Mapping[str, Callable[[Any], str]] = {
    key: lambda values: f"widths {_dashed(values)}" for key in ("channels", "widths", "embed_dims")
}
LAYERS: Mapping[str, Callable[[Any], str]] = {
    key: lambda values: f"blocks {_dashed(values)}" for key in ("layers", "blocks", "depths")
}
FAMILIES = (  # the first that fits
    Family("vit_", "ViT", TOKENS),
    Family("norm_vit", "ViT", TOKENS),
    Family("deit", "DeiT", TOKENS),
    Family("cait_", "CaiT", TOKENS),
    Family("swin", "Swin", {"embed_dim": lambda n: f"{n} channels at first", **LAYERS}),
    Family("tiny_vit", "TinyViT", {**WIDTHS, **LAYERS}),
    Family("retinanet_", "RetinaNet on a ResNet", {**WIDTHS, **LAYERS}),
    Family("seresnet", "SE-ResNet", {**WIDTHS, **LAYERS}),
    Family("resnet", "ResNet", {**WIDTHS, **LAYERS}),
    Family("cifar_resnet", "ResNet", {**WIDTHS, **LAYERS}),
    Family("diffusion_unet", "U-Net", WIDTHS),
    Family("acgan", "ACGAN", {"width": lambda n: f"width {n}"}),
)


def is_same(ours: Model, published: Model) -> bool:
    """Whether two models are one network, whatever size of image they take and whatever weights they start from."""
    architectures = {model.name.partition(".")[0] for model in (ours, published)}
    return len(architectures) == 1 and _built(ours) == _built(published)


def described(ours: Model, published: Model, name: str) -> str:
    """What `ours` is, in the place of the network `published` that people call `name`."""
    architecture = ours.name.partition(".")[0]
    family = next((f for f in FAMILIES if architecture.startswith(f.prefix)), None)
    said = family.says(ours.arguments) if family else ""
    if said:
        return said
    if architecture != published.name.partition(".")[0]:
        return architecture
    ours_built, theirs = _built(ours), _built(published)
    changed = sorted(key for key in {*ours_built, *theirs} if ours_built.get(key) != theirs.get(key))
    return f"{name} with another {' and '.join(changed)}"


def called(ours: Model, published: Model | None, name: str) -> str:
    """The network in a title: `ViT-B/16`, or `ViT, 4 blocks of 64 (for ViT-B/16)`.

    Args:
        ours: what is built.
        published: what the study built; None where it has no such experiment.
        name: the published name.
    """
    if published is None or is_same(ours, published):
        return name
    return f"{described(ours, published, name)} (for {name})"


def own_size(model: Model) -> int | None:
    """The side of the images that a network takes by itself, in pixels, as far as its name and arguments tell."""
    for key in SIZES:
        if isinstance(model.arguments.get(key), int):
            return int(model.arguments[key])
    architecture = model.name.partition(".")[0]
    if architecture.startswith("norm_vit"):
        return NORM_VIT_SIZE
    named = NAMED_SIZE.search(architecture)
    return int(named[1]) if named else None


def _built(model: Model) -> dict[str, Any]:
    """The arguments that make the network."""
    return {key: value for key, value in model.arguments.items() if key not in SIZES}
