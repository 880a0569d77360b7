"""What the stages share that make something of a network before its training: features, and what finders find."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from florilegium.core.receipts import write_receipt
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.core.validate import parse
from florilegium.data.load import Splits
from florilegium.stages import image_arguments
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.machine import configure, device_name, pick_device, pick_precision


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON with data, model, init and a part of the recipe")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    image_arguments.add_to(parser)
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    parser.add_argument("--out", required=True, type=Path, help="folder of the arm")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def for_each_seed(arguments: argparse.Namespace, make: Callable[[Job, Recipe, Splits, int], None]) -> None:
    """Call `make` for every seed, on a device that is leased, with the recipe's precision decided."""
    spec = json.loads(arguments.spec)
    recipe = parse(Recipe, {**spec["recipe"], "epochs": 1}, "--spec recipe")  # such a stage knows no epochs
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        job = Job(
            spec=spec,
            code=arguments.code,
            inputs=image_arguments.files_of(arguments),
            init=arguments.init,
            out=arguments.out,
            state=arguments.out,
            tensorboard=None,
            device=pick_device(arguments.device),
            gpus=gpus,
        )
        configure(job.device, recipe.threads)
        recipe = recipe.model_copy(update={"precision": pick_precision(recipe.precision, job.device)})
        splits = image_arguments.splits_of(arguments, job.section(DataUse, "data"))
        for seed in arguments.seeds:
            make(job, recipe, splits, seed)


def write_seed_receipt(
    path: Path, stage: str, job: Job, recipe: Recipe, seed: int, *, outputs: Sequence[str], started: float
) -> None:
    """The receipt of `outputs`, names of files beside `path`."""
    write_receipt(
        path,
        stage=stage,
        spec=job.spec,
        code=job.code,
        inputs=job.inputs_of(seed),
        outputs=[path.with_name(name) for name in outputs],
        started=started,
        seed=seed,
        device=device_name(job.device),
        gpus=list(job.gpus),
        precision=recipe.precision,
    )
