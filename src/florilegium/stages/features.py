"""Pass every image of an experiment once through a frozen backbone, and store its features for the heads.

Reads:  packed images with their table, and first weights.
Writes: <out>/seed<seed>/features for each seed.
Why:    heads on a frozen backbone train on features many times faster than on images.
"""

from functools import partial
from itertools import chain
from pathlib import Path

from florilegium.config.data import DataUse
from florilegium.config.recipes import Recipe
from florilegium.core.errors import run_main
from florilegium.core.outputs import FEATURES
from florilegium.core.system import say
from florilegium.data.load import Splits, parts_of, write_features
from florilegium.models import registry
from florilegium.stages.arguments import run_before_training
from florilegium.training.classification import digest_of, extract, initialise_classifier
from florilegium.training.run import Job


def main() -> None:
    run_before_training("features", __doc__, "features", FEATURES, make_features)


def make_features(job: Job[DataUse, Recipe], splits: Splits, seed: int, out: Path) -> None:
    network = initialise_classifier(job, job.recipe, len(splits.classes), seed)
    backbone = digest_of(network)
    config = registry.input_config(job.model, job.recipe)
    parts = parts_of(splits).values()
    say(f"{out}: features of {sum(map(len, parts))} images")
    extracted = partial(extract, network, config=config, device=job.device, precision=job.recipe.precision)
    write_features(out, splits, chain.from_iterable(map(extracted, parts)), backbone)


if __name__ == "__main__":
    run_main(main)
