"""Train a generator of images: one arm of an experiment, with one seed or several."""

import argparse

from florilegium.core.errors import run_main
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.spec import DataUse
from florilegium.stages import image_arguments, training_arguments
from florilegium.training.generator import train_generator
from florilegium.training.job import Job
from florilegium.training.machine import configure


def main() -> None:
    arguments = parse_arguments()
    training_arguments.run(arguments, image_arguments.files_of(arguments), train)


def train(job: Job, arguments: argparse.Namespace) -> None:
    configure(job.device, job.section(GenerationRecipe, "recipe").threads, deterministic=job.deterministic)
    splits = image_arguments.splits_of(arguments, job.section(DataUse, "data"))
    for seed in arguments.seeds:
        train_generator(job, splits, seed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    training_arguments.add_to(parser)
    image_arguments.add_to(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
