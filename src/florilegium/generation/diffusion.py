"""Denoising diffusion: what a step of its training learns from, and the reverse process."""

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.sampling import Sampling
from florilegium.data.augment import EvalTransform, InputConfig
from florilegium.data.load import Images
from florilegium.evaluation.precision import autocast
from florilegium.generation.pictures import Prepared, TrainPictures
from florilegium.models.conditional_unet import ConditionalUnet

EVALUATION_BATCH = 64


class NoiseError:
    """The squared error of the predicted noise (Ho, Jain and Abbeel 2020, equation 14).

    The class is hidden from a share of the images (`label_dropout_by = sample`), or, as study 4 did it,
    from all images of a share of the batches.
    """

    columns = ("train_loss",)

    def __init__(self, network: ConditionalUnet, recipe: GenerationRecipe, config: InputConfig) -> None:
        self.recipe, self.hidden = recipe, network.hidden_class
        self.pictures = TrainPictures(recipe, config)
        self.schedule = noising(recipe)

    def prepare(self, batch: tuple[Tensor, Tensor]) -> Prepared:
        """From uint8 (B, S, S, 3) and int64 (B,) to noisy images, their noise, step and class."""
        recipe = self.recipe
        images, labels = self.pictures(batch[0]), batch[1]
        count, device = len(labels), images.device
        noise = torch.randn(images.shape).to(device, non_blocking=True)  # drawn on the host: the same on each
        steps = torch.randint(recipe.timesteps, (count,)).to(device, non_blocking=True)
        draws = torch.rand(count if recipe.label_dropout_by == "sample" else 1)
        dropped = (draws < recipe.label_dropout).to(device, non_blocking=True)
        return Prepared(
            images=self.schedule.add_noise(images, noise, steps),
            target=noise,
            steps=steps,
            labels=torch.where(dropped, self.hidden, labels),
        )

    def loss(self, network: nn.Module, prepared: Prepared, part: slice) -> tuple[Tensor, Tensor]:
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
    """The mean squared error of the noise seen in `images`, each at a step and in a noise of its own that
    are the same at every call; leaves `network` in evaluation mode."""
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


@torch.inference_mode()
def denoise(
    network: ConditionalUnet,
    recipe: GenerationRecipe,
    sampling: Sampling,
    noise: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    seen: Callable[[Tensor], None] = lambda images: None,
) -> Tensor:
    """From noise (B, 3, S, S) to images in [-1, 1] of the classes `labels` (B,), step by step.

    DDPM (Ho, Jain and Abbeel 2020, algorithm 2) takes all steps of the recipe, DDIM (Song, Meng and Ermon
    2021) `sampling.steps` of them without further noise. `seen` is given the images after each step.
    """
    schedule = noising(recipe)
    if sampling.sampler == "ddim":
        schedule = DDIMScheduler.from_config(schedule.config, set_alpha_to_one=True)
    schedule.set_timesteps(sampling.steps or recipe.timesteps)
    images = noise
    hidden = torch.full_like(labels, network.hidden_class)
    more = {"generator": generator} if sampling.sampler == "ddpm" else {}
    for step in schedule.timesteps:
        predicted = guided(network, images, step.to(noise.device), labels, hidden, sampling.guidance)
        images = schedule.step(predicted, step, images, **more).prev_sample
        seen(images)
    return images.clamp(-1, 1)


def guided(
    network: ConditionalUnet, images: Tensor, step: Tensor, labels: Tensor, hidden: Tensor, w: float
) -> Tensor:
    """(1 + w) times the noise seen with the class, less w times the noise seen without."""
    steps = step.expand(len(images))
    if not w:
        return network(images, steps, labels)
    both = network(images.repeat(2, 1, 1, 1), steps.repeat(2), torch.cat([labels, hidden]))
    with_class, without = both.chunk(2)
    return torch.lerp(without, with_class, 1 + w)
