"""The training loop's images per second, against a bare hand-written loop on one random batch.

The bare loop does what a step cannot do without (forward, loss, backward, optimiser) on resident float
images; ours adds order, batches, augmentation, schedule, counting and checks.

    python benchmarks/loop.py --out loop.json
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measure import interleave, report
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.data.load import Images, Splits
from florilegium.evaluation.classification import autocast
from florilegium.models import registry
from florilegium.training.classification import CrossEntropy, task_of
from florilegium.training.learner import Learner
from florilegium.training.loop import train_epoch
from florilegium.training.machine import configure, pick_device
from florilegium.training.state import Keeper, Progress, StateFolder, Stop

CLASSES = 17
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--storage", type=int, default=72)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4, help="steps of a block")
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--ema", type=float)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--clock", default="wall", choices=CLOCKS, help="cpu: the process's own time, on a CPU that others use"
    )
    a = parser.parse_args()
    clock = CLOCKS[a.clock]
    device = pick_device(a.device)
    configure(device, a.threads)
    recipe = Recipe(
        epochs=1, batch_size=a.batch, ema=a.ema, precision=a.precision, image_size=a.size, threads=a.threads
    )
    found = sides(Model(name=a.model), recipe, storage=a.storage, steps=a.steps, device=device, clock=clock)
    rates = interleave(found, a.blocks)
    ema = "no EMA" if a.ema is None else f"EMA {a.ema}"
    report(
        a.out,
        f"{a.model} at {a.size} pixels, batch {a.batch}, {a.precision}, {ema}, {device}, {a.threads} thread(s)",
        rates,
        "loop",
        "bare",
        0.95,
        steps_per_block=a.steps,
        clock=a.clock,
    )


def sides(
    model: Model,
    recipe: Recipe,
    *,
    storage: int,
    steps: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Callable[[], float]]:
    """Our loop and the bare one over `steps` batches of the same network, as images per second."""
    count = recipe.batch_size * steps
    pixels = torch.randint(0, 256, (count, storage, storage, 3), dtype=torch.uint8)
    images = Images(pixels, torch.arange(count) % CLASSES, tuple(map(str, range(count))))
    config = registry.input_config(model, recipe)
    task = task_of(Splits(images, None, images, ()), recipe, config, 0, device)
    with device:  # where first weights are drawn quickly
        network, twin = registry.build(model, CLASSES), registry.build(model, CLASSES)
    learner = Learner(network, recipe, task.objective, device)
    keeper = Keeper(StateFolder(Path("unused"), ""), learner, Progress({}), Stop())

    def loop() -> float:
        started = clock()
        train_epoch(learner, task, task.batches(0), Progress({}), keeper, 0)
        return count / (clock() - started)

    other = Learner(twin, recipe, CrossEntropy(recipe, config), device)
    network, optimizer, scaler = other.network, other.optimizer, other.scaler
    batch = torch.randn(recipe.batch_size, 3, config.size, config.size, device=device)
    batch = batch.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size, device=device) % CLASSES

    def bare() -> float:
        network.train()
        started = clock()
        for _ in range(steps):
            with autocast(device, recipe.precision):
                loss = F.cross_entropy(network(batch), labels)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        loss.item()  # the device has finished
        return count / (clock() - started)

    return {"loop": loop, "bare": bare}


if __name__ == "__main__":
    main()
