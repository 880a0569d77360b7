"""Train and test a detector: one arm of an experiment, with one seed or several."""

import argparse
from pathlib import Path

from florilegium.core.detection import DetectionData
from florilegium.core.detection_recipe import DetectionRecipe
from florilegium.core.errors import run_main
from florilegium.data.boxed_load import load_boxed
from florilegium.stages import training_arguments
from florilegium.training.detector import train_detector
from florilegium.training.job import Job
from florilegium.training.machine import configure


def main() -> None:
    arguments = parse_arguments()
    table = arguments.pixels.with_suffix(".csv")
    inputs = (arguments.pixels, table, arguments.annotations, *arguments.dropped)
    training_arguments.run(arguments, inputs, train)


def train(job: Job, arguments: argparse.Namespace) -> None:
    configure(job.device, job.section(DetectionRecipe, "recipe").threads, deterministic=job.deterministic)
    splits = load_boxed(
        job.section(DetectionData, "data"),
        pixels=arguments.pixels,
        annotations=arguments.annotations,
        dropped=arguments.dropped,
    )
    for seed in arguments.seeds:
        train_detector(job, splits, arguments.annotations, seed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    training_arguments.add_to(parser)
    parser.add_argument("--pixels", required=True, type=Path, help="packed images, scenes<packing>.npy")
    parser.add_argument("--annotations", required=True, type=Path, help="annotations.json of the data set")
    parser.add_argument(
        "--dropped", type=Path, nargs="+", default=[], help="tables of images not to train on"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
