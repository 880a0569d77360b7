"""Trackers beside TensorBoard, and what receipts say of determinism."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from florilegium.config import study as asked
from florilegium.core.errors import UserError
from florilegium.training import machine
from florilegium.training.machine import guarantee
from florilegium.training.trackers import Trackers, WeightsAndBiases, trackers_of
from tests.helpers.training import CPU

ROWS = [
    {"epoch": 1, "lr": 0.1, "train_loss": 2.0, "val_top1": 0.25},
    {"epoch": 2, "lr": 0.1, "train_loss": 1.0, "val_top1": None},
]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working directory, in an environment that says nothing of trackers."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_MODE", asked.TRACKERS):
        monkeypatch.setenv(name, "")  # so that what the tracker sets is gone after the test
        monkeypatch.delenv(name)
    return tmp_path


class FakeRun:
    def __init__(self) -> None:
        self.rows: list[tuple[int, dict]] = []
        self.finished = False

    def log(self, values: dict, step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.finished = True


def fake_wandb(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeRun, dict]:
    run, given = FakeRun(), {}
    module = types.ModuleType("wandb")
    module.init = lambda **keys: (given.update(keys), run)[1]
    module.Settings = lambda **keys: keys
    monkeypatch.setitem(sys.modules, "wandb", module)
    return run, given


def test_a_run_is_shown_epoch_by_epoch_offline(place, monkeypatch):
    run, given = fake_wandb(monkeypatch)
    tracker = Trackers([WeightsAndBiases("demo/study/net/corrected/seed0", {"recipe": {"lr": 0.1}})])
    tracker(ROWS[:1])
    tracker(ROWS)
    tracker.close()
    assert os.environ["WANDB_MODE"] == "offline"
    assert run.rows == [(1, {"lr": 0.1, "loss/train": 2.0, "top1/val": 0.25}), (2, {"lr": 0.1, "loss/train": 1.0})]
    assert run.finished
    assert given["config"] == {"recipe": {"lr": 0.1}}
    assert given["dir"] == "logs"


def test_a_run_that_is_taken_up_again_keeps_its_identity(place, monkeypatch):
    names = []
    for _ in range(2):
        _, given = fake_wandb(monkeypatch)
        WeightsAndBiases("demo/a/b/c/seed0", {}).add(ROWS)
        names.append(given["id"])
    assert names[0] == names[1]
    WeightsAndBiases("demo/a/b/c/seed1", {}).add(ROWS)
    assert given["id"] != names[0]


def test_whoever_wants_it_online_says_so_in_the_environment(place, monkeypatch):
    fake_wandb(monkeypatch)
    monkeypatch.setenv("WANDB_MODE", "online")
    WeightsAndBiases("x", {}).add(ROWS)
    assert os.environ["WANDB_MODE"] == "online"


def test_tensorboard_is_always_there_and_others_are_where_they_are_asked_for(place):
    name = "demo/study/net/corrected/seed3"
    assert [type(t).__name__ for t in trackers_of(name, {}, place / "events").trackers] == ["TensorBoard"]
    asked.request_trackers(("wandb",))
    found = trackers_of(name, {}, place / "events").trackers
    assert [type(t).__name__ for t in found] == ["TensorBoard", "WeightsAndBiases"]
    assert found[1].name == name


def test_no_training_ends_for_a_tracker_that_fails(capsys):
    class Broken:
        def add(self, rows):
            raise ConnectionError("no network")

        def close(self):
            raise AssertionError("was left out")

    seen: list[int] = []

    class Working:
        def add(self, rows):
            seen.append(len(rows))

        def close(self):
            seen.append(-1)

    both = Trackers([Broken(), Working()])
    both(ROWS[:1])
    both(ROWS)
    both.close()
    assert seen == [1, 1, -1]
    assert "Broken fails and is left out of this run: no network" in capsys.readouterr().out


def test_a_tracker_that_is_not_installed_is_told_of_at_once(monkeypatch):
    monkeypatch.setattr(asked, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="trackers: wandb is not installed; pip install wandb"):
        asked.check_trackers(["wandb"], "config.yaml")
    asked.check_trackers([], "config.yaml")


def test_receipts_say_what_a_repetition_gives():
    cuda = torch.device("cuda")
    assert guarantee(CPU, True)["guaranteed"].startswith("the same bits on the same kind of CPU")
    assert guarantee(cuda, True) == {
        "asked": True,
        "guaranteed": "the same bits on the same kind of GPU and versions",
        "exceptions": [],
    }
    assert guarantee(cuda, False)["guaranteed"].startswith("nothing")


def test_operations_without_a_repeatable_kernel_are_named():
    code = (
        f"import torch, {machine.__name__} as machine; machine.repeat_bits(); "
        "torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0])); "
        "print(machine.guarantee(torch.device('cuda'), True))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'guaranteed': 'nothing'" in done.stdout
    assert "put_" in done.stdout
