"""Device, precision, threads, memory and determinism of a training process."""

import ctypes
import sys
from contextlib import suppress

import torch

from florilegium.core.errors import UserError
from florilegium.training.determinism import repeat_bits

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU if there is one. Raises `UserError` if torch does not find it."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there[name]:
        raise UserError(f"device: torch finds no '{name}' on this machine; set device to auto or cpu")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """The precision of that name; `auto` is bf16 where the hardware supports it, else fp32, which is faster than
    emulated bf16."""
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


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


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step. By default it returns large blocks to the kernel, which clears
    each page before it is used again: eleven thousand pages in a step of a slim ResNet-18."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def device_name(device: torch.device) -> str:
    """The device's name in receipts."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
