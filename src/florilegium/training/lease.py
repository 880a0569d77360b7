"""Leases of GPUs: which of a machine's devices a training may use while others run beside it.

Snakemake counts GPUs and never says which. So each device has a slot file, and whoever holds its lock
has the device; the kernel frees it when the holder ends, however it ends.
"""

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from florilegium.core.devices import visible_gpus
from florilegium.core.errors import UserError
from florilegium.core.locks import lock_file
from florilegium.core.progress import say

POLL = 0.5  # seconds between two looks for a free device


@contextmanager
def leased(device: str, count: int) -> Iterator[tuple[str, ...]]:
    """Hold `count` GPUs while the body runs, and show torch no others; yields their names.

    None are leased, and all are shown, where `device` is no CUDA device, where there is no GPU, and in
    a Slurm job, which was given its own. To be called before anything asks CUDA: it reads
    CUDA_VISIBLE_DEVICES once.

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
    """Lock `count` of the slots `names` in `folder`, as soon as so many are free; yields which.

    All or nothing: two trainings that each kept one of two devices would wait for ever.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    with ExitStack() as held:
        while len(taken := _take(names, count, folder, held)) < count:
            held.close()
            if not told:
                say(f"waiting for {count} of the GPUs {', '.join(names)}: other trainings hold them")
                told = True
            time.sleep(POLL * random.uniform(0.5, 1.5))  # so that two who want several do not meet again
        yield taken


def _take(names: Sequence[str], count: int, folder: Path, held: ExitStack) -> tuple[str, ...]:
    """Up to `count` of the slots that are free, locked by files that `held` closes."""
    taken: list[str] = []
    for name in names:
        if len(taken) < count:
            path = folder / f"{name.replace('/', '-')}.lock"  # MIG devices have slashes in their names
            file = held.enter_context(open(path, "a+", encoding="utf-8"))  # noqa: SIM115
            with suppress(OSError):
                lock_file(file)
                taken.append(name)
    return tuple(taken)
