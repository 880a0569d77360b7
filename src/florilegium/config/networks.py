"""Networks as the configuration describes them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from florilegium.config.data import Model

SIZES = ("img_size", "image_size")  # arguments that say what a network is fed, not what it is
NAMED_SIZE = re.compile(r"_(\d{3})$")  # as in vit_base_patch16_224


Say = Callable[[Any], str]


@dataclass(frozen=True)
class Family:
    """Architectures of one make.

    Attributes:
        prefix: how their names begin.
        word: what people call them.
        parts: the arguments that tell how large one is, the clearest first, with the words for each.
        whole: whether all of them are said, or the first that is given.
        size: the side in pixels of the images that they take by themselves, where no name tells it.
    """

    prefix: str
    word: str
    parts: Mapping[str, Say]
    whole: bool = False
    size: int | None = None

    def says(self, arguments: Mapping[str, Any]) -> str:
        """`ViT, 4 blocks of 64`; empty where no argument tells a size."""
        told = [say(arguments[key]) for key, say in self.parts.items() if arguments.get(key) is not None]
        return f"{self.word}, {' '.join(told if self.whole else told[:1])}" if told else ""


def _dashed(values: Sequence[Any]) -> str:
    return "-".join(map(str, values))


def _blocks(n: int) -> str:
    return f"{n} block{'s' if n != 1 else ''}"


TOKENS: Mapping[str, Say] = {"depth": _blocks, "embed_dim": lambda n: f"of {n}"}
STAGES: Mapping[str, Say] = {
    **{key: lambda widths: f"widths {_dashed(widths)}" for key in ("channels", "widths", "embed_dims")},
    **{key: lambda blocks: f"blocks {_dashed(blocks)}" for key in ("layers", "blocks", "depths")},
}
WINDOWS: Mapping[str, Say] = {
    "depths": lambda blocks: f"blocks {_dashed(blocks)}",
    "embed_dim": lambda n: f"from {n} channels",
}
FAMILIES = (  # the first that fits
    Family("vit_", "ViT", TOKENS, whole=True),
    Family("norm_vit", "ViT", TOKENS, whole=True, size=224),
    Family("deit", "DeiT", TOKENS, whole=True),
    Family("cait_", "CaiT", TOKENS, whole=True),
    Family("swin", "Swin", WINDOWS, whole=True),
    Family("tiny_vit", "TinyViT", STAGES),
    Family("retinanet_", "RetinaNet on a ResNet", STAGES),
    Family("seresnet", "SE-ResNet", STAGES, size=224),
    Family("resnet", "ResNet", STAGES, size=224),
    Family("cifar_resnet", "ResNet", STAGES),
    Family("diffusion_unet", "U-Net", STAGES),
    Family("acgan", "ACGAN", {"width": lambda n: f"width {n}"}),
)


def is_same(ours: Model, published: Model) -> bool:
    """Whether two models are one network, whatever size of image they take and whatever weights they start from."""
    architectures = {model.name.partition(".")[0] for model in (ours, published)}
    return len(architectures) == 1 and _built(ours) == _built(published)


def described(ours: Model, published: Model, name: str) -> str:
    """What `ours` is, in the place of the network `published` that people call `name`."""
    architecture, family = ours.name.partition(".")[0], _family(ours)
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
    named = NAMED_SIZE.search(model.name.partition(".")[0])
    family = _family(model)
    return int(named[1]) if named else family.size if family else None


def _family(model: Model) -> Family | None:
    architecture = model.name.partition(".")[0]
    return next((family for family in FAMILIES if architecture.startswith(family.prefix)), None)


def _built(model: Model) -> dict[str, Any]:
    """The arguments that make the network."""
    return {key: value for key, value in model.arguments.items() if key not in SIZES}
