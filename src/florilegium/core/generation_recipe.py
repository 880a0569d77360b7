"""A generator's recipe: what every training has, and its noise schedule or its adversary's weight."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Fraction, NotNegative, Positive
from florilegium.core.training_recipe import FROM_FINDER, Idle, TrainingRecipe


class GenerationRecipe(TrainingRecipe):
    """How a class-conditional generator of images is trained. Its last weights are kept: no score of one
    epoch says how good its pictures are."""

    IDLE: ClassVar[Idle] = {**TrainingRecipe.IDLE, "label_dropout": {0.0: ("label_dropout_by",)}}

    select: Literal["best", "last"] = "last"
    flip: Fraction = Field(0.0, description="probability of a horizontal flip")
    dropout: Fraction = 0.0
    # diffusion
    timesteps: AtLeastOne = Field(500, description="steps of the noising process")
    beta_start: Positive = Field(1e-4, lt=1, description="variance that the first step adds")
    beta_end: Positive = Field(0.028, lt=1, description="and the last; linear in between")
    label_dropout: Fraction = Field(0.1, description="how often the class is hidden, for guidance")
    label_dropout_by: Literal["sample", "batch"] = "sample"
    loss: Literal["mean", "sum_by_squared_batch"] = Field(
        "mean",
        description="of the squared errors; their sum over the squared batch size is what study 4 took",
    )
    # ACGAN
    class_weight: NotNegative = Field(1.0, description="of the classification losses beside the adversarial")

    @model_validator(mode="after")
    def _unselected(self) -> "GenerationRecipe":
        if self.select == "best" or self.early_stop:
            raise ValueError(
                "select, early_stop: a generator has no score to choose an epoch by; leave them out"
            )
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder is for classifiers; give a number")
        if self.beta_start > self.beta_end:
            raise ValueError(f"beta_start: {self.beta_start} is above beta_end = {self.beta_end}")
        return self
