"""Settings of attention maps, attributions and audits."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, Fraction, NotNegative, Strict
from florilegium.config.data import Model
from florilegium.core.errors import UserError

BLOCKS = (0, 3, 6, 9)
HASH_BITS = 64


class Attention(Strict):
    """The part of a trained network's attention that is analysed; blocks and heads count from zero."""

    of: Literal["tokens", "nodes"] = Field(
        "tokens",
        description="tokens: a transformer's; nodes: those of an attention head on a convolutional network, where all "
        "attention heads are drawn",
    )
    blocks: tuple[Count, ...] = Field(
        BLOCKS, strict=False, min_length=1, description="blocks whose attention maps of the first test image are drawn"
    )
    head: Count = Field(0, description="the head whose maps are drawn")
    images: AtLeastOne = Field(100, description="test images over which entropy and diagonal are averaged, at most")
    shown: AtLeastOne = Field(4, description="test images whose attention rollout, or attention of nodes, is drawn")

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Attention":
        if self.of == "nodes" and (self.blocks != BLOCKS or self.head):
            raise ValueError("blocks, head: of = nodes draws all heads of the only block; leave them out")
        if len(set(self.blocks)) < len(self.blocks):
            raise ValueError(f"blocks: {list(self.blocks)} holds one twice; take one out")
        return self

    def check(self, *, blocks: int, heads: int) -> None:
        """Raise `UserError`, which starts with the key, if a network of that size lacks a block or the head."""
        for key, number, count in (("blocks", max(self.blocks), blocks), ("head", self.head, heads)):
            if number >= count:
                kind = key.removesuffix("s")
                raise UserError(
                    f"attention.{key} asks for {kind} {number}, and the network has {count} {kind}s; "
                    f"they count from 0, so name {kind}s up to {count - 1}"
                )

    def check_model(self, model: Model) -> None:
        """`check` before the network is built, as far as its arguments give its size."""
        known = [model.arguments.get(key) for key in ("depth", "num_heads")]
        blocks, heads = (n if isinstance(n, int) else max(*self.blocks, self.head) + 1 for n in known)
        self.check(blocks=blocks, heads=heads)


Method = Literal[
    "saliency",
    "smoothgrad",
    "integrated_gradients",
    "gradient_shap",
    "deeplift",
    "occlusion",
    "grad_cam",
    "attention_rollout",
]
METHODS: tuple[Method, ...] = get_args(Method)
PARTIAL = {"deeplift", "grad_cam", "attention_rollout"}  # methods that do not suit every network


class Attribution(Strict):
    """The test images whose predictions are explained, and the methods."""

    images: AtLeastOne = Field(16, description="test images that the methods are evaluated on, at most")
    shown: AtLeastOne = Field(4, description="number of these images that have a figure of their own")
    sampled: Literal["right_and_wrong", "right", "wrong"] = Field(
        "right_and_wrong", description="by the network's prediction; right_and_wrong: as many of each as there are"
    )
    names: tuple[str | Count, ...] = Field(
        (), strict=False, description="only these test images, by name or by number from 0 in the order of names"
    )
    methods: tuple[Method, ...] = Field(
        METHODS, strict=False, min_length=1, description="methods that do not suit the network are left out"
    )
    steps: AtLeastOne = Field(
        50,
        description="integrated gradients: points of the path, doubled until completeness holds; SmoothGrad and "
        "GradientSHAP: number of samples",
    )

    @model_validator(mode="after")
    def _possible(self) -> "Attribution":
        for key in ("names", "methods"):
            values = getattr(self, key)
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{key}: holds {twice[0]!r} twice; take one out")
        if not self.names and self.shown > self.images:
            raise ValueError(
                f"shown: {self.shown} images cannot be shown of {self.images} that are explained; raise images"
            )
        return self

    @property
    def figures(self) -> int:
        """The number of images that have a figure of their own."""
        return len(self.names) or self.shown


class Audit(Strict):
    """The conditions on which two images count as the same picture."""

    radius: Count = Field(
        10, le=HASH_BITS, description="maximum Hamming distance of two 64-bit pHashes; distances are even"
    )
    pixel_threshold: Fraction = Field(
        0.02, description="maximum mean squared difference of 32 x 32 thumbnails in [0, 1]"
    )
    contrast_share: NotNegative = Field(
        0.35, description="maximum of that difference / summed variance of both thumbnails"
    )
    dihedral: bool = Field(True, description="also compare the eight flips and rotations")
    crops: bool = Field(True, description="also look for parts: pictures that were cut, bordered, zoomed or written on")
    crop_points: AtLeastOne = Field(8, description="minimum number of local features that agree on one map")
    crop_agreement: Fraction = Field(
        0.95,
        description="minimum part of their overlap, in blocks that are not flat, whose pixels agree; 0.6 where these "
        "agree nearly exactly, since text may lie over the rest",
    )
