"""Detection: batches of images of like shapes, the losses of classes and boxes, the task."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from florilegium.config.data import DetectionData
from florilegium.config.metrics import COCO_METRICS
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.files import write_json, write_text
from florilegium.core.outputs import RUN
from florilegium.data import boxed
from florilegium.data.augment import InputConfig
from florilegium.data.boxed import BoxedBatch, BoxedImages, BoxedSplits
from florilegium.data.decode import padded
from florilegium.evaluation import coco
from florilegium.evaluation.detection import Answers, detect, suppression
from florilegium.evaluation.detection_errors import breakdown
from florilegium.models import registry
from florilegium.models.arguments import AnchorSettings
from florilegium.models.retinanet import IGNORED, Matched, RetinaNet, anchors_of, match
from florilegium.models.weights import load_detector_weights
from florilegium.training import parallel
from florilegium.training.feed import Feed
from florilegium.training.loop import Outcome
from florilegium.training.machine import epoch_order
from florilegium.training.run import Job, Result, Training, finite, initialise_network, score_weights
from florilegium.training.task import Row, Task

Batches = Sequence[Tensor]


def training_of(
    job: Job[DetectionData, DetectionRecipe],
    splits: BoxedSplits,
    recipe: DetectionRecipe,
    seed: int,
    *,
    annotations: Path,
) -> Training:
    """The network of `job` with its first weights, and its task; `annotations` are those of the data set."""
    network = initialise_network(job, recipe, len(splits.classes), seed, load=load_detector_weights)
    assert isinstance(network, RetinaNet)
    anchors = network.arguments.anchors
    config = replace(registry.own_input(job.model), size=job.data.short_side)
    val_truth = None if splits.val is None else boxed.coco_ground_truth(splits.val, annotations)

    def test(outcome: Outcome, folder: Path) -> Result:
        """In float32, so that a later evaluation of the checkpoint gives the same scores."""
        truth = boxed.coco_ground_truth(splits.test, annotations)
        answer = answerer(Detection(recipe, config, anchors), splits.category_ids, job.device)

        def score() -> Tested:
            answers = answer(network, splits.test)
            evaluation = coco.accumulated(truth, answers.results)
            return Tested(answers, coco.scores_of(truth, evaluation), coco.matches_of(truth, evaluation))

        started = time.perf_counter()
        selected, last = score_weights(network, outcome, score)
        seconds = time.perf_counter() - started
        write_text(folder / "predictions.json", coco.as_lines(selected.answers.results))
        detail = {"overall": last.scores.overall, **_detail(last, truth)}
        write_json(folder / "detection.json", {**_detail(selected, truth), "last": detail})
        coco.write_matches(folder / "matches.npz", selected.matches)
        metrics = {
            "loss": finite(selected.answers.loss),
            **selected.scores.overall,
            "last_AP": last.scores.overall["AP"],
            "n_test": len(splits.test),
        }
        return Result(metrics, outcome.selected_state, seconds)

    return Training(
        network=network,
        learner=network,
        task=task_of(splits, val_truth, recipe, config, anchors, seed, job.device),
        input=config,
        sides=(padded(job.data.short_side, "least"), padded(job.data.long_side, "least")),
        labels=torch.cat(splits.train.labels),
        test=test,
        files=RUN["detection"],
        facts={"category_ids": list(splits.category_ids)},
    )


@dataclass(frozen=True)
class Tested:
    """Detections, their scores in COCO's terms, and the matches that the scores are computed from."""

    answers: Answers
    scores: coco.CocoScores
    matches: coco.Matches


def _detail(tested: Tested, truth: coco.Coco) -> dict[str, Any]:
    """Scores by class, curves and kinds of errors, for tables and plots.

    `classes` are in the order of their ids, which the keys of a JSON object do not keep.
    """
    scores = tested.scores
    return {
        "classes": list(scores.by_class),
        "by_class": scores.by_class,
        "recall": scores.recall,
        "precision": scores.precision,
        "errors": asdict(breakdown(truth, tested.answers.results)),
    }


# The task


