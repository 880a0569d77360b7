"""Train and test a classifier: one arm of an experiment, with one seed or several."""

import argparse
from functools import cache, partial

from florilegium.core.errors import run_main
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.data.features import load_features
from florilegium.data.generated import with_generated
from florilegium.stages import image_arguments, training_arguments
from florilegium.training.classifier import train_classifier
from florilegium.training.job import Job
from florilegium.training.machine import configure


def main() -> None:
    arguments = parse_arguments()
    training_arguments.run(
        arguments,
        () if arguments.features else image_arguments.files_of(arguments),
        train,
        features=arguments.features,
        generated=arguments.generated,
        finder=arguments.finder,
    )


def train(job: Job, arguments: argparse.Namespace) -> None:
    configure(job.device, job.section(Recipe, "recipe").threads, deterministic=job.deterministic)
    use = job.section(DataUse, "data")
    images = cache(partial(image_arguments.splits_of, arguments, use))
    for seed in arguments.seeds:
        features, generated = job.features_of(seed), job.generated_of(seed)
        splits = images() if features is None else load_features(features)
        if generated is not None and use.generated is not None:
            splits = with_generated(splits, generated, use.generated.share)
        train_classifier(job, splits, seed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    training_arguments.add_to(parser)
    image_arguments.add_to(parser)
    parser.add_argument(
        "--features", help="folder of cached features in place of images; {seed} as in --init"
    )
    parser.add_argument("--generated", help="generated images to learn from, too; {seed} as in --init")
    parser.add_argument("--finder", help="finder.json for recipe.lr = from_finder; {seed} as in --init")
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
