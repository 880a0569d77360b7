"""Classification: mixed images, the objective, the task, and heads that train on cached features."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.core.outputs import RUN
from florilegium.core.system import bar
from florilegium.core.tables import write_frame
from florilegium.data.augment import EvalTransform, InputConfig, TrainTransform
from florilegium.data.load import Images, Splits
from florilegium.evaluation.calibration import best_temperature, error_at
from florilegium.evaluation.classification import EVALUATION_BATCH, Scores, autocast, evaluate
from florilegium.models import registry
from florilegium.models.freeze import Heads, digest_before, heads_of
from florilegium.training import parallel
from florilegium.training.feed import feed_of, place
from florilegium.training.loop import Outcome
from florilegium.training.run import Job, Result, Training, finite, initialise_network, score_weights
from florilegium.training.task import Row, Task, batches


def training_of(job: Job[Any, Recipe], splits: Splits, recipe: Recipe, seed: int) -> Training:
    """The network of `job` with its first weights, and its task: on images, or its heads alone on features."""
    network = initialise_classifier(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    features = job.at(seed).features
    # Heads that are trained by themselves are the network's own: it learns what they learn.
    learner = network if features is None else heads_for(network, features)
    seen = config if features is None else None

    def test(outcome: Outcome, folder: Path) -> Result:
        """In float32, so that a later evaluation of the checkpoint gives the same scores."""

        def score(images: Images, *, keep_logits: bool = False) -> Scores:
            return evaluate(learner, images, evaluation_of(seen), device=job.device, keep_logits=keep_logits)

        started = time.perf_counter()
        selected, last = score_weights(learner, outcome, lambda: score(splits.test, keep_logits=True))
        train_top1 = score(splits.train).top1  # without augmentation
        calibration = _calibration(selected, splits, score)
        seconds = time.perf_counter() - started
        write_frame(folder / "predictions.csv", predictions(splits.test, selected, splits.classes))
        metrics = {
            "loss": finite(selected.loss),
            "top1": selected.top1,
            "top5": selected.top5,
            "last_top1": last.top1,
            "train_top1": train_top1,
            **calibration,
            "n_test": len(splits.test),
        }
        # The whole network has its selected weights now; an outcome may hold those of its heads.
        return Result(metrics, network.state_dict(), seconds)

    return Training(
        network=network,
        learner=learner,
        task=task_of(splits, recipe, seen, seed, job.device),
        input=config,
        sides=(config.size, config.size),
        labels=splits.train.labels,
        test=test,
        files=RUN["classification"],
    )


def _calibration(test: Scores, splits: Splits, score: Callable[..., Scores]) -> dict[str, float | None]:
    """The temperature that fits the validation images, and the test's calibration error at it; None without them."""
    if splits.val is None or splits.validated_on_test:
        return {"temperature": None, "calibrated_ece": None}
    validation = score(splits.val, keep_logits=True)
    assert test.logits is not None and validation.logits is not None, "they are kept for this"
    logits, fitted = (kept.double().numpy() for kept in (test.logits, validation.logits))
    temperature = best_temperature(fitted, splits.val.labels.numpy())
    return {"temperature": temperature, "calibrated_ece": error_at(temperature, logits, splits.test.labels.numpy())}


def initialise_classifier(job: Job[Any, Any], recipe: Recipe, n_classes: int, seed: int) -> nn.Module:
    """`initialise_network` for a classifier, with the recipe's drop path and dropout."""
    return initialise_network(job, recipe, n_classes, seed, drop_path=recipe.drop_path, dropout=recipe.dropout)


