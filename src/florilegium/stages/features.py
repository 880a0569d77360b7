"""Pass every image of an experiment once through a frozen backbone, and store its features for the heads.

Reads:  packed images with their table, and first weights.
Writes: <out>/seed<seed>/features for each seed.
Why:    heads on a frozen backbone train on features many times faster than on images.
"""

import torch

from florilegium.config.data import DataUse
from florilegium.config.recipes import Recipe
from florilegium.core.errors import run_main
from florilegium.core.outputs import FEATURES
from florilegium.core.system import say
from florilegium.data.load import Splits, parts_of, write_features
from florilegium.models import registry
from florilegium.stages.arguments import add_images, job_parser, seed_facts, untrained_job
from florilegium.stages.stage import stage
from florilegium.training.classification import digest_of, extract, initialise_classifier
from florilegium.training.run import Job


def main() -> None:
    parser = job_parser(__doc__)
    add_images(parser)
    arguments = parser.parse_args()
    with untrained_job(arguments) as (job, splits):
        for seed in arguments.seeds:
            folder = job.at(seed).out / "features"
            with stage("features", arguments, job.at(seed).inputs, path=folder / "receipt.json") as receipt:
                make_features(job, splits, seed)
                receipt.outputs += [folder / name for name in FEATURES]
                receipt.facts |= seed_facts(job, seed)


def make_features(job: Job[DataUse, Recipe], splits: Splits, seed: int) -> None:
    folder = job.at(seed).out / "features"
    network = initialise_classifier(job, job.recipe, len(splits.classes), seed)
    backbone = digest_of(network)
    config = registry.input_config(job.model, job.recipe)
    parts = parts_of(splits)
    say(f"{folder}: features of {sum(map(len, parts.values()))} images")
    features = [
        extract(network, images, config, device=job.device, precision=job.recipe.precision) for images in parts.values()
    ]
    write_features(folder, splits, torch.cat(features), backbone)


if __name__ == "__main__":
    run_main(main)
