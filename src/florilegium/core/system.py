"""The machine of a run: its devices, the workflow that started it, progress on a terminal; and rounding."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import TypeVar

import psutil
from tqdm import tqdm

from florilegium.core.names import shown

MARK = "FLORILEGIUM_WORKFLOW"  # an environment variable that the Snakefile sets for its jobs
starter: int | None = None  # the process that the workflow has started for this one, which is a fork of another


def orphaned() -> bool:
    """True if the workflow that has started this process is gone."""
    return MARK in os.environ and not any(map(_is_snakemake, psutil.Process(process_number()).parents()))


def process_number() -> int:
    """The number by which others know, and end, this process."""
    return starter or os.getpid()


def _is_snakemake(process: psutil.Process) -> bool:
    """True for `snakemake ...`, `python .../snakemake ...` and `python -m snakemake ...`."""
    try:
        return any(Path(part).stem == "snakemake" for part in process.cmdline()[:4])
    except psutil.Error:  # the process may end meanwhile
        return False


def gpu_wanted(device: str) -> bool:
    """True if trainings will use a GPU, so that a scheduler must count them."""
    if device == "auto":
        return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    return device == "cuda"


def visible_gpus() -> tuple[str, ...]:
    """The names of GPUs in CUDA_VISIBLE_DEVICES, or else the numbers of all that `nvidia-smi` lists.

    Torch is not used here, because a process that has called CUDA ignores later changes of the variable.
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


T = TypeVar("T")


def bar(items: Iterable[T], label: str, unit: str = "it", total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar if standard error is a terminal; `total` is the length of `items` without a `len`."""
    total = len(items) if isinstance(items, Sized) else total
    yield from tqdm(items, desc=label, unit=unit, total=total, leave=False, disable=not sys.stderr.isatty())


def aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Rows as lines of text whose columns stand below each other; floats with four digits, names as `shown`."""
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else shown(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def say(line: str) -> None:
    """Print one line for the log, flushed at once so that `tail -f` follows it."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def twelve_digits(number: float) -> float:
    """`number` without the error of binary fractions, before it is truncated: 0.29 * 100 is 28.999999999999996."""
    return float(f"{number:.12g}")