def predictions(images: Images, scores: Scores, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row an image: its name, its class, the predicted class and the probability of that."""

    def named(labels: Iterable[int]) -> list[str]:
        return [classes[label] for label in labels]

    return pd.DataFrame(
        {
            "image": images.names,
            "target": named(images.labels.tolist()),
            "prediction": named(scores.predictions.tolist()),
            "probability": scores.probabilities.double().numpy().round(6),
        }
    )


# The task


def task_of(splits: Splits, recipe: Recipe, config: InputConfig | None, seed: int, device: torch.device) -> Task:
    """The task of training on `splits.train` and selecting by `splits.val`.

    Args:
        config: the network's input; None where the splits hold features and heads are trained.

    Raises:
        UserError: the processes of this training cannot share its micro-batches.
    """
    count = len(splits.train)
    parallel.check_shares(min(count, recipe.batch_size // recipe.accumulate))
    return Task(
        objective=CrossEntropy(recipe, config),
        feed=feed_of(place(splits.train, device), device),
        batches=partial(batches, count=count, recipe=recipe, seed=seed),
        validate=None if splits.val is None else _validation(splits.val, recipe, config, device),
        judged=("val_loss", "val_top1"),
        score="val_top1",
    )


def _validation(
    images: Images, recipe: Recipe, config: InputConfig | None, device: torch.device
) -> Callable[[nn.Module], Row]:
    """A function from a network to its scores on `images`, which are augmented where the recipe says so.

    A random transform continues the random numbers of the epoch's last step.
    """
    transform: Callable[[Tensor], Tensor] = evaluation_of(config)
    if recipe.val_augmented and config is not None:
        transform = TrainTransform(recipe, config)
    placed = images if parallel.rank() else place(images, device)  # the first process alone validates

    def validate(network: nn.Module) -> Row:
        scores = evaluate(network, placed, transform, device=device, precision=recipe.precision)
        return {"val_loss": scores.loss, "val_top1": scores.top1}

    return validate


def evaluation_of(config: InputConfig | None) -> Callable[[Tensor], Tensor]:
    """The transform without randomness; none for cached features, whose images were transformed before the backbone."""
    return nn.Identity() if config is None else EvalTransform(config)


# The objective


@dataclass(frozen=True)
class Targets:
    """Labels (B,) and the labels mixed in (B,); the first have the weight `share`, the others 1 - `share`."""

    labels: Tensor
    others: Tensor
    share: float = 1.0

    def __getitem__(self, part: slice) -> "Targets":
        return Targets(self.labels[part], self.others[part], self.share)


class CrossEntropy:
    """The mean cross-entropy of augmented, perhaps mixed images; of several heads, the mean over them."""

    columns = ("train_loss", "train_top1")

    def __init__(self, recipe: Recipe, config: InputConfig | None) -> None:
        self.recipe = recipe
        self.transform = nn.Identity() if config is None else TrainTransform(recipe, config)

    def prepare(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Targets]:
        """From uint8 (B, S, S, 3) and int64 (B,) to float (B, 3, s, s) and their targets."""
        pixels, labels = batch
        return mix(self.transform(pixels), labels, self.recipe)

    def loss(self, network: nn.Module, prepared: tuple[Tensor, Targets], part: slice) -> tuple[Tensor, Tensor]:
        images, targets = prepared[0][part], prepared[1][part]
        outputs = network(images)  # (b, C), or a tuple of one per head
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = [loss_of(logits, targets, self.recipe.label_smoothing) for logits in heads]
        loss = torch.stack(losses).mean() if len(losses) > 1 else losses[0]
        hits = hits_of(reduce(torch.add, heads).detach(), targets)
        return loss, torch.stack([loss.detach() * len(images), hits])


def mix(images: Tensor, labels: Tensor, recipe: Recipe) -> tuple[Tensor, Targets]:
    """Mix images (B, 3, s, s) as the recipe says; if it names both ways, each with probability 1/2.

    Mixup: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". CutMix: Yun et al. 2019,
    "CutMix: Regularization Strategy to Train Strong Classifiers", whose share is the remaining area.
    """
    if not recipe.mixup and not recipe.cutmix:
        return images, Targets(labels, labels)
    cut = bool(recipe.cutmix) and (not recipe.mixup or bool(torch.rand(()) < 0.5))
    alpha = recipe.cutmix if cut else recipe.mixup
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    others = labels.roll(1)
    if not cut:
        return torch.lerp(images.roll(1, 0), images, share), Targets(labels, others, share)
    side = images.shape[2]
    top, bottom, left, right = _window(side, share)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    return mixed, Targets(labels, others, 1 - (bottom - top) * (right - left) / side**2)


def _window(side: int, share: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a window that covers 1 - share of the image, clipped to its borders."""
    half = side * (1 - share) ** 0.5 / 2
    (y, x) = (torch.rand(2) * side).tolist()
    return tuple(min(max(round(edge), 0), side) for edge in (y - half, y + half, x - half, x + half))


def loss_of(logits: Tensor, targets: Targets, label_smoothing: float) -> Tensor:
    """Mean cross-entropy of (B, C) logits, in float32."""
    logits = logits.float()
    loss = F.cross_entropy(logits, targets.labels, label_smoothing=label_smoothing)
    if targets.share == 1:
        return loss
    other = F.cross_entropy(logits, targets.others, label_smoothing=label_smoothing)
    return targets.share * loss + (1 - targets.share) * other


def hits_of(logits: Tensor, targets: Targets) -> Tensor:
    """The number of right predictions, a scalar on the device; a mixed image counts by its shares."""
    predicted = logits.argmax(1)
    right = (predicted == targets.labels).sum()
    if targets.share == 1:
        return right
    return targets.share * right + (1 - targets.share) * (predicted == targets.others).sum()


# Cached features

ASKED_BY = "recipe.features"  # for the error where the heads of a network are not known


def extract(
    network: nn.Module, images: Images, config: InputConfig, *, device: torch.device, precision: str
) -> Iterator[Tensor]:
    """The features before each of the heads of `network`, for every image, in batches of float32 (B, H, F) on the CPU.

    The network is left on `device` and in evaluation mode.

    Raises:
        UserError: the heads of the network are not known.
    """
    heads = heads_of(network, ASKED_BY)
    network.to(device).to(memory_format=torch.channels_last).eval()
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [head.register_forward_pre_hook(lambda head, given: inputs.update({head: given[0]})) for head in heads]
    transform = EvalTransform(config)
    for start in bar(range(0, len(images), EVALUATION_BATCH), "features", "batch"):
        pixels = images.pixels[start : start + EVALUATION_BATCH].to(device, non_blocking=True)
        with torch.inference_mode(), autocast(device, precision):
            network(transform(pixels))
        yield torch.stack([inputs[head].float() for head in heads], dim=1).cpu()
    for hook in hooks:
        hook.remove()


def digest_of(network: nn.Module) -> str:
    """The hash of the network without its heads."""
    return digest_before(heads_of(network, ASKED_BY), network)


def heads_for(network: nn.Module, folder: Path) -> Heads:
    """The heads of `network`, to be trained on the features in `folder`.

    Raises:
        UserError: the features are those of another backbone.
    """
    if read_json(folder / "features.json")["backbone"] != digest_of(network):
        raise UserError(
            f"{folder}: the features were made by other weights than this run's; recipe.allow_missing may leave "
            "random, before the heads, what differs from seed to seed: name there the heads alone"
        )
    return Heads(heads_of(network, ASKED_BY))
