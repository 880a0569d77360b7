"""List a data set's images with the class and the split of each.

Reads:  files.json, and the files of the layout that name classes and splits.
Writes: images.csv, and images.json, its summary, beside it.
Why:    all later stages agree on what an image shows and which split it is in.
"""

from florilegium.config.datasets import Dataset
from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_json
from florilegium.core.names import short
from florilegium.core.system import say
from florilegium.core.tables import write_table
from florilegium.data.kinds import say_left_out
from florilegium.data.layouts import index, other_files, strangers
from florilegium.stages.stage import FILES, listed_files, stage, stage_parser

LINE = 100  # characters of the names of classes in the log


def main() -> None:
    parser = stage_parser(__doc__, out="images.csv; images.json goes beside it", spec="dataset, split", files=FILES)
    arguments = parser.parse_args()
    out, summary = arguments.out, arguments.out.with_suffix(".json")
    with stage("index", arguments, inputs=[arguments.files]) as receipt:
        dataset = Dataset.model_validate(receipt.spec["dataset"] | {"title": out.parent.name})
        root, files = listed_files(arguments.files)
        images = index(dataset, root, files, receipt.spec["split"])
        others = strangers(dataset.layout, root, files)
        say_left_out(root, others)
        say(f"{dataset.title}: splits: {images.split_origin}")
        say(f"{dataset.title}: {len(images.classes)} classes: {short(', '.join(images.classes), LINE)}")
        write_table(out, ("image", "class", "split"), images.rows)
        write_json(summary, images.summary() | {"other_files": other_files(read_json(arguments.files))})
        receipt.outputs += [out, summary]
        receipt.facts["left_out"] = {reason: len(paths) for reason, paths in others.items()}


if __name__ == "__main__":
    run_main(main)
