"""The cost of each technique of study 4 in images per second, against the plain recipe, in one run.

Each side is one epoch of a network of its own on the same resident images; blocks are interleaved. What a technique
does between epochs (averaging, its statistics) is counted with the epoch.

    python benchmarks/techniques.py --out techniques.json
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import machine
from measure import interleave, median_interval, summarise

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.data.load import Images, Splits
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.training.classification import task_of
from florilegium.training.learner import Learner
from florilegium.training.loop import take_statistics, train_epoch
from florilegium.training.machine import configure, pick_device
from florilegium.training.state import Keeper, Progress, StateFolder, Stop

CLASSES, SIDE = 10, 32
PLAIN = {"epochs": 9, "batch_size": 128, "crop": "centre", "flip": 0.0, "weight_decay": 1e-3, "select": "last"}
CROP = {"crop": "random_resized", "crop_scale": (0.8, 1.0), "crop_ratio": (0.9, 1.1)}
TECHNIQUES: dict[str, dict[str, Any]] = {
    "plain": {},
    "crop": CROP,
    "flip": {"flip": 0.5},
    "rotation": {"rotation": 15.0},
    "crop, flip, rotation": {**CROP, "flip": 0.5, "rotation": 15.0},
    "24 pixels": {"image_size": 24},
    "8 batches a step": {"batches_per_step": ((0, 8),)},
    "clipping of norms": {"clip_norm": 0.5},
    "clipping of values": {"clip_value": 0.5},
    "averaging": {"swa_start": 0.0, "swa_lr": 0.01},
    "Adam": {"optimizer": "adam", "lr": 1e-3},
    "batches of 32": {"batch_size": 32},
    "batches of 512": {"batch_size": 512},
}
HEADS = {
    "graph attention": ("graph", {}),
    "graph attention, frozen": ("graph", {"freeze_blocks": 4}),
    "classical attention, frozen": ("classical", {"freeze_blocks": 4}),
    "GATv2, frozen": ("gatv2", {"freeze_blocks": 4}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--widths", type=int, nargs=4, default=(64, 128, 256, 512))
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--images", type=int, default=1024, help="of an epoch")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    configure(device, 1)
    pixels = torch.randint(0, 256, (a.images, SIDE, SIDE, 3), dtype=torch.uint8)
    images = Images(pixels, torch.arange(a.images) % CLASSES, tuple(map(str, range(a.images))))
    sizes = {"widths": list(a.widths)}
    sides = {name: ("cifar_resnet18", sizes, changes) for name, changes in TECHNIQUES.items()}
    for name, (attention, changes) in HEADS.items():
        sides[name] = ("cifar_resnet18_attention", {**sizes, "attention": attention}, changes)
    rates = interleave(
        {
            name: epoch_of(
                Model(name=model, arguments=arguments),
                Recipe.model_validate({**PLAIN, "precision": a.precision, **changes}),
                images,
                device,
            )
            for name, (model, arguments, changes) in sides.items()
        },
        a.blocks,
    )
    summary = summarise(rates)
    shares = {
        name: median_interval([x / y for x, y in zip(found, rates["plain"], strict=True)])
        for name, found in rates.items()
    }
    title = f"cifar_resnet18 of widths {list(a.widths)}, {a.precision}, {device}, 1 thread"
    write_json(a.out, {"title": title, "summary": summary, "of_plain": shares, "blocks": rates, "machine": machine()})
    print(f"{title} ({a.blocks} blocks of {a.images} images)")
    for name, row in summary.items():
        print(f"{name:28} {row['median']:9.1f} images/s  {shares[name][0]:6.1%} of plain")


def epoch_of(model: Model, recipe: Recipe, images: Images, device: torch.device) -> Callable[[], float]:
    """A function that trains an epoch and returns its images per second."""
    config = registry.input_config(model, recipe)
    task = task_of(Splits(images, None, images, ()), recipe, config, 0, device)
    network = registry.build(model, CLASSES)
    freeze(network, recipe)
    learner = Learner(network, recipe, task.objective, device)
    keeper = Keeper(StateFolder(Path("unused"), ""), learner, Progress({}), Stop())

    def epoch() -> float:
        started = time.perf_counter()
        train_epoch(learner, task, task.batches(0), Progress({}), keeper, 0)
        if learner.swa:  # of an average over as many epochs as it takes, the share of one
            learner.swa.update_parameters(learner.network)
        return len(images) / (time.perf_counter() - started)

    if not learner.swa:
        return epoch

    def last_epoch() -> float:
        rate = epoch()
        started = time.perf_counter()
        take_statistics(learner, task, 0, 0)
        learner.is_finite()  # the device has finished
        spent = len(images) / rate + (time.perf_counter() - started) / recipe.epochs
        return len(images) / spent

    return last_epoch


if __name__ == "__main__":
    main()
