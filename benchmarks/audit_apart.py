"""Pairs that the audit calls copies among pictures that share nothing, or only what a person has seen.

    python benchmarks/audit_apart.py flowers/ streets/ --name "flowers against streets" --out apart.json

The folders (or the pictures of one) are audited in the three ways of audit_recall.py. Look at every pair that is called
a copy, on the page of the audit below `--work`, and list those that do show one photograph in the file of `--true`
(columns image_a, image_b): the rest are false. The result is added to; a set that has this name is measured again.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from audit import WAYS, options, run_audit
from machine import machine

from florilegium.core.files import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="folder")
    parser.add_argument("--name", required=True, help="of these pictures, for people")
    parser.add_argument("--true", type=Path, help="CSV file of the pairs that do show one photograph (default: none)")
    with options(parser) as (arguments, work):
        found = measure(arguments, work)
    sets = read_json(arguments.out)["sets"] if arguments.out.exists() else {}
    write_json(arguments.out, {**machine(), "sets": {**sets, arguments.name: found}})
    print(f"{arguments.name}: {found}")


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Comparisons, and the pairs that each way of an audit calls copies."""
    audits = [run_audit(arguments.folders, arguments.workers, name, work / name) for name in WAYS]
    true = by_images(pd.read_csv(arguments.true, dtype=str)) if arguments.true else []
    n_a, n_b = (audits[0].summary[key] for key in ("n_a", "n_b"))
    return {
        "n_a": n_a,
        "n_b": n_b if len(arguments.folders) > 1 else None,
        "comparisons": n_a * n_b if len(arguments.folders) > 1 else n_a * (n_a - 1) // 2,
        "called": {audit.name: len(audit.called) for audit in audits},
        "true": {audit.name: int(by_images(audit.called).isin(true).sum()) for audit in audits},
        "seconds": {audit.name: audit.seconds for audit in audits},
    }


def by_images(pairs: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(pairs[["image_a", "image_b"]])


if __name__ == "__main__":
    main()
