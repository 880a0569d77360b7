"""Decode all images of a detection data set once, into one file of buckets of equal shape."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.data.boxed_pack import pack_buckets
from florilegium.data.fit import fit


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: short_side, long_side, padding, corrupt")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--files", required=True, type=Path, help="files.json of the data set")
    parser.add_argument("--annotations", required=True, type=Path, help="annotations.json of the data set")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode")
    parser.add_argument("--out", required=True, type=Path, help="scenes<packing>.npy")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    images = [i for split in read_json(args.annotations)["splits"].values() for i in split["images"]]
    sides = (spec["short_side"], spec["long_side"])
    fits = {image["file_name"]: fit(image["height"], image["width"], *sides) for image in images}
    root = Path(read_json(args.files)["root"])
    packed = pack_buckets(
        root, fits, spec["padding"], args.out, workers=args.workers, corrupt=spec["corrupt"]
    )
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="scenes",
        spec=spec,
        code=args.code,
        inputs=[args.files, args.annotations],
        outputs=[args.out, args.out.with_suffix(".csv"), args.out.with_suffix(".skipped.csv")],
        started=started,
        n_packed=len(packed.images),
        n_skipped=len(packed.skipped),
    )


if __name__ == "__main__":
    run_main(main)