def task_of(
    splits: BoxedSplits,
    truth: coco.Coco | None,
    recipe: DetectionRecipe,
    config: InputConfig,
    anchors: AnchorSettings,
    seed: int,
    device: torch.device,
) -> Task:
    """The task of training on `splits.train` and selecting by `splits.val`, with its objects in COCO form, `truth`.

    Raises:
        UserError: the processes of this training cannot share its micro-batches.
    """
    parallel.check_shares(min(len(splits.train), recipe.batch_size // recipe.accumulate))
    objective = Detection(recipe, config, anchors)
    answer = answerer(objective, splits.category_ids, device)
    val = splits.val
    return Task(
        objective=objective,
        feed=feed_of(boxed.place(splits.train, device), device),
        batches=batches_of(splits.train, recipe, seed),
        validate=partial(validate, answer, val, truth, recipe.precision) if val and truth else None,
        judged=("val_loss", *(f"val_{name}" for name in COCO_METRICS)),
        logged=("val_loss", "val_AP", "val_AP50"),
        score="val_AP",
        memory_format=boxed.memory_format(device),
    )


def feed_of(images: BoxedImages, device: torch.device) -> Feed:
    """Batches of `images`, gathered ahead where these do not lie on the device."""
    ahead = images.pixels[0].device.type == "cpu"
    return Feed(partial(boxed.gather, images), partial(boxed.send, device=device), ahead=ahead)


def answerer(objective: "Detection", category_ids: tuple[int, ...], device: torch.device) -> Callable[..., Answers]:
    """`detect` with all arguments but the network, the images and the precision."""
    return partial(
        detect,
        config=objective.config,
        rule=suppression(objective.recipe),
        category_ids=category_ids,
        device=device,
        loss=objective.evaluation,
    )


def validate(
    answer: Callable[..., Answers], images: BoxedImages, truth: coco.Coco, precision: str, network: nn.Module
) -> Row:
    """The scores of `network` on `images`, by history column."""
    answers = answer(network, images, precision=precision)
    scores = coco.score_results(truth, answers.results).overall
    return {
        "val_loss": answers.loss,
        **{f"val_{name}": value for name, value in scores.items()},
        # Without an object in any validation image all epochs count as equal.
        "val_AP": scores["AP"] or 0.0,
        "val_AP50": scores["AP50"] or 0.0,
    }


# The objective

BETA = 1 / 9  # where smooth L1 turns from a parabola into a line


@dataclass(frozen=True)
class MatchedBatch:
    """Normalised images, with the targets of their anchors."""

    images: Tensor  # float (B, 3, H, W)
    matched: Matched
    weights: Tensor  # (B,), factors of each image's losses


class Detection:
    """The sum of class and box loss, averaged over images; anchors are matched for the whole batch at once."""

    columns = ("train_loss", "train_class_loss", "train_box_loss")

    def __init__(self, recipe: DetectionRecipe, config: InputConfig, anchors: AnchorSettings) -> None:
        self.recipe, self.config, self.anchors = recipe, config, anchors

    def prepare(self, batch: BoxedBatch) -> MatchedBatch:
        """Flip, normalise and match; flips are sampled on the host."""
        batch = boxed.flip(batch, torch.rand(len(batch.content)) < self.recipe.flip)
        images = boxed.normalise(batch, self.config)
        anchors = anchors_of(self.anchors, *images.shape[-2:], images.device)
        return MatchedBatch(images, *self.match(batch, anchors))

    def match(self, batch: BoxedBatch, anchors: Tensor) -> tuple[Matched, Tensor]:
        matched = match(batch.boxes, batch.labels, anchors, low_quality=self.recipe.low_quality_matches)
        return matched, 1 / normalisers(matched, self.recipe.normaliser)

    def loss(self, network: nn.Module, prepared: MatchedBatch, part: slice) -> tuple[Tensor, Tensor]:
        logits, deltas = network(prepared.images[part])
        losses = self.losses(logits, deltas, prepared.matched[part], prepared.weights[part])
        total = losses.sum(dim=0)
        return total.mean(), torch.cat([total.sum()[None], losses.sum(dim=1)]).detach()

    def losses(self, logits: Tensor, deltas: Tensor, matched: Matched, weights: Tensor) -> Tensor:
        """The class loss and the box loss of each image, (2, B), in float32."""
        recipe = self.recipe
        classes = class_loss(
            logits.float(), matched.labels, alpha=recipe.focal_alpha, gamma=recipe.focal_gamma, clamp=recipe.focal_clamp
        )
        return torch.stack([classes, box_loss(deltas.float(), matched)]) * weights

    def evaluation(self, logits: Tensor, deltas: Tensor, anchors: Tensor, batch: BoxedBatch) -> Tensor:
        """The summed loss of a batch in evaluation."""
        return self.losses(logits, deltas, *self.match(batch, anchors)).sum()


def class_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float, clamp: float | None) -> Tensor:
    """The focal loss of each image, summed over its anchors and classes: (B,).

    Args:
        logits: (B, A, C).
        labels: (B, A) as in `Matched`; ignored anchors do not count.
        alpha: weight of the right class; every other class has 1 - alpha.
        gamma: exponent that lowers the loss of anchors that are nearly right.
        clamp: distance that probabilities keep from 0 and 1, as published; beyond it an anchor has no
            gradient. None: the loss is computed from logits, which needs no clamping.
    """
    classes = torch.arange(logits.shape[2], device=logits.device)
    right = labels[..., None] == classes  # (B, A, C)
    if clamp is None:
        losses: Tensor = sigmoid_focal_loss(logits, right.to(logits.dtype), alpha, gamma)
    else:
        p = logits.sigmoid().clamp(clamp, 1 - clamp)
        p = torch.where(right, p, 1 - p)  # of the right answer
        losses = torch.where(right, alpha, 1 - alpha) * (1 - p) ** gamma * -p.log()
    return (losses.sum(dim=2) * (labels != IGNORED)).sum(dim=1)


def box_loss(deltas: Tensor, matched: Matched) -> Tensor:
    """The mean smooth L1 over a box's four deltas, summed over each image's positive anchors: (B,)."""
    losses = F.smooth_l1_loss(deltas, matched.deltas, beta=BETA, reduction="none").mean(dim=2)  # (B, A)
    return (losses * matched.positive).sum(dim=1)


def normalisers(matched: Matched, by: Literal["image", "batch"]) -> Tensor:
    """The divisor of each image's losses, (B,), at least 1.

    `image`, as published: the number of its positive anchors, so that the background of an image without
    objects weighs far more than that of others. `batch`: the mean of that number over the batch.
    """
    counts = matched.positive.sum(dim=1).float()
    return (counts if by == "image" else counts.mean().expand_as(counts)).clamp(min=1)


# Batches


def batches_of(images: BoxedImages, recipe: DetectionRecipe, seed: int) -> Callable[[int], Batches]:
    """A function from an epoch, counted from 0, to its batches: equally many in each, in an order of its own."""
    size = recipe.batch_size
    if recipe.grouping == "aspect_ratio":
        groups = by_aspect_ratio(images, size, drop_last=recipe.drop_last)
        return lambda epoch: shuffled(groups, seed, epoch)
    return lambda epoch: shuffled(
        by_shape(images, size, epoch_order(seed, epoch, len(images)), drop_last=recipe.drop_last), seed, epoch
    )


def by_shape(images: BoxedImages, size: int, order: Tensor, *, drop_last: bool) -> list[Tensor]:
    """Batches of one shape, filled in `order`.

    The remaining images of all shapes are sorted by width over height and batched with padding. Only the last
    of these batches is not full.
    """
    full, left = [], []
    buckets = images.bucket[order]
    for bucket in images.bucket.unique():
        chunks = order[buckets == bucket].split(size)
        full += [chunk for chunk in chunks if len(chunk) == size]
        left += [chunk for chunk in chunks if len(chunk) < size]
    rest = torch.cat([*left, order[:0]])
    sides = images.padded()[rest]
    rest = rest[(sides[:, 1] / sides[:, 0]).argsort(stable=True)]
    batches = [*full, *(rest.split(size) if len(rest) else ())]
    # Without the last one where it may not be, or cannot be shared by all processes; unless none would remain.
    least = size if drop_last else parallel.size()
    return [batch for batch in batches if len(batch) >= least] or batches


def by_aspect_ratio(images: BoxedImages, size: int, *, drop_last: bool) -> list[Tensor]:
    """Batches of neighbours in the originals' width over height, as published: the last batch is filled up from
    the first, whose images are then used twice per epoch."""
    ratios = images.sizes[:, 1] / images.sizes[:, 0]
    order = ratios.argsort(stable=True)
    spare = -len(order) % size
    if spare and drop_last and len(order) > size:
        return list(order[: len(order) - len(order) % size].split(size))
    wrapped = order.repeat(1 + spare // len(order) + 1)[: len(order) + spare]
    return list(wrapped.split(size))


def shuffled(batches: Batches, seed: int, epoch: int) -> Batches:
    return [batches[number] for number in epoch_order(seed, epoch, len(batches)).tolist()]
