"""Draw images from a trained generator: the images, a grid by class, their noise, and the way between."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from florilegium.core.errors import run_main
from florilegium.core.files import atomic, write_json
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.outputs import SAMPLES
from florilegium.core.receipts import read_receipt, write_receipt
from florilegium.core.sampling import Sampling
from florilegium.core.spec import Model
from florilegium.core.validate import parse
from florilegium.data.tables import write_table
from florilegium.generation.sampling import Made, make, steps_of
from florilegium.generation.sheets import grid, save_animation, save_picture
from florilegium.models import registry
from florilegium.models.generators import own_input
from florilegium.models.weights import load_into
from florilegium.training.lease import leased
from florilegium.training.machine import configure, pick_device
from florilegium.training.results import device_name

FILES = SAMPLES


def main() -> None:
    arguments = parse_arguments()
    started = time.time()
    spec = json.loads(arguments.spec)
    run = read_receipt(arguments.checkpoint.with_name("receipt.json"))
    classes = run["classes"]
    model = parse(Model, run["model"], "receipt.json: model")
    recipe = parse(GenerationRecipe, run["spec"]["recipe"], "receipt.json: recipe")
    sampling = parse(Sampling, spec["sampling"], "--spec sampling")
    with leased(arguments.device, 1) as gpus:
        device = pick_device(arguments.device)
        configure(device, recipe.threads)
        network = registry.build(model, len(classes), dropout=recipe.dropout)
        load_into(network, arguments.checkpoint)
        made = make(
            network,
            recipe,
            sampling,
            n_classes=len(classes),
            size=own_input(model)[0].size,
            shown=spec["shown"],
            seed=run["seed"],
            device=device,
        )
        write(made, classes, spec["shown"], arguments.out)
        write_json(
            arguments.out / "cost.json",
            {
                "device": device_name(device),
                "seconds_total": made.seconds,
                "images_per_second": len(made.pixels) / made.seconds,
                "steps": steps_of(recipe, sampling) if sampling.sampler != "direct" else 1,
            },
        )
        write_receipt(
            arguments.out / "receipt.json",
            stage="sample",
            spec=spec,
            code=arguments.code,
            inputs=[arguments.checkpoint, arguments.checkpoint.with_name("receipt.json")],
            outputs=[arguments.out / name for name in FILES],
            started=started,
            seed=run["seed"],
            device=device_name(device),
            gpus=list(gpus),
            classes=classes,
        )


def write(made: Made, classes: list[str], shown: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "samples.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, made.pixels)
    rows = [(str(number), classes[label]) for number, label in enumerate(made.labels.tolist())]
    write_table(folder / "samples.csv", ("sample", "class"), rows)
    per_class = len(rows) // len(classes)
    first = np.arange(len(rows)) % per_class < shown
    save_picture(grid(made.pixels[first], classes), folder / "grid.png")
    still = made.pixels[first]
    save_picture(grid(made.noise if len(made.noise) else still, classes), folder / "noise.png")
    save_animation(made.frames if made.frames.shape[1] else still[None], classes, folder / "animation.gif")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checkpoint", required=True, type=Path, help="of a generator, its receipt beside it"
    )
    parser.add_argument("--spec", required=True, help="JSON with sampling and shown")
    parser.add_argument("--code", required=True)
    parser.add_argument("--out", required=True, type=Path, help="folder of the set of images")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
