"""Check that results, and the files they were made from, still agree with their receipts."""

import argparse
import sys
from pathlib import Path

UNFIT = 1
DESCRIPTION = """\
Hash again every file that a receipt below PATH names, follow their inputs into resources/, and name
every file that is changed, missing, or made from another version of an input. `snakemake -n` says
whether the results are those of the present configuration and code."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "verify", help=__doc__, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="results/, or any folder or file below it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the files that disagree, those that no receipt names, and a count; 1 when a file disagrees."""
    from florilegium.core.lineage import open_ledger, verify

    result = verify(*open_ledger(args.path))
    for fault in result.faults:
        print(fault, file=sys.stderr)
    for name in result.unnamed:
        print(f"{name}: no receipt names this file")
    n, fit = len(result.files), len(result.files - result.unfit)
    print(f"{fit:,} {f'of {n:,} ' if fit < n else ''}files of {len(result.receipts):,} receipts fit")
    return UNFIT if result.faults else 0
