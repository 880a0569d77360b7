"""Processes that work for another one, and end with it."""

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from threading import Thread

# Of glibc, malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for what comes next, a step of a training or a picture. By default it returns large
    blocks to the kernel, which clears each page before it is used again: eleven thousand pages in a step of a slim
    ResNet-18, a quarter of the time in which local features of pictures are found."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def worker_pool(count: int) -> ProcessPoolExecutor:
    """A pool of `count` processes that end as soon as this one has ended, be it by a kill; on Ctrl-C it ends them."""
    # spawn: this process may hold threads (BLAS, a trainer's), which a forked child must not inherit
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_start)


def _start() -> None:
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    parent.join()
    os._exit(1)
