"""Draw the losses that a learning-rate finder saw.

Reads:  finder.csv, and finder.json beside it.
Writes: a picture of loss against rate.
Why:    apart from the finder, so that another look trains nothing anew.
"""

from pathlib import Path

import pandas as pd

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.figures.curves import write_finder
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="the picture", spec="JSON with preset, rendered and the experiment's name")
    parser.add_argument("--table", required=True, type=Path, help="finder.csv, finder.json beside it")
    arguments = parser.parse_args()
    finder = arguments.table.with_suffix(".json")
    with stage("draw_finder", arguments, inputs=[arguments.table, finder]) as receipt:
        table, suggestion = pd.read_csv(arguments.table), read_json(finder)["suggestion"]
        name, is_demo = receipt.spec["experiment"], receipt.spec["rendered"]
        receipt.outputs += [write_finder(table, suggestion, arguments.out, name, is_demo=is_demo)]


if __name__ == "__main__":
    run_main(main)
