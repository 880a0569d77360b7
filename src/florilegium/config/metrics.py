"""The metrics of each task, and the published values of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from florilegium.config.base import AtLeastOne, Name, Strict
from florilegium.core.errors import UserError, unknown
from florilegium.core.outputs import ANSWERS

COCO_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


Scored = Literal["classification", "detection", "generation"]


@dataclass(frozen=True)
class Scoring:
    """How the runs of one kind of task are judged.

    Attributes:
        main: the metric that arms are compared by; its validation stands in the history as `val_<main>`.
        scores: fractions in `metrics.json` that are the task's results, `main` among them.
        derived: what else its runs have, from their scores and their history; missing where a run was not validated.
        on_test: those of them that are shares of the `n_test` test images, so that a Wilson interval holds.
        shown: the scores that a comparison always tells, `main` first; all of them stand in `scores.csv`.
        answers: the files in a run's folder that say what it answered, its predictions first.
        axis: what the scores are called together.
    """

    main: str
    scores: tuple[str, ...]
    derived: tuple[str, ...]
    on_test: tuple[str, ...]
    shown: tuple[str, ...]
    answers: tuple[str, ...]
    axis: str

    @property
    def validated(self) -> str:
        """The column of the history that holds the main metric on the validation split."""
        return f"val_{self.main}"


EPOCHS = "epochs_to_90_percent"  # of the run's own last validation
FIRST_AT_99 = "first_epoch_at_99_percent"
BEST_VALIDATION = "best_validation"
GAP = "generalisation_gap"  # training less test accuracy of the selected weights: by how much a run overfits
ON_VALIDATION = (EPOCHS, FIRST_AT_99, BEST_VALIDATION)
SCORING: dict[Scored, Scoring] = {
    "classification": Scoring(
        main="top1",
        scores=("top1", "top5", "last_top1", "train_top1"),
        derived=(*ON_VALIDATION, GAP),
        on_test=("top1", "top5", "last_top1"),
        shown=("top1",),
        answers=ANSWERS["classification"],
        axis="accuracy",
    ),
    "detection": Scoring(
        main="AP",
        scores=(*COCO_METRICS, "last_AP"),
        derived=ON_VALIDATION,
        on_test=(),
        shown=("AP", "AP50", "AP75"),
        answers=ANSWERS["detection"],
        axis="average precision or recall",
    ),
    # Every run has a loss; a generator has nothing else of its own until its samples are judged.
    "generation": Scoring(
        main="loss", scores=(), derived=(), on_test=(), shown=("loss",), answers=ANSWERS["generation"], axis="loss"
    ),
}
SCORES = frozenset(name for task in SCORING.values() for name in task.scores)
SIZES = ("params", "params_trainable", "macs", "checkpoint_bytes")  # the same in every run
CLOCKED = (  # decided by the hardware that ran it
    "minutes",
    "seconds_per_epoch",
    "seconds_evaluation",
    "evaluation_share",
    "train_images_per_second",
    "peak_memory_bytes",
)
COURSE = ("loss", "epochs", "best_epoch")
DIVERGENCE = "divergence_rate"  # of an arm: the share of its runs that diverged
GAIN = "gain"  # of an arm over another: the paired difference of the main metric
MEMORY_FACTOR, SPEED_FACTOR = "memory_factor", "speed_factor"
FACTORS = {MEMORY_FACTOR: "peak_memory_bytes", SPEED_FACTOR: "seconds_per_epoch"}  # and what they are ratios of
BETWEEN = (GAIN, *FACTORS)  # what only two arms have together
BY_HARDWARE = (*CLOCKED, SPEED_FACTOR)
SIGNED = {GAIN, GAP}  # fractions that may be below zero
FRACTIONS = SCORES | SIGNED | {DIVERGENCE, BEST_VALIDATION, "evaluation_share"}
WORDS = {
    "top1": "test top-1",
    "top5": "test top-5",
    "last_top1": "test top-1, last epoch",
    "train_top1": "training top-1",
    "loss": "test loss",
    "epochs": "epochs",
    "best_epoch": "best epoch",
    EPOCHS: "epochs to 90 %",
    FIRST_AT_99: "first epoch at 99 %",
    BEST_VALIDATION: "validation, best epoch",
    GAP: "training less test",
    DIVERGENCE: "runs that diverged",
    GAIN: "gain over another arm",
    MEMORY_FACTOR: "times the memory of another arm",
    SPEED_FACTOR: "times as fast as another arm",
    "params": "parameters",
    "params_trainable": "trained parameters",
    "macs": "multiply-accumulates",
    "checkpoint_bytes": "checkpoint",
    "minutes": "minutes in all",
    "seconds_per_epoch": "seconds an epoch",
    "seconds_evaluation": "seconds of the final test",
    "evaluation_share": "share spent on evaluation",
    "train_images_per_second": "training images a second",
    "peak_memory_bytes": "peak memory",
    **{name: name for name in COCO_METRICS},
    "last_AP": "AP, last epoch",
}


def metrics_of(task: Scored) -> tuple[str, ...]:
    """All that a run, or an arm, of a task is measured by."""
    scoring = SCORING[task]
    return (*scoring.scores, *scoring.derived, *COURSE, *SIZES, *CLOCKED, DIVERGENCE)


def check_metrics(names: Iterable[str], task: Scored | None, where: str, *, paired: bool = False) -> None:
    """Raise `UserError` for the first of `names` that no run of `task` could have (None: of no task), before anything
    is trained; `paired` allows what only two arms have together."""
    every = tuple(SCORING) if task is None else (task,)
    known = {*(BETWEEN if paired else ()), *(name for of in every for name in metrics_of(of))}
    for name in names:
        if name in known:
            continue
        if name not in WORDS:
            raise unknown("metric", name, known, where)
        whose = " and ".join(of for of in SCORING if name in metrics_of(of)) or "two arms together"
        raise UserError(
            f"{where}: {name} is a metric of {whose}, and is asked of one arm{f' of {task}' if task else ''}; name "
            f"another, such as {SCORING[every[0]].main}"
        )


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
    printed: str = Field("", description="in place of low and high: the digits and their unit, such as 87 M or 330 MiB")
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
