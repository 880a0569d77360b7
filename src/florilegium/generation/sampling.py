"""Sampling from a trained generator, each image from noise of its own."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from florilegium.config.data import Sampling
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.files import atomic
from florilegium.core.outputs import SAMPLES
from florilegium.core.system import bar
from florilegium.core.tables import write_table
from florilegium.generation.diffusion import denoise
from florilegium.generation.sheets import grid, save_animation, save_picture, to_pixels
from florilegium.models.conditional_unet import ConditionalUnet
from florilegium.models.generators import Acgan

BATCH = 256
FRAMES = 40  # pictures of an animation, about as many as an eye follows


@dataclass(frozen=True)
class SampledImages:
    """Generated images: `pixels` uint8 (N, S, S, 3), `labels` (N,), in order of class."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    noise: NDArray[np.uint8]
    """The noise of the shown images, as pictures (n, S, S, 3); none for a generator without steps."""
    frames: NDArray[np.uint8]
    """The shown images during the reverse process, (F, n, S, S, 3)."""
    seconds: float


def sample(
    network: nn.Module,
    recipe: GenerationRecipe,
    sampling: Sampling,
    *,
    n_classes: int,
    size: int,
    shown: int,
    seed: int,
    device: torch.device,
) -> SampledImages:
    """Sample `sampling.per_class` images of each class, of side `size`.

    The first `shown` of each class are recorded during the reverse process. The noise of an image is sampled
    on the host from `seed` and its number, so that it does not depend on how many images there are.
    """
    network.eval().to(device)
    labels = torch.arange(n_classes).repeat_interleave(sampling.per_class)  # (N,)
    watched = torch.arange(len(labels)) % sampling.per_class < min(shown, sampling.per_class)
    shape = (network.latent,) if isinstance(network, Acgan) else (3, size, size)
    parts: list[Tensor] = []
    noises: list[Tensor] = []
    films: list[Tensor] = []
    started = time.perf_counter()
    for start in bar(range(0, len(labels), BATCH), "sampling", "batch"):
        label, chosen = labels[start : start + BATCH].to(device), watched[start : start + BATCH]
        noise = normal_rows(seed, range(start, start + len(label)), shape).to(device)
        film: list[Tensor] = []
        if isinstance(network, Acgan):
            with torch.inference_mode():
                images = network.generator(noise, label)
        else:
            assert isinstance(network, ConditionalUnet)
            generator = torch.Generator(device).manual_seed(seed * 1_000_003 + start)
            watch = recorder(film, chosen, steps_of(recipe, sampling))
            images = denoise(network, recipe, sampling, noise, label, generator, watch)
        parts.append(to_pixels(images))
        if film:
            noises.append(to_pixels(noise[chosen.to(device)] / 3))
            films.append(torch.stack(film))  # (F, n, S, S, 3)
    seconds = time.perf_counter() - started
    empty = torch.empty((0, size, size, 3), dtype=torch.uint8)
    return SampledImages(
        pixels=torch.cat(parts).numpy(),
        labels=labels.numpy(),
        noise=torch.cat([empty, *noises]).numpy(),
        frames=torch.cat(films, 1).numpy() if films else empty[None].numpy(),
        seconds=seconds,
    )


def normal_rows(seed: int, numbers: range, shape: tuple[int, ...]) -> Tensor:
    """Normal noise (B, *shape) on the host, each row from the seed and its own number."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed((seed << 32) + number)) for number in numbers]
    return torch.stack(rows)


def steps_of(recipe: GenerationRecipe, sampling: Sampling) -> int:
    """Steps of the reverse process."""
    return sampling.steps or recipe.timesteps


def recorder(film: list[Tensor], watched: Tensor, steps: int) -> Callable[[Tensor], None]:
    """A function that appends the watched images, bool (B,), to `film` after about `FRAMES` of the steps, the last
    included."""
    every = max(1, steps // FRAMES)
    left = steps

    def record(images: Tensor) -> None:
        nonlocal left
        left -= 1
        if left % every == 0:
            film.append(to_pixels(images[watched.to(images.device)].clamp(-1, 1)))

    return record


def save_samples(samples: SampledImages, classes: Sequence[str], shown: int, folder: Path) -> list[Path]:
    """Write the images, their table and their pictures, with `shown` images a class; the files."""
    pixels, table, sheet, noise, animation = files = [folder / name for name in SAMPLES if name != "cost.json"]
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(pixels) as temporary, open(temporary, "wb") as file:
        np.save(file, samples.pixels)
    rows = [(str(number), classes[label]) for number, label in enumerate(samples.labels.tolist())]
    write_table(table, ("sample", "class"), rows)
    per_class = len(rows) // len(classes)
    still = samples.pixels[np.arange(len(rows)) % per_class < shown]
    save_picture(grid(still, classes), sheet)
    save_picture(grid(samples.noise if len(samples.noise) else still, classes), noise)
    save_animation(samples.frames if samples.frames.shape[1] else still[None], classes, animation)
    return files
