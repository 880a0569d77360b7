"""Check the annotations of a detection data set, and list its images with the split of each."""

import argparse
import json
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_json, write_text
from florilegium.core.fingerprint import canonical
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import Dataset
from florilegium.data.annotations import check
from florilegium.data.boxes import rows
from florilegium.data.layouts import other_files
from florilegium.data.tables import write_table


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON: dataset, bad_boxes")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--files", required=True, type=Path, help="files.json of the data set")
    parser.add_argument("--out", required=True, type=Path, help="annotations.json; the tables go beside it")
    args = parser.parse_args()

    spec = json.loads(args.spec)
    listing = read_json(args.files)
    paths = [file["path"] for file in listing["files"]]
    dataset = Dataset.model_validate(spec["dataset"] | {"title": args.out.parent.name})
    checked = check(dataset, Path(listing["root"]), paths, spec["bad_boxes"])
    table, bad = (args.out.with_name(name) for name in ("images.csv", "bad_boxes.csv"))
    index, content = checked.index(), checked.content()
    write_text(args.out, canonical(content) + "\n")
    write_table(table, ("image", "class", "split"), index.rows)
    facts = checked.counts() | {"unannotated": content["unannotated"]}
    write_json(table.with_suffix(".json"), index.summary() | facts | {"other_files": other_files(listing)})
    write_table(bad, ("file", "annotation", "image", "box", "reason"), rows(checked.bad))
    write_receipt(
        args.out.with_suffix(".receipt.json"),
        stage="annotations",
        spec=spec,
        code=args.code,
        inputs=[args.files],
        outputs=[args.out, table, table.with_suffix(".json"), bad],
        started=started,
        **facts,
    )
    say(f"{len(index.rows):,} images, {facts['n_boxes']:,} boxes, {facts['n_bad_boxes']:,} bad ones dropped")


if __name__ == "__main__":
    run_main(main)
