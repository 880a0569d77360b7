"""Which attention of a trained network is looked at; no part of what a training depends on."""

from typing import Literal

from pydantic import Field, model_validator

from florilegium.core.errors import UserError
from florilegium.core.spec import Model
from florilegium.core.strict import AtLeastOne, Count, Strict

BLOCKS = (0, 3, 6, 9)


class Attention(Strict):
    """Which attention of a trained network is looked at; blocks and heads count from zero."""

    of: Literal["tokens", "nodes"] = Field(
        "tokens",
        description="of a transformer's tokens, or of the nodes of a head of attention on a convolutional network, "
        "all of whose heads are drawn",
    )
    blocks: tuple[Count, ...] = Field(
        BLOCKS,
        strict=False,
        min_length=1,
        description="blocks whose maps are drawn, of the first test image",
    )
    head: Count = Field(0, description="the head whose maps are drawn")
    images: AtLeastOne = Field(
        100, description="test images that entropy and diagonal are means over; all where there are fewer"
    )
    shown: AtLeastOne = Field(
        4, description="test images that the rollout, or what nodes attend to, is drawn of"
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Attention":
        if self.of == "nodes" and (self.blocks != BLOCKS or self.head):
            raise ValueError(
                "blocks, head: of = nodes draws all heads of the one block that there is; leave them out"
            )
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
