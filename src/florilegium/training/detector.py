"""A run of a detector."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from florilegium.config.data import STRIDE, DetectionData
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.files import write_json, write_text
from florilegium.core.outputs import ANSWERS
from florilegium.data.boxed import BoxedImages, BoxedSplits, coco_ground_truth
from florilegium.evaluation.coco import Coco, Figures, Matches, accumulated, figures_of, matches_of, write_matches
from florilegium.evaluation.detection import Answers
from florilegium.evaluation.detection_errors import breakdown
from florilegium.evaluation.submission import as_lines
from florilegium.models import registry
from florilegium.models.weights import load_detector_weights
from florilegium.training.detection import Detection, answerer, task_of
from florilegium.training.job import Job, initialise_network
from florilegium.training.loop import Outcome
from florilegium.training.results import Tested, finite, score_weights
from florilegium.training.run import Result, Training, train_run


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


DetectionJob = Job[DetectionData, DetectionRecipe]


def train_detector(job: DetectionJob, splits: BoxedSplits, annotations: Path, seed: int) -> None:
    """Make the run of `seed`; see `train_run`."""
    train_run(
        job,
        splits,
        seed,
        lambda recipe: prepare(job, splits, annotations, recipe, seed),
        predictions=ANSWERS["detection"],
    )


def prepare(job: DetectionJob, splits: BoxedSplits, annotations: Path, recipe: DetectionRecipe, seed: int) -> Training:
    """The network of `job` with its first weights, and its task."""
    network = initialise_network(job, recipe, len(splits.classes), seed, load=load_detector_weights)
    anchors = network.arguments.anchors
    config = replace(registry.own_input(job.model), size=job.data.short_side)
    val_truth = None if splits.val is None else coco_ground_truth(splits.val, annotations)

    def test(outcome: Outcome, folder: Path) -> Result:
        answer = answerer(Detection(recipe, config, anchors), config, recipe, splits.category_ids, job.device)
        truth = coco_ground_truth(splits.test, annotations)
        tested = measure(network, outcome, splits.test, truth, answer)
        write_text(folder / "predictions.json", as_lines(tested.selected.answers.results))
        write_json(folder / "detection.json", findings(tested, truth))
        write_matches(folder / "matches.npz", tested.selected.matches)
        return Result(metrics(tested, len(splits.test)), outcome.selected_state, tested.seconds)

    return Training(
        network=network,
        learner=network,
        task=task_of(splits, val_truth, recipe, config, anchors, seed, job.device),
        input=config,
        sides=largest_input(job.data),
        labels=torch.cat(splits.train.labels),
        test=test,
        facts={"category_ids": list(splits.category_ids)},
    )


def largest_input(data: DetectionData) -> tuple[int, int]:
    """Height and width of the largest picture that lies: its cost is the experiment's."""
    height, width = (-(-side // STRIDE) * STRIDE for side in (data.short_side, data.long_side))
    return height, width
