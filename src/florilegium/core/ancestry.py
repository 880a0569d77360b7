"""Whether the workflow that started a process is still there."""

from pathlib import Path

import psutil


def workflow_pid() -> int | None:
    """The nearest Snakemake above this process; None where there is none, or it has ended."""
    for process in psutil.Process().parents():
        try:
            # `snakemake ...`, `python .../snakemake ...` or `python -m snakemake ...`
            if any(Path(part).stem == "snakemake" for part in process.cmdline()[:4]):
                return process.pid
        except psutil.Error:  # it may end while it is looked at
            continue
    return None
