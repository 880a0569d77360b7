"""One training in several processes, each on a GPU of its own, by DistributedDataParallel.

The first process is the one that was started. It alone writes files and log lines, holds the lock of the state,
handles signals and validates; it starts the others, its helpers, and they end with it, however it ends. Its
decisions (to save, to stop) and validation scores are sent to all, since none can go on without the others.

Every process reads and augments the whole batch with the same random numbers, then learns from its own rows:
crops, colours and mixed pairs are those of a single process, at the price of augmenting more than once. The
network's own random numbers (dropout, drop path) differ from process to process. Batch normalisation counts over
all processes on CUDA (SyncBatchNorm), and over a process's own rows on a CPU, for which torch has no SyncBatchNorm.
With accumulation, gradients are averaged after each micro-batch.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from tqdm import tqdm

from florilegium.core.errors import FAULT, UserError
from florilegium.training.machine import derive

T = TypeVar("T")
NEVER = timedelta(days=365)  # no delay is a fault, since all processes end when one dies
GRACE = 60.0  # seconds for the first process to end a helper that raised the same error


def run(count: int, device: torch.device, body: Callable[..., None], *arguments: object) -> None:
    """Call `body(*arguments)` in `count` processes, of which this is the first.

    A `device` without an index means the device of each process's rank. A helper that dies ends this process
    with exit code 3; the state then holds the last save.

    Raises:
        UserError: the device cannot be shared out.
    """
    if count == 1:
        body(*arguments)
        return
    if device.type == "mps":
        raise UserError(f"gpus_per_training: {count} were asked for and Apple's GPU is one; set it to 1")
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        watchers = []
        for rank in range(1, count):
            helper = context.Process(target=_help, args=(theirs, (rank, count, device, meeting), body, arguments))
            helper.start()
            watchers.append(threading.Thread(target=_watch, args=(helper,), daemon=True))
            watchers[-1].start()
        try:
            _join(0, count, device, meeting)
            body(*arguments)
        finally:
            ours.close()
            for watcher in watchers:
                watcher.join()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _join(rank: int, count: int, device: torch.device, meeting: Path) -> None:
    """Enter the process group, whose members meet at a file."""
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(rank)
        backend = "cpu:gloo,cuda:nccl"  # decisions are agreed on by the hosts, no device waits for them
    store = distributed.FileStore(str(meeting), count)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=NEVER)


def _help(link: Connection, group: tuple[Any, ...], body: Callable[..., None], arguments: tuple[object, ...]) -> None:
    """Run a helper: without output, ignoring signals, until the first process closes `link`."""
    threading.Thread(target=_end_with, args=(link,), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())  # the default is a system semaphore, which a sudden end leaks
    errors = sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            _join(*group)
            body(*arguments)
        except SystemExit:  # all were asked to stop
            pass
        except UserError:  # the first process raises and reports the same
            time.sleep(GRACE)
            raise
        except Exception:
            traceback.print_exc(file=errors)
            os._exit(1)
        distributed.destroy_process_group()


def _end_with(link: Connection) -> None:
    with suppress(EOFError):
        link.recv()
    os._exit(0)


def _watch(helper: BaseProcess) -> None:
    helper.join()
    if helper.exitcode:
        print(
            f"error: a process of this training died (exit code {helper.exitcode}); the same command goes "
            "on where the state was saved last",
            file=sys.stderr,
            flush=True,
        )
        os._exit(FAULT)


# Among all processes


def size() -> int:
    """The number of processes of this training."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them; 0 is the first."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def shared(value: T) -> T:
    """The first process's `value`, in every process."""
    if size() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]


def agreed(number: int) -> int:
    """As `shared`, for a number, and cheap enough for every step."""
    if size() == 1:
        return number
    sent = torch.tensor(number)
    distributed.broadcast(sent, 0)
    return int(sent)


def total(numbers: Tensor) -> Tensor:
    """The sum of `numbers` over all processes, in place; on CUDA no host waits for it."""
    if size() > 1:
        distributed.all_reduce(numbers)
    return numbers


def replica(network: nn.Module) -> nn.Module:
    """This process's replica of `network`, to be called in its place: `backward` leaves the mean gradient of all."""
    if size() == 1:
        return network
    if next(network.parameters()).is_cuda:
        from timm.layers import convert_sync_batchnorm  # torch's own drops the activations of timm's layers

        convert_sync_batchnorm(network)
    return nn.parallel.DistributedDataParallel(network)


def share(part: slice) -> slice:
    """This process's rows of the images in `part`: as many as each other process has, or one more or less."""
    count = part.stop - part.start
    first, last = (part.start + count * edge // size() for edge in (rank(), rank() + 1))
    return slice(first, last)


def check_shares(images: int) -> None:
    """Refuse micro-batches of `images` that leave a process without any, or with one (which has no variance)."""
    if images < 2 * size() > 2:
        raise UserError(
            f"gpus_per_training: {size()} processes cannot share a micro-batch of {images} images, each needs "
            "two; raise recipe.batch_size, or lower recipe.accumulate or gpus_per_training"
        )


def draw_apart() -> None:
    """Give the helpers other random numbers until the next seed, or dropout would repeat in every share."""
    if rank() > 0:
        torch.manual_seed(derive(torch.initial_seed(), "process", rank()))
