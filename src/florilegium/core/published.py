"""What a result is held against: a published figure, and a baseline of ours."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from florilegium.core.metrics import BETWEEN
from florilegium.core.strict import Name, Strict


class Baseline(Strict):
    """The experiment and arm that a paired test is made against."""

    experiment: Name
    arm: Name = "corrected"


class Published(Strict):
    """A figure as the study printed it; a single number is a range of itself."""

    metric: Name
    low: float
    high: float
    source: str = Field(description="where in the study document it stands")
    note: str = ""
    against: Baseline | None = Field(
        None, description="of a gain or a factor: the arm that it is over; null: the baseline"
    )

    @field_validator("low", "high", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _of_two_arms(self) -> Self:
        if self.against and self.metric not in BETWEEN:
            raise ValueError(
                f"against: belongs to {', '.join(BETWEEN)}, which two arms have together; {self.metric} is one arm's"
            )
        return self


class PublishedLosses(Strict):
    """Training losses of successive epochs, the first one first, as a study printed them."""

    experiment: str = Field(description="the arm of ours that they stand beside, as experiment/arm")
    source: str = Field(description="where in the study document they stand")
    losses: tuple[float, ...] = Field(strict=False, min_length=1)
