"""Whether this machine has a GPU, asked without importing torch."""

import shutil
from pathlib import Path


def gpu_wanted(device: str) -> bool:
    """True when trainings will take a GPU, so that a scheduler must count them."""
    if device == "auto":
        return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    return device == "cuda"
