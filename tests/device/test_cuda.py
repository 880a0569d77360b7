"""Trainings on a real GPU: the same bits again, kills, leases, precisions, memory."""

import signal
import time
from pathlib import Path

import pytest
import torch

from florilegium.core.files import digest
from florilegium.training import machine

SAME = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")


def digests(out: str, seed: int = 0) -> dict[str, str]:
    return {name: digest(f"results/{out}/seed{seed}/{name}") for name in SAME}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_same_seed_gives_the_same_bits_and_learns(train, precision):
    first = train("first", precision=precision, mixup=0.2)
    train("again", precision=precision, mixup=0.2)
    assert digests("first") == digests("again")
    assert first["receipt"]["determinism"] == {"asked": True, "guaranteed": machine.GPU, "exceptions": []}
    assert torch.cuda.get_device_name() in first["receipt"]["device"]
    assert first["cost"]["precision"] == precision
    assert 0 < first["cost"]["peak_memory_bytes"] < torch.cuda.get_device_properties(0).total_memory
    assert first["metrics"]["top1"] > 0.9


def test_the_fastest_kernels_promise_nothing(train):
    told = train("fast", "--fastest-kernels")["receipt"]["determinism"]
    assert told == {"asked": False, "guaranteed": machine.NONE, "exceptions": []}


def test_a_run_on_the_gpu_follows_one_on_the_cpu(train):
    """In 32 bits, for a few steps: rounding differs, and grows from step to step."""
    short = {"epochs": 1, "epoch_steps": 3, "lr": 0.01, "precision": "fp32"}
    gpu = train("gpu", **short)["history"]
    cpu = train("cpu", "--device", "cpu", **short)["history"]
    assert gpu["train_loss"][0] == pytest.approx(cpu["train_loss"][0], rel=1e-3)
    assert gpu["val_loss"][0] == pytest.approx(cpu["val_loss"][0], rel=1e-2)


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_run_ends_in_the_bits_of_one_that_was_not(train, start, after):
    how = {"epochs": 6, "ema": 0.9}
    train("whole", **how)
    process = start("killed", **how)
    state = Path("state/killed/seed0")
    while not _epochs(state) >= after:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = train("killed", **how)
    assert resumed["receipt"]["resumed_from"] is not None
    assert digests("killed") == digests("whole")


def _epochs(state: Path) -> int:
    """The epochs that the saved state has seen; 0 while there is none."""
    try:
        saved = torch.load(state / "state.pt", map_location="cpu", weights_only=False)
        return len(saved["progress"]["history"])
    except (FileNotFoundError, EOFError, RuntimeError):
        return 0


def test_two_trainings_take_one_gpu_in_turn(start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)  # in a job, Slurm gives the devices out
    both = [start(name, epochs=4) for name in ("one", "two")]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("waiting for 1 of the GPUs 0" in text for text in said) == 1
    assert digests("one") == digests("two")


def test_memory_that_runs_out_halves_the_micro_batch(train):
    """With a share of the memory that holds the network and not its activations."""
    total = torch.cuda.get_device_properties(0).total_memory
    wanted = {"batch_size": 512, "image_size": 128, "epochs": 2, "precision": "fp32"}
    whole = train("roomy", **wanted)
    share = 0.6 * whole["cost"]["peak_memory_bytes"] / total
    tight = train("tight", memory=share, **wanted)
    assert any("micro-batches of" in text for text in tight["receipt"]["warnings"])
    assert tight["metrics"]["epochs"] == 2
