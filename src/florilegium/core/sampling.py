"""How images are drawn from a trained generator, and who judges them."""

from typing import Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Fraction, Name, NotNegative, Strict


class Sampling(Strict):
    """One set of generated images.

    Guidance w mixes the noise predicted with and without the class as (1 + w) e_class - w e_none (Ho and
    Salimans 2022, "Classifier-Free Diffusion Guidance", equation 6).
    """

    sampler: Literal["ddpm", "ddim", "direct"] = Field(
        "ddpm", description="direct: one pass of a network that needs no steps (ACGAN)"
    )
    steps: AtLeastOne | None = Field(None, description="ddim: of the reverse process; null takes all")
    guidance: NotNegative = 0.0
    per_class: AtLeastOne = 100

    @model_validator(mode="after")
    def _possible(self) -> "Sampling":
        if self.steps is not None and self.sampler != "ddim":
            raise ValueError(f"steps: sampler = {self.sampler} takes no fewer steps than it has; use ddim")
        if self.guidance and self.sampler == "direct":
            raise ValueError("guidance: sampler = direct has no noise to guide; leave it out")
        return self


class Judge(Strict):
    """The classifier, trained on real images, that looks at generated ones; of the same seed."""

    experiment: Name
    arm: Name = "corrected"


class Samples(Strict):
    """What is made with a trained generator."""

    sets: dict[Name, Sampling] = Field(description="by the name of their folder")
    judge: Judge | None = None
    shown: AtLeastOne = Field(8, description="images of each class in the pictures")


class Generated(Strict):
    """Generated images that a classifier learns from beside the real ones; of the same seed."""

    experiment: Name
    arm: Name = "corrected"
    samples: Name = Field(description="one of the generator's sets")
    share: Fraction = Field(description="of the number of real training images, so many are added")
