"""Plot the losses of a learning-rate finder.

Reads:  finder.csv, and finder.json beside it.
Writes: a plot of loss against rate.
Why:    apart from the finder, so that a change of the plot trains nothing again.
"""

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.tables import read_table
from florilegium.figures.curves import write_finder
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    table = "finder.csv, finder.json beside it"
    arguments = stage_parser(__doc__, out="the plot", spec="preset, rendered, experiment", table=table).parse_args()
    finder = arguments.table.with_suffix(".json")
    with stage("draw_finder", arguments, inputs=[arguments.table, finder]) as receipt:
        steps = read_table(arguments.table, {"step": int}, others=float)
        suggestion = read_json(finder)["suggestion"]
        name, is_demo = receipt.spec["experiment"], receipt.spec["rendered"]
        receipt.outputs += [write_finder(steps, suggestion, arguments.out, name, is_demo=is_demo)]


if __name__ == "__main__":
    run_main(main)
