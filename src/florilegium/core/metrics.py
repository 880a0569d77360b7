"""The names of all that is measured, and what each task is judged by.

`metrics.json` holds a task's own figures and the sizes; `cost.json` holds what a clock or a device
decided; the rest is derived from a run, from all runs of an arm, or from two arms together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from florilegium.core.coco import FIGURES as COCO
from florilegium.core.errors import UserError, unknown
from florilegium.core.outputs import ANSWERS

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
        scores=(*COCO, "last_AP"),
        derived=ON_VALIDATION,
        on_test=(),
        shown=("AP", "AP50", "AP75"),
        answers=ANSWERS["detection"],
        axis="average precision or recall",
    ),
    # Every run has a loss; a generator has nothing else of its own until its samples are judged.
    "generation": Scoring(
        main="loss",
        scores=(),
        derived=(),
        on_test=(),
        shown=("loss",),
        answers=ANSWERS["generation"],
        axis="loss",
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
FACTORS = {
    MEMORY_FACTOR: "peak_memory_bytes",
    SPEED_FACTOR: "seconds_per_epoch",
}  # and what they are ratios of
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
    **{name: name for name in COCO},
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
