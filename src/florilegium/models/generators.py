"""Class-conditional generators of images in [-1, 1]: the U-Net of `conditional_unet`, and an ACGAN.

`acgan` is a pair: a generator, and a critic that also names the class (Odena, Olah and Shlens 2017, "Conditional Image
Synthesis with Auxiliary Classifier GANs"). Study 4 shows a picture of one but its code has none, so the sizes are this
project's. The critic has spectral instead of batch normalisation (Miyato et al. 2018): it sees real and generated
images in one step, and running statistics would fit neither.
"""

import inspect
import itertools
import re

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm

from florilegium.config.data import Model
from florilegium.core.errors import unknown
from florilegium.data.augment import InputConfig
from florilegium.models.arguments import DIFFUSION, HALF, refuse_rates
from florilegium.models.conditional_unet import ConditionalUnet
from florilegium.models.refusal import unbuildable

Verdict = tuple[Tensor, Tensor]
"""The logit of being real (B,), and class logits (B, C)."""


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The generator with random weights; raises `UserError` for an argument that it does not take, or `drop_path`."""
    refuse_rates(model, drop_path=drop_path)
    try:
        if model.name == DIFFUSION:
            return ConditionalUnet(n_classes, **{"dropout": dropout, **model.arguments})
        return Acgan(n_classes, **model.arguments)
    except (TypeError, ValueError) as error:
        if refused := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
            kind = ConditionalUnet if model.name == DIFFUSION else Acgan
            known = [name for name in inspect.signature(kind).parameters if name != "n_classes"]
            raise unknown("argument", refused[1], known, f"model.arguments: {model.name}") from None
        raise unbuildable(model, error) from None


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """32 pixels unless `image_size` says otherwise, in [-1, 1]; no other size once that is chosen."""
    return InputConfig(model.arguments.get("image_size", 32), HALF, HALF, "bilinear"), True


class Acgan(nn.Module):
    """A generator and its critic, of `width` channels at their widest image."""

    def __init__(self, n_classes: int, *, image_size: int = 32, width: int = 64, latent: int = 128) -> None:
        super().__init__()
        doublings = (image_size // 4).bit_length() - 1
        if image_size != 4 * 2**doublings or doublings < 1:
            raise ValueError(f"image_size = {image_size} is not 8, 16, 32 ...")
        self.n_classes, self.latent = n_classes, latent
        self.generator = Generator(n_classes, doublings, width, latent)
        self.critic = Critic(n_classes, doublings, width)

    def example(self, image: Tensor) -> tuple[Tensor, ...]:
        """Inputs of `forward` for one image like `image`, to count its operations."""
        label = torch.zeros(1, dtype=torch.int64, device=image.device)
        return image, image.new_zeros(1, self.latent), label

    def forward(self, images: Tensor, noise: Tensor, labels: Tensor) -> tuple[Verdict, Verdict, Verdict]:
        """The critic's outputs for real images (B, 3, S, S) and, twice, for images of the classes `labels` (B,)
        generated from noise (B, latent): once to train the critic, once to train the generator.

        All in one pass, since several processes average the gradients of one pass.
        """
        generated = self.generator(noise, labels)
        constants = {name: value.detach() for name, value in self.critic.named_parameters()}
        # In this order: each call moves the estimates of the spectral norms.
        return (
            self.critic(images),
            self.critic(generated.detach()),
            functional_call(self.critic, constants, (generated,)),
        )


class Generator(nn.Module):
    """From noise, scaled by the class's embedding, to an image, through layers that double its side."""

    def __init__(self, n_classes: int, doublings: int, width: int, latent: int) -> None:
        super().__init__()
        channels = [width * 2 ** (doublings - 1 - i) for i in range(doublings)]
        self.classes = nn.Embedding(n_classes, latent)
        self.first = nn.Linear(latent, channels[0] * 16)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([*channels, width]):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, 1, 1))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        seed = self.first(noise * self.classes(labels))  # (B, C 16)
        return torch.tanh(self.layers(seed.view(len(noise), -1, 4, 4)))


class Critic(nn.Module):
    """From images (B, 3, S, S) to the logit of being real (B,) and class logits (B, C)."""

    def __init__(self, n_classes: int, doublings: int, width: int) -> None:
        super().__init__()
        channels = [3, *(width * 2**i for i in range(doublings))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.real = spectral_norm(nn.Linear(channels[-1] * 16, 1))
        self.label = nn.Linear(channels[-1] * 16, n_classes)

    def forward(self, images: Tensor) -> Verdict:
        features = self.layers(images)
        return self.real(features)[:, 0], self.label(features)
