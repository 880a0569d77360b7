"""The training stage as a program that may use so much memory of its own, first argument; 0 for as much as there is.

Not a test: `test_memory.py` runs it. The network is tiny, and sees the middle of large images, so that time goes into
reading them.
"""

import resource
import sys
from dataclasses import replace

import torch

from florilegium.core.errors import run_main
from florilegium.models import registry
from florilegium.stages import train
from tests.helpers.training import CONFIG, network

SIDE = 256
registry.input_config = lambda *_: replace(CONFIG, crop_pct=CONFIG.size / SIDE)
registry.build = lambda *_, **__: network(norm=False, seed=torch.initial_seed() % 1000)

if __name__ == "__main__":
    if limit := int(sys.argv.pop(1)):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    run_main(train.main)
