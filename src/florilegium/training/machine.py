"""The device of a training: its choice, its lease, its seeds, and the settings that make its bits repeat."""

import hashlib
import os
import random
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from florilegium.core.errors import UserError
from florilegium.core.system import say, visible_gpus
from florilegium.core.workers import keep_freed_memory


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU if there is one. Raises `UserError` if torch does not find it."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there[name]:
        raise UserError(f"device: torch finds no '{name}' on this machine; set device to auto or cpu")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """The precision of that name; `auto` is bf16 where the hardware has it, else fp32: emulated bf16 is slower."""
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def device_name(device: torch.device) -> str:
    """The device's name in receipts."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def configure(device: torch.device, threads: int, *, deterministic: bool = True) -> None:
    """Set the thread count, which changes the last bits, and on a GPU choose deterministic or the fastest kernels.
    On a CPU, keep freed memory."""
    torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_freed_memory()
    with suppress(RuntimeError):  # refused once parallel work has begun, and then it is set already
        torch.set_num_interop_threads(1)
    if device.type == "cuda" and deterministic:
        repeat_bits()
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True


# Deterministic kernels

UNREPEATABLE = re.compile(r"^(\S+) does not have a deterministic implementation")
CPU = "the same bits on the same kind of CPU with as many threads"
GPU = "the same bits on the same kind of GPU and versions"
NONE = "nothing: the fastest kernels may differ in the last bits"


def repeat_bits() -> None:
    """Ask torch for deterministic kernels in this process, and record operations that have none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
    torch.backends.cudnn.benchmark = False
    _warned_operations()


@lru_cache(maxsize=1)
def _warned_operations() -> set[str]:
    """Names of operations without a deterministic kernel that ran since the first call; it grows as they warn."""
    operations: set[str] = set()
    show = warnings.showwarning

    def note(message: Warning | str, *others: Any, **named: Any) -> None:
        operation = UNREPEATABLE.match(str(message))
        if operation:
            operations.add(operation[1])
        else:
            show(message, *others, **named)

    warnings.filterwarnings("always", message=UNREPEATABLE.pattern)
    warnings.showwarning = note
    return operations


def guarantee(device: torch.device, requested: bool) -> dict[str, Any]:
    """A receipt's statement: whether determinism was asked for, what a repetition gives, and the exceptions."""
    if device.type == "cpu":
        return {"asked": True, "guaranteed": CPU, "exceptions": []}
    if device.type != "cuda" or not requested:
        return {"asked": False, "guaranteed": NONE, "exceptions": []}
    exceptions = sorted(_warned_operations())
    return {"asked": True, "guaranteed": "nothing" if exceptions else GPU, "exceptions": exceptions}


# Random numbers


def derive(seed: int, *parts: int | str) -> int:
    """A 63-bit seed for the purpose that `parts` name; nearby seeds and parts give unrelated values."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's default generators, the host's and every device's, for one step."""
    torch.manual_seed(derive(seed, "step", epoch, step))


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of `count` images in an epoch: a permutation, int64 (count,), on the host."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive(seed, "order", epoch)))


# Leases

POLL = 0.5  # seconds between two looks for a free device


@contextmanager
def leased(device: str, count: int) -> Iterator[tuple[str, ...]]:
    """Hold `count` GPUs while the body runs and hide all others from torch; yields their names.

    None is leased and none is hidden where `device` is no CUDA device, where there is no GPU, and in a Slurm
    job, which has GPUs of its own. Call it before anything asks CUDA, which reads CUDA_VISIBLE_DEVICES once.

    Raises:
        UserError: the machine has fewer.
    """
    names = visible_gpus() if device in ("auto", "cuda") and torch.backends.cuda.is_built() else ()
    if names and len(names) < count:
        raise UserError(
            f"gpus_per_training: {count} were asked for and CUDA_VISIBLE_DEVICES or this machine has "
            f"{len(names)}; set it to {len(names)} or less"
        )
    if not names or "SLURM_JOB_ID" in os.environ:
        yield ()
        return
    with hold(names, count, slots()) as taken:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        yield taken


def slots() -> Path:
    """The folder of slot files: one per user and machine, for trainings of all checkouts."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"florilegium-gpus-{owner}"


@contextmanager
def hold(names: Sequence[str], count: int, folder: Path) -> Iterator[tuple[str, ...]]:
    """Lock `count` of the slots `names` in `folder`, as soon as so many are free; yields their names.

    All or none: two trainings that each held one of two devices would never end their wait for each other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    with ExitStack() as locks:
        while len(taken := _take(names, count, folder, locks)) < count:
            locks.close()
            if not waiting:
                say(f"waiting for {count} of the GPUs {', '.join(names)}: other trainings hold them")
                waiting = True
            time.sleep(POLL * random.uniform(0.5, 1.5))  # at random, so that two that want several part
        yield taken


def _take(names: Sequence[str], count: int, folder: Path, locks: ExitStack) -> tuple[str, ...]:
    """Names of up to `count` slots that were free; `locks` releases them."""
    taken: list[str] = []
    for name in names:
        if len(taken) < count:
            path = folder / f"{name.replace('/', '-')}.lock"  # MIG devices have slashes in their names
            with suppress(Timeout):
                locks.enter_context(FileLock(path, blocking=False))
                taken.append(name)
    return tuple(taken)
