"""Find a learning rate by a range test, for one seed of an experiment's arm or several."""

import argparse
import json
import time

from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.core.validate import parse
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages import image_arguments
from florilegium.training.classification import task_of
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.lr_finder import range_test, suggest
from florilegium.training.machine import configure, device_name, pick_precision
from florilegium.training.results import write_table

FILES = ("finder.csv", "finder.json")


def main() -> None:
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    recipe = parse(Recipe, {**spec["recipe"], "epochs": 1}, "--spec recipe")  # the test knows none
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        job = image_arguments.job_of(arguments, spec, gpus)
        configure(job.device, recipe.threads)
        recipe = recipe.model_copy(update={"precision": pick_precision(recipe.precision, job.device)})
        splits = image_arguments.splits_of(arguments, job.section(DataUse, "data"))
        for seed in arguments.seeds:
            find(job, recipe, splits, seed)


def find(job: Job, recipe: Recipe, splits: Splits, seed: int) -> None:
    """Take the test with the run's first weights and batches, and write what it showed.

    Raises:
        UserError: the loss never fell.
    """
    started = time.time()
    folder = job.out_of(seed) / "finder"
    network = first_network(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    task = task_of(splits, recipe, config, seed, job.device)
    table = range_test(network, task, recipe, seed=seed, device=job.device)
    suggestion = suggest(table, recipe)
    say(f"{folder}: suggests a rate of {suggestion:g}, after {len(table)} steps")
    write_table(folder / "finder.csv", table)
    facts = {"suggestion": suggestion, "steps": len(table), "rates": list(recipe.finder_rates)}
    write_json(folder / "finder.json", facts)
    write_receipt(
        folder / "receipt.json",
        stage="find_lr",
        spec=job.spec,
        code=job.code,
        inputs=job.inputs_of(seed),
        outputs=[folder / name for name in FILES],
        started=started,
        seed=seed,
        device=device_name(job.device),
        gpus=list(job.gpus),
        precision=recipe.precision,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON with data, model, init and a part of the recipe")
    image_arguments.add_to_early_stage(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
