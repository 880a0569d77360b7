"""Finished results, kept until the workflow has them on its books.

Snakemake deletes the outputs of a job that it has not seen end: when it is killed at the wrong moment,
when a training outlives it, when another seed of the same job fails. So a finished run is kept beside
its state, by links that take no room, and a job that starts again takes it over.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from florilegium.core.files import digest, replacing, write_text
from florilegium.core.receipts import read_receipt

SUFFIX = ".done"
MARK = "fingerprint"
RECEIPT = "receipt.json"


def keep(results: Path, names: Sequence[str], state: Path, fingerprint: str) -> None:
    """Keep the files `names` of the folder `results`, the receipt among them, beside the folder `state`."""
    with replacing(_place(state)) as folder:
        for name in names:
            _link(results / name, folder / name)
        write_text(folder / MARK, fingerprint)


def take_over(results: Path, state: Path, fingerprint: str) -> bool:
    """Put kept files back into `results`; False when there are none, or not of this fingerprint, or when
    they are no longer what their receipt says."""
    folder = _place(state)
    try:
        if (folder / MARK).read_text(encoding="utf-8") != fingerprint:
            return False
        sums = {
            Path(name).name: facts["sha256"]
            for name, facts in read_receipt(folder / RECEIPT)["outputs"].items()
        }
        if any(digest(folder / name) != wanted for name, wanted in sums.items()):
            return False
    except (OSError, ValueError, KeyError):
        return False
    results.mkdir(parents=True, exist_ok=True)
    for name in (*sums, RECEIPT):
        (results / name).unlink(missing_ok=True)
        _link(folder / name, results / name)
    return True


def withdraw(results: Path, state: Path) -> None:
    """Take back from `results` what is kept: nobody has it on the books."""
    for path in _place(state).iterdir():
        (results / path.name).unlink(missing_ok=True)


def forget(state: Path, results: Path) -> None:
    """Let go, anywhere below `state`, of what lies in its place below `results`."""
    for folder in state.rglob(f"*{SUFFIX}"):
        place = results / folder.relative_to(state).with_suffix("")
        if all((place / path.name).exists() for path in folder.iterdir() if path.name != MARK):
            shutil.rmtree(folder)


def _place(state: Path) -> Path:
    return state.with_name(state.name + SUFFIX)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on a file system without links, or on another one
        shutil.copy2(source, target)
