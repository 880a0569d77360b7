"""Names of networks for people, from the name and arguments in the configuration."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from florilegium.config.data import Model
from florilegium.core.errors import counted

SIZES = ("img_size", "image_size")  # arguments for the input of a network, which do not tell networks apart
NAMED_SIZE = re.compile(r"_(\d{3})$")  # as in vit_base_patch16_224
Words = Mapping[str, Callable[[Any], str]]
"""For arguments of a network, the words for their value."""


@dataclass(frozen=True)
class Family:
    """Architectures of one kind.

    Attributes:
        prefix: the beginning of their names.
        name: their name for people.
        parts: the arguments that determine a network's size, the clearest first.
        all_parts: describe all of these arguments, instead of the first that is given.
        size: their default image size in pixels, unless the architecture's name holds it.
    """

    prefix: str
    name: str
    parts: Words
    all_parts: bool = False
    size: int | None = None

    def describe(self, arguments: Mapping[str, Any]) -> str:
        """`ViT, 4 blocks of 64`; empty where no argument determines the size."""
        words = [word(arguments[key]) for key, word in self.parts.items() if arguments.get(key) is not None]
        return f"{self.name}, {' '.join(words if self.all_parts else words[:1])}" if words else ""


def _dashed(values: Sequence[Any]) -> str:
    return "-".join(map(str, values))


def _blocks(n: int) -> str:
    return counted(n, "block")


TOKENS: Words = {"depth": _blocks, "embed_dim": lambda n: f"of {n}"}
STAGES: Words = {
    **{key: lambda widths: f"widths {_dashed(widths)}" for key in ("channels", "widths", "embed_dims")},
    **{key: lambda blocks: f"blocks {_dashed(blocks)}" for key in ("layers", "blocks", "depths")},
}
WINDOWS: Words = {"depths": lambda blocks: f"blocks {_dashed(blocks)}", "embed_dim": lambda n: f"from {n} channels"}
FAMILIES = (  # the first whose prefix matches
    Family("vit_", "ViT", TOKENS, all_parts=True),
    Family("norm_vit", "ViT", TOKENS, all_parts=True, size=224),
    Family("deit", "DeiT", TOKENS, all_parts=True),
    Family("cait_", "CaiT", TOKENS, all_parts=True),
    Family("swin", "Swin", WINDOWS, all_parts=True),
    Family("tiny_vit", "TinyViT", STAGES),
    Family("retinanet_", "RetinaNet on a ResNet", STAGES),
    Family("retinanet", "RetinaNet", {"backbone": lambda name: f"on {name}"}),
    Family("seresnet", "SE-ResNet", STAGES, size=224),
    Family("resnet", "ResNet", STAGES, size=224),
    Family("cifar_resnet", "ResNet", STAGES),
    Family("diffusion_unet", "U-Net", STAGES),
    Family("acgan", "ACGAN", {"width": lambda n: f"width {n}"}),
)


def is_same(ours: Model, published: Model) -> bool:
    """True for the same network, whatever its image size and initial weights."""
    architectures = {model.name.partition(".")[0] for model in (ours, published)}
    return len(architectures) == 1 and _built(ours) == _built(published)


def described(ours: Model, published: Model, name: str) -> str:
    """`ours` in words, where it replaces the network `published` that people call `name`."""
    architecture, family = ours.name.partition(".")[0], _family(ours)
    if words := family.describe(ours.arguments) if family else "":
        return words
    ours_built, theirs = _built(ours), _built(published)
    if architecture != published.name.partition(".")[0]:
        own = [f"{key} {value}" for key, value in sorted(ours_built.items()) if theirs.get(key) != value]
        return f"{architecture} with {' and '.join(own)}" if own else architecture
    changed = sorted(key for key in {*ours_built, *theirs} if ours_built.get(key) != theirs.get(key))
    return f"{name} with another {' and '.join(changed)}"


def title_of(ours: Model, published: Model | None, name: str) -> str:
    """The network in a title: `ViT-B/16`, or `ViT, 4 blocks of 64 (for ViT-B/16)`.

    Args:
        published: the study's network; None where the study has no such experiment.
        name: the study's name for it.
    """
    if published is None or is_same(ours, published):
        return name
    return f"{described(ours, published, name)} (for {name})"


def own_size(model: Model) -> int | None:
    """The default image size of a network in pixels, as far as its name and arguments give it."""
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
    """The arguments that determine the network."""
    return {key: value for key, value in model.arguments.items() if key not in SIZES}
