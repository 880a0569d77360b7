"""Bring the files of a data set here, verified, and list them."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import Dataset, DatasetOverride
from florilegium.data.fetch import fetch


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: dataset, override")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--name", required=True, help="the data set's key")
    parser.add_argument("--out", required=True, type=Path, help="files.json; the files go beside it")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    override = spec["override"]
    listing = fetch(
        args.name,
        Dataset.model_validate(spec["dataset"] | {"title": args.name}),
        DatasetOverride.model_validate(override) if override else None,
        root=args.out.parent / "files",
        downloads=args.out.parents[1] / "downloads" / args.name,
    )
    write_json(args.out, listing)
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="fetch",
        spec=spec,
        code=args.code,
        inputs=[],
        outputs=[args.out],
        started=started,
        origin=listing["origin"],
        n_files=len(listing["files"]),
        bytes=sum(file["bytes"] for file in listing["files"]),
    )


if __name__ == "__main__":
    run_main(main)
