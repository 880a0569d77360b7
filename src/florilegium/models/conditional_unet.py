"""The class-conditional U-Net of study 4: the noise in an image, given the step and the class.

After Ho, Jain and Abbeel 2020, "Denoising Diffusion Probabilistic Models", appendix B, with the class beside the step
(Ho and Salimans 2022, "Classifier-Free Diffusion Guidance"). The study's code differs from these in what follows, and
so does this network, which has the 47,700,611 parameters of the study's (32 pixels, ten classes, 500 steps):

- on the way down every block attends over all its pixels, on the way up none; of the two in the middle the first;
- it halves an image by two convolutions, 3 x 3 and 5 x 5, whose results are added, and doubles it by a transposed
  5 x 5 convolution with a 3 x 3 one after it;
- the embeddings of the steps, sines and cosines at first, are learned;
- every block adds the step and the class by projections of its own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.models.arguments import UNET_STEPS

LOWEST_FREQUENCY = 1e-4  # of the sines that tell the steps apart, in radians a step


class ConditionalUnet(nn.Module):
    """Predicts the noise in images of side `image_size`, given a step below `timesteps` and a class or none."""

    def __init__(
        self,
        n_classes: int,
        *,
        image_size: int = 32,
        channels: tuple[int, ...] = (128, 256, 256, 256),
        layers_per_block: int = 2,
        attention: tuple[int, ...] | None = None,
        groups: int = 32,
        timesteps: int = UNET_STEPS,
        dropout: float = 0.0,
    ) -> None:
        """The defaults are the study's.

        Args:
            channels: of each level, the finest first.
            layers_per_block: residual blocks of a level on the way down; on the way up it has one more.
            attention: the levels that attend on the way down, counted from the finest; None for all.
            groups: of each normalisation; divides every number of channels.

        Raises:
            ValueError: an image that cannot be halved between all levels, a level that is not there, or channels that
                `groups` or 2 does not divide.
        """
        super().__init__()
        halvings = len(channels) - 1
        if image_size % 2**halvings:
            raise ValueError(f"image_size = {image_size} cannot be halved {halvings} times")
        attending = range(len(channels)) if attention is None else attention
        if absent := set(attending) - set(range(len(channels))):
            raise ValueError(f"attention: there is no level {min(absent)} of {len(channels)}")
        self.n_classes = self.hidden_class = n_classes  # the hidden one is the label of no class
        width = 4 * channels[0]
        self.steps = nn.Sequential(step_table(timesteps, channels[0]), *_projections(channels[0], width))
        classes = nn.Embedding(n_classes + 1, channels[0], padding_idx=n_classes)  # no class is zero, and stays so
        self.classes = nn.Sequential(classes, *_projections(channels[0], width))
        self.first = nn.Conv2d(3, channels[0], 3, padding=1)
        self.down, passed = nn.ModuleList(), [channels[0]]  # channels of what the way up is handed
        for level, after in enumerate(channels):
            for _ in range(layers_per_block):
                self.down.append(Block(passed[-1], after, width, groups, dropout, level in attending))
                passed.append(after)
            if level < halvings:
                self.down.append(Halve(after))
                passed.append(after)
        self.middle = nn.ModuleList(
            Block(channels[-1], channels[-1], width, groups, dropout, attends) for attends in (True, False)
        )
        self.up, before = nn.ModuleList(), channels[-1]
        for level, after in reversed(list(enumerate(channels))):
            for _ in range(layers_per_block + 1):
                self.up.append(Block(before + passed.pop(), after, width, groups, dropout, attends=False))
                before = after
            if level:
                self.up.append(Double(after))
        self.last = nn.Sequential(nn.GroupNorm(groups, before), nn.SiLU(), nn.Conv2d(before, 3, 3, padding=1))

    def example(self, image: Tensor) -> tuple[Tensor, ...]:
        """Inputs of `forward` for one image like `image`, to count its operations."""
        label = torch.zeros(1, dtype=torch.int64, device=image.device)
        return image, label, label

    def forward(self, images: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        """(B, 3, S, S) noisy images, (B,) steps and (B,) labels to (B, 3, S, S) noise."""
        step, label = self.steps(steps), self.classes(labels)  # (B, 4 C)
        x = self.first(images)
        passed = [x]
        for layer in self.down:
            x = layer(x, step, label)
            passed.append(x)
        for layer in self.middle:
            x = layer(x, step, label)
        for layer in self.up:
            if isinstance(layer, Block):
                x = torch.cat([x, passed.pop()], dim=1)
            x = layer(x, step, label)
        return self.last(x)


class Block(nn.Module):
    """Two convolutions with a shortcut, the embeddings of step and class added between them, then attention."""

    def __init__(self, before: int, after: int, width: int, groups: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.GroupNorm(groups, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.step = nn.Sequential(nn.SiLU(), nn.Linear(width, after))
        self.label = nn.Sequential(nn.SiLU(), nn.Linear(width, after))
        self.leave = nn.Sequential(
            nn.GroupNorm(groups, after), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(after, after, 3, padding=1)
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.attention = PixelAttention(after, groups) if attends else nn.Identity()

    def forward(self, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
        condition = self.step(step) + self.label(label)  # (B, C)
        inner = self.leave(self.enter(x) + condition[:, :, None, None])
        return self.attention(inner + self.shortcut(x))


class PixelAttention(nn.Module):
    """Self-attention over the pixels of an image, with one head and a residual path."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        parts = (layer(normed) for layer in (self.query, self.key, self.value))
        sequences = (part.flatten(2).transpose(1, 2)[:, None] for part in parts)  # (B, 1, S S, C) each
        mixed = F.scaled_dot_product_attention(*sequences)[:, 0].transpose(1, 2)  # (B, C, S S)
        return x + self.out(mixed.reshape(x.shape))


class Halve(nn.Module):
    """Half the side, by the sum of two convolutions, 3 x 3 and 5 x 5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.far = nn.Conv2d(channels, channels, 5, stride=2, padding=2)

    def forward(self, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
        return self.near(x) + self.far(x)


class Double(nn.Module):
    """Twice the side, by a transposed convolution and a smoothing one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.ConvTranspose2d(channels, channels, 5, stride=2, padding=2, output_padding=1)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
        return self.smooth(self.spread(x))


def step_table(timesteps: int, width: int) -> nn.Embedding:
    """Sines and cosines of each step, alternating, (timesteps, width), of falling frequency (Vaswani et al. 2017,
    "Attention Is All You Need", section 3.5); initial values only, since the table is learned.
    Raises `ValueError` for an odd width.
    """
    if width % 2:
        raise ValueError(f"channels: the first, {width}, is odd, and a sine and a cosine are two")
    frequencies = LOWEST_FREQUENCY ** (torch.arange(0, width, 2) / width)
    angles = torch.outer(torch.arange(timesteps, dtype=torch.float32), frequencies)
    return nn.Embedding.from_pretrained(torch.stack([angles.sin(), angles.cos()], -1).flatten(1), freeze=False)


def _projections(width: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Linear(width, after), nn.SiLU(), nn.Linear(after, after)
