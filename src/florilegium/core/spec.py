"""What a training is specified by beside its recipe: data, model and first weights."""

from typing import Any

from pydantic import Field, model_validator

from florilegium.core.sampling import Generated
from florilegium.core.strict import AtLeastOne, Fraction, Name, Split, Strict


class DataUse(Strict):
    """Which images of a data set an experiment trains, validates and tests on.

    `holdout` takes a seeded stratified part of the training images for validation and test: the
    data set's own splits are then merged, and selection must be `last`.
    """

    dataset: Name
    storage_size: AtLeastOne = Field(256, description="side in pixels of the packed images")
    train: tuple[Split, ...] = Field(("train",), strict=False)
    val: tuple[Split, ...] = Field(("val",), strict=False)
    test: tuple[Split, ...] = Field(("test",), strict=False)
    holdout: Fraction | None = None
    choose_on_test: bool = Field(
        False, description="validate on the test images, as some studies did; for `as_published` arms alone"
    )
    clean: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="data sets whose validation and test pictures are dropped from training; its own name: doubles across its splits",
    )

    generated: Generated | None = Field(None, description="made images to train on beside the real ones")

    @model_validator(mode="after")
    def _disjoint(self) -> "DataUse":
        if self.holdout is None:
            for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
                both = set(getattr(self, a)) & set(getattr(self, b))
                if both:
                    raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")
        elif not 0 < self.holdout < 1:
            raise ValueError("holdout: must lie between 0 and 1")
        if self.choose_on_test and (self.val or self.holdout is not None):
            raise ValueError(
                "choose_on_test: takes the test images for validation, so set val to [] and holdout to null"
            )
        return self


class Init(Strict):
    """Where the first weights come from: a run of another experiment, a file, or a named entry of
    `workflow/weights.yaml`. The run of the same seed is taken."""

    experiment: Name | None = None
    arm: Name = "corrected"
    file: str | None = None
    weights: Name | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Init":
        if sum(x is not None for x in (self.experiment, self.file, self.weights)) != 1:
            raise ValueError("give exactly one of experiment, file and weights")
        return self


class Model(Strict):
    """A network by its registered name and what its constructor takes."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
