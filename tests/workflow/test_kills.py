"""A training that is killed goes on where it was and ends in the same bits; see `kills` for the soak."""

import random
import shutil
from pathlib import Path

from florilegium.core.files import read_json
from tests.workflow.conftest import snakemake
from tests.workflow.kills import KINDS, RUN, SEEDS, differing, options, train_with_kills


def test_kills_of_every_kind_end_in_the_bits_of_an_undisturbed_run(copy: Path):
    calm, asked = copy, options(epochs=60)
    killed = Path(shutil.copytree(calm, calm.with_name("killed"), symlinks=True))
    snakemake(calm, "--cores", "1", *asked)
    found = train_with_kills(killed, asked, list(KINDS), random.Random(), longest=8.0)
    assert set(found.by_kind) == set(KINDS)
    assert differing(calm, killed) == []
    assert any(read_json(killed / RUN / seed / "receipt.json")["resumed_from"] for seed in SEEDS)
