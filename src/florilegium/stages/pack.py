"""Decode all images of a data set once, into one uint8 array."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.data.layouts import recognise
from florilegium.data.pack import pack


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: layout")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--files", required=True, type=Path, help="files.json of the data set")
    parser.add_argument("--size", required=True, type=int, help="side of the packed images in pixels")
    parser.add_argument("--corrupt", choices=("stop", "skip"), default="stop", help="what bad images do")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode")
    parser.add_argument("--out", required=True, type=Path, help="pixels<size>.npy")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    listing = read_json(args.files)
    images = recognise(spec["layout"], [file["path"] for file in listing["files"]])
    root = Path(listing["root"])
    packed = pack(root, images, args.size, args.out, workers=args.workers, corrupt=args.corrupt)
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="pack",
        spec=spec,
        code=args.code,
        inputs=[args.files],
        outputs=[args.out, args.out.with_suffix(".csv"), args.out.with_suffix(".skipped.csv")],
        started=started,
        n_packed=len(packed.images),
        n_skipped=len(packed.skipped),
    )


if __name__ == "__main__":
    run_main(main)
