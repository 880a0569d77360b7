"""Whether the workflow that started a process is still there."""

import os
from pathlib import Path

import psutil

MARK = "FLORILEGIUM_WORKFLOW"  # an environment variable that the Snakefile sets for its jobs


def orphaned() -> bool:
    """Whether a workflow has started this process and is gone."""
    return MARK in os.environ and not any(map(_is_snakemake, psutil.Process().parents()))


def _is_snakemake(process: psutil.Process) -> bool:
    """`snakemake ...`, `python .../snakemake ...` or `python -m snakemake ...`."""
    try:
        return any(Path(part).stem == "snakemake" for part in process.cmdline()[:4])
    except psutil.Error:  # it may end while it is looked at
        return False
