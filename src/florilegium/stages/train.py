"""Train and test a classifier: one arm of an experiment, with one seed or several."""

import argparse
import json
from functools import cache, partial
from pathlib import Path
from typing import Any

from florilegium.core.errors import run_main
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.data.features import load_features
from florilegium.data.generated import with_generated
from florilegium.stages import image_arguments
from florilegium.training import parallel
from florilegium.training.classifier import train_classifier
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.machine import configure, pick_device


def main() -> None:
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    processes = spec.get("processes", 1)
    with leased(arguments.device, processes) as gpus:  # before pick_device, which asks CUDA
        job = job_of(arguments, spec, gpus)
        parallel.run(processes, job.device, train, job, arguments)


def job_of(arguments: argparse.Namespace, spec: dict[str, Any], gpus: tuple[str, ...]) -> Job:
    return Job(
        spec=spec,
        code=arguments.code,
        inputs=() if arguments.features else image_arguments.files_of(arguments),
        init=arguments.init,
        out=arguments.out,
        state=arguments.state,
        tensorboard=arguments.tensorboard,
        device=pick_device(arguments.device),
        deterministic=not arguments.fastest_kernels,
        gpus=gpus,
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
    parser.add_argument("--spec", required=True, help="JSON with data, model, recipe and perhaps processes")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt and the state")
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    image_arguments.add_to(parser)
    parser.add_argument(
        "--features", help="folder of cached features in place of images; {seed} as in --init"
    )
    parser.add_argument("--generated", help="generated images to learn from, too; {seed} as in --init")
    parser.add_argument("--finder", help="finder.json for recipe.lr = from_finder; {seed} as in --init")
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    parser.add_argument("--out", required=True, type=Path, help="folder of the arm")
    parser.add_argument("--state", required=True, type=Path, help="folder for resumable state")
    parser.add_argument("--tensorboard", type=Path, help="folder for event files")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument(
        "--fastest-kernels",
        action="store_true",
        help="on a GPU: do not ask for kernels that repeat their bits",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
