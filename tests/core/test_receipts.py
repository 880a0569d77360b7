"""Finished results outlive a workflow that forgets them, and nothing else."""

import shutil
from pathlib import Path

import pytest

from florilegium.core import receipts
from florilegium.core.files import write_text
from florilegium.core.receipts import write_receipt

NAMES = ("metrics.json", "receipt.json")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A finished run, kept, and the folder of its state."""
    monkeypatch.chdir(tmp_path)
    results, state = Path("results/study/arm/seed0"), Path("state/study/arm/seed0")
    write_text(results / "metrics.json", "{}")
    write_receipt(
        results / "receipt.json", stage="train", spec={}, code="c0de", inputs=[],
        outputs=[results / "metrics.json"], started=0.0,
    )  # fmt: skip
    receipts.keep(results, NAMES, state, "print")
    return results, state


def test_deleted_results_come_back_without_taking_room_before(run):
    results, state = run
    assert (results / "metrics.json").samefile(state.with_name("seed0.done") / "metrics.json")
    shutil.rmtree("results")
    assert receipts.take_over(results, state, "print")
    assert sorted(path.name for path in results.iterdir()) == list(NAMES)


def test_what_nobody_waits_for_is_withdrawn_and_taken_over_later(run):
    results, state = run
    receipts.withdraw(results, state)
    assert not list(results.iterdir())
    assert receipts.take_over(results, state, "print")
    assert (results / "metrics.json").exists()


def test_results_of_another_configuration_do_not(run):
    assert not receipts.take_over(*run, "other")


def test_nor_do_damaged_ones(run):
    results, state = run
    (state.with_name("seed0.done") / "metrics.json").write_text("[]")
    assert not receipts.take_over(results, state, "print")


def test_without_links_they_are_copied(run, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    results, state = run
    receipts.keep(results, NAMES, state, "print")
    shutil.rmtree("results")
    assert receipts.take_over(results, state, "print")
    assert (results / "metrics.json").read_text() == "{}"


def test_only_what_is_in_its_place_is_forgotten(run):
    results, state = run
    (results / "receipt.json").unlink()
    receipts.discard_kept(Path("state"), Path("results"))
    assert receipts.take_over(results, state, "print")
    receipts.discard_kept(Path("state"), Path("results"))
    assert not list(Path("state").rglob("*.done"))
    receipts.discard_kept(Path("nowhere"), Path("results"))


def test_what_the_workflow_has_not_recorded_is_not_forgotten(run):
    """Snakemake would delete it in its place."""
    receipts.discard_kept(Path("state"), Path("results"), lambda files: not any("metrics" in file for file in files))
    assert receipts.take_over(*run, "print")
    receipts.discard_kept(Path("state"), Path("results"), lambda files: all(Path(file).exists() for file in files))
    assert not list(Path("state").rglob("*.done"))
