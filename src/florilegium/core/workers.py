"""Processes that work for another one, and end with it."""

import ctypes
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from threading import Thread

# Options of malloc (glibc): the largest block that comes from the heap, and how much of that stays when it is free.
# Else the buffers of each picture go back to the system, and their pages cost a quarter of a worker's time.
MALLOC = {-3: 1 << 25, -1: 1 << 28}


def worker_pool(count: int) -> ProcessPoolExecutor:
    """A pool of `count` processes that end as soon as this one has ended, be it by a kill; on Ctrl-C it ends them."""
    # spawn: this process may hold threads (BLAS, a trainer's), which a forked child must not inherit
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_start)


def _start() -> None:
    with suppress(OSError, AttributeError):  # another system
        for option, size in MALLOC.items():
            ctypes.CDLL(None).mallopt(option, size)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    parent.join()
    os._exit(1)
