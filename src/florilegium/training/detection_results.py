"""The scores of a trained detector, as metrics and as tables and curves by class."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from florilegium.data.boxed import BoxedImages
from florilegium.evaluation.coco import Coco, Figures, accumulated, figures_of
from florilegium.evaluation.detection_errors import breakdown
from florilegium.evaluation.detector import Answers
from florilegium.evaluation.matches import Matches, matches_of
from florilegium.training.loop import Outcome
from florilegium.training.results import Tested, finite, score_weights


@dataclass(frozen=True)
class DetectorScores:
    """Detections, their scores in COCO's terms, and the matches that the scores are computed from."""

    answers: Answers
    figures: Figures
    matches: Matches


def measure(
    network: nn.Module, outcome: Outcome, scenes: BoxedImages, truth: Coco, answer: Callable[..., Answers]
) -> Tested[DetectorScores]:
    """Evaluate in float32, so that a later evaluation of the checkpoint gives the same scores."""

    def score() -> DetectorScores:
        answers = answer(network, scenes)
        evaluation = accumulated(truth, answers.results)
        return DetectorScores(answers, figures_of(truth, evaluation), matches_of(truth, evaluation))

    return score_weights(network, outcome, score)


def metrics(tested: Tested[DetectorScores], n_test: int) -> dict[str, Any]:
    loss = tested.selected.answers.loss
    return {
        "loss": None if loss is None else finite(loss),
        **tested.selected.figures.overall,
        "last_AP": tested.last.figures.overall["AP"],
        "n_test": n_test,
    }


def findings(tested: Tested[DetectorScores], truth: Coco) -> dict[str, Any]:
    """Scores by class, curves and kinds of errors, for tables and plots.

    Those of the selected weights, and below `last` those of the last ones with their overall scores. `classes`
    are in the order of their ids, which the keys of a JSON object do not keep.
    """
    last = {"overall": tested.last.figures.overall, **_detail(tested.last, truth)}
    return {**_detail(tested.selected, truth), "last": last}


def _detail(scores: DetectorScores, truth: Coco) -> dict[str, Any]:
    return {
        "classes": list(scores.figures.by_class),
        "by_class": scores.figures.by_class,
        "recall": scores.figures.recall,
        "precision": scores.figures.precision,
        "errors": asdict(breakdown(truth, scores.answers.results)),
    }
