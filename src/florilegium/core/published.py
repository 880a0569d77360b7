"""What a result is held against: a published figure, and a baseline of ours."""

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from florilegium.core.metrics import BETWEEN, SIZES
from florilegium.core.strict import AtLeastOne, Name, Strict

# What the letter after a printed number is worth. Sizes of files are printed as MB and meant as MiB by some programs and
# as 10^6 bytes by others, so a study file says which.
UNITS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
PRINTED = re.compile(r"(\d+)(?:\.(\d+))?\s*([A-Za-z]*)")


class Baseline(Strict):
    """The experiment and arm that a paired test is made against."""

    experiment: Name
    arm: Name = "corrected"


def _either(schema: dict[str, Any]) -> None:
    """For editors: low and high, or printed."""
    schema["required"] = [key for key in schema["required"] if key not in ("low", "high")]
    schema["anyOf"] = [{"required": ["low", "high"]}, {"required": ["printed"]}]


class Published(Strict):
    """A figure as the study printed it; a single number is a range of itself.

    `printed` takes the place of `low` and `high` where the number is a size, known to more digits than were printed:
    the range is then all that these digits may mean, rounded or cut.
    """

    model_config = ConfigDict(json_schema_extra=_either)

    metric: Name
    low: float
    high: float
    source: str = Field(description="where in the study document it stands")
    note: str = ""
    printed: str = Field(
        "", description="in place of low and high: the digits and their unit, such as 87 M or 330 MiB"
    )
    classes: AtLeastOne | None = Field(
        None, description="sizes: of the head that was counted; null: as many as the data set has"
    )
    against: Baseline | None = Field(
        None, description="of a gain or a factor: the arm that it is over; null: the baseline"
    )

    @model_validator(mode="before")
    @classmethod
    def _range_of_digits(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not values.get("printed") or "low" in values:
            return values
        low, high = meant_by(str(values["printed"]))
        return {**values, "low": low, "high": high}

    @field_validator("low", "high", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _sizes_alone(self) -> Self:
        if (self.printed or self.classes) and self.metric not in SIZES:
            raise ValueError(f"printed, classes: are of {', '.join(SIZES)}, and metric = {self.metric}")
        return self

    @model_validator(mode="after")
    def _of_two_arms(self) -> Self:
        if self.against and self.metric not in BETWEEN:
            raise ValueError(
                f"against: belongs to {', '.join(BETWEEN)}, which two arms have together; {self.metric} is one arm's"
            )
        return self


def meant_by(printed: str) -> tuple[float, float]:
    """All that printed digits may mean: half of the last one below, when they were rounded up, to a whole one above,
    when what followed was cut. `87 M` is 86.5 to 88 million.

    Raises:
        ValueError: not a number, or a unit that is not known.
    """
    found = PRINTED.fullmatch(printed.strip())
    if found is None or found[3] not in UNITS:
        known = ", ".join(filter(None, UNITS))
        raise ValueError(f"printed: {printed!r} must be a number and a unit ({known}), such as 87 M")
    digit = 10.0 ** -len(found[2] or "")
    value = float(f"{found[1]}.{found[2] or 0}")
    unit = UNITS[found[3]]
    return (value - digit / 2) * unit, (value + digit) * unit


class PublishedLosses(Strict):
    """Training losses of successive epochs, the first one first, as a study printed them."""

    experiment: str = Field(description="the arm of ours that they stand beside, as experiment/arm")
    source: str = Field(description="where in the study document they stand")
    losses: tuple[float, ...] = Field(strict=False, min_length=1)
