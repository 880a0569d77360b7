"""Attributions per second of each method, and the images per second of judging one by deletion and insertion.

One image after the other, as the stage explains them; the network has random weights, which takes as long.

    python benchmarks/attributions.py --out attributions.json
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import torch
from machine import machine
from measure import interleave, summarise

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.explanation.attribution import METHODS, Subject, Unfit
from florilegium.explanation.interpretation import curves, random_pixels, ranks
from florilegium.models import registry
from florilegium.training.machine import configure, pick_device

CLASSES = 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--images", type=int, default=1, help="explained in a block")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    warnings.filterwarnings("ignore", module="captum", category=UserWarning)
    device = pick_device(a.device)
    configure(device, a.threads)
    torch.manual_seed(0)
    model = Model(name=a.model)
    size = registry.input_config(model, Recipe(epochs=1, image_size=a.size)).size
    network = registry.build(model, CLASSES).eval().to(device)
    images = torch.randn(a.images, 3, size, size, device=device)
    subject = Subject(network, torch.randn(32, 3, size, size, device=device), a.steps)
    places = ranks(random_pixels(size, torch.Generator()), torch.Generator())
    sides = {name: partial(METHODS[name], subject) for name in METHODS if fits(name, subject, images[:1])}
    sides["deletion and insertion"] = lambda image, target: curves(network, image, target, places)

    def rate(side) -> float:
        started = time.perf_counter()
        for image in images:
            side(image[None], 0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return a.images / (time.perf_counter() - started)

    rates = interleave({name: partial(rate, side) for name, side in sides.items()}, a.blocks)
    summary = summarise(rates)
    title = f"{a.model} at {size} pixels, {a.steps} steps, {device}, {a.threads} thread(s)"
    write_json(a.out, {"title": title, "summary": summary, "blocks": rates, "machine": machine()})
    print(f"{title} ({a.blocks} blocks, images per second)")
    for name, row in summary.items():
        print(f"  {name:32} {row['median']:10.2f}   [{row['low']:.2f}, {row['high']:.2f}]")


def fits(name: str, subject: Subject, image: torch.Tensor) -> bool:
    try:
        METHODS[name](subject, image, 0)
    except Unfit as error:
        print(f"{name} is left out: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
