"""Hash the images of a data set for its audits: perceptual hashes and small thumbnails."""

import argparse
import json
import time
from pathlib import Path

from florilegium.audit.hashing import hash_images
from florilegium.core.errors import UserError, run_main
from florilegium.core.files import read_json
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.data.layouts import recognise


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="files.json of the data set")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode")
    parser.add_argument("--corrupt", choices=("stop", "skip"), default="stop")
    parser.add_argument("--out", type=Path, required=True, help="hashes.npz")
    parser.add_argument("--spec", required=True, help="JSON: layout")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    arguments = parser.parse_args()

    listing = read_json(arguments.files)
    spec = json.loads(arguments.spec)
    images = recognise(spec["layout"], [file["path"] for file in listing["files"]])
    if not images:
        raise UserError(f"{listing['root']}: no images among its {len(listing['files'])} files")
    hashes, skipped = hash_images(
        Path(listing["root"]), images, workers=arguments.workers, corrupt=arguments.corrupt
    )
    hashes.save(arguments.out)
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="hash",
        spec=spec,
        code=arguments.code,
        inputs=[arguments.files],
        outputs=[arguments.out],
        started=started,
        n_images=len(hashes),
        skipped=skipped,
    )
    say(f"hashed {len(hashes):,} images of {listing['root']}, skipped {len(skipped)} corrupt ones")


if __name__ == "__main__":
    run_main(main)
