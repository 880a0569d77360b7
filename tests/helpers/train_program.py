"""The training stage as a program, on a tiny network without batch normalisation.

Not a test: `test_parallel.py` runs it, since a training in several processes starts itself anew
from its main module.
"""

import torch

from florilegium.core.errors import run_main
from florilegium.models import registry
from florilegium.stages import train
from tests.helpers.training import CONFIG, network

registry.input_config = lambda *_: CONFIG
registry.build = lambda *_, **__: network(norm=False, seed=torch.initial_seed() % 1000)

if __name__ == "__main__":
    run_main(train.main)
