"""Find a learning rate by a range test, for one seed of an experiment's arm or several."""

import argparse
import time

from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.outputs import FINDER
from florilegium.core.progress import say
from florilegium.core.recipe import Recipe
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages import untrained
from florilegium.training.classification import task_of
from florilegium.training.first_network import first_network
from florilegium.training.job import Job
from florilegium.training.lr_finder import range_test, suggest
from florilegium.training.results import write_table

FILES = FINDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    untrained.add_to(parser)
    untrained.for_each_seed(parser.parse_args(), find)


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
    untrained.write_seed_receipt(
        folder / "receipt.json", "find_lr", job, recipe, seed, outputs=FILES, started=started
    )


if __name__ == "__main__":
    run_main(main)
