"""What every configuration model is made of: a strict base, and types with bounds.

Models of one concern have a module of their own, so that a new key of one re-runs no stage of another.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]
Split = Literal["train", "val", "test"]


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are errors, values do not change, and no
    number is read from text (YAML reads `1e-4` as text: write `1.0e-4`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
