"""What a trained detector scores, as its run's folder tells it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from florilegium.data.scenes import Scenes
from florilegium.evaluation.coco import Coco, Figures, coco_figures
from florilegium.evaluation.detection_errors import breakdown
from florilegium.evaluation.detector import Answers
from florilegium.training.loop import Outcome
from florilegium.training.results import finite


@dataclass(frozen=True)
class Tested:
    """The selected weights on the test images, and the last ones by their AP."""

    answers: Answers
    figures: Figures
    last_ap: float | None
    seconds: float


def measure(
    network: nn.Module, outcome: Outcome, scenes: Scenes, truth: Coco, answer: Callable[..., Answers]
) -> Tested:
    """Evaluate in float32, so that whoever evaluates the checkpoint later gets the same figures."""
    started = time.perf_counter()
    network.load_state_dict(outcome.last_state)
    answers = answer(network, scenes)
    figures = coco_figures(truth, answers.results)
    last = figures.overall["AP"]
    if outcome.selected_state is not outcome.last_state:
        network.load_state_dict(outcome.selected_state)
        answers = answer(network, scenes)
        figures = coco_figures(truth, answers.results)
    return Tested(answers, figures, last, time.perf_counter() - started)


def metrics(tested: Tested, n_test: int) -> dict[str, Any]:
    loss = tested.answers.loss
    return {
        "loss": None if loss is None else finite(loss),
        **tested.figures.overall,
        "last_AP": tested.last_ap,
        "n_test": n_test,
    }


def findings(tested: Tested, truth: Coco) -> dict[str, Any]:
    """Figures by class, curves and kinds of errors, for tables and pictures."""
    return {
        "by_class": tested.figures.by_class,
        "recall": tested.figures.recall,
        "precision": tested.figures.precision,
        "errors": asdict(breakdown(truth, tested.answers.results)),
    }
