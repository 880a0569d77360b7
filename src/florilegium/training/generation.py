"""Generation: the task of GANs and of diffusion, and the objective of GANs."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import UserError
from florilegium.core.outputs import RUN
from florilegium.data.augment import InputConfig
from florilegium.data.load import Splits
from florilegium.generation.diffusion import NoiseError, TrainPictures, noise_error
from florilegium.models.conditional_unet import ConditionalUnet
from florilegium.models.generators import Acgan, own_input
from florilegium.training.feed import feed_of, place
from florilegium.training.loop import Outcome
from florilegium.training.run import Job, Result, Training, finite, initialise_network
from florilegium.training.task import Objective, Task, batches


def training_of(job: Job[Any, GenerationRecipe], splits: Splits, recipe: GenerationRecipe, seed: int) -> Training:
    """The network of `job` with its first weights, and its task.

    Raises:
        UserError: a class has no images.
    """
    check_classes(splits)
    network = initialise_network(job, recipe, len(splits.classes), seed, dropout=recipe.dropout)
    assert isinstance(network, Acgan | ConditionalUnet)
    config, _ = own_input(job.model)

    def test(outcome: Outcome, folder: Path) -> Result:
        """The error of the noise seen in the test images; an ACGAN sees none."""
        loss, seconds = None, 0.0
        if isinstance(network, ConditionalUnet):
            started = time.perf_counter()
            network.load_state_dict(outcome.last_state)
            loss = finite(noise_error(network, splits.test, recipe, config, job.device))
            seconds = time.perf_counter() - started
        return Result({"loss": loss, "n_test": len(splits.test)}, outcome.selected_state, seconds)

    return Training(
        network=network,
        learner=network,
        task=task_of(network, splits, recipe, config, seed, job.device),
        input=config,
        sides=(config.size, config.size),
        labels=splits.train.labels,
        test=test,
        files=RUN["generation"],
    )


def check_classes(splits: Splits) -> None:
    """Raise `UserError` for a class that has no image to learn from: a sample of it would be of nothing."""
    present = set(splits.train.labels.tolist())
    missing = [name for label, name in enumerate(splits.classes) if label not in present]
    if missing:
        raise UserError(
            f"data: class '{missing[0]}' has no image left to train on, and a generator makes images of every class; "
            "leave the class out of the data set, or drop fewer images by data.clean"
        )


# The task


def task_of(
    network: Acgan | ConditionalUnet,
    splits: Splits,
    recipe: GenerationRecipe,
    config: InputConfig,
    seed: int,
    device: torch.device,
) -> Task:
    """The task of learning to make `splits.train`; a diffusion is validated by its error of noise in `splits.val`."""
    objective: Objective
    if diffusion := isinstance(network, ConditionalUnet):
        objective = NoiseError(network, recipe, config)
    else:
        objective = Duel(network, recipe, config)
    val = splits.val if diffusion else None
    return Task(
        objective=objective,
        feed=feed_of(place(splits.train, device), device),
        batches=partial(batches, count=len(splits.train), recipe=recipe, seed=seed),
        validate=None if val is None else lambda net: {"val_loss": noise_error(net, val, recipe, config, device)},
        judged=("val_loss",) if diffusion else (),
        score="val_loss",
    )


# The objective


@dataclass(frozen=True)
class Round:
    """Real images (B, 3, S, S), their classes (B,); the noise (B, latent) and classes (B,) of images to generate."""

    images: Tensor
    labels: Tensor
    noise: Tensor
    wanted: Tensor


class Duel:
    """Hinge losses (Lim and Ye 2017) and cross-entropies of the class (Odena, Olah and Shlens 2017, equations 2, 3).

    Both learn from one backward pass: the critic gets generated images without gradient, and the generator is
    judged by a critic whose weights are constants. One optimiser serves both.
    """

    columns = ("train_loss", "train_critic_loss", "train_generator_loss")

    def __init__(self, network: Acgan, recipe: GenerationRecipe, config: InputConfig) -> None:
        self.network, self.recipe = network, recipe
        self.pictures = TrainPictures(recipe, config)

    def prepare(self, batch: tuple[Tensor, Tensor]) -> Round:
        images, labels = self.pictures(batch[0]), batch[1]
        noise = torch.randn(len(labels), self.network.latent).to(images.device, non_blocking=True)
        wanted = torch.randint(self.network.n_classes, (len(labels),)).to(images.device, non_blocking=True)
        return Round(images, labels, noise, wanted)

    def loss(self, network: nn.Module, prepared: Round, part: slice) -> tuple[Tensor, Tensor]:
        images, noise = prepared.images[part], prepared.noise[part]
        labels, wanted = prepared.labels[part], prepared.wanted[part]
        (real, of_real), (false, of_made), (judged, named) = network(images, noise, wanted)
        weight = self.recipe.class_weight
        classes = F.cross_entropy(of_real.float(), labels) + F.cross_entropy(of_made.float(), wanted)
        critic = F.relu(1 - real).mean() + F.relu(1 + false).mean() + weight * classes
        generator = -judged.mean() + weight * F.cross_entropy(named.float(), wanted)
        loss = critic + generator
        return loss, torch.stack([loss, critic, generator]).detach() * len(images)
