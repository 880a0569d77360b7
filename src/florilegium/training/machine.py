"""What a process trains on: its device, its threads, and arithmetic that repeats."""

import os
from contextlib import suppress

import torch

from florilegium.core.errors import UserError


def pick_device(name: str) -> torch.device:
    """`auto` takes a GPU when there is one; a device that is asked for by name must exist."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there[name]:
        raise UserError(f"device: torch finds no '{name}' on this machine; set device to auto or cpu")
    return torch.device(name)


def configure(device: torch.device, threads: int) -> None:
    """Set the thread count, which changes the last bits, and on a GPU the kernels that repeat theirs."""
    torch.set_num_threads(threads)
    with suppress(RuntimeError):  # refused once parallel work has begun, and then it is set already
        torch.set_num_interop_threads(1)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = False
