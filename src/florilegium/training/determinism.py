"""Deterministic kernels on a GPU, and the guarantee that a receipt may give.

Torch has no deterministic kernel for a few operations. They run nevertheless, with a warning, and their
names are recorded for the receipt.
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
    """Ask torch for deterministic kernels in this process, and record operations that have none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    _warned_operations()


@lru_cache(maxsize=1)
def _warned_operations() -> set[str]:
    """Names of operations without a deterministic kernel that ran since the first call; it grows as they warn."""
    operations: set[str] = set()
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
            operations.add(named[1])
        else:
            show(message, category, filename, lineno, file, line)

    warnings.filterwarnings("always", message=UNREPEATABLE.pattern)
    warnings.showwarning = note
    return operations


def guarantee(device: torch.device, asked: bool) -> dict[str, Any]:
    """A receipt's statement: whether determinism was asked for, what a repetition gives, and the exceptions."""
    if device.type == "cpu":
        return {"asked": True, "guaranteed": CPU, "exceptions": []}
    if device.type != "cuda" or not asked:
        return {"asked": False, "guaranteed": NONE, "exceptions": []}
    exceptions = sorted(_warned_operations())
    return {"asked": True, "guaranteed": "nothing" if exceptions else GPU, "exceptions": exceptions}
