"""Audit two data sets that meet in an experiment, or one across its own splits."""

import argparse
import json
import time
from pathlib import Path

import pandas as pd

from florilegium.audit.comparison import Collection, compare
from florilegium.audit.hashing import Hashes
from florilegium.audit.write import write_audit
from florilegium.core.audit_settings import Audit
from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt


def main() -> None:
    started = time.time()
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    a = collection(arguments.name_a, arguments.hashes_a, arguments.images_a, arguments.files_a)
    b = a
    if arguments.name_a != arguments.name_b:
        b = collection(arguments.name_b, arguments.hashes_b, arguments.images_b, arguments.files_b)
    found = compare(a, b, Audit.model_validate(spec["audit"]), workers=arguments.workers)
    outputs = write_audit(found, arguments.out)
    sides = "ab" if b is not a else "a"
    inputs = [vars(arguments)[f"{kind}_{side}"] for kind in ("hashes", "images", "files") for side in sides]
    write_receipt(
        arguments.out / "receipt.json",
        stage="audit",
        spec=spec,
        code=arguments.code,
        inputs=inputs,
        outputs=outputs,
        started=started,
    )
    say(f"audit {a.name} / {b.name}: {len(found.same):,} pairs show the same picture")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for side, role in (("a", "trained on"), ("b", "tested on")):
        parser.add_argument(f"--name-{side}", required=True, help=f"name of the data set that is {role}")
        parser.add_argument(f"--hashes-{side}", type=Path, required=True, help="its hashes.npz")
        parser.add_argument(f"--images-{side}", type=Path, required=True, help="its images.csv")
        parser.add_argument(f"--files-{side}", type=Path, required=True, help="its files.json")
    parser.add_argument("--workers", type=int, default=1, help="threads that compare")
    parser.add_argument("--out", type=Path, required=True, help="folder of the audit")
    parser.add_argument("--spec", required=True, help='JSON: {"audit": {...}}')
    parser.add_argument("--code", default="")
    return parser.parse_args()


def collection(name: str, hashes: Path, images: Path, files: Path) -> Collection:
    """A data set by the files that earlier stages made of it."""
    table = pd.read_csv(images, dtype=str, keep_default_na=False)
    return Collection.join(name, Hashes.load(hashes), table, Path(read_json(files)["root"]))


if __name__ == "__main__":
    run_main(main)
