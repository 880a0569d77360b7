"""Let a frozen backbone see every image of an experiment once, and keep what it saw for the heads."""

import argparse
import time

import torch

from florilegium.core.errors import run_main
from florilegium.core.progress import say
from florilegium.core.recipe import FEATURE_FILES, Recipe
from florilegium.data.features import parts_of, write_features
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages import untrained
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.probe import digest_of, extract


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    untrained.add_to(parser)
    untrained.for_each_seed(parser.parse_args(), make_features)


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
    untrained.write_seed_receipt(
        folder / "receipt.json", "features", job, recipe, seed, outputs=FEATURE_FILES, started=started
    )


if __name__ == "__main__":
    run_main(main)
