"""Detection as a task: focal loss and box regression on batches of scenes, judged by average precision."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from florilegium.config.metrics import FIGURES
from florilegium.config.recipes import DetectionRecipe
from florilegium.data.augment import InputConfig
from florilegium.data.boxed import (
    BoxedBatch,
    BoxedImages,
    BoxedSplits,
    flip,
    gather,
    memory_format,
    normalise,
    place,
)
from florilegium.evaluation.coco import Coco, coco_figures
from florilegium.evaluation.detector import Answers, detect
from florilegium.evaluation.suppression import suppression
from florilegium.models.arguments import AnchorSettings
from florilegium.models.retinanet import Matched, anchors_of, match
from florilegium.training import parallel
from florilegium.training.detection_loss import box_loss, class_loss, normalisers
from florilegium.training.scene_batches import batches_of
from florilegium.training.selection import Row
from florilegium.training.task import Task


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
            logits.float(),
            matched.labels,
            alpha=recipe.focal_alpha,
            gamma=recipe.focal_gamma,
            clamp=recipe.focal_clamp,
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
        judged=("val_loss", *(f"val_{name}" for name in FIGURES)),
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
