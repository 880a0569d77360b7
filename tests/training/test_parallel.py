"""One training in two processes, over gloo on the CPU: the same curve as one, and the same care with kills."""

import json
import os
import signal
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from florilegium.core.errors import FAULT, UserError
from florilegium.training import parallel
from florilegium.training.task import steps_per_pass
from tests.conftest import PROJECT
from tests.helpers import forks, training

EPOCHS = 40
STEPS = 5  # an epoch, of 36 images in batches of 7; the last one is left out
PROGRAM = PROJECT / "tests" / "helpers" / "train_program.py"  # not imported: it replaces the registry
AUGMENTED = {
    "epochs": 4,
    "batch_size": 7,  # which two processes share unequally
    "lr": 0.05,
    "randaugment": 1,
    "random_erasing": 0.5,
    "mixup": 0.4,
    "cutmix": 1.0,
    "clip_norm": 1.0,
    "ema": 0.9,
}


@pytest.fixture
def workdir(tmp_path) -> Path:
    """A working directory with packed pixels."""
    some = training.images(60)
    names = [f"{'abc'[label]}/{name}" for label, name in zip(some.labels, some.names, strict=True)]
    np.save(tmp_path / "pixels8.npy", some.pixels.numpy())
    pd.DataFrame({"image": names}).to_csv(tmp_path / "pixels8.csv", index=False)
    split = np.array(["train", "train", "train", "val", "test"])[np.arange(60) // 3 % 5]
    table = pd.DataFrame({"image": names, "class": [n[0] for n in names], "split": split})
    table.to_csv(tmp_path / "images.csv", index=False)
    (tmp_path / "images.json").write_text('{"classes": ["a", "b", "c"]}')
    return tmp_path


def start(workdir: Path, arm: str, processes: int, **changes: object) -> forks.Fork:
    spec = {
        "data": {"dataset": "tiny", "storage_size": 8},
        "model": {"name": "tiny", "arguments": {}},
        "recipe": AUGMENTED | changes,
    }
    if processes > 1:
        spec["processes"] = processes
    options = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", "0", "--device", "cpu"]
    options += ["--pixels", "pixels8.npy", "--images", "images.csv"]
    options += ["--out", f"results/{arm}", "--state", f"state/{arm}"]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}
    return forks.start(forks.TORCH, str(PROGRAM), *options, folder=workdir, variables=variables)


def finish(process: forks.Fork) -> str:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, out + errors
    return out


def read(workdir: Path, arm: str) -> tuple[pd.DataFrame, dict, dict]:
    """History, weights and receipt of a run."""
    folder = workdir / "results" / arm / "seed0"
    receipt = json.loads((folder / "receipt.json").read_text())
    return pd.read_csv(folder / "history.csv"), load_file(folder / "checkpoint.safetensors"), receipt


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "batch_size": 8, "optimizer": "adamw", "lr": 0.01}])
def test_two_processes_learn_what_one_learns(workdir, changes):
    said = finish(start(workdir, "one", 1, **changes)), finish(start(workdir, "two", 2, **changes))
    one, two = (read(workdir, arm) for arm in ("one", "two"))
    for column in ("lr", "train_loss", "val_loss", "val_top1"):
        np.testing.assert_allclose(two[0][column], one[0][column], rtol=1e-5)
    np.testing.assert_allclose(two[0]["train_top1"], one[0]["train_top1"], rtol=1e-5)
    for name, tensor in one[1].items():
        torch.testing.assert_close(two[1][name], tensor, rtol=1e-4, atol=1e-6)
    assert "processes" not in one[2]["spec"]
    assert two[2]["spec"]["processes"] == 2
    assert two[2]["gpus"] == []
    assert [len(text.splitlines()) for text in said] == [5, 5]  # a helper says nothing


def wait_for_epoch(process: forks.Fork, epoch: int) -> None:
    while line := process.stdout.readline():
        if line.startswith(f"epoch {epoch}/"):
            return
    pytest.fail(process.stderr.read())


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_request_to_stop_ends_both_and_the_next_run_goes_on(workdir):
    finish(start(workdir, "whole", 2, epochs=EPOCHS))
    for epoch, ask in ((3, os.kill), (9, os.killpg)):  # the first process alone, then its helper as well
        process = start(workdir, "pieces", 2, epochs=EPOCHS)
        wait_for_epoch(process, epoch)
        ask(process.pid, signal.SIGTERM)
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM, out + errors
        assert "the same command goes on at" in out
        assert errors == ""
        assert alone(process.pid)
    finish(start(workdir, "pieces", 2, epochs=EPOCHS))
    whole, pieces = read(workdir, "whole"), read(workdir, "pieces")
    assert 9 * STEPS <= pieces[2]["resumed_from"] < EPOCHS * STEPS
    assert whole[0].equals(pieces[0])
    assert training.same_bits(whole[1], pieces[1])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("who", ["first", "helper"])
def test_when_one_is_killed_the_other_ends(workdir, who):
    process = start(workdir, "pieces", 2, epochs=100_000)
    wait_for_epoch(process, 2)
    victim = process.pid if who == "first" else helper_of(process.pid)
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == (-signal.SIGKILL if who == "first" else FAULT)
    assert alone(process.pid)
    if who == "helper":
        assert "error: a process of this training died (exit code -9); the same command goes on" in errors


def helper_of(pid: int) -> int:
    """The child that trains, not the one in which multiprocessing tracks its resources."""
    import psutil

    (found,) = (c.pid for c in psutil.Process(pid).children() if "spawn_main" in " ".join(c.cmdline()))
    return found


def alone(group: int) -> bool:
    """Whether the process group is empty, after at most ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_divergence_is_one_for_all(workdir):
    finish(start(workdir, "two", 2, lr=1e30, clip_norm=None))
    assert read(workdir, "two")[2]["warnings"] == ["training diverged in epoch 1"]


def test_a_mistake_is_told_once(workdir):
    process = start(workdir, "two", 2, batch_size=3)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith("error: gpus_per_training: 2 processes cannot share a micro-batch of 3 images")


@pytest.fixture
def three(monkeypatch):
    """As if this were the second of three processes."""
    monkeypatch.setattr(parallel, "size", lambda: 3)
    monkeypatch.setattr(parallel, "rank", lambda: 1)


def test_shares_cover_a_batch_in_order(three, monkeypatch):
    for count in range(3, 20):
        rows = []
        for rank in range(3):
            monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
            rows.append(list(range(50))[parallel.share(slice(7, 7 + count))])
        assert [*chain(*rows)] == list(range(7, 7 + count))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_fewer_images_than_processes_are_left_over(three):
    assert [steps_per_pass(n, 8) for n in (16, 17, 18, 19)] == [2, 2, 2, 3]


def test_helpers_draw_dropout_of_their_own(three):
    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    parallel.draw_apart()
    other = torch.rand(3)
    torch.manual_seed(5)
    parallel.draw_apart()
    assert not torch.equal(first, other)
    assert torch.equal(other, torch.rand(3))


def test_apples_gpu_is_not_shared_out():
    with pytest.raises(UserError, match=r"gpus_per_training: 2 were asked for .* set it to 1"):
        parallel.run(2, torch.device("mps"), print)
