"""Find the largest batch of an experiment's arm that fits into memory. It is reported, and no recipe takes it."""

import argparse
import time
from functools import partial

from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.progress import say
from florilegium.core.recipe import Recipe
from florilegium.data.load import Splits
from florilegium.figures import style
from florilegium.figures.finders import Origin, draw_memory
from florilegium.models import registry
from florilegium.stages import untrained
from florilegium.training.batch_finder import memory_limit, memory_of_batches
from florilegium.training.classification import task_of
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.machine import device_name
from florilegium.training.results import write_table

FILES = ("batch_size.csv", "batch_size.json", "batch_size.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    untrained.add_to(parser)
    parser.add_argument("--memory-gib", type=float, required=True, help="memory that may be filled on a CPU")
    arguments = parser.parse_args()
    untrained.for_each_seed(arguments, partial(find, gib=arguments.memory_gib))


def find(job: Job, recipe: Recipe, splits: Splits, seed: int, *, gib: float) -> None:
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
    label = Origin(job.spec["rendered"])
    with style.applied():
        style.save(
            draw_memory(table, largest, limit, label, job.spec["experiment"]), folder / "batch_size.png"
        )
    untrained.write_seed_receipt(
        folder / "batch_size.receipt.json",
        "find_batch_size",
        job,
        recipe,
        seed,
        outputs=FILES,
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
