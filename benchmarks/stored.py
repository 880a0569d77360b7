"""Training from a file that stays on the disk, beside the same training from memory; the file is warm.

Epochs of the same network, in turn: of images that are resident, and of images whose batches a thread reads ahead of
the step. Features of a frozen backbone are the hardest case, since a step of heads takes no time.

    python benchmarks/stored.py --out stored.json
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import machine
from measure import interleave, interval, summarise
from torch import nn

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.data.load import Images, Splits
from florilegium.data.stored import ArrayFile, Stored
from florilegium.models import registry
from florilegium.training.classification import task_of
from florilegium.training.learner import Learner
from florilegium.training.loop import train_epoch
from florilegium.training.machine import configure
from florilegium.training.state import Keeper, Progress, StateFolder, Stop

CPU = torch.device("cpu")
CLASSES = 10
SLIM = Model(name="cifar_resnet18", arguments={"widths": [16, 16, 32, 64], "blocks": [1, 1, 1, 1]})
VIT = {"img_size": 64, "patch_size": 16, "embed_dim": 64, "depth": 4, "num_heads": 4}
# Network (None: a linear head on features), its side, shape of a row, batch, steps of a block.
CASES = {
    "slim ResNet-18 at 32 pixels": (SLIM, 32, (32, 32, 3), 128, 8),
    "ViT of 4 blocks of 64 at 64 pixels, of 256 stored": (
        Model(name="norm_vit", arguments=VIT),
        64,
        (256, 256, 3),
        64,
        8,
    ),
    "a linear head on features of 768 numbers": (None, 0, (1, 768), 64, 400),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    configure(CPU, a.threads)
    rows = {}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rates = interleave(sides(name, Path(folder), a.threads), a.blocks)
        ratios = [ours / theirs for ours, theirs in zip(rates["stored"], rates["resident"], strict=True)]
        rows[name] = {"images_per_second": summarise(rates), "ratio": interval(ratios)}
        print(name, rows[name], flush=True)
    write_json(a.out, {"title": f"training, fp32, cpu, {a.threads} thread(s)", "rows": rows, "machine": machine()})


def sides(name: str, folder: Path, threads: int) -> dict[str, Callable[[], float]]:
    """An epoch of each side, as images per second."""
    model, size, shape, batch, steps = CASES[name]
    count = batch * steps
    random = np.random.default_rng(0)
    array = random.integers(0, 256, (count, *shape), np.uint8) if model else random.random((count, *shape), np.float32)
    np.save(folder / "rows.npy", array)
    resident = Images(torch.from_numpy(array), torch.arange(count) % CLASSES, tuple(map(str, range(count))))
    stored = replace(resident, pixels=Stored([(ArrayFile(folder / "rows.npy"), torch.arange(count))]))
    recipe = Recipe(epochs=1, batch_size=batch, image_size=size or None, precision="fp32", threads=threads)
    config = registry.input_config(model, recipe) if model else None
    return {"stored": epoch(stored, model, recipe, config), "resident": epoch(resident, model, recipe, config)}


def epoch(images: Images, model: Model | None, recipe: Recipe, config: object) -> Callable[[], float]:
    network = registry.build(model, CLASSES) if model else nn.Sequential(nn.Flatten(), nn.Linear(768, CLASSES))
    task = task_of(Splits(images, None, images, ()), recipe, config, 0, CPU)
    learner = Learner(network, recipe, task.objective, CPU)
    keeper = Keeper(StateFolder(Path("unused"), ""), learner, Progress({}), Stop())

    def run() -> float:
        started = time.perf_counter()
        train_epoch(learner, task, task.batches(0), Progress({}), keeper, 0)
        return len(images) / (time.perf_counter() - started)

    return run


if __name__ == "__main__":
    main()
