"""Write a reference: the measurements of a finished preset, small enough for git."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Write a reference of a finished preset, to be committed: of each run its metrics, history, costs and receipt, and
whether its answer for each test image was right. Every receipt is first compared with its files; a run that differs
from its receipt is refused. `recompute` makes tables, plots and documents from references alone."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("reference", help=__doc__, description=DESCRIPTION)
    parser.add_argument("results", type=Path, help="results/<preset>, finished")
    parser.add_argument("--hardware", required=True, help="the machine in words, such as '2 cores of an AMD EPYC'")
    parser.add_argument("--out", type=Path, help="folder to write (default: results/reference/<preset>-<hardware>)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the reference; print the size of each study, and a warning where runs differ in code or versions."""
    from florilegium.core.files import read_json
    from florilegium.core.fingerprint import code_hash
    from florilegium.core.receipts import REFERENCE
    from florilegium.report.evidence import RECORD, live
    from florilegium.report.reference import folder_name, mixture, write_reference

    evidence = live(args.results, args.hardware)
    out = args.out or args.results.parent / REFERENCE / folder_name(evidence.page.preset, args.hardware)
    sizes = write_reference(evidence, out, code_hash(__name__))
    for size in sizes:
        each = size.n_bytes / max(1, size.n_runs)
        print(f"{size.study}: {size.n_runs} runs, {size.n_bytes / 1024:,.0f} KiB, {each:,.0f} bytes a run")
    if mixed := mixture(read_json(out / RECORD)):
        print(mixed)
    print(f"written to {out.as_posix()}; `python -m florilegium recompute` writes the documents from it")
    return 0
