"""Find a learning rate by a range test, for one seed of an experiment's arm or several.

Reads:  packed images with their table, and first weights.
Writes: finder.csv and finder.json in <out>/seed<seed>/finder for each seed.
Why:    some studies took their rate from such a test; `recipe.lr: from_finder` does the same.
"""

from florilegium.config.data import DataUse
from florilegium.config.recipes import Recipe
from florilegium.core.errors import run_main
from florilegium.core.files import write_frame, write_json
from florilegium.core.outputs import FINDER
from florilegium.core.system import say
from florilegium.data.load import Splits
from florilegium.models import registry
from florilegium.stages.arguments import add_images, job_parser, seed_facts, untrained_job
from florilegium.stages.stage import stage
from florilegium.training.classification import initialise_classifier, task_of
from florilegium.training.lr_finder import range_test, suggest
from florilegium.training.run import Job


def main() -> None:
    parser = job_parser(__doc__)
    add_images(parser)
    arguments = parser.parse_args()
    with untrained_job(arguments) as (job, splits):
        for seed in arguments.seeds:
            folder = job.at(seed).out / "finder"
            with stage("find_lr", arguments, job.at(seed).inputs, path=folder / "receipt.json") as receipt:
                find(job, splits, seed)
                receipt.outputs += [folder / name for name in FINDER]
                receipt.facts |= seed_facts(job, seed)


def find(job: Job[DataUse, Recipe], splits: Splits, seed: int) -> None:
    """Take the test with the run's first weights and batches, and write its losses.

    Raises:
        UserError: the loss never fell.
    """
    recipe, folder = job.recipe, job.at(seed).out / "finder"
    network = initialise_classifier(job, recipe, len(splits.classes), seed)
    config = registry.input_config(job.model, recipe)
    task = task_of(splits, recipe, config, seed, job.device)
    table = range_test(network, task, recipe, seed=seed, device=job.device)
    suggestion = suggest(table, recipe)
    say(f"{folder}: suggests a rate of {suggestion:g}, after {len(table)} steps")
    write_frame(folder / "finder.csv", table)
    facts = {"suggestion": suggestion, "steps": len(table), "rates": list(recipe.finder_rates)}
    write_json(folder / "finder.json", facts)


if __name__ == "__main__":
    run_main(main)
