"""Which images and boxes of a data set a detector trains, validates and tests on."""

from typing import Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Name, Split, Strict

STRIDE = 32  # of the coarsest map of the backbone: sides are padded to its multiples


class DetectionData(Strict):
    """The `data` of a detection experiment; the counterpart of `DataUse`.

    Images are packed with the short side `short_side`, or less where the long side would be more
    than `long_side`, and padded with zeros below and to the right.
    """

    dataset: Name
    short_side: AtLeastOne = Field(608, description="pixels of the packed image's shorter side")
    long_side: AtLeastOne = Field(1024, description="most pixels of its longer side")
    padding: Literal["least", "doubled"] = Field(
        "least",
        description="to the next multiple of 32; doubled: 32 pixels more where a side is one already",
    )
    boxes: Literal["as_annotated", "last_corner"] = Field(
        "as_annotated",
        description="last_corner: in training, all boxes of an image end where its last one ends (a bug)",
    )
    train: tuple[Split, ...] = Field(("train",), strict=False)
    val: tuple[Split, ...] = Field(("val",), strict=False)
    test: tuple[Split, ...] = Field(("test",), strict=False)
    clean: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="data sets whose validation and test pictures are dropped from training; its own name: doubles across its splits",
    )

    @property
    def packing(self) -> str:
        """The part of a packed file's name that tells how its images were packed."""
        return f"{self.short_side}-{self.long_side}-{self.padding}"

    @model_validator(mode="after")
    def _possible(self) -> "DetectionData":
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            both = set(getattr(self, a)) & set(getattr(self, b))
            if both:
                raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")
        if self.long_side < self.short_side:
            raise ValueError(
                f"long_side: {self.long_side} is less than short_side = {self.short_side}; give at least as much"
            )
        return self
