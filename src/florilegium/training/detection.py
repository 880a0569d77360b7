"""Detection as a task: batches, losses, validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from florilegium.config.metrics import COCO_METRICS
from florilegium.config.recipes import DetectionRecipe
from florilegium.data.augment import InputConfig
from florilegium.data.boxed import BoxedBatch, BoxedImages, BoxedSplits, flip, gather, memory_format, normalise, place
from florilegium.evaluation.coco import Coco, coco_figures
from florilegium.evaluation.detection import Answers, detect, suppression
from florilegium.models.arguments import AnchorSettings
from florilegium.models.retinanet import IGNORED, Matched, anchors_of, match
from florilegium.training import parallel
from florilegium.training.machine import epoch_order
from florilegium.training.task import Row, Task

BETA = 1 / 9  # where smooth L1 turns from a parabola into a line


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
        losses = sigmoid_focal_loss(logits, right.to(logits.dtype), alpha, gamma)
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


Batches = Sequence[Tensor]


def batches_of(scenes: BoxedImages, recipe: DetectionRecipe, seed: int) -> Callable[[int], Batches]:
    """A function from an epoch, counted from 0, to its batches: equally many in each, in an order of its own."""
    size = recipe.batch_size
    if recipe.grouping == "aspect_ratio":
        groups = by_aspect_ratio(scenes, size, drop_last=recipe.drop_last)
        return lambda epoch: shuffled(groups, seed, epoch)
    return lambda epoch: shuffled(
        by_shape(scenes, size, epoch_order(seed, epoch, len(scenes)), drop_last=recipe.drop_last), seed, epoch
    )


def by_shape(scenes: BoxedImages, size: int, order: Tensor, *, drop_last: bool) -> list[Tensor]:
    """Batches of one shape, filled in `order`.

    The remaining scenes of all shapes are sorted by width over height and batched with padding. Only the last
    of these batches is not full.
    """
    full, left = [], []
    buckets = scenes.bucket[order]
    for bucket in scenes.bucket.unique():
        chunks = order[buckets == bucket].split(size)
        full += [chunk for chunk in chunks if len(chunk) == size]
        left += [chunk for chunk in chunks if len(chunk) < size]
    rest = torch.cat([*left, order[:0]])
    sides = scenes.padded()[rest]
    rest = rest[(sides[:, 1] / sides[:, 0]).argsort(stable=True)]
    mixed = rest.split(size) if len(rest) else ()
    return usable([*full, *mixed], size, drop_last=drop_last)


def by_aspect_ratio(scenes: BoxedImages, size: int, *, drop_last: bool) -> list[Tensor]:
    """Batches of neighbours in the originals' width over height, as published: the last batch is filled up from
    the first, whose images are then used twice per epoch."""
    ratios = scenes.sizes[:, 1] / scenes.sizes[:, 0]
    order = ratios.argsort(stable=True)
    spare = -len(order) % size
    if spare and drop_last and len(order) > size:
        return list(order[: len(order) - len(order) % size].split(size))
    wrapped = order.repeat(1 + spare // len(order) + 1)[: len(order) + spare]
    return list(wrapped.split(size))


def usable(batches: list[Tensor], size: int, *, drop_last: bool) -> list[Tensor]:
    """`batches` without the one that is not full if `drop_last`, or without one that processes cannot share; all of
    them if none would remain."""
    least = size if drop_last else parallel.size()
    return [batch for batch in batches if len(batch) >= least] or batches


def shuffled(batches: Batches, seed: int, epoch: int) -> Batches:
    return [batches[number] for number in epoch_order(seed, epoch, len(batches)).tolist()]


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
        batch = flip(batch, torch.rand(len(batch.content)) < self.recipe.flip)
        images = normalise(batch, self.config)
        anchors = anchors_of(self.anchors, *images.shape[-2:], images.device)
        matched, weights = self.match(batch, anchors)
        return MatchedBatch(images, matched, weights)

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


def task_of(
    splits: BoxedSplits,
    truth: Coco | None,
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
    return Task(
        objective=objective,
        feed=partial(gather, place(splits.train, device), device=device),
        count=len(splits.train),
        batches=batches_of(splits.train, recipe, seed),
        validate=None
        if splits.val is None or truth is None
        else partial(
            validate,
            answer=answerer(objective, config, recipe, splits.category_ids, device),
            scenes=splits.val,
            truth=truth,
            precision=recipe.precision,
        ),
        judged=("val_loss", *(f"val_{name}" for name in COCO_METRICS)),
        logged=("val_loss", "val_AP", "val_AP50"),
        score="val_AP",
        memory_format=memory_format(device),
    )


def answerer(
    objective: Detection,
    config: InputConfig,
    recipe: DetectionRecipe,
    category_ids: tuple[int, ...],
    device: torch.device,
) -> Callable[..., Answers]:
    """`detect` with all arguments but the network, the scenes and the precision."""
    return partial(
        detect,
        config=config,
        rule=suppression(recipe),
        category_ids=category_ids,
        device=device,
        loss=objective.evaluation,
    )


def validate(
    network: nn.Module, *, answer: Callable[..., Answers], scenes: BoxedImages, truth: Coco, precision: str
) -> Row:
    answers = answer(network, scenes, precision=precision)
    scores = coco_figures(truth, answers.results).overall
    return {
        "val_loss": answers.loss,
        **{f"val_{name}": value for name, value in scores.items()},
        # Without an object in any validation image all epochs count as equal.
        "val_AP": scores["AP"] or 0.0,
        "val_AP50": scores["AP50"] or 0.0,
    }
