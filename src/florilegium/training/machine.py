"""What a process trains on: its device, its precision, its threads, and arithmetic that repeats."""

from contextlib import suppress

import torch

from florilegium.core.errors import UserError
from florilegium.training.determinism import repeat_bits


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
    or the fastest."""
    torch.set_num_threads(threads)
    with suppress(RuntimeError):  # refused once parallel work has begun, and then it is set already
        torch.set_num_interop_threads(1)
    if device.type == "cuda" and deterministic:
        repeat_bits()
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def device_name(device: torch.device) -> str:
    """What receipts call the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
