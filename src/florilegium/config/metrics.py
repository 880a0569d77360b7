"""The metrics of each task, and their published values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from florilegium.config.base import AtLeastOne, Name, Strict
from florilegium.core.errors import UserError, unknown
from florilegium.core.outputs import ANSWERS

COCO_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
TaskName = Literal["classification", "detection", "generation"]


@dataclass(frozen=True)
class Scoring:
    """The evaluation of one task.

    Attributes:
        main: the metric that arms are compared by; its validation values are in the history as `val_<main>`.
        scores: fractions in `metrics.json` that are the task's results, `main` among them.
        derived: metrics computed from answers and history; missing where a run was not validated.
        on_test: scores that are fractions of the `n_test` test images, so that a Wilson interval holds.
        shown: the scores in every comparison, `main` first; all of them are in `scores.csv`.
        answers: the prediction files in a run's folder.
        axis: the common name of the scores.
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
GAP = "generalisation_gap"  # training minus test accuracy of the selected weights
ECE, CALIBRATED_ECE, TEMPERATURE = "ece", "calibrated_ece", "temperature"  # see `evaluation.calibration`
CALIBRATION = (ECE, CALIBRATED_ECE, TEMPERATURE)
ON_VALIDATION = (EPOCHS, FIRST_AT_99, BEST_VALIDATION)
SCORING: dict[TaskName, Scoring] = {
    "classification": Scoring(
        main="top1",
        scores=("top1", "top5", "last_top1", "train_top1"),
        derived=(*ON_VALIDATION, GAP, *CALIBRATION),
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
    # A generator has only its loss until its samples are judged.
    "generation": Scoring(
        main="loss", scores=(), derived=(), on_test=(), shown=("loss",), answers=ANSWERS["generation"], axis="loss"
    ),
}
SCORES = frozenset(name for task in SCORING.values() for name in task.scores)
SIZES = ("params", "params_trainable", "macs", "checkpoint_bytes")  # the same in every run
CLOCKED = (  # these depend on the hardware
    *("minutes", "seconds_per_epoch", "seconds_evaluation", "evaluation_share"),
    *("train_images_per_second", "peak_memory_bytes"),
)
COURSE = ("loss", "epochs", "best_epoch")
DIVERGENCE = "divergence_rate"  # fraction of the runs of an arm that diverged
SIGNED = {GAP}  # fractions that may be negative
FRACTIONS = SCORES | SIGNED | {DIVERGENCE, BEST_VALIDATION, ECE, CALIBRATED_ECE, "evaluation_share"}
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
    ECE: "calibration error",
    CALIBRATED_ECE: "calibration error, at the temperature",
    TEMPERATURE: "temperature",
    DIVERGENCE: "runs that diverged",
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


def metrics_of(task: TaskName) -> tuple[str, ...]:
    """All metrics of a run, or an arm, of a task."""
    scoring = SCORING[task]
    return (*scoring.scores, *scoring.derived, *COURSE, *SIZES, *CLOCKED, DIVERGENCE)


def check_metrics(names: Iterable[str], task: TaskName | None, where: str) -> None:
    """Raise `UserError` for the first of `names` that is no metric of `task` (None: of any task)."""
    every = tuple(SCORING) if task is None else (task,)
    known = {name for of in every for name in metrics_of(of)}
    for name in names:
        if name in known:
            continue
        if name not in WORDS:
            raise unknown("metric", name, known, where)
        whose = " and ".join(of for of in SCORING if name in metrics_of(of))
        raise UserError(
            f"{where}: {name} is a metric of {whose}, and is asked of one arm of {task}; name another, such as "
            f"{SCORING[every[0]].main}"
        )


# Published values

# Some programs that print MB mean MiB, and others 10^6 bytes, so a study file says which.
UNITS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
PRINTED = re.compile(r"(\d+)(?:\.(\d+))?\s*([A-Za-z]*)")


class Baseline(Strict):
    """The experiment and arm that a paired test compares with."""

    experiment: Name
    arm: Name = "corrected"


def _either(schema: dict[str, Any]) -> None:
    """Require low and high, or printed, in the schema for editors."""
    schema["required"] = [key for key in schema["required"] if key not in ("low", "high")]
    schema["anyOf"] = [{"required": ["low", "high"]}, {"required": ["printed"]}]


class Published(Strict):
    """A number as the study printed it, as a range from `low` to `high`; for a single number they are equal.

    `printed` replaces `low` and `high` for a size, which was rounded or cut before it was printed: the range then holds
    all numbers that may have been printed like this.
    """

    model_config = ConfigDict(json_schema_extra=_either)

    metric: Name
    low: float
    high: float
    source: str = Field(description="its place in the study document")
    note: str = ""
    printed: str = Field("", description="in place of low and high: digits and unit, such as 87 M or 330 MiB")
    classes: AtLeastOne | None = Field(
        None, description="sizes: number of classes of the head that was counted; null: those of the data set"
    )

    @model_validator(mode="before")
    @classmethod
    def _range_of_digits(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not values.get("printed") or "low" in values:
            return values
        digits = values["printed"]
        if not isinstance(digits, str):  # which is said once, and not of low and high as well
            return {"low": 0.0, "high": 0.0, **values}
        return {**values, **dict(zip(("low", "high"), meant_by(digits), strict=True))}

    @model_validator(mode="after")
    def _fits_metric(self) -> Self:
        if (self.printed or self.classes) and self.metric not in SIZES:
            raise ValueError(f"printed, classes: are of {', '.join(SIZES)}, and metric = {self.metric}")
        return self

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        lowest = -1 if self.metric in SIGNED else 0
        for key, value in (("low", self.low), ("high", self.high)):
            if self.metric in FRACTIONS and not lowest <= value <= 1:
                percent = f"; write {value / 100:.12g}" if 1 < abs(value) <= 100 else f", from {lowest} to 1"
                raise ValueError(f"{key} = {value:g}: {self.metric} is a fraction of 1{percent}")
            if value < lowest:
                raise ValueError(f"{key} = {value:g}: {self.metric} is never below {lowest}")
        if self.low > self.high:
            raise ValueError(f"low, high: {self.low:g} is above {self.high:g}; exchange them")
        return self


def meant_by(printed: str) -> tuple[float, float]:
    """The range of numbers that printed digits may stand for: rounded up from half a unit of the last digit below, or
    cut from a whole one above. `87 M` is 86.5 to 88 million.

    Raises:
        ValueError: not a number, or an unknown unit.
    """
    match = PRINTED.fullmatch(printed.strip())
    if match is None or match[3] not in UNITS:
        known = ", ".join(filter(None, UNITS))
        raise ValueError(f"printed: {printed!r} must be a number and a unit ({known}), such as 87 M")
    digit = 10.0 ** -len(match[2] or "")
    value = float(f"{match[1]}.{match[2] or 0}")
    unit = UNITS[match[3]]
    return (value - digit / 2) * unit, (value + digit) * unit


class PublishedLosses(Strict):
    """Training losses of successive epochs as a study printed them, from the first epoch on."""

    experiment: str = Field(description="the arm whose losses they are drawn below, as experiment/arm")
    source: str = Field(description="their place in the study document")
    losses: tuple[float, ...] = Field(strict=False, min_length=1)
