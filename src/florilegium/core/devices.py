"""Which GPUs this machine has, asked without importing torch."""

import os
import shutil
import subprocess
from pathlib import Path


def gpu_wanted(device: str) -> bool:
    """True when trainings will take a GPU, so that a scheduler must count them."""
    if device == "auto":
        return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    return device == "cuda"


def visible_gpus() -> tuple[str, ...]:
    """The names by which CUDA_VISIBLE_DEVICES may choose a GPU: those that stand there, else 0, 1, …

    `nvidia-smi` counts them, since torch may not: a process that has asked CUDA anything no longer
    heeds the variable. Where there is no `nvidia-smi`, only the variable can tell.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip())
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    count = sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    return tuple(map(str, range(count)))
