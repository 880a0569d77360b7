"""A linear probe on features that are computed once, against the same probe as study 2's code ran it.

The study ran the frozen backbone over augmented images in every epoch. The cached probe runs it once, without
augmentation, and then trains the head alone. Both sides are timed in turn over the same images.

    python benchmarks/probe.py --out probe.json
"""

import argparse
import time
from pathlib import Path

import torch
from machine import machine
from measure import summarise

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.data.augment import EvalTransform
from florilegium.data.load import Images, Splits
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.training.classification import task_of
from florilegium.training.feed import place
from florilegium.training.learner import Learner
from florilegium.training.loop import train_epoch
from florilegium.training.machine import configure, pick_device
from florilegium.training.state import Keeper, Progress, StateFolder, Stop

CLASSES = 200
MODEL = Model(
    name="deit_tiny_distilled_patch16_224",
    arguments={"img_size": 64, "patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4},
)
EPOCHS = 30  # of the study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    configure(device, 1)
    recipe = Recipe(
        epochs=EPOCHS, batch_size=64, optimizer="adamw", lr=1e-3, weight_decay=0.05, freeze=("backbone",),
        crop="centre", flip=0.0, randaugment=2, randaugment_magnitude=0, mixup=0.8, cutmix=1.0,
        label_smoothing=0.1, random_erasing=0.25, image_size=64,
    )  # fmt: skip
    pixels = torch.randint(0, 256, (a.images, 64, 64, 3), dtype=torch.uint8)
    images = Images(pixels, torch.arange(a.images) % CLASSES, tuple(map(str, range(a.images))))
    images = place(images, device)
    network = registry.build(MODEL, CLASSES, drop_path=0.1)
    freeze(network, recipe)
    config = registry.input_config(MODEL, recipe)
    task = task_of(Splits(images, None, images, ()), recipe, config, 0, device)
    learner = Learner(network, recipe, task.objective, device)
    keeper = Keeper(StateFolder(Path("unused"), ""), learner, Progress({}), Stop())
    transform = EvalTransform(config)
    heads = torch.nn.Linear(network.num_features, CLASSES).to(device)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=1e-3)

    def published() -> float:
        """Seconds of one epoch as the study's code ran it."""
        started = time.perf_counter()
        train_epoch(learner, task, task.batches(0), Progress({}), keeper, 0)
        return time.perf_counter() - started

    def features() -> tuple[float, torch.Tensor]:
        """Seconds of the one pass that the features take, and what it gives."""
        started = time.perf_counter()
        network.eval()
        with torch.inference_mode():
            found = [network.forward_features(transform(part))[:, 0] for part in images.pixels.split(64)]
        kept = torch.cat(found).clone()
        wait_for(device)
        return time.perf_counter() - started, kept

    def head(found: torch.Tensor) -> float:
        """Seconds of one epoch of the head alone."""
        started = time.perf_counter()
        for part in torch.arange(a.images).split(64):
            loss = torch.nn.functional.cross_entropy(heads(found[part]), images.labels[part])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        wait_for(device)
        return time.perf_counter() - started

    blocks: dict[str, list[float]] = {"published_epoch": [], "features": [], "head_epoch": []}
    published()
    for _ in range(a.blocks):
        blocks["published_epoch"].append(published())
        seconds, found = features()
        blocks["features"].append(seconds)
        blocks["head_epoch"].append(head(found))
    rows = zip(*blocks.values(), strict=True)
    blocks["times_faster"] = [EPOCHS * epoch / (once + EPOCHS * alone) for epoch, once, alone in rows]
    summary = summarise(blocks)
    title = f"{EPOCHS} epochs of a probe on {a.images} images of 64 pixels, {MODEL.name} of 128 channels, {device}"
    title += ", 1 thread"
    write_json(a.out, {"title": title, "summary": summary, "blocks": blocks, "machine": machine()})
    for name, row in summary.items():
        print(f"{name:18} {row['median']:.4g} [{row['low']:.4g}, {row['high']:.4g}]")


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
