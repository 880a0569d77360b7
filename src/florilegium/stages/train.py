"""Train and test a classifier: one arm of an experiment, with one seed or several.

Reads:  packed images with their table, or features; perhaps first weights, generated images, a finder's rate.
Writes: <out>/seed<seed> for each seed: metrics, history, costs, predictions, checkpoint and receipt.
Why:    these are the runs that the studies compare.
"""

import argparse
from functools import cache, partial

from florilegium.config.data import DataUse
from florilegium.config.recipes import Recipe
from florilegium.core.errors import run_main
from florilegium.data.load import load_features, resident, with_generated
from florilegium.stages.arguments import add_images, image_files, run_training, splits_of, training_parser
from florilegium.training import parallel
from florilegium.training.classification import training_of
from florilegium.training.run import Job, train_run


def main() -> None:
    parser = training_parser(__doc__)
    add_images(parser)
    parser.add_argument("--features", help="folder of cached features, in place of images; {seed} as in --init")
    parser.add_argument("--generated", help="generated images to learn from beside the real ones; {seed} as in --init")
    parser.add_argument("--finder", help="finder.json for recipe.lr = from_finder; {seed} as in --init")
    arguments = parser.parse_args()
    run_training(train, arguments, DataUse, Recipe, () if arguments.features else image_files(arguments))


def train(job: Job[DataUse, Recipe], arguments: argparse.Namespace) -> None:
    images = cache(partial(splits_of, arguments, job.data))
    for seed in arguments.seeds:
        paths = job.at(seed)
        splits = images() if paths.features is None else load_features(paths.features)
        if paths.generated is not None and job.data.generated is not None:
            splits = with_generated(splits, paths.generated, job.data.generated.share)
        train_run(job, resident(splits, parallel.size()), seed, training_of)


if __name__ == "__main__":
    run_main(main)
