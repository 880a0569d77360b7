"""Let a frozen backbone see every image of an experiment once, and keep what it saw for the heads."""

import argparse
import json
import time

import torch

from florilegium.core.errors import run_main
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.core.validate import parse
from florilegium.data.features import FILES, parts_of, write_features
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages import image_arguments
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.machine import configure, device_name, pick_precision
from florilegium.training.probe import digest_of, extract


def main() -> None:
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    recipe = parse(Recipe, {**spec["recipe"], "epochs": 1}, "--spec recipe")  # features are one pass
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        job = image_arguments.job_of(arguments, spec, gpus)
        configure(job.device, recipe.threads)
        recipe = recipe.model_copy(update={"precision": pick_precision(recipe.precision, job.device)})
        splits = image_arguments.splits_of(arguments, job.section(DataUse, "data"))
        for seed in arguments.seeds:
            make_features(job, recipe, splits, seed)


def make_features(job: Job, recipe: Recipe, splits: Splits, seed: int) -> None:
    started = time.time()
    folder = job.out_of(seed) / "features"
    network = first_network(job, recipe, len(splits.classes), seed)
    backbone = digest_of(network)
    config = registry.input_config(job.model, recipe)
    parts = parts_of(splits)
    say(f"{folder}: features of {sum(map(len, parts.values()))} images")
    features = [
        extract(network, images, config, device=job.device, precision=recipe.precision)
        for images in parts.values()
    ]
    write_features(folder, splits, torch.cat(features), backbone)
    write_receipt(
        folder / "receipt.json",
        stage="features",
        spec=job.spec,
        code=job.code,
        inputs=job.inputs_of(seed),
        outputs=[folder / name for name in FILES],
        started=started,
        seed=seed,
        device=device_name(job.device),
        gpus=list(job.gpus),
        precision=recipe.precision,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON with data, model, init and a part of the recipe")
    image_arguments.add_to_early_stage(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
