"""Settings of what is made beside a training: attention maps, attributions, audits."""

from typing import Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, NotNegative, Strict
from florilegium.config.data import Model
from florilegium.core.errors import UserError

BLOCKS = (0, 3, 6, 9)


class Attention(Strict):
    """Which attention of a trained network is looked at; blocks and heads count from zero."""

    of: Literal["tokens", "nodes"] = Field(
        "tokens",
        description="of a transformer's tokens, or of the nodes of a head of attention on a convolutional network, "
        "all of whose heads are drawn",
    )
    blocks: tuple[Count, ...] = Field(
        BLOCKS, strict=False, min_length=1, description="blocks whose maps are drawn, of the first test image"
    )
    head: Count = Field(0, description="the head whose maps are drawn")
    images: AtLeastOne = Field(
        100, description="test images that entropy and diagonal are means over; all where there are fewer"
    )
    shown: AtLeastOne = Field(4, description="test images that the rollout, or what nodes attend to, is drawn of")

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Attention":
        if self.of == "nodes" and (self.blocks != BLOCKS or self.head):
            raise ValueError("blocks, head: of = nodes draws all heads of the one block that there is; leave them out")
        return self

    def check(self, where: str, *, blocks: int, heads: int) -> None:
        """Raise `UserError` that starts with `where` when a network of that size has not all of it."""
        for key, asked, there in (("blocks", max(self.blocks), blocks), ("head", self.head, heads)):
            if asked >= there:
                kind = key.removesuffix("s")
                raise UserError(
                    f"{where}: attention.{key} asks for {kind} {asked}, and the network has {there} {kind}s; "
                    f"they count from 0, so name {kind}s up to {there - 1}"
                )

    def check_model(self, model: Model, where: str) -> None:
        """`check`, as far as the model's arguments tell its size before it is built."""
        known = [model.arguments.get(key) for key in ("depth", "num_heads")]
        blocks, heads = (n if isinstance(n, int) else max(*self.blocks, self.head) + 1 for n in known)
        self.check(where, blocks=blocks, heads=heads)


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
METHODS: tuple[Method, ...] = Method.__args__  # type: ignore[attr-defined]


class Attribution(Strict):
    """Which test images are explained, by which methods, and how closely."""

    images: AtLeastOne = Field(16, description="test images that the methods are judged on; all where there are fewer")
    shown: AtLeastOne = Field(4, description="how many of them have a figure of their own")
    sampled: Literal["right_and_wrong", "right", "wrong"] = Field(
        "right_and_wrong", description="by the network's answer: as many wrong as right ones, as far as there are"
    )
    names: tuple[str | Count, ...] = Field(
        (),
        strict=False,
        description="these test images and no others, by name or by number from 0 in the order of names",
    )
    methods: tuple[Method, ...] = Field(
        METHODS, strict=False, min_length=1, description="those that do not fit the network are left out"
    )
    steps: AtLeastOne = Field(
        50,
        description="points of integrated gradients' path, doubled while they miss completeness; samples of "
        "SmoothGrad and GradientSHAP",
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
                f"shown: {self.shown} images cannot be shown of {self.images} that are looked at; raise images"
            )
        return self

    @property
    def figures(self) -> int:
        """How many images have a figure of their own."""
        return len(self.names) or self.shown


class Audit(Strict):
    """When two images are called the same picture."""

    radius: Count = Field(10, description="largest Hamming distance of two 64-bit pHashes; distances are even")
    pixel_threshold: NotNegative = Field(
        0.02, description="largest mean squared difference of the 32 x 32 RGB thumbnails in [0, 1]"
    )
    contrast_share: NotNegative = Field(
        0.35, description="largest share of that difference in the summed variance of both thumbnails"
    )
    dihedral: bool = Field(True, description="look for the eight flips and rotations")
