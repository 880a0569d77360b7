"""Draw a data set of the project's own, and list its files."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import UserError, run_main
from florilegium.core.files import digest, replacing, write_json
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import Rendering
from florilegium.core.validate import parse
from florilegium.rendering.render import render


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: dataset")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--name", required=True, help="the data set's key")
    parser.add_argument("--out", required=True, type=Path, help="files.json; the files go beside it")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    if not spec["dataset"].get("rendered"):
        raise UserError(f"{args.name}: is not rendered by the project, it has no 'rendered'; fetch it")
    rendering = parse(Rendering, spec["dataset"]["rendered"], f"{args.name}: rendered")
    root = args.out.parent / "files"
    with replacing(root) as folder:
        images = render(rendering, folder)
    files = [
        {"path": image, "bytes": (root / image).stat().st_size, "sha256": digest(root / image)}
        for image in images
    ]
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
        bytes=sum(file["bytes"] for file in files),
    )


if __name__ == "__main__":
    run_main(main)
