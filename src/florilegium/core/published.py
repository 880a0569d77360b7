"""What a result is held against: a published figure, and a baseline of ours."""

from typing import Any

from pydantic import Field, field_validator

from florilegium.core.strict import Name, Strict


class Published(Strict):
    """A figure as the study printed it; a single number is a range of itself."""

    metric: Name
    low: float
    high: float
    source: str = Field(description="where in the study document it stands")
    note: str = ""

    @field_validator("low", "high", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class PublishedLosses(Strict):
    """Training losses of successive epochs, the first one first, as a study printed them."""

    experiment: str = Field(description="the arm of ours that they stand beside, as experiment/arm")
    source: str = Field(description="where in the study document they stand")
    losses: tuple[float, ...] = Field(strict=False, min_length=1)


class Baseline(Strict):
    """The experiment and arm that a paired test is made against."""

    experiment: Name
    arm: Name = "corrected"
