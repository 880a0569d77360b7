"""Table of a data set's images with the class and the split of each."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_json
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import Dataset
from florilegium.data.layouts import index, other_files
from florilegium.data.tables import write_table


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: dataset, split")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--files", required=True, type=Path, help="files.json of the data set")
    parser.add_argument("--out", required=True, type=Path, help="images.csv; images.json goes beside it")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    listing = read_json(args.files)
    paths = [file["path"] for file in listing["files"]]
    dataset = Dataset.model_validate(spec["dataset"] | {"title": args.out.parent.name})
    found = index(dataset, Path(listing["root"]), paths, spec["split"])
    summary = args.out.with_suffix(".json")
    write_table(args.out, ("image", "class", "split"), found.rows)
    write_json(summary, found.summary() | {"other_files": other_files(listing)})
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="index",
        spec=spec,
        code=args.code,
        inputs=[args.files],
        outputs=[args.out, summary],
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
