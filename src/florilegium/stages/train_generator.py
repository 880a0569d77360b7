"""Train a generator of images: one arm of an experiment, with one seed or several.

Reads:  packed images with their table, and perhaps first weights.
Writes: <out>/seed<seed> for each seed: metrics, history, costs, checkpoint and receipt.
Why:    its images are then sampled, judged, and learned from by classifiers.
"""

import argparse

from florilegium.config.data import DataUse
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import run_main
from florilegium.data.load import resident
from florilegium.stages.arguments import add_images, image_files, run_training, splits_of, training_parser
from florilegium.training import parallel
from florilegium.training.generation import training_of
from florilegium.training.run import Job, train_run


def main() -> None:
    parser = training_parser(__doc__)
    add_images(parser)
    arguments = parser.parse_args()
    run_training(train, arguments, DataUse, GenerationRecipe, image_files(arguments))


def train(job: Job[DataUse, GenerationRecipe], arguments: argparse.Namespace) -> None:
    splits = resident(splits_of(arguments, job.data), parallel.size())
    for seed in arguments.seeds:
        train_run(job, splits, seed, training_of)


if __name__ == "__main__":
    run_main(main)
