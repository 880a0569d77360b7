"""Check the annotations of a detection data set, and list its images with their splits.

Reads:  files.json and the annotation files that it lists.
Writes: annotations.json; images.csv, images.json and bad_boxes.csv beside it.
Why:    each format is read and checked once, and all later stages read COCO's.
"""

from pathlib import Path

from florilegium.config.datasets import Dataset
from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_json, write_text
from florilegium.core.fingerprint import canonical
from florilegium.core.system import say
from florilegium.core.tables import write_table
from florilegium.data.annotations import check
from florilegium.data.layouts import other_files
from florilegium.stages.stage import FILES, listed_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="annotations.json; tables go beside it", spec="dataset, bad_boxes", files=FILES)
    arguments = parser.parse_args()
    out: Path = arguments.out
    table, summary, bad = (out.with_name(name) for name in ("images.csv", "images.json", "bad_boxes.csv"))
    with stage("annotations", arguments, inputs=[arguments.files]) as receipt:
        dataset = Dataset.model_validate(receipt.spec["dataset"] | {"title": out.parent.name})
        checked = check(dataset, *listed_files(arguments.files), receipt.spec["bad_boxes"])
        index, content = checked.index(), checked.content()
        write_text(out, canonical(content) + "\n")
        write_table(table, ("image", "class", "split"), index.rows)
        facts = checked.counts() | {"unannotated": content["unannotated"]}
        others = {"other_files": other_files(read_json(arguments.files))}
        write_json(summary, index.summary() | facts | others)
        write_table(bad, ("file", "annotation", "image", "box", "reason"), checked.bad)
        receipt.outputs += [out, table, summary, bad]
        receipt.facts |= facts
    say(f"{len(index.rows):,} images, {facts['n_boxes']:,} boxes, {facts['n_bad_boxes']:,} bad ones dropped")


if __name__ == "__main__":
    run_main(main)
