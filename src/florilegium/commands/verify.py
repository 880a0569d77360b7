"""Check that results, and the files they were made from, still agree with their receipts."""

import argparse
import sys
from collections.abc import Set
from pathlib import Path

from florilegium.core.errors import FINDING, exit_codes

DESCRIPTION = f"""\
Hash again every file that a receipt below PATH names, follow their inputs into resources/, down to the
pictures of every data set and the archives that they came in, and name every file that is changed, missing,
added, or made from another version of an input; and what killed processes have left. `snakemake -n` says
whether the results are those of the present configuration and code.

{exit_codes("some files do not agree", "all agree")}"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "verify", help=__doc__, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="results/, or any folder or file below it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the files that disagree, then what else is worth knowing, and a count; `FINDING` when a file disagrees."""
    from florilegium.core.lineage import open_ledger
    from florilegium.core.verification import verify

    found = verify(*open_ledger(args.path))
    for fault in found.faults:
        print(fault, file=sys.stderr)
    for name in found.unnamed:
        print(f"{name}: no receipt names this file")
    for name in found.absent:
        print(f"{name}: is no longer there, so that only the files that were made of it are verified")
    for name in found.leftovers:
        print(f"{name}: left by a process that was killed, or being written now; the next run clears it")
    parts = [f"{_count(found.files, found.unfit)} of {len(found.receipts):,} receipts"]
    if found.listed:
        parts.append(f"{_count(found.listed, found.unfit)} of {len(found.listings):,} data sets and downloads")
    print(f"{' and '.join(parts)} fit")
    return FINDING if found.faults else 0


def _count(names: Set[str], unfit: Set[str]) -> str:
    n, fit = len(names), len(names - unfit)
    return f"{fit:,} {f'of {n:,} ' if fit < n else ''}files"
