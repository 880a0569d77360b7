"""A training that is killed goes on where it was and ends in the same bits; see `kills` for the soak."""

import random
import shutil
from pathlib import Path

import pytest

from florilegium.core.files import digest, read_json
from florilegium.core.receipts import keep
from tests.helpers.kills import (
    BITS,
    KINDS,
    RUN,
    SEEDS,
    differing,
    options,
    start,
    train_with_kills,
    trainers,
    wait_for_trainer,
)
from tests.workflow.conftest import snakemake

ASKED = options(epochs=80)


@pytest.fixture(scope="module")
def calm(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which nobody disturbs the training."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("calm") / "copy", symlinks=True)
    snakemake(folder, "--cores", "1", *ASKED)
    return folder


@pytest.fixture
def other(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "other", symlinks=True))


def test_kills_of_every_kind_end_in_the_bits_of_an_undisturbed_run(calm: Path, other: Path):
    rng = random.Random()
    found = train_with_kills(other, ASKED, list(KINDS), rng, longest=1.0, trained=1.0)
    assert set(found.by_kind) == set(KINDS)
    assert differing(calm, other) == []
    assert any(read_json(other / RUN / seed / "receipt.json")["resumed_from"] for seed in SEEDS)


def test_an_orphan_and_its_successor_never_write_together(calm: Path, other: Path):
    """SIGKILL of Snakemake alone: its trainer lives on, and what it finishes is taken over."""
    process = start(other, "--cores", "1", *ASKED)
    assert wait_for_trainer(process)
    (orphan,) = trainers(process)
    process.kill()
    process.wait()
    snakemake(other, "--unlock", *ASKED)
    done = snakemake(other, "--cores", "1", *ASKED, code=None)
    if orphan.is_running():
        said = f"another process (pid {orphan.pid}) is training this run; wait for it or end it"
        assert done.returncode != 0 and said in done.stdout + done.stderr
    orphan.wait(300)
    kept = sorted((other / "state").rglob("*.done/receipt.json"))  # none where the orphan was faster than its successor
    receipts = [digest(path) for path in kept or [other / RUN / seed / "receipt.json" for seed in SEEDS]]
    snakemake(other, "--cores", "1", *ASKED)
    assert [digest(other / RUN / seed / "receipt.json") for seed in SEEDS] == receipts
    assert differing(calm, other) == []
    assert not list((other / "state").rglob("*.done"))


def test_copies_of_finished_runs_are_forgotten_where_nothing_is_due(other: Path):
    """As a Snakemake that was killed after its last job leaves them."""
    (other / "state").mkdir(exist_ok=True)
    for seed in SEEDS:
        keep(other / RUN / seed, (*BITS, "receipt.json"), other / "state" / RUN.relative_to("results") / seed, "print")
    snakemake(other, "-n", str(RUN / "seed0/metrics.json"))
    assert len(list((other / "state").rglob("*.done"))) == len(SEEDS)
    done = snakemake(other, "--cores", "1", str(RUN / "seed0/metrics.json"))
    assert "Nothing to be done" in done.stderr + done.stdout
    assert not list((other / "state").rglob("*.done"))
