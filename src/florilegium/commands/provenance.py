"""Print where a file of the workflow comes from, down to the archives."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Print the stage that made a file of results/ or resources/, its configuration, code, versions and
device, and the same for every file that it was made from. Nothing is run."""
EPILOG = """\
examples:
  python -m florilegium provenance results/demo/flowers/comparison.csv
  python -m florilegium provenance results/demo/flowers/comparison.csv resnet18_scratch/corrected"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "provenance",
        aliases=["explain"],
        help=__doc__,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="any file that the workflow has made")
    row = "of a comparison: only the runs behind this row"
    parser.add_argument("row", nargs="?", metavar="EXPERIMENT/ARM", help=row)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from florilegium.core.lineage import open_ledger, origins

    print("\n".join(origins(*open_ledger(args.file), row=args.row)))
    return 0
