"""Jobs of the workflow that start as forks; see tests/core/test_warm.py for what a fork is."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import psutil
import pytest

from florilegium.core import warm, warm_server
from florilegium.core.files import read_json
from tests.helpers.kills import RUN, SEEDS, differing, options, start, trainers, wait_for_trainer
from tests.workflow.conftest import snakemake

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server needs Linux")
LOG = Path("logs/train", *RUN.parts[1:], "seed0_1.log")


def test_a_run_is_the_same_after_a_cold_start(finished: Path, copy: Path):
    """Without its hooks, Snakemake starts no server."""
    shutil.rmtree(copy / RUN)
    snakemake(copy, "--no-hooks", "--cores", "1", str(RUN / "seed0/metrics.json"))
    assert differing(finished, copy) == []
    for seed in SEEDS:
        receipts = [read_json(folder / RUN / seed / "receipt.json") for folder in (finished, copy)]
        for receipt in receipts:
            del receipt["seconds"], receipt["outputs"][f"{RUN}/{seed}/cost.json"]
        assert receipts[0] == receipts[1]
    logs = [re.sub(r"\d+ images/s", "", (folder / LOG).read_text()) for folder in (finished, copy)]
    assert logs[0] == logs[1] and "epoch 1/" in logs[0]


def test_nothing_is_left_of_a_workflow_that_is_ended(copy: Path):
    process = start(copy, "--cores", "1", *options(epochs=200))
    assert wait_for_trainer(process)
    (client,) = trainers(process)
    assert warm.__name__.rpartition(".")[2] in Path(client.cmdline()[2]).stem
    below = psutil.Process(process.pid).children(recursive=True)
    servers = [child for child in below if warm_server.__name__ in child.cmdline()]
    assert servers
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()
    _, left = psutil.wait_procs([client, *servers], timeout=60)
    assert not left
