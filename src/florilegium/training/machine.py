"""What a process trains on: its device, its precision, its threads, its memory, and arithmetic that repeats."""

import ctypes
import sys
from contextlib import suppress

import torch

from florilegium.core.errors import UserError
from florilegium.training.determinism import repeat_bits

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def pick_device(name: str) -> torch.device:
    """`auto` takes a GPU when there is one; a device that is asked for by name must exist."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there[name]:
        raise UserError(f"device: torch finds no '{name}' on this machine; set device to auto or cpu")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` is bf16 where the hardware multiplies in it, else fp32: emulated, it is slower than that."""
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def configure(device: torch.device, threads: int, *, deterministic: bool = True) -> None:
    """Set the thread count, which changes the last bits, and on a GPU the kernels: those that repeat theirs,
    or the fastest. On a CPU, keep freed memory."""
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
    """Have glibc keep what torch frees, for the next step. Otherwise it hands large tensors back to the kernel, which
    clears each page before it gives it out again: eleven thousand of them in a step of a slim ResNet-18."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def device_name(device: torch.device) -> str:
    """What receipts call the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
