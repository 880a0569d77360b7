"""Processes that work for another one, and end with it."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from threading import Thread


def worker_pool(count: int) -> ProcessPoolExecutor:
    """A pool of `count` processes that end as soon as this one has ended, be it by a kill; on Ctrl-C it ends them."""
    # spawn: this process may hold threads (BLAS, a trainer's), which a forked child must not inherit
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    parent.join()
    os._exit(1)
