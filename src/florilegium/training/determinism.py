"""Kernels of a GPU that repeat their bits, and what a receipt may say of them.

Torch has no repeatable kernel for a few operations. These run all the same, with a warning, and their
names are kept for the receipt.
"""

import os
import re
import warnings
from functools import lru_cache
from typing import Any, TextIO

import torch

UNREPEATABLE = re.compile(r"^(\S+) does not have a deterministic implementation")
CPU = "the same bits on the same kind of CPU with as many threads"
GPU = "the same bits on the same kind of GPU and versions"
NONE = "nothing: the fastest kernels may differ in the last bits"


def repeat_bits() -> None:
    """Ask torch for repeatable kernels in this process, and listen for operations that have none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    _listen()


@lru_cache(maxsize=1)
def _listen() -> set[str]:
    """The operations that have warned, once this is called."""
    found: set[str] = set()
    show = warnings.showwarning

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        named = UNREPEATABLE.match(str(message))
        if named:
            found.add(named[1])
        else:
            show(message, category, filename, lineno, file, line)

    warnings.filterwarnings("always", message=UNREPEATABLE.pattern)
    warnings.showwarning = note
    return found


def guarantee(device: torch.device, asked: bool) -> dict[str, Any]:
    """What a run's receipt says: what was asked for, what a repetition gives, and operations that break it."""
    if device.type == "cpu":
        return {"asked": True, "guaranteed": CPU, "exceptions": []}
    if device.type != "cuda" or not asked:
        return {"asked": False, "guaranteed": NONE, "exceptions": []}
    exceptions = sorted(_listen())
    return {"asked": True, "guaranteed": "nothing" if exceptions else GPU, "exceptions": exceptions}
