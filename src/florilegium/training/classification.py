"""Classification as a task: cross-entropy on augmented batches, judged by top-1."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from florilegium.config.recipes import Recipe
from florilegium.data.augment import EvalTransform, InputConfig, TrainTransform
from florilegium.data.load import Images, Splits
from florilegium.evaluation.classification import evaluate
from florilegium.training import parallel
from florilegium.training.feed import Feed, place
from florilegium.training.mix import Targets, hits_of, loss_of, mix
from florilegium.training.passes import batches
from florilegium.training.selection import Row
from florilegium.training.task import Task

EVALUATION_BATCH = 64


class CrossEntropy:
    """The mean cross-entropy of augmented, perhaps mixed images; of several heads, the mean over them."""

    columns = ("train_loss", "train_top1")

    def __init__(self, recipe: Recipe, config: InputConfig | None) -> None:
        self.recipe = recipe
        self.transform = unchanged if config is None else TrainTransform(recipe, config)

    def prepare(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Targets]:
        """From uint8 (B, S, S, 3) and int64 (B,) to float (B, 3, s, s) and their targets."""
        pixels, labels = batch
        return mix(self.transform(pixels), labels, self.recipe)

    def loss(
        self, network: nn.Module, prepared: tuple[Tensor, Targets], part: slice
    ) -> tuple[Tensor, Tensor]:
        images, targets = prepared[0][part], prepared[1][part]
        outputs = network(images)  # (b, C), or a tuple of one per head
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = [loss_of(logits, targets, self.recipe.label_smoothing) for logits in heads]
        loss = torch.stack(losses).mean() if len(losses) > 1 else losses[0]
        hits = hits_of(sum(heads).detach(), targets)
        return loss, torch.stack([loss.detach() * len(images), hits])


def unchanged(features: Tensor) -> Tensor:
    """The transform of cached features: their images were transformed before the backbone."""
    return features


def evaluation_of(config: InputConfig | None) -> Callable[[Tensor], Tensor]:
    """The transform without randomness; `config` is None for cached features."""
    return unchanged if config is None else EvalTransform(config)


def validation_of(recipe: Recipe, config: InputConfig | None) -> Callable[[Tensor], Tensor]:
    """The transform of validation images: without randomness, unless the recipe augments them too."""
    if recipe.val_augmented and config is not None:
        return TrainTransform(recipe, config)
    return evaluation_of(config)


def task_of(
    splits: Splits, recipe: Recipe, config: InputConfig | None, seed: int, device: torch.device
) -> Task:
    """The task of training on `splits.train` and selecting by `splits.val`.

    Args:
        config: the network's input; None where the splits hold features and heads are trained.

    Raises:
        UserError: the processes of this training cannot share its micro-batches.
    """
    count = len(splits.train)
    parallel.check_shares(min(count, recipe.batch_size // recipe.accumulate))
    first = not parallel.rank()  # the only process that validates
    return Task(
        objective=CrossEntropy(recipe, config),
        feed=Feed(place(splits.train, device), device).batch,
        count=count,
        batches=partial(batches, count=count, recipe=recipe, seed=seed),
        validate=None
        if splits.val is None
        else partial(
            validate,
            images=place(splits.val, device) if first else splits.val,
            transform=validation_of(recipe, config),
            precision=recipe.precision,
            device=device,
        ),
        judged=("val_loss", "val_top1"),
        score="val_top1",
    )


def validate(
    network: nn.Module,
    *,
    images: Images,
    transform: Callable[[Tensor], Tensor],
    precision: str,
    device: torch.device,
) -> Row:
    """Scores on `images`. A random transform continues the random numbers of the epoch's last step."""
    scores = evaluate(
        network, images, transform, batch_size=EVALUATION_BATCH, device=device, precision=precision
    )
    return {"val_loss": scores.loss, "val_top1": scores.top1}
