"""Draw a data set of the project's own, and list its files as the fetch stage does."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.receipts import write_receipt
from florilegium.core.schema import Dataset
from florilegium.data.extract import replacing
from florilegium.data.fetch import content_table
from florilegium.data.synthetic import render


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: dataset")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--name", required=True, help="the data set's key")
    parser.add_argument("--out", required=True, type=Path, help="files.json; the files go beside it")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    rendering = Dataset.model_validate(spec["dataset"]).rendered
    assert rendering is not None, f"{args.name} is not a rendered data set"
    root = args.out.parent / "files"
    with replacing(root) as folder:
        render(rendering, folder)
        files = content_table(folder)
    write_json(args.out, {"root": root.as_posix(), "origin": [], "files": files})
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="render",
        spec=spec,
        code=args.code,
        inputs=[],
        outputs=[args.out],
        started=started,
        n_files=len(files),
    )


if __name__ == "__main__":
    run_main(main)
