"""A run of a detector, from a spec and a seed to the files of its folder."""

import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from florilegium.core.detection import STRIDE, DetectionData
from florilegium.core.detection_recipe import DetectionRecipe
from florilegium.core.files import write_json, write_text
from florilegium.core.outputs import ANSWERS, RUN
from florilegium.core.progress import say
from florilegium.data.scenes import SceneSplits, coco_ground_truth
from florilegium.evaluation.matches import write_matches
from florilegium.evaluation.submission import as_lines
from florilegium.models import registry
from florilegium.models.start import load_detector
from florilegium.training import parallel, results
from florilegium.training.detection import Detection, answerer, task_of
from florilegium.training.detection_results import findings, measure, metrics
from florilegium.training.first_network import start
from florilegium.training.job import Job
from florilegium.training.loop import fit
from florilegium.training.machine import pick_precision
from florilegium.training.run import train_run
from florilegium.training.state import StateFolder
from florilegium.training.trackers import trackers_of

FILES = RUN["detection"]


def train_detector(job: Job, splits: SceneSplits, annotations: Path, seed: int) -> None:
    """Make the run of `seed`, or take it over where it was finished before.

    Raises:
        UserError: see `fit`; or another process is at work on this run.
    """
    train_run(job, seed, FILES, partial(make_run, job, splits, annotations, seed))


def make_run(job: Job, splits: SceneSplits, annotations: Path, seed: int, state: StateFolder) -> None:
    """Train, test and write; the receipt comes last."""
    started = time.time()
    data, asked = job.section(DetectionData, "data"), job.section(DetectionRecipe, "recipe")
    recipe = asked.model_copy(update={"precision": pick_precision(asked.precision, job.device)})
    say(f"{job.out}, seed {seed}: {len(splits.train)} images to train on, {len(splits.test)} to test on")
    network = start(job, recipe, len(splits.classes), seed, load=load_detector)
    anchors = network.arguments.anchors
    config = replace(registry.own_input(job.model), size=data.short_side)
    val_truth = None if splits.val is None else coco_ground_truth(splits.val, annotations)
    task = task_of(splits, val_truth, recipe, config, anchors, seed, job.device)
    trackers = trackers_of(job, seed)
    outcome = fit(network, task, recipe, seed=seed, device=job.device, state=state, on_epoch=trackers)
    if parallel.rank():
        return
    if trackers:
        trackers.close()
    answer = answerer(Detection(recipe, config, anchors), config, recipe, splits.category_ids, job.device)
    test_truth = coco_ground_truth(splits.test, annotations)
    tested = measure(network, outcome, splits.test, test_truth, answer)
    folder = job.out_of(seed)
    write_text(folder / "predictions.json", as_lines(tested.selected.answers.results))
    write_json(folder / "detection.json", findings(tested, test_truth))
    write_matches(folder / "matches.npz", tested.selected.matches)
    results.write_run(
        job,
        seed,
        network,
        outcome,
        columns=task.columns,
        metrics=metrics(tested, len(splits.test)),
        costs=results.costs(outcome, tested.seconds, recipe, job.device),
        sides=largest_input(data),
        predictions=[folder / name for name in ANSWERS["detection"]],
        started=started,
        classes=list(splits.classes),
        category_ids=list(splits.category_ids),
        input=asdict(config),
        warnings=results.warnings(outcome, recipe, splits.classes, torch.cat(splits.train.labels)),
    )


def largest_input(data: DetectionData) -> tuple[int, int]:
    """Height and width of the largest picture that lies: its cost is the experiment's."""
    height, width = (-(-side // STRIDE) * STRIDE for side in (data.short_side, data.long_side))
    return height, width
