"""Write documents, their tables and plots, and the README's results from the committed references."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Read every reference below results/reference, hold it against its receipt, and write from it docs/results/<reference>.md with its
tables and plots, and the README's block of results, whose rows docs/results/readme.yaml names. Run it in the project's folder."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("recompute", help=__doc__, description=DESCRIPTION)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write them; prints what has changed."""
    from florilegium.report.recomputed import recompute, write

    documents = recompute(Path())
    for path in write(documents, Path()):
        print(f"{path}: changed")
    print(f"recomputed from {', '.join(documents.references)}")
    return 0
