"""A training's place on its machine: GPUs leased one process a slot, without any GPU, and memory that is reused."""

import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import torch

from florilegium.core import system
from florilegium.core.errors import UserError
from florilegium.training import machine
from florilegium.training.machine import hold, leased

FORK = "fork" in multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("fork" if FORK else "spawn")  # a fork has torch already

# Eighty megabytes in two tensors, written and freed ten times: 19,531 pages a time, if the kernel has to give them.
STEPS = f"""
import resource, sys, torch
from {machine.__name__} import configure

def step():
    a = torch.zeros(10_000_000); b = a + 1

if sys.argv[1] == "kept":
    configure(torch.device("cpu"), 1)
for _ in range(20):  # until the heap has found its size
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


class Worker:
    """A process that holds some of two GPUs for a while: in `said`, what it took and left, each with the time."""

    def __init__(self, folder: Path, count: int, seconds: float) -> None:
        self.said = CONTEXT.Queue()
        self.process = CONTEXT.Process(target=hold_for, args=(folder, count, seconds, self.said))
        self.process.start()

    def span(self) -> tuple[tuple[str, ...], float, float]:
        (taken, start), (left, end) = self.said.get(timeout=120), self.said.get(timeout=120)
        self.process.join(60)
        assert taken == left and self.process.exitcode == 0
        return taken, start, end


def hold_for(folder: Path, count: int, seconds: float, said: Queue) -> None:
    machine.POLL = 0.02
    with hold(("0", "1"), count, folder) as taken:
        said.put((taken, time.time()))
        time.sleep(seconds)
        said.put((taken, time.time()))


@contextmanager
def free(folder: Path, count: int) -> Iterator[tuple[str, ...]]:
    """What can be had at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: pytest.fail("had to wait"))
        with hold(("0", "1"), count, folder) as taken:
            yield taken


def test_four_processes_on_two_slots_never_share_one(tmp_path):
    spans: dict[str, list[tuple[float, float]]] = {}
    for worker in [Worker(tmp_path, 1, 0.5) for _ in range(4)]:
        (slot,), start, end = worker.span()
        spans.setdefault(slot, []).append((start, end))
    assert set(spans) == {"0", "1"}
    assert sum(map(len, spans.values())) == 4
    for held in map(sorted, spans.values()):
        assert all(end <= start for (_, end), (start, _) in pairwise(held))


def test_several_at_once_are_taken_all_or_none(tmp_path):
    found = [worker.span() for worker in [Worker(tmp_path, 2, 0.2) for _ in range(3)]]
    assert {taken for taken, _, _ in found} == {("0", "1")}
    spans = sorted((start, end) for _, start, end in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_holder_that_is_killed_frees_its_slot(tmp_path):
    worker = Worker(tmp_path, 1, 60)
    assert worker.said.get(timeout=60)[0] == ("0",)
    with free(tmp_path, 1) as taken:
        assert taken == ("1",)
    worker.process.kill()
    worker.process.join(60)
    with free(tmp_path, 2) as taken:
        assert taken == ("0", "1")


def test_who_waits_says_so_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "POLL", 0.02)
    worker = Worker(tmp_path, 2, 0.5)
    worker.said.get(timeout=60)
    with hold(("0", "1"), 1, tmp_path) as taken:
        assert taken == ("0",)
    worker.process.join(60)
    assert capsys.readouterr().out == "waiting for 1 of the GPUs 0, 1: other trainings hold them\n"


@pytest.fixture
def two_gpus(tmp_path, monkeypatch) -> None:
    """Torch with CUDA, outside Slurm, on a machine with GPUs 3 and 5."""
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(machine, "slots", lambda: tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def test_torch_is_shown_what_was_leased_and_no_more(two_gpus):
    with leased("auto", 1) as first:
        assert first == ("3",)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
        os.environ["CUDA_VISIBLE_DEVICES"] = "3,5"  # as the next process finds it
        with leased("cuda", 1) as second:
            assert second == ("5",)


def lease(count: int, barrier: Barrier, shown: Queue) -> None:
    """As a job does, with all others at once."""
    barrier.wait(60)
    with leased("auto", count) as taken:
        shown.put((taken, os.environ["CUDA_VISIBLE_DEVICES"]))
        barrier.wait(60)


@pytest.mark.skipif(not FORK, reason="jobs here are forks")
@pytest.mark.parametrize("counted_by", ["CUDA_VISIBLE_DEVICES", "nvidia-smi"])
@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (2, 1, 1), (3, 1)])
def test_concurrent_jobs_get_devices_of_their_own(two_gpus, tmp_path, monkeypatch, counted_by, counts):
    """On a machine with four GPUs."""
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text('#!/bin/sh\nfor i in 0 1 2 3; do echo "GPU $i: NVIDIA X (UUID: GPU-$i)"; done\n')
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{driver.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    if counted_by == "nvidia-smi":
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    barrier, shown = CONTEXT.Barrier(len(counts)), CONTEXT.Queue()
    jobs = [CONTEXT.Process(target=lease, args=(count, barrier, shown)) for count in counts]
    for job in jobs:
        job.start()
    got = [shown.get(timeout=60) for _ in jobs]
    for job in jobs:
        job.join(60)
    assert sorted(len(taken) for taken, _ in got) == sorted(counts)
    assert sorted(name for taken, _ in got for name in taken) == ["0", "1", "2", "3"]
    assert all(visible == ",".join(taken) for taken, visible in got)


def test_nothing_is_leased_on_a_cpu_or_where_slurm_has_chosen(two_gpus, monkeypatch):
    with leased("cpu", 1) as taken:
        assert taken == ()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with leased("cuda", 2) as taken:
        assert taken == ()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


def test_more_than_the_machine_has_cannot_be_waited_for(two_gpus):
    with pytest.raises(UserError, match=r"gpus_per_training: 3 were asked for .* has 2; set it to 2 or less"):
        leased("auto", 3).__enter__()


def test_the_gpus_are_counted_by_the_driver_unless_the_variable_names_them(monkeypatch):
    listing = "GPU 0: NVIDIA X (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA X (UUID: GPU-2)\n"

    def smi(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, stdout=listing)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(system.subprocess, "run", smi)
    assert system.visible_gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2, MIG-1")
    assert system.visible_gpus() == ("GPU-2", "MIG-1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert system.visible_gpus() == ()


def test_a_machine_without_the_driver_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system.visible_gpus() == ()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep freed memory")
def test_steps_on_a_cpu_do_not_ask_the_kernel_for_their_memory_again():
    faults = {how: int(subprocess.check_output([sys.executable, "-c", STEPS, how])) for how in ("kept", "handed back")}
    assert faults["kept"] < 100 < 10_000 < faults["handed back"]
