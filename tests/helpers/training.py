"""Images, a network and a recipe small enough to train in a test."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from florilegium.config.recipes import Recipe
from florilegium.data.augment import InputConfig
from florilegium.data.load import Images, Splits
from florilegium.training.classification import task_of
from florilegium.training.loop import Outcome, fit
from florilegium.training.state import StateFolder

CONFIG = InputConfig(size=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bilinear")
CPU = torch.device("cpu")
torch.set_num_threads(1)  # more of them wait for each other on such sizes, and give other bits


def images(count: int, classes: int = 3, side: int = 8, seed: int = 0) -> Images:
    """Noise in which the channel of its class is brighter."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 150, (count, side, side, 3), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % classes
    pixels[torch.arange(count), :, :, labels] += 90
    return Images(pixels, labels, tuple(f"{i:04d}.png" for i in range(count)))


def splits(train: int = 26, val: int = 9, test: int = 9) -> Splits:
    some = images(val, seed=1) if val else None
    return Splits(images(train), some, images(test, seed=2), ("a", "b", "c"))


def network(norm: bool = True, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({"epochs": 3, "batch_size": 8, "lr": 0.1, "image_size": 8} | changes)


def train(
    folder: Path,
    *,
    data: Splits | None = None,
    net: nn.Module | None = None,
    seed: int = 0,
    on_epoch: Callable[[list], None] | None = None,
    **changes: object,
) -> Outcome:
    """Fit the tiny network under `recipe(**changes)`, with its state in `folder`."""
    with StateFolder(folder / "seed0", "same") as state:
        how = recipe(**changes)
        return fit(
            net or network(),
            task_of(data or splits(), how, CONFIG, seed, CPU),
            how,
            seed=seed,
            device=CPU,
            state=state,
            on_epoch=on_epoch,
        )


def same_bits(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
