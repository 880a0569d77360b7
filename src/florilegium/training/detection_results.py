"""What a trained detector scores, as its run's folder tells it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from florilegium.data.boxed_load import BoxedImages
from florilegium.evaluation.coco import Coco, Figures, accumulated, figures_of
from florilegium.evaluation.detection_errors import breakdown
from florilegium.evaluation.detector import Answers
from florilegium.evaluation.matches import Matches, matches_of
from florilegium.training.loop import Outcome
from florilegium.training.progress import Weights
from florilegium.training.results import finite


@dataclass(frozen=True)
class Judged:
    """What some weights answer, its figures, and the matches that they are made of."""

    answers: Answers
    figures: Figures
    matches: Matches


@dataclass(frozen=True)
class Tested:
    """What the selected weights and the last ones, which may be the same, score on the test images."""

    selected: Judged
    last: Judged
    seconds: float


def measure(
    network: nn.Module, outcome: Outcome, scenes: BoxedImages, truth: Coco, answer: Callable[..., Answers]
) -> Tested:
    """Evaluate in float32, so that whoever evaluates the checkpoint later gets the same figures."""
    started = time.perf_counter()

    def judged(state: Weights) -> Judged:
        network.load_state_dict(state)
        answers = answer(network, scenes)
        evaluation = accumulated(truth, answers.results)
        return Judged(answers, figures_of(truth, evaluation), matches_of(truth, evaluation))

    last = judged(outcome.last_state)
    same = outcome.selected_state is outcome.last_state
    return Tested(last if same else judged(outcome.selected_state), last, time.perf_counter() - started)


def metrics(tested: Tested, n_test: int) -> dict[str, Any]:
    loss = tested.selected.answers.loss
    return {
        "loss": None if loss is None else finite(loss),
        **tested.selected.figures.overall,
        "last_AP": tested.last.figures.overall["AP"],
        "n_test": n_test,
    }


def findings(tested: Tested, truth: Coco) -> dict[str, Any]:
    """Figures by class, curves and kinds of errors, for tables and pictures: of the selected weights, and
    below `last` of the last ones, with all their figures. `classes` are in the order of their ids, which the
    keys of a JSON object do not keep."""
    last = {"overall": tested.last.figures.overall, **_detail(tested.last, truth)}
    return {**_detail(tested.selected, truth), "last": last}


def _detail(judged: Judged, truth: Coco) -> dict[str, Any]:
    return {
        "classes": list(judged.figures.by_class),
        "by_class": judged.figures.by_class,
        "recall": judged.figures.recall,
        "precision": judged.figures.precision,
        "errors": asdict(breakdown(truth, judged.answers.results)),
    }
