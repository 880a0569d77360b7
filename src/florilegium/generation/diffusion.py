"""Denoising diffusion: the training objective, and the reverse process."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.data import Sampling
from florilegium.config.recipes import GenerationRecipe
from florilegium.data import crops
from florilegium.data.augment import EvalTransform, InputConfig, centre, normalise
from florilegium.data.load import Images
from florilegium.evaluation.classification import EVALUATION_BATCH, autocast
from florilegium.models.conditional_unet import ConditionalUnet

CLEAN = -1  # the step that follows the first one: no noise is left


class TrainPictures:
    """uint8 (B, S, S, 3) to float (B, 3, s, s), channels last, each mirrored with the recipe's probability."""

    def __init__(self, recipe: GenerationRecipe, config: InputConfig) -> None:
        self.recipe, self.config = recipe, config
        self.buffers = crops.Buffers()

    def __call__(self, pixels: Tensor) -> Tensor:
        flips = torch.rand(len(pixels)) < self.recipe.flip
        return normalise(centre(pixels, flips, self.buffers, self.config), self.config, self.buffers)


@dataclass(frozen=True)
class NoisyBatch:
    """Noisy images (B, 3, S, S), the noise in them, its step (B,) and the class (B,)."""

    images: Tensor
    target: Tensor
    steps: Tensor
    labels: Tensor


class NoiseError:
    """The squared error of the predicted noise (Ho, Jain and Abbeel 2020, equation 14).

    The class is hidden from a share of the images (`label_dropout_by = sample`), or, as study 4 did it, from all images
    of a share of the batches.
    """

    columns = ("train_loss",)

    def __init__(self, network: ConditionalUnet, recipe: GenerationRecipe, config: InputConfig) -> None:
        self.recipe, self.hidden = recipe, network.hidden_class
        self.pictures = TrainPictures(recipe, config)
        self.schedule = noising(recipe)

    def prepare(self, batch: tuple[Tensor, Tensor]) -> NoisyBatch:
        """From uint8 (B, S, S, 3) and int64 (B,) to noisy images, their noise, step and class."""
        recipe = self.recipe
        images, labels = self.pictures(batch[0]), batch[1]
        count, device = len(labels), images.device
        noise = torch.randn(images.shape).to(device, non_blocking=True)  # from the host: equal on all devices
        steps = torch.randint(recipe.timesteps, (count,)).to(device, non_blocking=True)
        uniform = torch.rand(count if recipe.label_dropout_by == "sample" else 1)
        dropped = (uniform < recipe.label_dropout).to(device, non_blocking=True)
        noisy = self.schedule.add_noise(images, noise, steps)
        return NoisyBatch(noisy, noise, steps, torch.where(dropped, self.hidden, labels))

    def loss(self, network: nn.Module, prepared: NoisyBatch, part: slice) -> tuple[Tensor, Tensor]:
        predicted = network(prepared.images[part], prepared.steps[part], prepared.labels[part])
        errors = F.mse_loss(predicted.float(), prepared.target[part], reduction="none")  # (b, 3, S, S)
        mean = errors.mean()
        tally = (mean.detach() * len(errors))[None]
        if self.recipe.loss == "mean":
            return mean, tally
        return mean * (errors[0].numel() / len(prepared.labels)), tally


@torch.inference_mode()
def noise_error(
    network: nn.Module, images: Images, recipe: GenerationRecipe, config: InputConfig, device: torch.device
) -> float:
    """The mean squared error of the noise predicted in `images`, each with a step and a noise of its own, which are the
    same at every call. Leaves `network` in evaluation mode."""
    network.eval()
    schedule, transform = noising(recipe), EvalTransform(config)
    generator = torch.Generator().manual_seed(0)
    errors = 0.0
    for start in range(0, len(images), EVALUATION_BATCH):
        pictures = transform(images.pixels[start : start + EVALUATION_BATCH].to(device))  # (B, 3, S, S)
        labels = images.labels[start : start + EVALUATION_BATCH].to(device)
        noise = torch.randn(pictures.shape, generator=generator).to(device)
        steps = torch.randint(recipe.timesteps, (len(labels),), generator=generator).to(device)
        with autocast(device, recipe.precision):
            predicted = network(schedule.add_noise(pictures, noise, steps), steps, labels)
        errors += F.mse_loss(predicted.float(), noise).item() * len(labels)
    return errors / len(images)


def noising(recipe: GenerationRecipe) -> DDPMScheduler:
    """The schedule of variances, linear from `beta_start` to `beta_end`."""
    return DDPMScheduler(
        num_train_timesteps=recipe.timesteps,
        beta_start=recipe.beta_start,
        beta_end=recipe.beta_end,
        variance_type="fixed_large",
    )


# The reverse process


@torch.inference_mode()
def denoise(
    network: ConditionalUnet,
    recipe: GenerationRecipe,
    sampling: Sampling,
    noise: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    watch: Callable[[Tensor], None] = lambda images: None,
) -> Tensor:
    """From noise (B, 3, S, S) to images in [-1, 1] of the classes `labels` (B,), step by step.

    DDPM (Ho, Jain and Abbeel 2020, algorithm 2) takes all steps of the recipe, DDIM (Song, Meng and Ermon
    2021) `sampling.steps` of them without further noise. `watch` is called with the images after each step.
    """
    schedule = noising(recipe)
    signal = [*schedule.alphas_cumprod.double().tolist(), 1.0]  # the image's share of the variance; `CLEAN` has it all
    steps = trailing(recipe.timesteps, sampling.steps or recipe.timesteps)
    on_device = torch.tensor(steps, device=noise.device)
    images = noise
    hidden = torch.full_like(labels, network.hidden_class)
    for number, (step, following) in enumerate(pairwise([*steps, CLEAN])):
        predicted = guided(network, images, on_device[number], labels, hidden, sampling.guidance)
        if sampling.sampler == "ddim":
            images = _ddim(signal[step], signal[following], predicted, images)
        else:
            images = schedule.step(predicted, step, images, generator=generator).prev_sample
        watch(images)
    return images.clamp(-1, 1)


def trailing(timesteps: int, steps: int) -> list[int]:
    """`steps` of the steps 0 to `timesteps` - 1, evenly spaced, falling, from the very last on.

    Images start as pure noise, as only the last step was trained on (Lin et al. 2024, "Common
    Diffusion Noise Schedules and Sample Steps are Flawed", section 3.3). Counted in whole numbers, since
    a sum of rounded widths overshoots for a fifth of all pairs.
    """
    return [round(Fraction(timesteps * (steps - k), steps)) - 1 for k in range(steps)]


def _ddim(signal: float, following: float, predicted: Tensor, images: Tensor) -> Tensor:
    """One step between two shares of the image in the variance (Song, Meng and Ermon 2021, equation 12, sigma = 0).
    The predicted clean image is clamped to [-1, 1], as in DDPM."""
    clean = (images - (1 - signal) ** 0.5 * predicted) / signal**0.5
    noisy: Tensor = following**0.5 * clean.clamp(-1, 1) + (1 - following) ** 0.5 * predicted
    return noisy


def guided(network: ConditionalUnet, images: Tensor, step: Tensor, labels: Tensor, hidden: Tensor, w: float) -> Tensor:
    """(1 + w) times the noise predicted with the class, minus w times the noise predicted without."""
    steps = step.expand(len(images))
    if not w:
        predicted: Tensor = network(images, steps, labels)
        return predicted
    both = network(images.repeat(2, 1, 1, 1), steps.repeat(2), torch.cat([labels, hidden]))
    with_class, without = both.chunk(2)
    return torch.lerp(without, with_class, 1 + w)
