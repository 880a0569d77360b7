"""Find a learning rate by a range test, for one seed of an experiment's arm or several.

Reads:  packed images with their table, and first weights.
Writes: finder.csv and finder.json in <out>/seed<seed>/finder for each seed.
Why:    some studies took their rate from such a test; `recipe.lr: from_finder` does the same.
"""

from pathlib import Path

from florilegium.config.data import DataUse
from florilegium.config.recipes import Recipe
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.outputs import FINDER
from florilegium.core.system import say
from florilegium.core.tables import write_frame
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages.arguments import run_before_training
from florilegium.training.classification import initialise_classifier, task_of
from florilegium.training.lr_finder import range_test, suggest
from florilegium.training.run import Job


def main() -> None:
    run_before_training("find_lr", __doc__, "finder", FINDER, find)


def find(job: Job[DataUse, Recipe], splits: Splits, seed: int, out: Path) -> None:
    """Take the test with the run's first weights and batches, and write its losses.

    Raises:
        UserError: the loss never fell.
    """
    recipe = job.recipe
    network = initialise_classifier(job, recipe, len(splits.classes), seed)
    task = task_of(splits, recipe, registry.input_config(job.model, recipe), seed, job.device)
    table = range_test(network, task, recipe, seed=seed, device=job.device)
    suggestion = suggest(table, recipe)
    say(f"{out}: suggests a rate of {suggestion:g}, after {len(table)} steps")
    write_frame(out / "finder.csv", table)
    facts = {"suggestion": suggestion, "steps": len(table), "rates": list(recipe.finder_rates)}
    write_json(out / "finder.json", facts)


if __name__ == "__main__":
    run_main(main)
