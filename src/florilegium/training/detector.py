"""A run of a detector: what it trains, and how it is tested."""

from dataclasses import replace
from pathlib import Path

import torch

from florilegium.config.data import STRIDE, DetectionData
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.files import write_json, write_text
from florilegium.core.outputs import ANSWERS
from florilegium.data.boxed import BoxedSplits, coco_ground_truth
from florilegium.evaluation.matches import write_matches
from florilegium.evaluation.submission import as_lines
from florilegium.models import registry
from florilegium.models.weights import load_detector_weights
from florilegium.training.detection import Detection, answerer, task_of
from florilegium.training.detection_results import findings, measure, metrics
from florilegium.training.first_network import initialise_network
from florilegium.training.job import Job
from florilegium.training.loop import Outcome
from florilegium.training.run import Result, Training, train_run

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


def prepare(
    job: DetectionJob, splits: BoxedSplits, annotations: Path, recipe: DetectionRecipe, seed: int
) -> Training:
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
