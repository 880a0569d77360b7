"""The objective of an auxiliary-classifier GAN: the losses of critic and generator in one step."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.recipes import GenerationRecipe
from florilegium.data.augment import InputConfig
from florilegium.generation.pictures import TrainPictures
from florilegium.models.generators import Acgan


@dataclass(frozen=True)
class Round:
    """Real images (B, 3, S, S) with their classes (B,); noise (B, latent) and wanted classes (B,) of generated ones."""

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
