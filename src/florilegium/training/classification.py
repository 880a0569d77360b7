"""Classification as a task, and a run of a classifier."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.core.outputs import ANSWERS
from florilegium.core.system import bar
from florilegium.data.augment import EvalTransform, InputConfig, TrainTransform
from florilegium.data.load import Images, Splits
from florilegium.evaluation.classification import EVALUATION_BATCH, Scores, autocast, evaluate
from florilegium.models import registry
from florilegium.models.freeze import Heads, digest_before, heads_of
from florilegium.training import parallel, results
from florilegium.training.job import Job, initialise_classifier
from florilegium.training.loop import Outcome
from florilegium.training.results import Tested, finite, score_weights
from florilegium.training.run import Result, Training, train_run
from florilegium.training.task import Feed, Row, Task, batches, place


@dataclass(frozen=True)
class Targets:
    """Labels (B,) and the labels mixed in (B,); the first have the weight `share`, the others 1 - `share`."""

    labels: Tensor
    others: Tensor
    share: float = 1.0

    def __getitem__(self, part: slice) -> "Targets":
        return Targets(self.labels[part], self.others[part], self.share)


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


BATCH = 64
ASKED_BY = "recipe.features"


def extract(network: nn.Module, images: Images, config: InputConfig, *, device: torch.device, precision: str) -> Tensor:
    """The features before each of the heads of `network`, for every image: float32 (N, H, F), on the CPU.

    The network is left on `device` and in evaluation mode.

    Raises:
        UserError: the heads of the network are not known.
    """
    heads = heads_of(network, ASKED_BY)
    network.to(device, memory_format=torch.channels_last).eval()
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [head.register_forward_pre_hook(lambda head, given: inputs.update({head: given[0]})) for head in heads]
    transform, batches = EvalTransform(config), []
    for start in bar(range(0, len(images), BATCH), "features", "batch"):
        pixels = images.pixels[start : start + BATCH].to(device, non_blocking=True)
        with torch.inference_mode(), autocast(device, precision):
            network(transform(pixels))
        batches.append(torch.stack([inputs[head].float() for head in heads], dim=1).cpu())  # (B, H, F)
    for hook in hooks:
        hook.remove()
    return torch.cat(batches)


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

    def loss(self, network: nn.Module, prepared: tuple[Tensor, Targets], part: slice) -> tuple[Tensor, Tensor]:
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


def task_of(splits: Splits, recipe: Recipe, config: InputConfig | None, seed: int, device: torch.device) -> Task:
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
    network: nn.Module, *, images: Images, transform: Callable[[Tensor], Tensor], precision: str, device: torch.device
) -> Row:
    """Scores on `images`. A random transform continues the random numbers of the epoch's last step."""
    scores = evaluate(network, images, transform, batch_size=EVALUATION_BATCH, device=device, precision=precision)
    return {"val_loss": scores.loss, "val_top1": scores.top1}


@dataclass(frozen=True)
class TestedClassifier(Tested[Scores]):
    train_top1: float
    """Of the selected weights, on the training images without augmentation."""


def measure(
    network: nn.Module, outcome: Outcome, splits: Splits, config: InputConfig | None, device: torch.device
) -> TestedClassifier:
    """Evaluate in float32, so that a later evaluation of the checkpoint gives the same scores.

    `config` as in `task_of`. Leaves `network` with the selected weights.
    """

    def score(images: Images) -> Scores:
        return evaluate(network, images, evaluation_of(config), batch_size=EVALUATION_BATCH, device=device)

    tested = score_weights(network, outcome, lambda: score(splits.test))
    started = time.perf_counter()
    train = score(splits.train)
    seconds = tested.seconds + time.perf_counter() - started
    return TestedClassifier(tested.selected, tested.last, seconds, train.top1)


def metrics(tested: TestedClassifier, n_test: int) -> dict[str, Any]:
    return {
        "loss": finite(tested.selected.loss),
        "top1": tested.selected.top1,
        "top5": tested.selected.top5,
        "last_top1": tested.last.top1,
        "train_top1": tested.train_top1,
        "n_test": n_test,
    }


def predictions(images: Images, scores: Scores, classes: tuple[str, ...]) -> pd.DataFrame:
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


(PREDICTIONS,) = ANSWERS["classification"]


def train_classifier(job: Job[Any, Recipe], splits: Splits, seed: int) -> None:
    """Make the run of `seed`; see `train_run`."""
    train_run(job, splits, seed, lambda recipe: prepare(job, splits, recipe, seed), predictions=[PREDICTIONS])


def prepare(job: Job[Any, Recipe], splits: Splits, recipe: Recipe, seed: int) -> Training:
    """The network of `job` with its first weights, and its task: on images, or its heads alone on features."""
    network = initialise_classifier(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    features = job.at(seed).features
    # Heads that are trained by themselves are the network's own: it learns what they learn.
    learner = network if features is None else heads_for(network, features)
    prepared = config if features is None else None

    def test(outcome: Outcome, folder: Path) -> Result:
        tested = measure(learner, outcome, splits, prepared, job.device)
        results.write_table(folder / PREDICTIONS, predictions(splits.test, tested.selected, splits.classes))
        # The whole network has its selected weights since `measure`; an outcome may hold those of heads.
        return Result(metrics(tested, len(splits.test)), network.state_dict(), tested.seconds)

    return Training(
        network=network,
        learner=learner,
        task=task_of(splits, recipe, prepared, seed, job.device),
        input=config,
        sides=(config.size, config.size),
        labels=splits.train.labels,
        test=test,
    )
