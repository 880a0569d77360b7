"""Train and test a detector: one arm of an experiment, with one seed or several.

Reads:  packed images, annotations.json, and perhaps first weights.
Writes: <out>/seed<seed> for each seed: metrics, history, costs, predictions, checkpoint and receipt.
Why:    these are the runs that the study of detection compares.
"""

import argparse
from functools import partial
from pathlib import Path

from florilegium.config.data import DetectionData
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.errors import run_main
from florilegium.data.boxed import load_boxed
from florilegium.stages.arguments import add_dropped, run_training, training_parser
from florilegium.training.detection import training_of
from florilegium.training.run import Job, train_run


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--pixels", required=True, type=Path, help="packed images, scenes<packing>.npy")
    parser.add_argument("--annotations", required=True, type=Path, help="annotations.json of the data set")
    add_dropped(parser)
    arguments = parser.parse_args()
    table = arguments.pixels.with_suffix(".csv")
    inputs = (arguments.pixels, table, arguments.annotations, *arguments.dropped)
    run_training(train, arguments, DetectionData, DetectionRecipe, inputs)


def train(job: Job[DetectionData, DetectionRecipe], arguments: argparse.Namespace) -> None:
    splits = load_boxed(job.data, pixels=arguments.pixels, annotations=arguments.annotations, dropped=arguments.dropped)
    for seed in arguments.seeds:
        train_run(job, splits, seed, partial(training_of, annotations=arguments.annotations))


if __name__ == "__main__":
    run_main(main)
