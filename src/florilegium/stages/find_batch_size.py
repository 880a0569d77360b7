"""Find the largest batch of an experiment's arm that fits into memory. It is reported, and no recipe takes it."""

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
from florilegium.report import style
from florilegium.report.figures_finders import Origin, draw_memory
from florilegium.stages import image_arguments
from florilegium.training.batch_finder import memory_limit, memory_of_batches
from florilegium.training.classification import task_of
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.machine import configure, device_name, pick_precision
from florilegium.training.results import write_table

FILES = ("batch_size.csv", "batch_size.json", "batch_size.png")


def main() -> None:
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    recipe = parse(Recipe, {**spec["recipe"], "epochs": 1}, "--spec recipe")
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        job = image_arguments.job_of(arguments, spec, gpus)
        configure(job.device, recipe.threads)
        recipe = recipe.model_copy(update={"precision": pick_precision(recipe.precision, job.device)})
        splits = image_arguments.splits_of(arguments, job.section(DataUse, "data"))
        for seed in arguments.seeds:
            find(job, recipe, splits, seed, arguments.memory_gib)


def find(job: Job, recipe: Recipe, splits: Splits, seed: int, gib: float) -> None:
    started = time.time()
    folder = job.out_of(seed) / "finder"
    limit = memory_limit(gib, job.device)
    network = first_network(job, recipe, len(splits.classes), seed)
    task = task_of(splits, recipe, registry.input_config(job.model, recipe), seed, job.device)
    table = memory_of_batches(network, task, recipe, limit=limit, device=job.device)
    largest = int(table["batch_size"].max())
    say(f"{folder}: batches of up to {largest} images fit into {limit / 2**30:.1f} GiB")
    write_table(folder / "batch_size.csv", table)
    facts = {"suggestion": largest, "memory_bytes": limit, "device": device_name(job.device)}
    write_json(folder / "batch_size.json", facts)
    label = Origin(job.spec["preset"], job.spec["comparable"])
    with style.applied():
        style.save(
            draw_memory(table, largest, limit, label, job.spec["experiment"]), folder / "batch_size.png"
        )
    write_receipt(
        folder / "batch_size.receipt.json",
        stage="find_batch_size",
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
    parser.add_argument(
        "--spec", required=True, help="JSON with data, model, init, preset and a part of the recipe"
    )
    parser.add_argument("--memory-gib", type=float, required=True, help="memory that may be filled on a CPU")
    image_arguments.add_to_early_stage(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
