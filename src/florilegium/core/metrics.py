"""The names of all that is measured, and what each task is judged by.

`metrics.json` holds a task's own figures and the sizes; `cost.json` holds what a clock or a device
decided; the rest is derived from a run or from all runs of an arm.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from florilegium.core.coco import FIGURES as COCO
from florilegium.core.errors import unknown

Scored = Literal["classification", "detection", "generation"]


@dataclass(frozen=True)
class Scoring:
    """How the runs of one kind of task are judged.

    Attributes:
        main: the metric that arms are compared by; its validation stands in the history as `val_<main>`.
        scores: fractions in `metrics.json` that are the task's results, `main` among them.
        on_test: those of them that are shares of the `n_test` test images, so that a Wilson interval holds.
        shown: the scores that a comparison always tells, `main` first; all of them stand in `scores.csv`.
        answers: the files in a run's folder that say what it answered, its predictions first.
        axis: what the scores are called together.
    """

    main: str
    scores: tuple[str, ...]
    on_test: tuple[str, ...]
    shown: tuple[str, ...]
    answers: tuple[str, ...]
    axis: str

    @property
    def validated(self) -> str:
        """The column of the history that holds the main metric on the validation split."""
        return f"val_{self.main}"


SCORING: dict[Scored, Scoring] = {
    "classification": Scoring(
        main="top1",
        scores=("top1", "top5", "last_top1", "train_top1"),
        on_test=("top1", "top5", "last_top1"),
        shown=("top1",),
        answers=("predictions.csv",),
        axis="accuracy",
    ),
    "detection": Scoring(
        main="AP",
        scores=(*COCO, "last_AP"),
        on_test=(),
        shown=("AP", "AP50", "AP75"),
        answers=("predictions.json", "detection.json", "matches.npz"),
        axis="average precision or recall",
    ),
    # Every run has a loss; a generator has nothing else of its own until its samples are judged.
    "generation": Scoring(main="loss", scores=(), on_test=(), shown=("loss",), answers=(), axis="loss"),
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
EPOCHS = "epochs_to_90_percent"
DIVERGENCE = "divergence_rate"  # of an arm: the share of its runs that diverged
GAIN = "gain"  # of an arm over its baseline: the paired difference of the main metric
FRACTIONS = SCORES | {DIVERGENCE, GAIN, "evaluation_share"}
WORDS = {
    "top1": "test top-1",
    "top5": "test top-5",
    "last_top1": "test top-1, last epoch",
    "train_top1": "training top-1",
    "loss": "test loss",
    "epochs": "epochs",
    "best_epoch": "best epoch",
    EPOCHS: "epochs to 90 %",
    DIVERGENCE: "runs that diverged",
    GAIN: "gain over its baseline",
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


def check_metrics(names: Iterable[str], where: str, *, paired: bool = False) -> None:
    """Raise `UserError` for the first of `names` that no run could have, before anything is trained; `paired`
    allows what only two arms have together."""
    known = [name for name in WORDS if paired or name != GAIN]
    for name in names:
        if name not in known:
            raise unknown("metric", name, known, where)
