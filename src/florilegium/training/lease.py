"""Leases of GPUs, so that processes which run side by side on one machine use different devices.

Snakemake counts GPUs and never says which. So each device has a slot file, and the process that holds its lock
has the device; the kernel frees the lock when that process ends, however it ends.
"""

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from florilegium.core.errors import UserError
from florilegium.core.system import say, visible_gpus

POLL = 0.5  # seconds between two looks for a free device


@contextmanager
def leased(device: str, count: int) -> Iterator[tuple[str, ...]]:
    """Hold `count` GPUs while the body runs and hide all others from torch; yields their names.

    None is leased and none is hidden where `device` is no CUDA device, where there is no GPU, and in a Slurm
    job, which has GPUs of its own. Call it before anything asks CUDA, which reads CUDA_VISIBLE_DEVICES once.

    Raises:
        UserError: the machine has fewer.
    """
    from torch.backends import cuda  # a process that only waits for a slot needs no torch

    names = visible_gpus() if device in ("auto", "cuda") and cuda.is_built() else ()
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
    """The folder of slot files: one a user on each machine, whatever checkout a training runs in."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"florilegium-gpus-{owner}"


@contextmanager
def hold(names: Sequence[str], count: int, folder: Path) -> Iterator[tuple[str, ...]]:
    """Lock `count` of the slots `names` in `folder`, as soon as so many are free; yields their names.

    All or none: two trainings that each held one of two devices would wait for each other for ever.
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
